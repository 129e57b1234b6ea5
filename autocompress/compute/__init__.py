"""How a network is computed on the machine at hand, and what that costs.

Here are number formats and threads (`precision`; `probing` finds the fastest), CUDA graphs, aligned memory, upscaling
in tiles, losses, FLOPs and parameters, and the names of the runtimes that latencies are measured with. The functions
take any torch module or tensor and know no architecture. This room may import `units` and `errors` only.
"""
