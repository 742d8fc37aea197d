"""What the page ``deviations`` shows."""
