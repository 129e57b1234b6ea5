"""The students that ship, beside the networks of about the same cost that can be downloaded.

    python benchmarks/models.py --set5 DIR --set14 DIR --mcmaster DIR

Scores every shipped student by `evaluate`, in this run, and bicubic on the same images as the control; prints PSNR-Y in
dB, and for each set how far that is from what the student's side file says. The downloadable networks are those of
networks/downloadable.json, as they were scored by the same evaluation.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from autocompress import api
from autocompress.networks.downloadable import downloadable

SETS = {"Set5": "Set5", "Set14": "Set14", "McMaster (10 images)": "McMaster (first ten)"}  # ours, downloadable.json's


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    for option in ("--set5", "--set14", "--mcmaster"):
        parser.add_argument(option, type=Path, required=True, metavar="DIR")
    folders = list(vars(parser.parse_args()).values())
    rows: dict[int, list[str]] = {}
    for other in downloadable():
        rows[other.flops] = [other.name, *cells(other.flops, [other.psnr_y.get(name) for name in SETS.values()]), ""]
    for model in api.models():
        evaluation = api.evaluate(model.name, folders, progress=False)
        scores = [scores.mean["psnr_y"] for scores in evaluation.scores.values()]
        recorded = [model.about["metrics"][name]["psnr_y"] for name in SETS]
        apart = max(abs(psnr - known) for psnr, known in zip(scores, recorded, strict=True))
        rows[model.about["flops"]] = [f"**{model.name}**", *cells(model.about["flops"], scores), f"{apart:.4f}"]
        rows[0] = ["bicubic", *cells(0, [bicubic.mean["psnr_y"] for bicubic in evaluation.bicubic.values()]), ""]
    heading = ["network", "FLOPs", *SETS, "from the side file"]
    for row in (heading, ["---"] * len(heading), *(rows[flops] for flops in sorted(rows))):
        print(f"| {' | '.join(row)} |")


def cells(flops: int, scores: Sequence[float | None]) -> list[str]:
    return [f"{flops / 1e9:.2f}G", *("" if psnr is None else f"{psnr:.2f}" for psnr in scores)]


if __name__ == "__main__":
    main()
