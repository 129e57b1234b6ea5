"""What a run has come to: read only."""
