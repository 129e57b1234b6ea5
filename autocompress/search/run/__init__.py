"""All that a run stores."""
