"""A training from its start to its end, kept on disk on the way, so that the same call goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from autocompress import checkpoints
from autocompress.distill.training import Training
from autocompress.errors import CheckpointError, RunError
from autocompress.families.base import SRNetwork

SAVES = 50  # over a whole course


def finish(training: Training, state_file: Path, identity: dict[str, Any], on_step: Callable[[int], None]) -> SRNetwork:
    """Train to the recipe's last step, from what `state_file` holds of it, and return the student.

    `identity` says what is trained on what; a state of another one is a RunError that names what differs. The state
    is written every fiftieth part of the way, and stays: remove it when its student is kept.
    """
    # As JSON has it, so that what is read can be compared.
    identity = json.loads(json.dumps(identity | {"recipe": training.recipe.to_dict()}))
    if state_file.exists():
        training.load_state_dict(_read(state_file, identity))
    steps = training.recipe.steps
    every = max(1, steps // SAVES)
    while training.step < steps:
        training.run_to(min(steps, training.step // every * every + every), on_step)
        _write(state_file, {"identity": json.dumps(identity), **training.state_dict()})
    return training.student


def _write(state_file: Path, state: dict[str, Any]) -> None:
    checkpoints.write_atomically(state_file, lambda path: torch.save(state, path))


def _read(state_file: Path, identity: dict[str, Any]) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(state_file, map_location="cpu", weights_only=True)
        kept = json.loads(state.pop("identity"))
    except Exception as error:  # torch raises whatever its pickle and zip readers do
        raise CheckpointError(f"{state_file}: not the state of a training; remove it to begin anew") from error
    differing = [name for name in identity if identity[name] != kept.get(name)]
    if differing:
        name = differing[0]
        raise RunError(
            f"{state_file} holds a training with another {name}: {kept.get(name)} there, {identity[name]} now; "
            "go on with the same settings, or remove it to begin anew"
        )
    return state
