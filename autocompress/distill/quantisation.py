"""Students in int8: calibrated, scored beside float32, and, where that is asked for, trained to be rounded."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from typing_extensions import override

from autocompress.compute.precision import Precision
from autocompress.data.bank import PixelBank
from autocompress.data.patches import Batch, PatchSampler
from autocompress.data.sources import ImageSource
from autocompress.distill.fake_quantisation import with_fake_quantisation, without_fake_quantisation
from autocompress.distill.recipe import Recipe
from autocompress.distill.training import Training
from autocompress.evaluation.scores import evaluate, network_upscaler, pairs
from autocompress.export.int8 import OURS, Rounding, of_one_size, onnx_upscaler, quantised, unrounded
from autocompress.export.onnx_files import session_of
from autocompress.networks import family_of
from autocompress.networks.base import SRNetwork
from autocompress.networks.upscaling import Image
from autocompress.progress import one_by_one, tell_if_long, tell_tenths, watched
from autocompress.units import decibels, quantity

CALIBRATED_ON = 64  # patches
PATCH = 64  # LR pixels a side of these, or less where an image is smaller
WORTH_REFINING = 0.1  # dB that are lost
WHOLE = (2, 4)  # convolutions at the start that stay in float32, too, where so much is lost
# Of the refinement: enough for the weights to find their places, at a rate that does not forget what they have learnt.
RECIPE = Recipe(steps=600, optimizer="adam", learning_rate=4e-4, teacher_share=0.5)


@dataclass(frozen=True)
class Quantiser:
    """Makes int8 files, calibrated on `train` and scored on `valid`; see `__call__`.

    With `refine`, a network that loses more than WORTH_REFINING dB is trained to be rounded (see `fake_quantisation`),
    from its weights, for `recipe`: it learns from itself in float32, which is at hand for every file, and from the
    truth.
    """

    train: ImageSource
    valid: ImageSource
    refine: bool
    log: Callable[[str], None]
    precision: Precision
    recipe: Recipe = RECIPE

    def __call__(
        self, network: SRNetwork, name: str, opset: int, shape: tuple[int, int] | None, given: bytes | None = None
    ) -> tuple[bytes, dict[str, Any]]:
        """The ONNX file, and what is told of it: its mean PSNR-Y in dB on the validation images, and how it was made.

        It is told on stderr, too, what is lost. `given` is what `unrounded` makes of the network, where that is there
        already. Raises ExportFailed where a network cannot be converted.
        """
        plain = family_of(network).for_export(network)
        decoding = tell_if_long(self.log, f"{name}: decoding images to score on")
        valid = list(watched(pairs(self.valid), len(self.valid), decoding))

        def psnr(upscale: Callable[[Image], Image]) -> float:
            scored = one_by_one(tell_if_long(self.log, f"{name}: scoring"), len(valid))
            scores = evaluate(upscale, valid, plain.scale, ["psnr_y"], scored)
            return scores.mean["psnr_y"]

        cutting = tell_if_long(self.log, f"{name}: decoding images to calibrate on")
        patches = list(watched(self.patches(), self.count_of_patches(), cutting))

        def rounded(network: SRNetwork, rounding: Rounding, given: bytes | None = None) -> bytes:
            calibrating = tell_if_long(self.log, f"{name}: calibrating")
            return quantised(network, patches, opset, rounding, calibrating, given)

        whole = psnr(network_upscaler(plain))
        given = given or unrounded(plain, opset)
        rounding, model = OURS, rounded(plain, OURS, given)
        score, steps = psnr(onnx_upscaler(session_of(model))), 0
        self.log(f"{name}: {_told(score, whole)}")
        for start in WHOLE:
            if whole - score <= WORTH_REFINING:
                break
            wider = replace(OURS, whole=start)
            again = rounded(plain, wider, given)
            after = psnr(onnx_upscaler(session_of(again)))
            self.log(f"{name}: with its first {start} convolutions in float32, {_told(after, whole)}")
            if after > score:
                rounding, model, score = wider, again, after
        if whole - score > WORTH_REFINING and not self.refine:
            self.log(
                f"{name}: --qat trains the network for int8 before it is written, which may bring some of that back"
            )
        elif self.refine and whole - score <= WORTH_REFINING:
            self.log(f"{name}: at most {WORTH_REFINING} dB is lost, so it is not trained for int8")
        elif self.refine:
            lasting = quantity(self.recipe.steps, "step")
            self.log(f"{name}: that is more than {WORTH_REFINING} dB: training it for int8, {lasting}")
            refined = rounded(self.refined(plain, name, rounding), rounding)
            after = psnr(onnx_upscaler(session_of(refined)))
            better = after > score
            self.log(f"{name}: trained for int8, {_told(after, whole)}{'' if better else '; the untrained is written'}")
            if better:
                model, score, steps = refined, after, self.recipe.steps
        if shape is not None:
            model = of_one_size(model, plain.scale, shape)
        told = {
            "psnr_y": score,
            "psnr_y_float32": whole,
            "scored_on": self.valid.described,
            "calibrated_on": self.train.described,
            "refined_steps": steps,
            "float32_convolutions": rounding.whole,  # of the first ones
        }
        return model, told

    def patches(self) -> Iterator[Image]:
        """Patches of the training images at LR, as many of each."""
        generator = np.random.default_rng(0)
        count = self._of_each()
        for index in generator.permutation(len(self.train))[:CALIBRATED_ON]:
            lr = self.train.read(int(index)).lr
            sides = [min(PATCH, side) for side in lr.shape[:2]]
            for _ in range(count):
                top, left = (int(generator.integers(0, lr.shape[axis] - sides[axis] + 1)) for axis in (0, 1))
                yield lr[top : top + sides[0], left : left + sides[1]]

    def count_of_patches(self) -> int:
        """How many patches there are of the training images."""
        return min(len(self.train), CALIBRATED_ON) * self._of_each()

    def _of_each(self) -> int:
        """How many there are of an image."""
        return max(1, CALIBRATED_ON // len(self.train))

    def refined(self, network: SRNetwork, name: str, rounding: Rounding = OURS) -> SRNetwork:
        """The network with the weights that it has after a training in which it is rounded, in float32."""
        tell = tell_tenths(lambda share: self.log(f"{name}: training for int8: {share}"))
        precision = replace(self.precision, dtype="float32")  # bf16 would round more than int8 does
        sampler = _SelfTaught(
            PixelBank.open(self.train, on_image=tell_if_long(self.log, f"{name}: decoding the training images")),
            patch_size=self.recipe.patch_size,
            batch_size=self.recipe.batch_size,
            seed=self.recipe.seed,
            device=precision.device,
            memory_format=precision.memory_format,
        )
        sampler.network = copy.deepcopy(network).requires_grad_(False)
        precision.place(sampler.network)
        training = Training(with_fake_quantisation(network, rounding.whole), sampler, self.recipe, precision)
        training.run_to(self.recipe.steps, lambda step: tell(step, self.recipe.steps))
        return without_fake_quantisation(training.student.cpu())


def _told(score: float, whole: float) -> str:
    """What the int8 file has, beside the network in float32, in dB."""
    lost = whole - score
    apart = f"{decibels(abs(lost))} dB {'less' if lost > 0 else 'more'} than"
    return f"the int8 file has {decibels(score)} dB on the validation images, {apart} the network's {decibels(whole)}"


class _SelfTaught(PatchSampler):
    """Batches whose targets also have what a network makes of their LR patches, as `teacher`."""

    network: SRNetwork

    @override
    def sample(self) -> Batch:
        batch = super().sample()
        with torch.no_grad():
            return Batch(batch.lr, {**batch.targets, "teacher": self.network(batch.lr)})
