"""Networks as files for ncnn, with the names that programs built on it expect; checked before they are written."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autocompress.errors import ExportFailed
from autocompress.export.extras import require
from autocompress.export.onnx_files import CHECKED, TOLERANCE, quiet
from autocompress.io import atomic
from autocompress.networks import family_of
from autocompress.networks.base import SRNetwork

# Of the blobs, as realesrgan-ncnn-vulkan, upscayl-ncnn and what is built on them call them; and as pnnx does.
BLOBS = {"in0": "data", "out0": "output"}
SIZES = [(1, *shape[1:]) for shape in CHECKED]  # ncnn takes one image at a time
LONG = 160  # characters of what pnnx says of a failure


def write_ncnn(network: SRNetwork, path: Path) -> None:
    """Write a network as `path` (.param) and the .bin beside it, after checking that ncnn computes what PyTorch does.

    Blob `data` is an LR image (3, H, W) float32 RGB in [0, 1], of any size, `output` the image (3, scale*H, scale*W),
    not clipped. It is of the network as `Family.for_export` makes it. Raises InvalidInput where ncnn or pnnx is not
    installed, ExportFailed, leaving no file, where ncnn has not all of the network's operators (SwinIR's are of too
    many dimensions), or where the results differ.
    """
    require("ncnn")
    plain = family_of(network).for_export(network)
    param, weights = _converted(plain)
    if lacking := sorted({line.split()[0] for line in param.splitlines()[2:] if "." in line.split()[0]}):
        raise ExportFailed(
            f"ncnn has no operators for {plain.family} networks ({', '.join(lacking)}); take --format onnx"
        )
    _check(plain, param, weights)
    atomic.write_bytes(path.with_suffix(".bin"), weights)
    atomic.write_text(path, param)


def _converted(network: SRNetwork) -> tuple[str, bytes]:
    """The two files of a network on the CPU, by pnnx: a program, which is told what varies by two sizes of images."""
    import pnnx

    shapes = [f"[{','.join(map(str, size))}]f32" for size in SIZES]
    with tempfile.TemporaryDirectory() as folder:
        with torch.no_grad(), quiet():
            traced: Any = torch.jit.trace(network, torch.zeros(SIZES[0]), check_trace=False)  # type: ignore[no-untyped-call]
            traced.save(f"{folder}/network.pt")
        words = [pnnx.EXEC_PATH, "network.pt", f"inputshape={shapes[0]}", f"inputshape2={shapes[1]}", "fp16=0"]
        ended = subprocess.run(words, cwd=folder, capture_output=True, check=False)
        param, weights = Path(folder, "network.ncnn.param"), Path(folder, "network.ncnn.bin")
        if not (param.is_file() and weights.is_file()):
            said = " ".join(ended.stderr.decode(errors="replace").split())[-LONG:]
            raise ExportFailed(f"pnnx cannot convert this network for ncnn ({said}); take --format onnx")
        return _renamed(param.read_text()), weights.read_bytes()


def _renamed(param: str) -> str:
    """With the expected names of blobs."""
    return re.sub(r"(?<!\S)(in0|out0)(?!\S)", lambda found: BLOBS[found[0]], param)


def _check(network: SRNetwork, param: str, weights: bytes) -> None:
    """Raise ExportFailed if ncnn computes something else than PyTorch, for random images of two sizes."""
    import ncnn

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "network.param").write_text(param)
        Path(folder, "network.bin").write_bytes(weights)
        runner = ncnn.Net()
        runner.opt.num_threads = torch.get_num_threads()
        for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
            setattr(runner.opt, option, False)
        loaded = runner.load_param(f"{folder}/network.param") or runner.load_model(f"{folder}/network.bin")
        if loaded != 0:
            raise ExportFailed(f"ncnn {ncnn.__version__} cannot load this network; take --format onnx")
        generator = torch.Generator().manual_seed(0)
        for size in SIZES:
            lr = torch.rand(size, generator=generator)
            with torch.inference_mode():
                expected = network(lr)[0]
            computed = torch.from_numpy(upscaled(runner, lr[0].numpy()))
            apart = float((computed - expected).abs().max()) if computed.shape == expected.shape else float("inf")
            if not apart <= TOLERANCE * max(1.0, float(expected.abs().max())):
                raise ExportFailed(
                    f"ncnn {ncnn.__version__} and PyTorch differ by up to {apart:.1e} on images of "
                    f"{size[2]}x{size[3]} pixels, but must agree to {TOLERANCE:.0e}; nothing was written"
                )


def upscaled(runner: Any, lr: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What a loaded ncnn.Net makes of an image (3, H, W) in [0, 1]."""
    import ncnn

    image = np.ascontiguousarray(lr)  # ncnn reads its memory, but does not keep it
    extractor = runner.create_extractor()
    extractor.input("data", ncnn.Mat(image))
    _, sr = extractor.extract("output")
    return np.array(sr)
