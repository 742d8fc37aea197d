"""What the page ``speed`` shows."""
