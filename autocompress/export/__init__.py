"""Networks as files for other code: safetensors, PyTorch and ONNX files, each with a JSON side file and a model card.

This room may import `networks` and all rooms below it.
"""
