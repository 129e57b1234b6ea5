"""Several runs beside each other: their fronts, and how far apart they are at equal cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from autocompress.errors import InvalidInput
from autocompress.evaluation.intervals import LEVEL, Interval, paired
from autocompress.evaluation.records import score_of
from autocompress.search.pareto import Point, ReferencePoint, hypervolume
from autocompress.search.results.intervals import Intervals, spread_of
from autocompress.search.results.left_out import gone_students, note_of_students
from autocompress.search.results.rows import Row, format_difference, front_rows, objective, pick
from autocompress.search.run.folder import RunFolder
from autocompress.search.space.cost import LATENCY_MS

LEVELS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)  # times a power of ten: the costs at which runs are compared


@dataclass(frozen=True)
class ComparedRun:
    """A run by the name that it has beside the others, with its front and what its intervals rest on."""

    name: str
    run: RunFolder
    front: list[Row]
    intervals: Intervals

    @classmethod
    def of(cls, name: str, run: RunFolder) -> ComparedRun:
        """Read a run; RunError where it has no front."""
        return cls(name, run, front_rows(run), Intervals.of(run, run.students()))

    @cached_property
    def costs(self) -> list[float]:
        """Of the front's students, the lowest first."""
        return [float(row[cost_of(self.run)]) for row in self.front]

    def best(self, cost: float) -> dict[str, Any] | None:
        """The front's best student of at most this cost; None where there is none."""
        inside = [row for row in self.front if row[cost_of(self.run)] <= cost]
        return pick(inside) if inside else None


@dataclass(frozen=True)
class Difference:
    """How far a student is above another, in dB; `plus_minus` is None where no interval is known."""

    decibels: float
    plus_minus: float | None

    def __str__(self) -> str:
        return format_difference(self.decibels, self.plus_minus)

    @property
    def told_apart(self) -> bool:
        """Whether it is more than noise."""
        return self.plus_minus is not None and not Interval(self.decibels, self.plus_minus).has_zero


@dataclass(frozen=True)
class Level:
    """Each run's best student of at most a cost, in the runs' order; None where a run has none so small.

    `differences` are to the first run's, in dB of what chooses, with what is noise; None where one of the two is
    missing.
    """

    cost: float
    best: tuple[dict[str, Any] | None, ...]
    differences: tuple[Difference | None, ...]


@dataclass(frozen=True)
class Comparison:
    """Runs that were scored on the same images, the first of which the others are compared with."""

    runs: tuple[ComparedRun, ...]

    @classmethod
    def of(cls, folders: Sequence[RunFolder]) -> Comparison:
        """Read the runs; InvalidInput where they cannot be compared, RunError where one has no front."""
        if len(folders) < 2:
            raise InvalidInput(f"only {len(folders)} run is given; give two or more to be compared")
        _check_alike(folders)
        names = _names([folder.path for folder in folders])
        return cls(tuple(ComparedRun.of(name, folder) for name, folder in zip(names, folders, strict=True)))

    @property
    def by_latency(self) -> bool:
        """Whether PSNR is weighed against latency, not FLOPs."""
        return objective(self.runs[0].run) == "latency"

    @property
    def note(self) -> str:
        """For people, what the differences hold, and which runs lack students that they had."""
        spread = (
            f"± is the {LEVEL:.0%} interval: over the {self.images} validation images, compared one by one, and over "
            "seeds. Where it is the larger of the two, the students cannot be told apart."
        )
        if self.images == 1:
            spread = "No ±: they rest on one validation image."
        gone = (note_of_students(compared.run, gone_students(compared.run)) for compared in self.runs)
        lines = [f"Differences are to {self.runs[0].name}, in dB. {spread}", *(f"{note}." for note in gone if note)]
        return "\n".join(lines)

    @property
    def images(self) -> int:
        """The number of validation images."""
        return self.runs[0].run.config.valid.images

    @cached_property
    def hypervolumes(self) -> list[float]:
        """Of each run's front, in log10 cost times dB, all from one corner: the largest teacher's cost and bicubic."""
        configs = [compared.run.config for compared in self.runs]
        key = cost_of(self.runs[0].run)
        largest = max(getattr(config.references.teacher, key) for config in configs)
        corner = ReferencePoint(largest, configs[0].references.bicubic.score)
        return [
            hypervolume([Point(row["trial"], score_of(row), row[key]) for row in compared.front], corner)
            for compared in self.runs
        ]

    @cached_property
    def levels(self) -> list[Level]:
        """The runs at equal cost, from the cheapest that two of them have to all of their fronts.

        A cost at which no run has another student than at the one before is left out.
        """
        found = list[Level]()
        for cost in self._costs():
            best = tuple(compared.best(cost) for compared in self.runs)
            if sum(row is not None for row in best) < 2 or (found and _trials(best) == _trials(found[-1].best)):
                continue
            found.append(Level(cost, best, tuple(self._difference(index, best) for index in range(len(best)))))
        return found

    def _costs(self) -> Iterator[float]:
        least = sorted(compared.costs[0] for compared in self.runs)[1]
        most = max(compared.costs[-1] for compared in self.runs)
        powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
        yield from (digit * 10.0**power for power in powers for digit in LEVELS if least <= digit * 10.0**power < most)
        yield most

    def _difference(self, index: int, best: Sequence[dict[str, Any] | None]) -> Difference | None:
        first, other = best[0], best[index]
        if index == 0 or first is None or other is None:
            return None
        ours, theirs = self.runs[0].intervals, self.runs[index].intervals
        scores = theirs.scores.get(other["trial"]), ours.scores.get(first["trial"])
        interval = None
        if scores[0] is not None and scores[1] is not None and scores[0].keys() == scores[1].keys():
            repeats = [*ours.repeats.values(), *theirs.repeats.values()]
            interval = paired(scores[0], scores[1], spread_of(repeats)[0])
        return Difference(score_of(other) - score_of(first), None if interval is None else interval.plus_minus)

    @property
    def settings(self) -> dict[str, list[str]]:
        """What was searched otherwise: by what it is called, the value of each run."""
        told = [_settings(compared.run) for compared in self.runs]
        return {name: [one[name] for one in told] for name in told[0] if len({one[name] for one in told}) > 1}

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        key = cost_of(self.runs[0].run)
        return {
            "runs": [
                {
                    "name": compared.name,
                    "path": str(compared.run.path),
                    "hypervolume": volume,
                    "pick": pick(compared.front)["trial"],
                    "front": [{**row, "config": dict(row["config"])} for row in compared.front],
                }
                for compared, volume in zip(self.runs, self.hypervolumes, strict=True)
            ],
            "levels": [
                {
                    key: level.cost,
                    "best": [None if row is None else row["trial"] for row in level.best],
                    "psnr": [None if row is None else score_of(row) for row in level.best],
                    "differences": [
                        None if one is None else {"dB": one.decibels, "plus_minus": one.plus_minus}
                        for one in level.differences
                    ],
                }
                for level in self.levels
            ],
            "settings": self.settings,
        }


