"""What may be tried at all, and what it costs: search spaces, budgets, costs, and which candidates are feasible.

A YAML file is a SearchSpace; with its teacher and target it is a StudentSpace; all of a search's are its JointSpace.
The FeasibleSet is the one place that decides whether a point may be tried. Nothing here knows a study. May import
only what is below `search`.
"""
