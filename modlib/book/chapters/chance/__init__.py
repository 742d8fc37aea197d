"""What the page ``chance`` shows."""
