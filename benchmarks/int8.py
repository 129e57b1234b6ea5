"""What shipped students lose in int8, and what training to be rounded brings back: PSNR-Y in dB on several sets.

Each column is of the same run: float32 by PyTorch, the int8 file by ONNX Runtime as it is calibrated, and that of the
network after `--qat`'s training, which is forced here also where little is lost. Calibrated and trained on the embedded
photographs. A folder of images is a set, by its name.

    python benchmarks/int8.py --data Set5 --data valid
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from autocompress import load
from autocompress.compute.probing import choose
from autocompress.data.embedded import embedded
from autocompress.data.folders import open_folder
from autocompress.distill.quantisation import Quantiser
from autocompress.evaluation.scores import MIN_SIDE, evaluate, network_upscaler, pairs
from autocompress.export.int8 import onnx_upscaler, quantised
from autocompress.export.onnx_files import session_of
from autocompress.networks import family_of
from autocompress.networks.upscaling import Image

MODELS = ("edsr-x2-3g", "edsr-x2-10g", "edsrmini-x2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", default=[], help="folder of HR images")
    parser.add_argument("--models", nargs="+", default=MODELS)
    arguments = parser.parse_args()
    train, valid = embedded("train", 2), embedded("valid", 2)
    sets = {"4 validation photographs": valid}
    sets |= {folder.name: open_folder(folder, 2, min_size=MIN_SIDE) for folder in arguments.data}

    def scores(upscale: Callable[[Image], Image]) -> list[float]:
        return [evaluate(upscale, pairs(source), 2, ["psnr_y"]).mean["psnr_y"] for source in sets.values()]

    quantiser = Quantiser(train, valid, True, print, choose())
    print(f"| student | | {' | '.join(sets)} |\n|---|---|{'---|' * len(sets)}", flush=True)
    for name in arguments.models:
        plain = family_of(network := load(name)).for_export(network)
        patches = list(quantiser.patches())
        whole = scores(network_upscaler(plain))
        print(f"| {name} | float32 | {' | '.join(f'{score:.3f}' for score in whole)} |", flush=True)
        for what, made in {"int8": plain, "int8 after --qat": quantiser.refined(plain)}.items():
            found = scores(onnx_upscaler(session_of(quantised(made, patches, 18))))
            cells = (f"{score:.3f} ({score - before:+.3f})" for score, before in zip(found, whole, strict=True))
            print(f"| {name} | {what} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
