"""What the page ``reproduce`` shows."""
