"""How a network is computed: number formats, CUDA graphs, aligned memory, tiles, FLOPs."""
