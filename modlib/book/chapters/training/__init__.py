"""What the page ``training`` shows."""
