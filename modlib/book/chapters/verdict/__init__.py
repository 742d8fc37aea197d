"""What the page ``verdict`` shows."""
