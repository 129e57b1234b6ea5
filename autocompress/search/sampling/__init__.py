"""Which config is tried next."""
