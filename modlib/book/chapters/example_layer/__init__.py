"""What the page ``example-layer`` shows."""
