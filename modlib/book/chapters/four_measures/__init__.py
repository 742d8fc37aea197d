"""What the page ``four-measures`` shows."""
