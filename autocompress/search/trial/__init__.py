"""The work on one candidate: shrink, score, distill, score, keep.

`prepare` computes what all trials of a search share (a TrialContext), `run_trial` works on one Job and yields its
messages. Nothing here knows a study, nor where it runs: it may import what is below `search` and, of `search`, spaces,
settings and the task.
"""
