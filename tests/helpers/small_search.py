"""A small search: its space and budget, what it tells of itself, and the trials that it leaves."""

from collections.abc import Callable
from typing import Any

import optuna

from autocompress import search
from autocompress.compute.precision import Precision
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.search import Outcome, RunFolder, SearchCallback, Settings
from autocompress.search.space.search_space import Candidate

SPACE = """
family: edsr
parameters:
  num_feat: {type: int, low: 2, high: 8, step: 2}
  num_block: {type: int, low: 1, high: 2}
  teacher_share: {type: float, low: 0.0, high: 1.0, step: 0.5}
  learning_rate: {type: float, low: 1.0e-4, high: 1.0e-3, log: true, num: 2}
defaults: {teacher_share: 0.5, learning_rate: 1.0e-3}
"""
BUDGET = EDSRFamily().flops(EDSRConfig(2, 6, 2))


class Recorder(SearchCallback):
    """Writes down in words what happens, and shows nothing."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.facts: list[str] = []
        self.parts: dict[int, list[tuple[str, float]]] = {}  # by trial

    def on_prepared(self, facts: list[str]) -> None:
        self.facts = facts

    def on_part(self, trial: int, candidate: Candidate, part: str, share: float) -> None:
        self.parts.setdefault(trial, []).append((part, share))

    def on_trial_complete(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self.events.append(f"{trial} finished")

    def on_trial_pruned(self, trial: int, candidate: Candidate, reason: str) -> None:
        self.events.append(f"{trial} stopped: {reason}")

    def on_trial_fail(self, trial: int, candidate: Candidate, reason: str) -> None:
        self.events.append(f"{trial} failed: {reason}")


def run_search(settings: Settings, callback: SearchCallback | None = None, **own: Any) -> tuple[RunFolder, Outcome]:
    """A real search, computed the same way on every machine, without a probe; `own` are keywords of `search`."""
    return search.search(settings, callback or SearchCallback(), **{"precision": Precision()} | own)


MakeSettings = Callable[..., Settings]
FinishedSearch = tuple[RunFolder, Outcome, Recorder]


def trials_of(run: RunFolder) -> list[optuna.trial.FrozenTrial]:
    storage = optuna.storages.RDBStorage(f"sqlite:///{run.database}")  # of a URL, Optuna makes two and closes neither
    try:
        return optuna.load_study(study_name=None, storage=storage).get_trials()
    finally:
        storage.remove_session()
        storage.engine.dispose()


def objectives(run: RunFolder, number: int) -> list[float] | None:
    """PSNR-Y and cost of a trial whose student is written, else None."""
    student = run.student(number)
    return None if student is None else student.objectives


def counts(run: RunFolder) -> dict[str, int]:
    states = [trial.state.name for trial in trials_of(run)]
    return {state: states.count(state) for state in set(states)}
