"""What the page ``choices`` shows."""
