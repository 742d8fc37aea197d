"""What the page ``elsewhere`` shows."""
