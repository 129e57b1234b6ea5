"""Which config is tried next.

A sampler is an Optuna sampler that proposes feasible points alone: `FeasibleSampler` wraps any of Optuna's, and
`CostAwareSampler` is our own. `factory` makes them by name: a new sampler goes there. They read the history of a study
and write nothing. This room imports `run` for what the history is, the fronts of `pareto`, and `space`.
"""
