"""Trials on a Ray cluster: what is on it and how a task gets there, the workers, and the backend that uses them."""
