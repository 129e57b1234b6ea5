"""Files: the cache, checkpoints, what ships with the package."""
