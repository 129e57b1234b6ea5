"""Which candidate is tried next: the first trials, the cost-aware sampler, and Optuna's samplers within the budget.

A sampler reads the history of a study and proposes a point of the FeasibleSet; it writes nothing. A new one is made in
`factory`, by a name of settings' SamplerName. May import `run`'s history and records, `space`, `pareto`, settings and
what is below `search`.
"""
