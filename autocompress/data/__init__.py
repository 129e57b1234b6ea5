"""Images: reading and writing them, MATLAB's bicubic, sets of LR and HR pairs, training patches.

Images are uint8 RGB (H, W, 3) in NumPy until a patch is cut; patches are float32 (B, 3, h, w) in [0, 1]. This room
may import `compute`, `io`, `units` and `errors`.
"""
