"""What a search is asked to do: each option is declared here, once, as a field of `Settings`.

The command line, the Python call, `--help`, completion, config.json, the command that goes on with a run and what
`--join` takes from it follow from these fields. Nothing here imports torch or Optuna, so `--help` answers at once.
"""

from __future__ import annotations

import functools
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from autocompress.errors import InvalidInput
from autocompress.io import package_files
from autocompress.io.typed import checked, reading
from autocompress.search.options import (
    CODE,
    COUNT,
    DURATION,
    FLAG,
    LR_FOLDER,
    MILLISECONDS,
    NUMBER,
    PATH,
    TEXT,
    WHOLE,
    OnJoin,
    Option,
    Panel,
    check_without_code,
    choice,
    either,
    option,
    options_of,
    shipped_or_file,
)
from autocompress.search.ray_address import check_ray_address
from autocompress.search.space.budget import Budget, Objective
from autocompress.shrink.init import Init
from autocompress.units import format_count

MAX_SEED = 2**32 - 1  # what NumPy takes


class SamplerName(StrEnum):
    """What proposes students: our own, or one of Optuna's; `sampling.factory` makes them."""

    COST_AWARE = "cost-aware"
    TPE = "tpe"
    NSGA2 = "nsga2"
    GP = "gp"
    RANDOM = "random"


OF_ONE_SPACE = (SamplerName.NSGA2, SamplerName.GP)  # they read a space's parameters off every trial of the study


class Score(StrEnum):
    """What the outputs of students are compared with to choose among them."""

    TRUTH = "truth"
    TEACHER = "teacher"


class Log(StrEnum):
    """Where a search is logged to while it runs."""

    NONE = "none"
    TENSORBOARD = "tensorboard"
    WANDB = "wandb"


class BackendName(StrEnum):
    """Where trials run."""

    LOCAL = "local"
    RAY = "ray"


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
        if self.address is not None:
            check_ray_address(self.address, "--address")
        if (self.workers is not None and self.workers < 1) or self.cpus < 1:
            raise InvalidInput(f"workers {self.workers} and CPUs per trial {self.cpus} must be >= 1")
        if self.gpus < 0 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            raise InvalidInput(f"GPUs per trial are {self.gpus:g}, but must be a part of one, such as 0.5, or whole")


