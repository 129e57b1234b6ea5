"""A training whose state is saved on the way, so that the same call goes on where an earlier one stopped."""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from autocompress.compute.precision import Precision
from autocompress.distill.learning_curve import SCORING_SHARE, LearningCurve
from autocompress.distill.training import Compiler, Training
from autocompress.errors import CheckpointError, RunError, cut
from autocompress.io import checkpoints
from autocompress.io.typed import checked

WORTH_COMPILING = 2000  # steps to go; compiling takes as long as a few hundred steps
PROBE_STEPS = 16


@dataclass(frozen=True)
class Pace:
    """What a training does beside its steps, and how often.

    A kill loses `save_every` seconds of training at most, or more where writing the state would otherwise take more
    than `saving_share` of the time. Scores on the way take no more than `scoring_share` of it.
    """

    save_every: float = 20.0
    saving_share: float = 0.05
    scoring_share: float = SCORING_SHARE


class Checkpoints:
    """The state file of a training, with the points of its learning curve in it.

    `identity` says what is trained on what. The file is not removed here: do that once the student is saved.
    """

    def __init__(self, path: Path, training: Training, identity: dict[str, Any], curve: LearningCurve | None) -> None:
        self._path = path
        self._training = training
        # Through JSON once, so that it can be compared with what is read back.
        self._identity = json.loads(json.dumps(identity | {"recipe": training.recipe.to_dict()}))
        self._curve = curve

    def load(self) -> None:
        """Go on from the file, if there is one; a state with another identity is a RunError that names what differs."""
        if not self._path.exists():
            return
        state = _read(self._path, self._identity)
        try:
            self._training.load_state_dict(state)
            points = [(int(step), float(psnr)) for step, psnr in state.get("curve", [])]
        except Exception as error:  # whatever a state of another shape makes of it
            raise _no_state(self._path) from error
        if self._curve is not None:
            self._curve.points = points

    def train(self, on_step: Callable[[int], None], pace: Pace, log: Callable[[str], None]) -> None:
        """Train to the recipe's last step; the state is written at this pace and at the end."""
        training, curve, steps = self._training, self._curve, self._training.recipe.steps
        if curve is not None:
            curve.reach(training.step)
        if training.precision.device == "cuda" and steps - training.step >= WORTH_COMPILING:
            compile_if_faster(training, on_step, log)
        saved, wait = time.monotonic(), pace.save_every
        for step in training.steps_to(steps):
            on_step(step)
            if curve is not None:
                curve.reach(step)
            start = time.monotonic()
            if start - saved >= wait or step == steps:
                self._save()
                saved = time.monotonic()
                wait = max(pace.save_every, (saved - start) / pace.saving_share)

    def _save(self) -> None:
        points = [] if self._curve is None else self._curve.points
        state = {
            "identity": json.dumps(self._identity),
            "precision": self._training.precision.to_dict(),
            "curve": points,
            **self._training.state_dict(),
        }
        checkpoints.save_objects(self._path, state)


def precision_to_go_on(state_file: Path) -> Precision | None:
    """The precision of the training whose state this is, so that a probe on a busy machine does not change it midway.

    None where there is no state that can be read, none of a precision, or one of a device that is not here.
    """
    try:
        stored = checkpoints.load_objects(state_file)["precision"]
        precision = checked(Precision(**stored | {"threads": torch.get_num_threads()}))
    except Exception:  # torch passes on whatever its pickle and zip readers raise
        return None
    return precision if (precision.device == "cuda") == torch.cuda.is_available() else None


def compile_if_faster(
    training: Training,
    on_step: Callable[[int], None],
    log: Callable[[str], None],
    backend: Compiler = "inductor",
    clock: Callable[[], float] = time.perf_counter,
) -> None:
    """Time the next steps without and with torch.compile, and keep the faster of the two; say where that fails."""
    plain = _seconds_a_step(training, on_step, clock)
    training.compile(True, backend)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the compiler, about tensors of ours that it looks at
            compiled = _seconds_a_step(training, on_step, clock)
    except Exception as error:  # compilers fail in ways of their own, and the training can do without one
        reason = cut(" ".join(str(error).split()) or type(error).__name__)
        log(f"torch.compile failed, so the training goes on without it ({reason})")
        compiled = math.inf
    if compiled > plain:
        training.compile(False)


def _seconds_a_step(training: Training, on_step: Callable[[int], None], clock: Callable[[], float]) -> float:
    training.run_to(training.step + PROBE_STEPS // 2, on_step)  # the first ones choose kernels, compile and capture
    start = clock()
    training.run_to(training.step + PROBE_STEPS, on_step)
    return (clock() - start) / PROBE_STEPS


def _no_state(state_file: Path) -> CheckpointError:
    return CheckpointError(f"{state_file}: not the state of a training, or damaged; remove it to begin anew")


def _read(state_file: Path, identity: dict[str, Any]) -> dict[str, Any]:
    try:
        state: dict[str, Any] = checkpoints.load_objects(state_file)
        kept: dict[str, Any] = dict(json.loads(state.pop("identity")))
    except Exception as error:  # torch passes on whatever its pickle and zip readers raise
        raise _no_state(state_file) from error
    differing = [name for name in (identity | kept) if identity.get(name) != kept.get(name)]
    if differing:
        name = differing[0]
        raise RunError(
            f"{state_file} holds a training with another {name}: {kept.get(name)} there, {identity.get(name)} now; "
            "go on with the same settings, or remove it to begin anew"
        )
    return state
