"""A run on disk: one folder in which everything about a search can be found."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from autocompress.errors import DiskFull, RunError, StorageError
from autocompress.evaluation.records import Latency
from autocompress.io import atomic
from autocompress.io.inputs import what_is
from autocompress.io.typed import checked, reading
from autocompress.search.run.config import RunConfig, SearchIdentity
from autocompress.search.run.logs import SessionTimes, TrialLog
from autocompress.search.run.same_search import check_same_search
from autocompress.search.run.sessions import ASKING, REFINING
from autocompress.search.run.student import STUDENT, StoredStudent, StudentRecord, read_student

if TYPE_CHECKING:
    from autocompress.data.sources import ImageSource

CONFIG = "config.json"
LOCK = ".lock"
TIMES = "times.json"
LATENCY = "latency.json"
MEASURED = "network"  # its key beside those of runtimes: the network that was measured
LOG = "log.txt"
REPEATS = "repeats"
RAY = ".ray"  # the folder of a file by which workers on Ray see that they have this run before them
WRITTEN_IN_PLACE = (LOCK, ASKING, REFINING, "sessions", "crops", RAY)
FARTHEST = 4  # times as many trials as are known may there have been, at most
LONGEST_NUMBER = 9  # digits
OLD = 60  # seconds; a temporary file that is older belongs to no process that still writes it


class RunFolder:
    """One search: config.json, times.json, study.db, and what is written of the front, beside

    - trials/0007/: student.safetensors + .json, crop-0.png and .webp..., latency.json where it was measured, log.txt,
      and state.pt or refinement.pt while there is something to go on with, and repeats/1/student.json of each further
      training of it;
    - crops/: validation images and pieces of them, by bicubic and the teachers; artifacts/: the dashboard's pictures;
    - latencies.json, of a search for latency.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def existing(cls, path: Path) -> RunFolder:
        """The run in a folder; RunError where there is none."""
        run = cls(path)
        if not run.exists():
            what = "has no config.json, so it is no run of autocompress search"
            if not path.is_dir():
                what = f"{what_is(path)}, but a run is a folder" if path.exists() else "no such folder"
            raise RunError(f"{path}: {what}; give the folder that `autocompress search` printed")
        _ = run.config
        return run

    @property
    def database(self) -> Path:
        """The Optuna study."""
        return self.path / "study.db"

    @property
    def artifacts(self) -> Path:
        """The pictures that belong to the study's trials, as an Optuna artifact store."""
        return self.path / "artifacts"

    @property
    def config(self) -> RunConfig:
        """What config.json holds; RunError where it is not that of a search."""
        file, remedy = self.path / CONFIG, "restore it, or give another folder"
        content = atomic.read_json(file, remedy)
        with reading(file, "describes no run of autocompress search", remedy):
            return checked(RunConfig.from_dict(content))

    def trial(self, number: int) -> Path:
        """The folder of a trial."""
        return self.path / "trials" / f"{number:04d}"

    def is_own(self, path: Path) -> bool:
        """Whether a path is the run's folder, or that of its trials, or inside of that."""
        resolved, trials = path.resolve(), (self.path / "trials").resolve()
        return resolved == self.path.resolve() or resolved.is_relative_to(trials)

    def remove_state(self, number: int) -> None:
        """Remove the training state of a trial that will not be resumed."""
        (self.trial(number) / "state.pt").unlink(missing_ok=True)

    def refinement_state(self, number: int) -> Path:
        """The file with the training state of a trial's student while it is refined."""
        return self.trial(number) / "refinement.pt"

    def student(self, number: int) -> StoredStudent | None:
        """The student of a trial; None if it is not written yet."""
        return read_student(self.trial(number))

    def students(self) -> list[StoredStudent]:
        """The students of all finished trials, by trial number."""
        return [student for folder in self.trial_folders() if (student := read_student(folder)) is not None]

    def trial_folders(self) -> list[Path]:
        """The folders of trials, by number; those with other names are copies or backups of somebody's.

        So is one whose number is far beyond that of any trial: as many as there may be are wanted, or have a folder.
        """
        named = [folder for folder in (self.path / "trials").glob("*") if _is_number(folder)]
        most = FARTHEST * (len(named) + (self.config.trials or 0) if self.exists() else len(named)) + FARTHEST
        return sorted((folder for folder in named if int(folder.name) <= most), key=lambda folder: int(folder.name))

    def other_folders(self) -> list[str]:
        """The names of what lies among the trials' folders and is ignored."""
        own = set(self.trial_folders())
        found = (path.name for path in (self.path / "trials").glob("*") if path not in own)
        return sorted(name for name in found if not name.startswith("."))

    def repeat_folder(self, number: int, ordinal: int) -> Path:
        """Where a trial's student is trained once more; 1 is the first time after its own."""
        return self.trial(number) / REPEATS / str(ordinal)

    def repeat(self, number: int, ordinal: int) -> StudentRecord | None:
        """What came of it; None if it is not written yet."""
        return read_student(self.repeat_folder(number, ordinal))

    def repeats(self, number: int) -> list[StudentRecord]:
        """What came of all that are written, in no order."""
        found = [file.parent for file in self.trial(number).glob(f"{REPEATS}/*/{STUDENT}")]
        folders = [folder for folder in found if folder.name.isascii() and folder.name.isdecimal()]
        return [student for folder in folders if (student := read_student(folder)) is not None]

    def keep_scores_of_repeat(self, number: int, ordinal: int) -> None:
        """Remove what a repeat that is written has beside its record."""
        for file in self.repeat_folder(number, ordinal).iterdir():
            if file.name != STUDENT:
                file.unlink()

    def latency(self, number: int) -> dict[str, Latency]:
        """By runtime, the latency of a trial's student as it was last measured; nothing where another was measured."""
        return {} if self.has_latency_of_another(number) else self._latency(number)[1]

    def has_latency_of_another(self, number: int) -> bool:
        """Whether what was measured is another network than the student of this trial; older files do not say it."""
        network, _ = self._latency(number)
        return network is not None and network != self._network(number)

    def write_latency(self, number: int, measured: Mapping[str, Latency]) -> None:
        """Write the file that `latency` reads."""
        content = {runtime: latency.to_dict() for runtime, latency in measured.items()}
        atomic.write_json(self.trial(number) / LATENCY, {MEASURED: self._network(number)} | content)

    def _latency(self, number: int) -> tuple[dict[str, Any] | None, dict[str, Latency]]:
        """What was measured, as `_network` has it, None in older files; and the latencies by runtime."""
        file = self.trial(number) / LATENCY
        if not file.is_file():
            return None, {}
        with reading(file, "holds no latencies", "remove it, or measure them again"):
            stored = dict(atomic.read_json(file).items())
            network = stored.pop(MEASURED, None)
            return network, {runtime: checked(Latency.from_dict(measured)) for runtime, measured in stored.items()}

    def _network(self, number: int) -> dict[str, Any] | None:
        """The network of a trial's student, all that a latency depends on."""
        student = self.student(number)
        return None if student is None else {"family": student.family, "config": dict(student.config)}

    @property
    def times(self) -> list[SessionTimes]:
        """Where the time of each session went, until it ended or last wrote this file."""
        file = self.path / TIMES
        if not file.is_file():
            return []
        with reading(file, "holds no times of sessions"):
            return [checked(SessionTimes(**session)) for session in atomic.read_json(file)["sessions"]]

    def write_times(self, times: SessionTimes) -> None:
        """Replace the times of one session; only one session of a run may call this at a time."""
        sessions = [*(other for other in self.times if other.session != times.session), times]
        atomic.write_json(self.path / TIMES, {"sessions": [asdict(session) for session in sessions]})

    def log(self, number: int) -> TrialLog:
        """The log of a trial."""
        return TrialLog(self.trial(number) / LOG)

    def check_writable(self, trials: Iterable[int]) -> None:
        """Raise RunError if the run's folder, or the folder of one of these trials, cannot be written."""
        for folder in (self.path, *map(self.trial, trials)):
            try:
                with atomic.room_for(folder), tempfile.TemporaryFile(dir=folder):
                    pass
            except DiskFull:
                raise
            except OSError as error:
                raise RunError(
                    f"{folder}: cannot be written to ({error.strerror}); make it writable, or copy the run elsewhere"
                ) from error

    def exists(self) -> bool:
        """Whether the folder holds a run."""
        return (self.path / CONFIG).is_file()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """A context for one search at a time: makes the folder and locks it, and removes it again if that fails.

        RunError if the folder cannot be written, holds something else, or another search is running in it (the lock of
        one that died is free).
        """
        self.check_links()
        made = self._make()
        lock = FileLock(self.path / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunError(
                f"{self.path}: another search is running in this folder; wait for it, or give another --out"
            ) from None
        try:
            self._sweep()
            yield
        finally:
            if not self.exists():
                (self.path / LOCK).unlink(missing_ok=True)
                with suppress(OSError):  # another search has made something in one of them
                    for folder in made:
                        folder.rmdir()
            lock.release()

    @contextmanager
    def staying(self) -> Iterator[None]:
        """A context for work in a run: StorageError, whatever that led to, where somebody has removed its folder."""
        self.check_links()
        try:
            yield
            self.check_there()
        except StorageError:
            raise
        except Exception as error:
            try:
                self.check_there()
            except StorageError as gone:
                raise gone from error
            raise

    def check_links(self) -> None:
        """Raise RunError where what is written in its place is a link, as it would be written elsewhere.

        So are the run's folders, its study and its locks, and the logs of trials; other files are renamed into place.
        """
        trials = self.path / "trials"
        inside = [path for path in (trials.iterdir() if trials.is_dir() else ()) if path.name.isdecimal()]
        own = [trials, self.artifacts, self.database, *(self.path / name for name in WRITTEN_IN_PLACE), *inside]
        for folder in inside:
            own += [folder / LOG, folder / REPEATS, *(folder / REPEATS).glob("*")]
        for path in own:
            if path.is_symlink():
                raise RunError(f"{path}: a link, but this part of a run is its own; put what it leads to in its place")

    def check_there(self) -> None:
        """Raise StorageError if there is no run in the folder any more."""
        if not self.exists():
            raise StorageError(
                f"{self.path}: {CONFIG} was removed while the run was worked on; remove what is left of the folder, "
                "and the same command begins anew"
            )

    def _sweep(self) -> None:
        """Remove temporary files of dead processes: of config.json, which only a search writes, and any old ones."""
        for left in self.path.glob(".*.tmp"):
            with suppress(FileNotFoundError):
                if left.name.startswith(f".{CONFIG}.") or time.time() - left.stat().st_mtime > OLD:
                    left.unlink()

    def _make(self) -> list[Path]:
        """Make the folder and its lock file; returns the folders that are new, the innermost first."""
        absent = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not self.exists() and any(not _may_be_there(entry.name) for entry in self.path.iterdir()):
                raise RunError(f"{self.path}: not empty, and no run of autocompress; give a new folder with --out")
            if self.exists():
                _ = self.config
            (self.path / LOCK).touch()
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot be written to ({error.strerror}); give another folder with --out"
            ) from None
        return absent

    def check(
        self, search: SearchIdentity, extend: bool = False, images: Mapping[str, ImageSource] = MappingProxyType({})
    ) -> None:
        """RunError, naming what differs, if the folder holds another search; with `extend` the budget may differ.

        images: those of `train` and `valid`, to name which of them differ.
        """
        if self.exists():
            check_same_search(self.path, self.config, search, extend, images)

    def write_config(self, config: RunConfig) -> None:
        """Write config.json; if an earlier session has written it, only its settings are replaced."""
        if self.exists():
            before = self.config
            config = replace(before, search=config.search, settings=config.settings, started_in=config.started_in)
            if config == before:
                return
        atomic.write_json(self.path / CONFIG, config.to_dict())


def _is_number(folder: Path) -> bool:
    """Whether a folder's name is one that a trial's folder gets."""
    name = folder.name
    plain = name.isascii() and name.isdecimal() and len(name) <= LONGEST_NUMBER
    return plain and name == f"{int(name):04d}" and folder.is_dir() and not folder.is_symlink()


def _may_be_there(name: str) -> bool:
    """Whether a search that was killed during its preparation may have left a file of this name."""
    return name == LOCK or (name.startswith(f".{CONFIG}.") and name.endswith(".tmp"))
