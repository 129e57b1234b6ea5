"""Stage three: a student learns from its teacher's outputs and from the ground truth."""
