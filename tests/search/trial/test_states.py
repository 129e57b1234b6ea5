"""The state of a training that lies in the folder of another trial or run is not gone on from."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autocompress.distill.recipe import Recipe
from autocompress.io.checkpoints import save_objects
from autocompress.search.timer import PhaseTimer
from autocompress.search.trial.messages import Failed, Job
from autocompress.search.trial.trial import run_trial, state_identity


def of(teacher: str = "t", target: str = "t", config: str = "8x2", seed: int = 0) -> tuple[Any, Any]:
    """A task and a candidate, as far as they say what is trained."""
    space = SimpleNamespace(name="edsr", teacher_digest=teacher, target_digest=target)
    candidate = SimpleNamespace(space="edsr", config=config, recipe=Recipe(steps=100, seed=seed))
    return SimpleNamespace(joint_space={"edsr": space}), candidate


def raising(words: str) -> Any:
    def fail(_: object) -> None:
        raise RuntimeError(words)

    return fail


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({}, "goes on"),
        ({"teacher": "u"}, "begins anew"),
        ({"target": "u"}, "begins anew"),
        ({"config": "8x1"}, "begins anew"),
        ({"seed": 1}, "begins anew"),
        (None, "begins anew"),
    ],
)
def test_a_trial_goes_on_from_its_own_state_alone(tmp_path: Path, other: dict[str, Any] | None, said: str) -> None:
    file, (task, candidate) = tmp_path / "state.pt", of()
    state: dict[str, Any] = {"training": {}, "scores": {}, "seconds": {}}
    save_objects(file, state if other is None else state | {"identity": state_identity(*of(**other))})
    own = {"shrink": raising("begins anew"), "family": raising("goes on")}
    context: Any = SimpleNamespace(task=task, timer=PhaseTimer(), **own)
    *_, failed = run_trial(Job(7, candidate, tmp_path, file), context)
    assert isinstance(failed, Failed)
    assert said in failed.reason
