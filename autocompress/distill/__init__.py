"""Stage three of the paper: a student learns from its teacher's outputs and from the ground truth.

`distillation` trains one given student from start to end (`autocompress distill`); the search trains by the same
`training` in portions, up to the next rung. A `recipe` has the numbers of a training, `targets` the teacher's cached
outputs. This room may import `evaluation` and all rooms below it, but neither `prune` nor `search`.
"""

# Fields of a Recipe (recipe.py), named here because what a user sets is checked before PyTorch is imported.
# What a search may vary of a training, and a user may set:
VARIABLE = ("teacher_loss", "teacher_share", "feature_weight", "optimizer", "learning_rate", "warmup", "clip", "ema")
# What a user may set of one training; in a search all trials have the same patches:
SETTABLE = (*VARIABLE, "batch_size", "patch_size")
WORDS = ("teacher_loss", "optimizer")  # all others are numbers
