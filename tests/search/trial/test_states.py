"""The state of a training that lies in the folder of another trial or run is not gone on from."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.edsr_networks import FAMILY

from autocompress.distill.recipe import Recipe
from autocompress.io.checkpoints import as_safetensors, save_objects
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.search.space.search_space import Candidate
from autocompress.search.timer import PhaseTimer
from autocompress.search.trial.messages import Failed, Job, PieceJob
from autocompress.search.trial.piece import piece_recipe, run_piece
from autocompress.search.trial.trial import run_trial, state_identity

CONFIG, STEPS = EDSRConfig(2, 2, 1), 100


OTHERS = [
    ({}, "goes on"),
    ({"teacher": "u"}, "begins anew"),
    ({"target": "u"}, "begins anew"),
    ({"config": EDSRConfig(2, 2, 2)}, "begins anew"),
    ({"seed": 1}, "begins anew"),
    ({"init": "copy"}, "begins anew"),
    ({"train": "u"}, "begins anew"),
    ({"valid": "u"}, "begins anew"),
    (None, "begins anew"),
]


def of(seed: int = 0, config: EDSRConfig = CONFIG, init: str = "scratch", **digests: str) -> tuple[Any, Any]:
    """A task and a candidate, as far as they say what is trained."""
    train, valid = (SimpleNamespace(digest=digests.get(of_images, "t")) for of_images in ("train", "valid"))
    teacher, target = (digests.get(network, "t") for network in ("teacher", "target"))
    space = SimpleNamespace(name="edsr", teacher_digest=teacher, target_digest=target)
    candidate = Candidate("edsr", {}, config, Recipe(steps=STEPS, seed=seed), 1, 1)
    settings = SimpleNamespace(init=init)
    return SimpleNamespace(joint_space={"edsr": space}, settings=settings, train=train, valid=valid), candidate


def raising(words: str) -> Any:
    def fail(_: object) -> None:
        raise RuntimeError(words)

    return fail


@pytest.mark.parametrize(("other", "said"), OTHERS)
def test_a_trial_goes_on_from_its_own_state_alone(tmp_path: Path, other: dict[str, Any] | None, said: str) -> None:
    file, (task, candidate) = tmp_path / "state.pt", of()
    state: dict[str, Any] = {"training": {}, "scores": {}, "seconds": {}}
    save_objects(file, state if other is None else state | {"identity": state_identity(*of(**other))})
    own = {"shrink": raising("begins anew"), "family": raising("goes on")}
    context: Any = SimpleNamespace(task=task, timer=PhaseTimer(), **own)
    *_, failed = run_trial(Job(7, candidate, tmp_path, file), context)
    assert isinstance(failed, Failed)
    assert said in failed.reason


class _Training:
    """Says, when its steps are asked for, whether a state was loaded."""

    words = "begins anew"

    def load_state_dict(self, _: object) -> None:
        self.words = "goes on"

    @property
    def step(self) -> int:
        raise RuntimeError(self.words)


@pytest.mark.parametrize(
    ("other", "kept", "said"),
    [
        *((other, {}, said) for other, said in OTHERS),
        ({}, {"ordinal": 1}, "begins anew"),
        ({}, {"ordinal": None}, "begins anew"),
        ({}, {"steps": STEPS + 1}, "begins anew"),
        ({}, {"steps": "many"}, "begins anew"),
    ],
)
def test_a_piece_goes_on_from_its_own_state_alone(
    tmp_path: Path, other: dict[str, Any] | None, kept: dict[str, Any], said: str
) -> None:
    """Also not from that of another piece of the same student."""
    file, (task, candidate) = tmp_path / "refinement.pt", of()
    state: dict[str, Any] = {"training": {}, "scores": {}, "seconds": {}, "ordinal": 0, "steps": STEPS} | kept
    if other is not None:
        its_task, its_candidate = of(**other)
        recipe = piece_recipe(its_candidate.recipe, 0, STEPS)
        state["identity"] = state_identity(its_task, replace(its_candidate, recipe=recipe))
    save_objects(file, state)
    own: dict[str, Any] = {
        "precision": SimpleNamespace(place=lambda _: None),
        "family": lambda _: FAMILY,
        "training": lambda *_: _Training(),
    }
    context: Any = SimpleNamespace(task=task, timer=PhaseTimer(), **own)
    student: Any = SimpleNamespace(provenance=SimpleNamespace(refinements=()))
    content = as_safetensors(FAMILY.build(CONFIG).state_dict())
    *_, failed = run_piece(PieceJob(7, candidate, tmp_path, file, student, content, STEPS, 20.0), context)
    assert isinstance(failed, Failed)
    assert failed.reason == said
