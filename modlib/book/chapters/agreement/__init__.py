"""What the page ``agreement`` shows."""
