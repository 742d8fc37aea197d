"""What the page ``robustness`` shows."""
