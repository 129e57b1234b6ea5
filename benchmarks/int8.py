"""What shipped students lose in int8, and what training for it brings back: PSNR-Y in dB on several sets.

All rows of a student are of the same run: float32 by PyTorch, the int8 file by ONNX Runtime as it is calibrated, files
that are rounded otherwise as controls, and that of the network after `--qat`'s training, which is forced here also
where little is lost. Calibrated and trained on the embedded photographs. A folder of images is a set, by its name.
Milliseconds are of the processor, the least of seven calls of ONNX Runtime on one thread, for an LR image of 320x180.

    python benchmarks/int8.py --data Set5 --data valid
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime

from autocompress import load
from autocompress.compute.probing import choose
from autocompress.data.embedded import embedded
from autocompress.data.folders import open_folder
from autocompress.distill.quantisation import Quantiser
from autocompress.evaluation.scores import MIN_SIDE, evaluate, network_upscaler, pairs
from autocompress.export.int8 import OURS, Rounding, onnx_upscaler, quantised
from autocompress.export.onnx_files import converted, session_of
from autocompress.networks import family_of
from autocompress.networks.upscaling import Image

MODELS = ("edsr-x2-3g", "edsr-x2-10g", "edsrmini-x2")
ROWS = {
    "int8": OURS,
    "int8, ranges by smallest and largest": Rounding(percentile=100),
    "int8, what upsamples rounded too": Rounding(tail=True),
    "int8, both": Rounding(percentile=100, tail=True),
    "int8, first 2 convolutions in float32": Rounding(whole=2),
    "int8, first 4 convolutions in float32": Rounding(whole=4),
    "int8, all of a transformer rounded": Rounding(throughout=True),
    "int8 after --qat": OURS,
}
CALLS = 7


def milliseconds(model: bytes) -> float:
    """Of the processor, for one call."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    lr = np.random.default_rng(0).random((1, 3, 180, 320), dtype=np.float32)
    spent = []
    for _ in range(CALLS):
        start = time.process_time()
        session.run(None, {"lr": lr})
        spent.append(time.process_time() - start)
    return 1000 * min(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", default=[], help="folder of HR images")
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS), metavar="ROW")
    arguments = parser.parse_args()
    train, valid = embedded("train", 2), embedded("valid", 2)
    sets = {"4 validation photographs": valid}
    sets |= {folder.name: open_folder(folder, 2, min_size=MIN_SIDE) for folder in arguments.data}

    def scores(upscale: Callable[[Image], Image]) -> list[float]:
        return [evaluate(upscale, pairs(source), 2, ["psnr_y"]).mean["psnr_y"] for source in sets.values()]

    quantiser = Quantiser(train, valid, True, partial(print, file=sys.stderr), choose())
    print(f"| student | | {' | '.join(sets)} | ms |\n|---|---|{'---|' * len(sets)}---|", flush=True)
    for name in arguments.models:
        family = family_of(network := load(name))
        plain = family.for_export(network)
        patches = list(quantiser.patches())
        whole = scores(network_upscaler(plain))
        cells = " | ".join(f"{score:.3f}" for score in whole)
        print(
            f"| {name} | float32 | {cells} | {milliseconds(converted(plain, family.for_programs(plain), 18)):.1f} |",
            flush=True,
        )
        for what in arguments.rows:
            rounding = ROWS[what]
            made = quantiser.refined(plain, name) if what.endswith("--qat") else plain
            model = quantised(made, patches, 18, rounding)
            found = scores(onnx_upscaler(session_of(model)))
            pairs_of = zip(found, whole, strict=True)
            cells = " | ".join(f"{score:.3f} ({score - before:+.3f})" for score, before in pairs_of)
            print(f"| {name} | {what} | {cells} | {milliseconds(model):.1f} |", flush=True)


if __name__ == "__main__":
    main()
