"""Scores by image for the students of a run, in place of those that it has."""

import json
from collections.abc import Callable

from autocompress.search import RunFolder
from autocompress.search.results.front import students


def give_scores(run: RunFolder, scores: Callable[[float], dict[str, float] | None]) -> None:
    """Write into each student what `scores` makes of its PSNR-Y, or take them away where that is None."""
    images = 0
    for number in students(run)["trial"]:
        file = run.trial(number) / "student.json"
        content = json.loads(file.read_text())
        by_image = scores(content["metrics"]["psnr_y"])
        content.pop("psnr_y_by_image", None)
        if by_image is not None:
            content["psnr_y_by_image"], images = by_image, len(by_image)
        file.write_text(json.dumps(content))
    config = run.path / "config.json"
    content = json.loads(config.read_text())
    content["valid"]["images"] = images or 4
    config.write_text(json.dumps(content))


def on_four(psnr: float, noise: float = 0.0) -> dict[str, float]:
    """Four images of different hardness, whose mean is this PSNR; `noise` is what moves two of them, in dB."""
    return {"a": psnr - 3 + noise, "b": psnr - 1 - noise, "c": psnr + 1, "d": psnr + 3}
