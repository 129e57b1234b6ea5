"""What a search is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autocompress.errors import InvalidInput
from autocompress.prune import INITS
from autocompress.search.space.budget import Budget
from autocompress.search.space.cost import OBJECTIVES
from autocompress.units import format_count

SAMPLERS = ("cost-aware", "tpe", "nsga2", "gp", "random")
MAX_SEED = 2**32 - 1  # what NumPy takes


@dataclass(frozen=True)
class OnRay:
    """Trials on a Ray cluster: that at `address` ("auto" or HOST:PORT), or where it is None one of its own here.

    `workers` trials at a time, or where it is None as many as the cluster can run, each on so many CPUs and GPUs; a
    part of a GPU is shared with other trials.
    """

    address: str | None = None
    workers: int | None = None
    cpus: int = 1
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.address is not None and "://" in self.address:
            raise InvalidInput(f"--address {self.address}: Ray's client is not enough; give HOST:PORT, on a node of it")
        if (self.workers is not None and self.workers < 1) or self.cpus < 1:
            raise InvalidInput(f"workers {self.workers} and CPUs per trial {self.cpus} must be >= 1")
        if self.gpus < 0 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            raise InvalidInput(f"GPUs per trial are {self.gpus:g}, but must be a part of one, such as 0.5, or whole")


@dataclass(frozen=True)
class Settings:
    """Everything a user decides. None: the embedded photographs, no limit, a folder of its own.

    `teachers` are names or files, each for the spaces of its family, or for one space as in `edsr-layers=FILE`; the
    others have the shipped ones. Students learn from `target`, or, where it is None, from their teachers. `train` and
    `val` are folders of images; without `val`, HELD_OUT of the training images choose. `timeout`, of all,
    and `trial_timeout`, of one trial, are in seconds. With several `workers` each trial has a process of its own; with
    `ray` they are Ray's. `prune`: stage one first, and what it suggests among the first trials. `sampler` is one of
    SAMPLERS. `storage` is the URL of a database for the study, see `storage.Place`; None: a file in the run folder.
    `extend`: a run in the folder may have had another budget. `objective`, one of OBJECTIVES, is what PSNR is weighed
    against; latency is measured, on this machine, between trainings.
    """

    budget: Budget
    spaces: tuple[str, ...] = ("edsr",)
    teachers: tuple[str, ...] = ()
    target: str | None = None
    res_scale: float | None = None
    train: Path | None = None
    val: Path | None = None
    scale: int | None = None
    skip_bad_images: bool = False
    init: str = "projection"
    sampler: str = "cost-aware"
    prune: bool = False
    trials: int = 24
    steps: int = 300
    timeout: float | None = None
    workers: int = 1
    trial_timeout: float | None = None
    ray: OnRay | None = None
    seed: int = 0
    out: Path | None = None
    storage: str | None = None
    extend: bool = False
    objective: str = "flops"

    def __post_init__(self) -> None:
        for name in ("trials", "steps", "workers"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}, but must be >= 1")
        if not 0 <= self.seed <= MAX_SEED:
            raise InvalidInput(f"seed is {self.seed}, but must be from 0 to {MAX_SEED}")
        if self.init not in INITS:
            raise InvalidInput(f"init is {self.init!r}, but must be one of {', '.join(INITS)}")
        if self.sampler not in SAMPLERS:
            raise InvalidInput(f"sampler is {self.sampler!r}, but must be one of {', '.join(SAMPLERS)}")
        self._check_objective()
        if self.val is not None and self.train is None:
            raise InvalidInput("a folder to validate on needs one to train on: give --train DIR too")

    def _check_objective(self) -> None:
        if self.objective not in OBJECTIVES:
            raise InvalidInput(f"objective is {self.objective!r}, but must be one of {', '.join(OBJECTIVES)}")
        if self.objective != "latency" and self.budget.latency is not None:
            raise InvalidInput(
                f"a budget of {self.budget.latency:g} ms is given, but latency is measured only where that is what "
                "counts; add --objective latency, or leave --budget-latency out"
            )
        if self.objective == "latency" and (self.workers > 1 or self.ray is not None):
            raise InvalidInput(
                "latency is measured while nothing else runs on the machine, so its trials run one after the other, "
                "here; leave --workers and --backend ray out"
            )

    @property
    def folder(self) -> Path:
        """The run folder: as given, or named after spaces, budget and seed under `runs`."""
        if self.out is not None:
            return self.out
        limits = [format_count(limit) for limit in (self.budget.flops, self.budget.params) if limit is not None]
        if self.objective == "latency":
            limits.insert(0, "latency" if self.budget.latency is None else f"{self.budget.latency:g}ms")
        return Path("runs", "-".join([*(Path(space).stem for space in self.spaces), *limits, f"seed{self.seed}"]))
