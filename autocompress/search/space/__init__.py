"""What may be tried, and what it costs."""
