"""Images and networks that tests generate, and what fvcore counts of networks."""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import autocompress
from autocompress.networks.swinir.network import SwinIR, SwinIRConfig


def write_waves(path: Path, height: int, width: int, seed: int) -> None:
    """A PNG of some coloured waves with a little noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = 128 + random.normal(0, 2, (height, width, 3))
    for _ in range(6):
        along_y, along_x, phase = random.uniform((-0.6, -0.6, 0), (0.6, 0.6, 6))
        image += random.uniform(-25, 25, 3) * np.sin(along_y * y + along_x * x + phase)[:, :, None]
    Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(path)


def fvcore_total(network: torch.nn.Module, lr: torch.Tensor) -> float:
    """fvcore's FLOPs for this input."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fvcore uses torch.jit
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(network, lr)
        return float(analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total())


def fvcore_flops(file: Path) -> int:
    """fvcore's FLOPs of a stored network for an output of 1280x720, as anyone would load it."""
    network = autocompress.load(file)
    return round(fvcore_total(network, torch.zeros(1, 3, 20, 30)) / 600 * 1280 * 720 / network.scale**2)


def random_swinir(config: SwinIRConfig, seed: int = 0) -> SwinIR:
    """A random network whose attention is far from uniform and whose tensors are all different."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = SwinIR(config).eval()
        with torch.no_grad():
            for name, parameter in made.named_parameters():
                noise = 0.5 if name.endswith("table") else 0.1
                parameter.add_(noise * torch.randn_like(parameter))
    return made


def png_16_bit(path: Path, samples: NDArray[np.uint16], colour_type: int) -> None:
    """Write a 16-bit PNG (H, W, C): Pillow and scikit-image can't for colour."""
    height, width = samples.shape[:2]

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
