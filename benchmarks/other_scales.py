"""An EDSR teacher of x3 or x4 for `starts.py --teacher edsr=FILE`: none of these scales ships.

    python benchmarks/other_scales.py --scale 3 --train DIR --valid DIR --out edsr-x3.safetensors [--steps 250]

The body of the shipped EDSR-baseline under a tail whose sub-pixels are the x2 tail's (at x4 twice, at x3 the nearest
ones), which `autocompress teacher train` then trains on; the command is printed. It is no good teacher, but one whose
students by two versions of the package can be compared.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from autocompress.networks.teachers import load_teacher

NEAREST = [0, 0, 1]  # row or column of the 2x2 sub-pixels, for each of 3


def start(scale: int) -> dict[str, Tensor]:
    """Weights at that scale, before they are trained."""
    tensors = dict(load_teacher("edsr-baseline-x2").state_dict())
    for leaf in ("weight", "bias"):
        tail = tensors[f"upsample.0.{leaf}"]
        if scale == 4:
            tensors[f"upsample.2.{leaf}"] = tail.clone()
        else:
            sub_pixels = tail.unflatten(0, (-1, 2, 2))[:, NEAREST][:, :, NEAREST]
            tensors[f"upsample.0.{leaf}"] = sub_pixels.flatten(0, 2).contiguous()
    return tensors


def main() -> None:
    """Write the start beside `--out`, and train it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, choices=(3, 4), required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--valid", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    begun = options.out.with_stem(f"{options.out.stem}-start")
    save_file(start(options.scale), begun)
    words = ["autocompress", "teacher", "train", "edsr", "--start", str(begun), "--patch-size", "24"]
    words += ["--train", str(options.train), "--val", str(options.valid), "--steps", str(options.steps)]
    words += ["--out", str(options.out)]
    print(shlex.join(words), flush=True)
    subprocess.run(words, check=True)


if __name__ == "__main__":
    main()
