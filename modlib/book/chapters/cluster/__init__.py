"""What the page ``cluster`` shows."""
