"""What a search may try at all, and what it costs.

From the smallest to the largest: a `Parameter` with its values; a `SearchSpace`, read from a YAML file; a
`StudentSpace`, a search space with the teacher whose students are in it; the `JointSpace` of all that a search has; and
the `FeasibleSet`, which alone decides whether a candidate may be tried, by the `Budget` and the `Costs`. Nothing in this
room has heard of settings, trials or a study's history, and it imports no other part of search.
"""
