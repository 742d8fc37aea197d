"""What the page ``regularisation`` shows."""
