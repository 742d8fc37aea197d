"""What the page ``own-network`` shows."""
