"""What a trial is stored with in its study: its attributes are declared, read and written here and nowhere else.

Nothing here imports optuna when it runs, so that `status` answers at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from autocompress.evaluation.records import METRIC_NAMES, TO_TEACHER
from autocompress.io.typed import checked

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

LONGEST_TEXT = 100_000  # characters of the words that a trial is stored with
AT_STEP = "psnr_y_at_step_"  # the attributes with a trial's scores at rungs begin so; the step follows
QUEUED = "fixed_params"  # the system attribute in which Optuna keeps the parameters that a trial was queued with


class Stored(Protocol):
    """A trial as far as its number and its user attributes go: Optuna's, or one that was read without Optuna."""

    @property
    def number(self) -> int:
        """Its number in the study."""

    @property
    def user_attrs(self) -> dict[str, Any]:
        """What it is stored with."""


@dataclass(frozen=True)
class TrialRecord:
    """The user attributes of one trial. A field at its default is not stored.

    Each field is stored under its own name, except two: each of `metrics` is an attribute under the metric's name, each
    of `at_step` one under AT_STEP and the step. People see these names in the Optuna dashboard.
    """

    session: str | None = None  # the session that asked for it
    begun: float | None = None  # when the work on it began, in seconds since 1970
    # which config of the study it is
    start: int | None = None  # of a first trial: its place among them
    ordinal: int | None = None  # how many configs were asked for before, where the study cannot say: it was rebuilt
    retry_of: int | None = None  # the failed trial whose config it tries again
    origin: int | None = None  # the first trial of that config
    attempts: int = 0  # how many attempts at its config failed before, by themselves
    lost: bool = False  # stands for a trial of a lost study, of which nothing is known but its number
    # its candidate
    config: str | None = None  # for people, as `networks.shape` writes it
    flops: int | None = None
    params: int | None = None
    latency_ms: float | None = None  # where latency is what counts
    flops_share: float | None = None  # of the teacher's
    seed: int | None = None  # of its training
    # how it went
    at_step: Mapping[int, float] = field(default_factory=dict)  # PSNR-Y in dB after so many steps
    steps: int | None = None  # trained
    metrics: Mapping[str, float] = field(default_factory=dict)  # of the student, by name
    seconds: Mapping[str, float] = field(default_factory=dict)  # by part of the work
    reason: str = ""  # why it was stopped or failed

    @classmethod
    def of(cls, trial: Stored) -> TrialRecord:
        """What a trial is stored with; attributes of other programs are left out."""
        stored = trial.user_attrs
        known: dict[str, Any] = {name: stored[name] for name in _OWN_NAMES if name in stored}
        return cls(
            **known,
            at_step=scores_at_rungs(trial),
            metrics={name: stored[name] for name in (*METRIC_NAMES, TO_TEACHER) if name in stored},
        )

    @classmethod
    def of_candidate(cls, network: str, *, teacher_flops: int, **known: Any) -> TrialRecord:
        """What is known of a trial before any training: `known` are `flops`, `params`, `seed`, and `latency_ms`.

        `network` is in words, as `networks.shape` writes it.
        """
        share = round(known["flops"] / teacher_flops, 4)
        return cls(config=network, flops_share=share, **known)

    @classmethod
    def sound(cls, trial: Stored) -> TrialRecord:
        """As `of`; TypeError, ValueError or OverflowError where the trial is stored with what no search stores."""
        record = checked(cls.of(trial))
        for name in ("retry_of", "origin"):
            other = getattr(record, name)
            if other is not None and not 0 <= other < trial.number:
                raise ValueError(f"{name} of trial {trial.number} is {other}")
        costs = [cost for cost in (record.flops, record.latency_ms) if cost is not None]
        if min(costs, default=1) <= 0 or (record.at_step and not costs):
            raise ValueError(f"trial {trial.number} has no costs")
        if len(record.reason) + len(record.config or "") > LONGEST_TEXT:
            raise ValueError(f"trial {trial.number} has texts of more than {LONGEST_TEXT} characters")
        return record

    @property
    def cost(self) -> float:
        """What its PSNR is weighed against: its latency where that counts, else its FLOPs."""
        cost = self.flops if self.latency_ms is None else self.latency_ms
        assert cost is not None  # it is stored before any score
        return float(cost)

    def to_attributes(self) -> dict[str, Any]:
        """The attributes to store, by name."""
        own = {name: getattr(self, name) for name in _OWN_NAMES}
        return {
            **{name: value for name, value in own.items() if value != _DEFAULTS[name]},
            **{f"{AT_STEP}{step}": psnr for step, psnr in self.at_step.items()},
            **self.metrics,
        }


Kind = TypeVar("Kind", bound=Stored)

_DEFAULTS = asdict(TrialRecord())
_OWN_NAMES = tuple(name for name in _DEFAULTS if name not in ("at_step", "metrics"))


def update(trial: optuna.Trial, record: TrialRecord) -> None:
    """Add a record's attributes to a trial that this process has asked for."""
    for name, value in record.to_attributes().items():
        trial.set_user_attr(name, value)


def update_stored(storage: BaseStorage, trial_id: int, record: TrialRecord) -> None:
    """As `update`, for any trial of a storage that has not ended: Optuna refuses attributes of one that has."""
    for name, value in record.to_attributes().items():
        storage.set_trial_user_attr(trial_id, name, value)


def scores_at_rungs(trial: Stored) -> dict[int, float]:
    """PSNR-Y in dB by step, of the rungs that a trial has come to."""
    return {
        int(name.removeprefix(AT_STEP)): float(psnr)
        for name, psnr in trial.user_attrs.items()
        if name.startswith(AT_STEP)
    }


def retried(trials: Iterable[Stored]) -> set[int]:
    """The numbers of the trials that were retried by another of these trials."""
    return {trial.user_attrs["retry_of"] for trial in retries(trials)}


def retries(trials: Iterable[Kind]) -> list[Kind]:
    """The trials that retry the config of another trial."""
    return [trial for trial in trials if "retry_of" in trial.user_attrs]


def is_lost(trial: Stored) -> bool:
    """Whether the trial only stands for one of a lost study, of which nothing is known but its number."""
    return "lost" in trial.user_attrs


def last_attempts(trials: Sequence[Kind]) -> list[Kind]:
    """The trials that were neither retried nor stand for one of a lost study."""
    again = retried(trials)
    return [trial for trial in trials if trial.number not in again and not is_lost(trial)]


def parameters_of(trial: FrozenTrial) -> dict[str, Any]:
    """A trial's parameters: those it was asked for by now, and those it was queued with."""
    queued: dict[str, Any] = trial.system_attrs.get(QUEUED, {})
    return trial.params | queued
