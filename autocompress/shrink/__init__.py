"""The engine that makes a smaller network of a trained one; it knows no architecture.

Here are subspaces of channels, least-squares fits of layers, importance of channels and densities, and the ways in
which a student may begin (`init`). The families in `networks` apply them to their layers. This room may import
`data`, `compute`, `io`, `units` and `errors`.
"""
