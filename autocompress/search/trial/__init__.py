"""The work on one candidate."""
