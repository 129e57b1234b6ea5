"""The engine that makes a smaller network of a trained one; it knows no architecture.

For any network: `graph` captures it, `classes`, `propagation` and `rules` follow its channels, `channels` says which
of them are one axis, `heads` which are one head of attention, `parts` what repeats, `part_importance` which of these
stay, `observation` looks at the teacher, and `engine` makes the student. For families that declare their own axes:
`axes`, `selection`, `importance`, `density`. For both: `subspaces`, `least_squares`, and the ways in which a student
may begin (`init`). This room may import `data`, `compute`, `io`, `units` and `errors`.
"""
