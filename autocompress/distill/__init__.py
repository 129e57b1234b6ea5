"""Stage three of the paper: a student learns from its teacher's outputs and from the ground truth.

`distillation` trains one given student from start to end (`autocompress distill`); the search trains by the same
`training` in portions, up to the next rung. A `recipe` has the numbers of a training, `targets` the teacher's cached
outputs. This room may import `evaluation` and all rooms below it, but neither `prune` nor `search`.
"""
