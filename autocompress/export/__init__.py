"""Networks as files for other code, with cards."""
