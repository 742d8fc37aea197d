"""What the page ``explorer`` carries."""
