"""Instructions for model cards: Python code, to be copied, that loads an exported file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autocompress.export.formats import OF_ONNX, Format, Wanted
from autocompress.networks import family_of
from autocompress.networks.base import SRNetwork

_OURS = """With autocompress, which reads `{side_file}` beside it; `network(lr)` takes tensors, too, (B, 3, H, W)
float32 RGB in [0, 1]:

```python
import autocompress
from PIL import Image

network = autocompress.load("{file}")
network.upscale(Image.open("small.png")).save("large.png")
```"""

_OFFICIAL = """With the architecture's official code:

```python
{imports}

{build}
network.load_state_dict({tensors}, strict=True)
network.eval()
```"""

_ONNX = """With ONNX Runtime, and nothing else (opset {opset}; `lr` and `sr` are float32, {size}):

```python
import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession("{file}")
lr = np.asarray(Image.open("small.png").convert("RGB"), np.float32).transpose(2, 0, 1)[None] / 255
[sr] = session.run(["sr"], {{"lr": lr}})
Image.fromarray((sr[0].clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)).save("large.png")
```"""

_NOTES = {
    Format.SAFETENSORS_FP16: " (float16; computed in float32)",
    Format.ONNX_FP16: " (computed in float16)",
    Format.ONNX_INT8: " (computed in int8, by QDQ)",
}

_PROGRAM = """With PyTorch alone (an exported program; images are {size}):

```python
import numpy as np
import torch
from PIL import Image

network = torch.export.load("{file}").module()
lr = torch.from_numpy(np.array(Image.open("small.png").convert("RGB"))).permute(2, 0, 1)[None] / 255
with torch.inference_mode():
    sr = network(lr)  # (B, 3, H, W) float32 RGB in [0, 1]
Image.fromarray((sr[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()).save("large.png")
```"""

_NCNN = """With ncnn, as `{file}` and `{weights}` (`data` and `output` are float32, of any size); in Upscayl and in
realesrgan-ncnn-vulkan, which take the two in their folder of models:

```python
import ncnn
import numpy as np
from PIL import Image

network = ncnn.Net()
network.load_param("{file}")
network.load_model("{weights}")
lr = np.asarray(Image.open("small.png").convert("RGB"), np.float32).transpose(2, 0, 1) / 255
lr = np.ascontiguousarray(lr)  # ncnn reads its memory
extractor = network.create_extractor()
extractor.input("data", ncnn.Mat(lr))
sr = np.array(extractor.extract("output")[1])
Image.fromarray((sr.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)).save("large.png")
```"""


def instructions(network: SRNetwork, files: Sequence[str], wanted: Wanted) -> str:
    """One section of Markdown for each way to load these files, which are what was `wanted`, in that order."""
    # PlainUSR takes no less than 7 pixels as ONNX, 10 as pt2, and torch.export refuses 2 pixels with no reason
    free = "of any size from 10 pixels a side on"
    size = free if wanted.shape is None else f"of {wanted.shape[0]}x{wanted.shape[1]} (height, width) at LR"
    parts = []
    for format, file in zip(wanted.formats, files, strict=True):
        parts.append(f"### {file}{_NOTES.get(format, '')}")
        if format in OF_ONNX:
            parts.append(_ONNX.format(file=file, opset=wanted.opset, size=size))
        elif format == Format.NCNN:
            parts.append(_NCNN.format(file=file, weights=Path(file).with_suffix(".bin").name))
        elif format == Format.PT2:
            parts.append(_PROGRAM.format(file=file, size=size))
        else:
            parts.append(_OURS.format(file=file, side_file=Path(file).with_suffix(".json").name))
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
