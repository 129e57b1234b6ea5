"""Instructions for model cards: Python code, to be copied, that loads an exported file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autocompress.networks import family_of
from autocompress.networks.base import SRNetwork

_OURS = """With autocompress, which reads `{side_file}` beside it:

```python
import autocompress
import torch

network = autocompress.load("{file}")
with torch.inference_mode():
    sr = network(lr)  # (B, 3, H, W) float32 RGB in [0, 1]
```"""

_OFFICIAL = """With the architecture's official code:

```python
{imports}

{build}
network.load_state_dict({tensors}, strict=True)
network.eval()
```"""

_ONNX = """With ONNX Runtime, and nothing else (opset 18; `lr` and `sr` are float32, and of any size):

```python
import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession("{file}")
lr = np.asarray(Image.open("small.png").convert("RGB"), np.float32).transpose(2, 0, 1)[None] / 255
[sr] = session.run(["sr"], {{"lr": lr}})
Image.fromarray((sr[0].clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)).save("large.png")
```"""


_PROGRAM = """With PyTorch alone (an exported program, for images of any size):

```python
import torch

network = torch.export.load("{file}").module()
with torch.inference_mode():
    sr = network(lr)  # (B, 3, H, W) float32 RGB in [0, 1]
```"""


def instructions(network: SRNetwork, files: Sequence[str], half: bool) -> str:
    """One section of Markdown for each way to load these files; with `half`, the safetensors file holds float16."""
    parts = []
    for file in files:
        path = Path(file)
        note = " (float16; computed in float32)" if half and path.suffix == ".safetensors" else ""
        parts.append(f"### {file}{note}")
        if path.suffix in (".onnx", ".pt2"):
            parts.append((_ONNX if path.suffix == ".onnx" else _PROGRAM).format(file=file))
            continue
        parts.append(_OURS.format(file=file, side_file=path.with_suffix(".json").name))
        parts.append(_official(network, file))
    return "\n\n".join(parts)


def _official(network: SRNetwork, file: str) -> str:
    code = family_of(network).official_code(network.config)
    if code is None:
        return "The official code has no such network."
    imports, build = code
    if file.endswith(".pth"):
        more, tensors = "import torch", f'torch.load("{file}", weights_only=True)["params"]'
    else:
        more, tensors = "from safetensors.torch import load_file", f'load_file("{file}")'
    return _OFFICIAL.format(imports=f"{more}\n{imports}", build=build, tensors=tensors)
