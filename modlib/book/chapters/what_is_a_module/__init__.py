"""What the page ``what-is-a-module`` shows."""
