"""A trial that runs out of memory: it is tried again, as one whose worker the system killed for that is."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.small_search import run_search, trials_of

from autocompress.distill.recipe import Recipe
from autocompress.distill.training import Training
from autocompress.errors import TrainingDiverged
from autocompress.search import Settings
from autocompress.search.timer import PhaseTimer
from autocompress.search.trial.messages import Failed, Job
from autocompress.search.trial.trial import run_trial

Make = Callable[..., Settings]


def too_much_of_numpy() -> Any:
    return np.empty(10**16)


def too_much_of_pytorch() -> Any:
    return torch.empty(10**16)


def of_the_gpu() -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. " + "GPU 0 has a capacity. " * 50)


def of_a_library() -> Any:
    raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


def of_python() -> Any:
    raise MemoryError


def singular() -> Any:
    return torch.linalg.inv(torch.zeros(2, 2))


def diverged() -> Any:
    raise TrainingDiverged("the loss is nan")


def failure(fault: Callable[[], Any]) -> Failed:
    """What is told of a trial that this happens to."""
    context: Any = SimpleNamespace(task=None, shrink=lambda _: fault(), timer=PhaseTimer())
    candidate: Any = SimpleNamespace(recipe=Recipe(steps=1))
    job = Job(7, candidate, Path(), Path("absent"))
    *_, failed = run_trial(job, context)
    assert isinstance(failed, Failed)
    assert failed.number == 7
    return failed


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (too_much_of_numpy, "Unable to allocate"),
        (too_much_of_pytorch, "can't allocate memory"),
        (of_the_gpu, "Tried to allocate 20.00 GiB"),
        (of_a_library, "CUBLAS_STATUS_ALLOC_FAILED"),
        (of_python, "MemoryError()"),
    ],
)
def test_it_is_to_be_tried_again(fault: Callable[[], Any], said: str) -> None:
    failed = failure(fault)
    assert failed.again
    assert failed.reason.startswith("out of memory: ")
    assert said in failed.reason
    assert len(failed.reason) < 250


@pytest.mark.parametrize(("fault", "said"), [(singular, "singular"), (diverged, "the loss is nan")])
def test_what_would_happen_again_is_not(fault: Callable[[], Any], said: str) -> None:
    failed = failure(fault)
    assert not failed.again
    assert said in failed.reason
    assert "memory" not in failed.reason


@pytest.mark.parametrize(("times", "states"), [(1, ["FAIL", "COMPLETE"]), (99, ["FAIL"] * 3)])
def test_a_search_tries_it_twice_more(
    small: Make, monkeypatch: pytest.MonkeyPatch, times: int, states: list[str]
) -> None:
    update, left = Training._update, [times]

    def short_of_memory(training: Training) -> torch.Tensor:
        if left[0] > 0:
            left[0] -= 1
            raise MemoryError("Unable to allocate 3 GiB")
        return update(training)

    monkeypatch.setattr(Training, "_update", short_of_memory)
    run, outcome = run_search(small(trials=1, steps=4, init="scratch"))
    assert outcome.reason == "the only trial is done"
    trials = trials_of(run)
    assert [trial.state.name for trial in trials] == states
    assert trials[0].user_attrs["reason"] == "out of memory: Unable to allocate 3 GiB"