@dataclass(frozen=True)
class Settings:
    """Everything a user decides; times are in seconds, `budget_latency` is in milliseconds.

    Raises InvalidInput for what cannot be; choices may be given as plain words.
    """

    budget_flops: int | None = option(
        None, COUNT, "Most FLOPs (fused multiply-adds) for a 1280x720 output, such as 20G.", Panel.BUDGET
    )
    budget_params: int | None = option(None, COUNT, "Most parameters, such as 500K.", Panel.BUDGET)
    budget_latency: float | None = option(
        None,
        MILLISECONDS,
        "Most time for a 1280x720 output on this machine, such as 30ms; with --objective latency.",
        Panel.BUDGET,
    )
    spaces: tuple[str, ...] = option(
        ("edsr",),
        shipped_or_file(package_files.spaces),
        "Search space: a name (see `spaces list`) or a YAML file. Several make one front.",
        Panel.NETWORKS,
        keyword="space",
        many=True,
    )
    teachers: tuple[str, ...] = option(
        (),
        shipped_or_file(package_files.networks, keyed=True),
        "Teacher: a name (`teacher list`, `models list`) or a file of weights; SPACE=FILE for one of several spaces.",
        Panel.NETWORKS,
        "the shipped one of the family",
        keyword="teacher",
        many=True,
    )
    code: str | None = option(
        None,
        CODE,
        "Your own code that builds the teacher, as FILE.py:CALLABLE; the file is run.",
        Panel.NETWORKS,
        "none: a known network",
    )
    arguments: tuple[str, ...] = option(
        (), TEXT, "An argument of that code, as NAME=VALUE.", Panel.NETWORKS, "its own", keyword="set", many=True
    )
    input_range: float | None = option(
        None, NUMBER, "Largest value in the images that code takes: 1 or 255.", Panel.NETWORKS, "found by trying"
    )
    allow_weak_teacher: bool = option(
        False, FLAG, "Take a teacher or target that upscales worse than bicubic.", Panel.NETWORKS
    )
    target: str | None = option(
        None,
        shipped_or_file(package_files.networks),
        "Network to learn from: a name or a file of the same scale.",
        Panel.NETWORKS,
        "the teacher",
    )
    target_code: str | None = option(
        None,
        CODE,
        "Your own code that builds --target, as FILE.py:CALLABLE; the file is run.",
        Panel.NETWORKS,
        "--code, where that is given",
    )
    target_arguments: tuple[str, ...] = option(
        (),
        TEXT,
        "An argument of --target-code, as NAME=VALUE.",
        Panel.NETWORKS,
        "its own",
        keyword="target_set",
        many=True,
    )
    target_input_range: float | None = option(
        None, NUMBER, "Largest value in the images that --target takes: 1 or 255.", Panel.NETWORKS, "found by trying"
    )
    train: Path | None = option(
        None, PATH, "Folder of HR images to train on.", Panel.DATA, "scikit-image's photographs"
    )
    val: Path | None = option(
        None, PATH, "Folder of HR images to choose students by.", Panel.DATA, "a tenth of --train"
    )
    lr: tuple[str, ...] = option(
        (),
        LR_FOLDER,
        "Folder of LR images, for --train and --val alike; or a word: bicubic (they are made), only (there is no HR).",
        Panel.DATA,
        "those beside the HR images, or made",
        many=True,
    )
    scale: int | None = option(None, WHOLE, "Upscaling factor; it must be the teacher's.", Panel.NETWORKS)
    skip_bad_images: bool = option(False, FLAG, "Go on without images that cannot be used.", Panel.DATA)
    init: Init = option(
        Init.PROJECTION,
        choice(Init),
        f"How students start: {either(Init)}; docs/faq.md tells which is what.",
        Panel.NETWORKS,
    )
    prune: bool = option(
        False,
        FLAG,
        "Prune the teacher first (see `prune`), and try students like the one that it suggests.",
        Panel.NETWORKS,
    )
    objective: Objective = option(
        Objective.FLOPS,
        choice(Objective),
        "What PSNR is weighed against: flops, or latency, which is measured here and so never quite the same.",
        Panel.SEARCH,
    )
    score: Score = option(
        Score.TRUTH,
        choice(Score),
        "What students are chosen by: PSNR to the truth (HR images), or to the teacher (or --target).",
        Panel.SEARCH,
    )
    sampler: SamplerName = option(
        SamplerName.COST_AWARE,
        choice(SamplerName),
        "What proposes students: cost-aware, or Optuna's tpe, random, or (in one space) nsga2 or gp.",
        Panel.SEARCH,
    )
    trials: int = option(24, WHOLE, "Number of students to try.", Panel.SEARCH)
    steps: int = option(300, WHOLE, "Training steps of a student that is trained to the end.", Panel.SEARCH)
    repeats: int = option(
        1,
        WHOLE,
        "Times that each student of the front is trained, with other seeds: measures how far scores spread (±).",
        Panel.SEARCH,
        on_join=OnJoin.DEFAULT,
    )
    timeout: float | None = option(
        None, DURATION, "Stop after this time, such as 10m or 2h.", Panel.RUNNING, on_join=OnJoin.ITS_OWN
    )
    refine: float | None = option(
        None,
        DURATION,
        "Then train the front's students further, for this long in all sessions together, such as 30m (see `refine`).",
        Panel.RUNNING,
        on_join=OnJoin.DEFAULT,
    )
    workers: int | None = option(
        None,
        WHOLE,
        "Trials at the same time, each in a process of its own.",
        Panel.RUNNING,
        "1; on Ray what fits",
        on_join=OnJoin.ITS_OWN,
    )
    trial_timeout: float | None = option(
        None, DURATION, "Kill a trial that takes longer, such as 20m, and try it again, twice at most.", Panel.RUNNING
    )
    backend: BackendName = option(
        BackendName.LOCAL,
        choice(BackendName),
        "Where trials run: local, or ray (see docs/scaling-out.md).",
        Panel.RUNNING,
        on_join=OnJoin.DEFAULT,
    )
    address: str | None = option(
        None,
        TEXT,
        "Ray cluster to join: auto or HOST:PORT.",
        Panel.RUNNING,
        "a Ray of its own on this machine",
        on_join=OnJoin.DEFAULT,
    )
    cpus_per_trial: int | None = option(
        None, WHOLE, "CPUs, and threads, of a trial on Ray.", Panel.RUNNING, "1", on_join=OnJoin.DEFAULT
    )
    gpus_per_trial: float | None = option(
        None, NUMBER, "GPUs of a trial on Ray, such as 0.5: two share one.", Panel.RUNNING, "0", on_join=OnJoin.DEFAULT
    )
    seed: int = option(0, WHOLE, "Seed: the same one gives the same trials.", Panel.SEARCH)
    out: Path | None = option(None, PATH, "Run folder.", Panel.OUTPUT, "runs/SPACES-BUDGET-seedSEED")
    storage: str | None = option(
        None,
        TEXT,
        "Database for the study: sqlite:///FILE, postgresql://..., redis://...",
        Panel.RUNNING,
        "a file of the run",
        on_join=OnJoin.ITS_OWN,
        resumes=False,  # its address may be secret
    )
    log: Log = option(
        Log.NONE,
        choice(Log),
        "Log the front and learning curves while it runs: tensorboard (in the run folder), wandb, or none.",
        Panel.OUTPUT,
        on_join=OnJoin.ITS_OWN,
    )
    extend: bool = option(
        False, FLAG, "Go on in a run folder that was begun with another budget.", Panel.OUTPUT, resumes=False
    )
    overrides: tuple[tuple[str, float], ...] = ()  # values of `OVERRIDES` that are given, by name

    def __post_init__(self) -> None:
        for each in options_of(Settings):
            object.__setattr__(self, each.field, each.checked(getattr(self, each.field)))
        for name in ("trials", "steps", "repeats", "workers"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise InvalidInput(f"{name} is {number}, but must be >= 1")
        if not 0 <= self.seed <= MAX_SEED:
            raise InvalidInput(f"seed is {self.seed}, but must be from 0 to {MAX_SEED}")
        if self.ray is None and (self.address, self.cpus_per_trial, self.gpus_per_trial) != (None, None, None):
            raise InvalidInput("--address, --cpus-per-trial and --gpus-per-trial are for Ray; add --backend ray")
        if self.objective is not Objective.LATENCY and self.budget_latency is not None:
            raise InvalidInput(
                f"a budget of {self.budget_latency:g} ms is given, but latency is measured only where that is what "
                "counts; add --objective latency, or leave --budget-latency out"
            )
        if self.objective is Objective.LATENCY and (self.processes > 1 or self.ray is not None):
            raise InvalidInput(
                "latency is measured while nothing else runs on the machine, so its trials run one after the other, "
                "here; leave --workers and --backend ray out"
            )
        if self.code is None:
            check_without_code("--set", self.arguments, "--input-range", self.input_range, self.teachers)
        if self.code is not None and not self.teachers:
            raise InvalidInput(f"--code {self.code} needs the weights of its network; add --teacher FILE")
        if self.target_code is not None and self.target is None:
            raise InvalidInput(f"--target-code {self.target_code} needs the weights of its network; add --target FILE")
        if self.target_code is None:
            flags = ("--target-set", "--target-input-range")
            check_without_code(flags[0], self.target_arguments, flags[1], self.target_input_range, [self.target])
        self._check_images()

    def _check_images(self) -> None:
        if self.val is not None and self.train is None:
            raise InvalidInput("a folder to validate on needs one to train on: give --train DIR too")
        if self.lr_alone and (self.score is not Score.TEACHER or self.train is None):
            raise InvalidInput(
                "--lr only says that there are no HR images, so a teacher makes what students learn and are compared "
                "with; add --score teacher and --train DIR, a folder of LR images"
            )
        if self.lr_alone and (self.prune or self.init is Init.DENSITY):
            raise InvalidInput("a teacher is pruned on HR images, but --lr only says that there are none; leave it out")

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Settings:
        """From keywords as a user gives them: amounts such as "20G" or 20e9; None is as usual.

        Raises InvalidInput for what cannot be used, and KeyError for a keyword that is no option's.
        """
        known = {each.keyword: each for each in OPTIONS}
        settings = cls._of({known[keyword].field: known[keyword].read(value) for keyword, value in given.items()})
        if settings.budget == Budget():
            raise InvalidInput("no budget is given; add --budget-flops, such as --budget-flops 20G, or --budget-params")
        return settings

    @classmethod
    def from_dict(cls, recorded: Mapping[str, Any]) -> Settings:
        """From what `to_dict` made, or the settings in a config.json of 0.1."""
        content = _without_groups(recorded)
        return cls._of({each.field: each.from_json(content[each.field]) for each in OPTIONS if each.field in content})

    @classmethod
    def of_config(cls, file: Path, recorded: Mapping[str, Any]) -> Settings:
        """As `from_dict`, of the config.json `file`; RunError where these are no settings."""
        with reading(file, "its settings are not those of a search", "let the search's own command go on once"):
            return checked(cls.from_dict(recorded))

    @classmethod
    def _of(cls, values: Mapping[str, Any]) -> Settings:
        """From the values of options, by field."""
        names = [each.field for each in OVERRIDES]
        overrides = tuple((name, values[name]) for name in names if values.get(name) is not None)
        return cls(**{field: value for field, value in values.items() if field not in names}, overrides=overrides)

    def value(self, option: Option) -> Any:
        """What is given for an option, or its default."""
        return dict(self.overrides).get(option.field) if option in OVERRIDES else getattr(self, option.field)

    def to_dict(self) -> dict[str, Any]:
        """As config.json holds it."""
        return {each.field: each.to_json(self.value(each)) for each in OPTIONS}

    @property
    def command(self) -> str:
        """`autocompress search ...` that goes on with this search; what is as usual is left out."""
        said = [each.command_words(self.value(each)) for each in OPTIONS if each.resumes]
        return shlex.join(["autocompress", "search", *(word for words in said for word in words)])

    def for_joining(self, started_in: Path) -> Settings:
        """What a session that joins is to search, in whatever folder; those of the run were given in `started_in`."""
        taken = [each for each in OPTIONS if each.on_join is OnJoin.AS_THE_RUN]
        return Settings._of({each.field: each.found_from(self.value(each), started_in) for each in taken})

    @functools.cached_property
    def budget(self) -> Budget:
        """The limits together."""
        return Budget(self.budget_flops, self.budget_params, self.budget_latency)

    @property
    def lr_alone(self) -> bool:
        """Whether images are LR images without HR images."""
        return "only" in self.lr

    @functools.cached_property
    def ray(self) -> OnRay | None:
        """What a search on Ray is given; None for any other."""
        if self.backend is not BackendName.RAY:
            return None
        cpus = 1 if self.cpus_per_trial is None else self.cpus_per_trial
        return OnRay(self.address, self.workers, cpus, self.gpus_per_trial or 0.0)

    @property
    def processes(self) -> int:
        """How many work at the same time on this machine."""
        return 1 if self.workers is None else self.workers

    @property
    def folder(self) -> Path:
        """The run folder: as given, or named after spaces, budget and seed under `runs`."""
        if self.out is not None:
            return self.out
        limits = [format_count(limit) for limit in (self.budget_flops, self.budget_params) if limit is not None]
        if self.objective is Objective.LATENCY:
            limits.insert(0, "latency" if self.budget_latency is None else f"{self.budget_latency:g}ms")
        return Path("runs", "-".join([*(Path(space).stem for space in self.spaces), *limits, f"seed{self.seed}"]))


# Numbers that no file of weights holds, as the families declare them.
OVERRIDES = tuple(
    Option(NUMBER, each.help, Panel.NETWORKS, keyword=each.field, field=each.field)
    for each in package_files.overrides()
)
OPTIONS = (*options_of(Settings), *OVERRIDES)


def _without_groups(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """As settings are now: those of 0.1 had the budget and what is for Ray in mappings of their own."""
    content = dict(recorded)
    if "budget" in content:
        content |= {f"budget_{name}": limit for name, limit in content.pop("budget").items()}
        if content.get("workers") == 1:
            content["workers"] = None  # what was usual then
    ray = content.pop("ray", None)
    if ray is not None:
        content |= {"backend": "ray", "cpus_per_trial": ray["cpus"], "gpus_per_trial": ray["gpus"]}
        content |= {name: ray[name] for name in ("address", "workers")}
    return content