def cost_of(run: RunFolder) -> str:
    """The column of a front with what PSNR is weighed against."""
    return LATENCY_MS if objective(run) == "latency" else "flops"


def _check_alike(folders: Sequence[RunFolder]) -> None:
    """InvalidInput where students of two runs were not judged alike."""
    first, *others = folders
    wanted = _judged(first)
    for other in others:
        for what, (value, digest) in _judged(other).items():
            if digest != wanted[what][1]:
                raise InvalidInput(
                    f"{other.path}: {what} {value}, but {wanted[what][0]} in {first.path}, so their students cannot be "
                    "compared; give runs of the same images, scale and objective"
                )


def _judged(run: RunFolder) -> dict[str, tuple[str, object]]:
    """What PSNR and cost depend on beside the student: by its name, how it is said and what must be equal."""
    config = run.config
    judges = sorted(str(space["target"]) for space in config.search.spaces.values()) if config.search.by_teacher else []
    machine = config.search.machine
    return {
        "its scale is": (f"x{config.scale}", config.scale),
        "PSNR is weighed against": (config.search.objective, config.search.objective),
        "scored on": (str(config.valid), config.search.valid),
        "chosen by PSNR to": (config.search.score, (config.search.score, judges)),
        "latencies were measured on": (str(machine and machine["name"]), machine and dict(machine)),
    }


def _names(paths: Sequence[Path]) -> list[str]:
    """The folders' names, with as much of their paths before as tells them apart."""
    absolute = [path.absolute() for path in paths]
    if len(set(absolute)) < len(absolute):
        twice = next(path for path in absolute if absolute.count(path) > 1)
        raise InvalidInput(f"{twice} is given twice; give runs in folders of their own")
    parts = 1
    while len({path.parts[-parts:] for path in absolute}) < len(absolute):
        parts += 1
    return [str(Path(*path.parts[-parts:])) for path in absolute]


def _trials(best: Sequence[Mapping[str, Any] | None]) -> list[int | None]:
    return [None if row is None else row["trial"] for row in best]


def _settings(run: RunFolder) -> dict[str, str]:
    """What may differ between runs that can be compared."""
    config, search = run.config, run.config.search
    wanted = config.settings or {}
    return {
        "space": ", ".join(search.spaces),
        "teacher": ", ".join(config.teachers),
        "learns from": ", ".join(space.target for space in config.taught_spaces.values()),
        "budget": str(search.budget),
        "trained on": str(config.train),
        "steps": str(search.recipe["steps"]),
        "start": search.init,
        "sampler": search.sampler,
        "seed": str(search.seed),
        "trials": str(wanted.get("trials", "not recorded")),
        "finished": str(len(run.students())),
        "machine": config.machine or "not recorded",
        "precision": str(config.precision),
        "version": config.versions["autocompress"],
    }
