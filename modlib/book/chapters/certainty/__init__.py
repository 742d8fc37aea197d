"""What the page ``certainty`` shows."""
