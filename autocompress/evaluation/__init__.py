"""Scores and latencies of anything that upscales, and upscaling image files.

`metrics` are PSNR and SSIM of two images, `scores` those of a network on a set of images, `latency` its time on this
machine. This room may import `export` (for ONNX files to be timed) and all rooms below it.
"""
