"""Scores, latencies and upscaled files of anything that upscales."""
