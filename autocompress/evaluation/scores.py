"""Scores of anything that upscales, on pairs of images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from autocompress.data import bicubic
from autocompress.data.sources import ImagePair, ImageSource, sift
from autocompress.errors import CheckpointError, DataError
from autocompress.evaluation import metrics
from autocompress.evaluation.records import METRIC_NAMES, Scores
from autocompress.networks.base import SRNetwork
from autocompress.networks.upscaling import Image, Upscaler, network_upscaler
from autocompress.networks.versus_bicubic import versus_bicubic
from autocompress.units import images_in_words

__all__ = [
    "METRICS",
    "MIN_SIDE",
    "Image",
    "OnImage",
    "Upscaler",
    "bicubic_upscaler",
    "check_finite",
    "check_teachers",
    "evaluate",
    "network_upscaler",
    "pairs",
]

OnImage = Callable[[str, Image], None]  # called with the name of an image and its upscaled version

MIN_SIDE = 32  # HR pixels: enough for SSIM's window inside the border

TRIED = 3  # images on which teachers are compared with bicubic before anything is computed
METRICS: dict[str, Callable[..., float]] = {name: getattr(metrics, name) for name in METRIC_NAMES}


def bicubic_upscaler(scale: int) -> Upscaler:
    """MATLAB's bicubic: what every network is compared with."""
    return lambda lr: bicubic.upscale(lr, scale)


def pairs(source: ImageSource, skip_bad_images: bool = False, hr_by: Upscaler | None = None) -> Iterator[ImagePair]:
    """The pairs of a source, one after the other; of LR images alone, HR is what `hr_by` makes of them.

    Raises DataError for a pair that cannot be read, unless bad images are skipped, and if no image is left.
    """
    reasons: list[str] = []
    for index, file in enumerate(source.files):
        good, skipped = sift([(file.name, index)], source.read, skip_bad_images=skip_bad_images)
        yield from (replace(pair, hr=hr_by(pair.lr)) if source.lr_alone and hr_by else pair for pair in good)
        reasons += [reason for _, reason in skipped]
    if len(reasons) == len(source):
        raise DataError(f"{source.name}: none of its images can be used; the first: {reasons[0]}")


def evaluate(
    upscale: Upscaler,
    pairs: Iterable[ImagePair],
    scale: int,
    names: Iterable[str] = tuple(METRICS),
    on_image: OnImage | None = None,
    most: float = math.inf,
) -> Scores:
    """Score `upscale` on each pair, with a border of `scale` pixels left out, as the literature does.

    No score is above `most`, in dB: that of equal images would be infinite.
    """
    names = list(names)
    images = {}
    for pair in pairs:
        sr = upscale(pair.lr)
        if on_image is not None:
            on_image(pair.name, sr)
        images[pair.name] = {name: min(METRICS[name](sr, pair.hr, border=scale), most) for name in names}
    return Scores(images)


def check_teachers(
    networks: Iterable[tuple[str, SRNetwork]], source: ImageSource, *, allow_weak: bool, skip_bad_images: bool = False
) -> None:
    """Raise CheckpointError if a teacher or target, given with its name, upscales worse than bicubic.

    They are compared in the middle of the first TRIED images of `source`. With `allow_weak`, or where there are no HR
    images, nothing is done.
    """
    if allow_weak or source.lr_alone:
        return
    tried = list(itertools.islice(pairs(source, skip_bad_images), TRIED))
    for name, network in networks:
        compared = versus_bicubic(network, tried)
        if compared.weak:
            raise CheckpointError(
                f"{name} upscales worse than bicubic, so no student can learn from it: {_tried_on(source)} it has "
                f"{compared.explained}; --allow-weak-teacher takes it all the same"
            )


def warning_of_start(name: str, network: SRNetwork, source: ImageSource) -> str | None:
    """A line where a network that a training goes on from is worse than bicubic; None where it is not.

    Other than a teacher it may be: a training can mend it. But mostly it is of another range of images, or no network
    that was trained. As for teachers, nothing is said where there are no HR images.
    """
    if source.lr_alone:
        return None
    compared = versus_bicubic(network, itertools.islice(pairs(source), TRIED))
    if not compared.weak:
        return None
    return (
        f"warning: {name} upscales worse than bicubic: {_tried_on(source)} it has {compared.explained}; the training "
        "goes on from it all the same"
    )


def _tried_on(source: ImageSource) -> str:
    return f"in the middle of {images_in_words(min(TRIED, len(source)), source.name)}"


def check_finite(scores: Scores) -> None:
    """Raise DataError if a PSNR is infinite (equal images): it spoils the mean, and JSON cannot hold it."""
    for image, row in scores.images.items():
        if math.inf in row.values():
            raise DataError(
                f"the validation image '{image}' is reproduced without any error (as a picture of one colour is), so "
                "its PSNR is infinite and compares nothing; remove it"
            )
