"""A training whose state is saved on the way, so that the same call goes on where an earlier one stopped."""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from autocompress.distill.training import Compiler, Training
from autocompress.errors import CheckpointError, RunError
from autocompress.io import checkpoints
from autocompress.networks.base import SRNetwork

SAVES = 50  # how often the state is written during a whole training
WORTH_COMPILING = 2000  # steps to go; compiling takes as long as a few hundred steps
PROBE_STEPS = 16


def train_with_checkpoints(
    training: Training,
    state_file: Path,
    identity: dict[str, Any],
    on_step: Callable[[int], None],
    on_tenth: Callable[[SRNetwork], None],
) -> SRNetwork:
    """Train to the recipe's last step, starting from the state in `state_file` if there is one; return the student.

    `identity` says what is trained on what; a state with another identity is a RunError that names what differs. The
    state is written after each fiftieth of the steps and is not removed here: do that once the student is saved. After
    each tenth of the steps, `on_tenth` is called with the student.
    """
    # Through JSON once, so that it can be compared with what is read back.
    identity = json.loads(json.dumps(identity | {"recipe": training.recipe.to_dict()}))
    if state_file.exists():
        training.load_state_dict(_read(state_file, identity))
    steps = training.recipe.steps
    every = max(1, steps // SAVES)
    if training.precision.device == "cuda" and steps - training.step >= WORTH_COMPILING:
        compile_if_faster(training, on_step)
    while training.step < steps:
        training.run_to(min(steps, training.step // every * every + every), on_step)
        _write(state_file, {"identity": json.dumps(identity), **training.state_dict()})
        if training.step * 10 // steps > (training.step - every) * 10 // steps:
            on_tenth(training.student)
    return training.student


def compile_if_faster(
    training: Training,
    on_step: Callable[[int], None],
    backend: Compiler = "inductor",
    clock: Callable[[], float] = time.perf_counter,
) -> None:
    """Time the next steps without and with torch.compile, and keep the faster of the two."""
    plain = _seconds_a_step(training, on_step, clock)
    training.compile(True, backend)
    try:
        compiled = _seconds_a_step(training, on_step, clock)
    except Exception as error:  # compilers fail in ways of their own, and the training can do without one
        warnings.warn(f"torch.compile failed, so the training goes on without it: {error}", stacklevel=2)
        compiled = math.inf
    if compiled > plain:
        training.compile(False)


def _seconds_a_step(training: Training, on_step: Callable[[int], None], clock: Callable[[], float]) -> float:
    training.run_to(training.step + PROBE_STEPS // 2, on_step)  # the first ones choose kernels, compile and capture
    start = clock()
    training.run_to(training.step + PROBE_STEPS, on_step)
    return (clock() - start) / PROBE_STEPS


def _write(state_file: Path, state: dict[str, Any]) -> None:
    checkpoints.save_objects(state_file, state)


def _read(state_file: Path, identity: dict[str, Any]) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(state_file, map_location="cpu", weights_only=True)
        kept = json.loads(state.pop("identity"))
    except Exception as error:  # torch passes on whatever its pickle and zip readers raise
        raise CheckpointError(f"{state_file}: not the state of a training; remove it to begin anew") from error
    differing = [name for name in (identity | kept) if identity.get(name) != kept.get(name)]
    if differing:
        name = differing[0]
        raise RunError(
            f"{state_file} holds a training with another {name}: {kept.get(name)} there, {identity.get(name)} now; "
            "go on with the same settings, or remove it to begin anew"
        )
    return state
