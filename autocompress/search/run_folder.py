"""A run on disk: one folder in which everything about a search can be found."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from autocompress import checkpoints
from autocompress.errors import RunError

CONFIG = "config.json"
LOCK = ".lock"


class RunFolder:
    """config.json, study.db, trials/0007/student.safetensors + .json, pareto.csv, pareto.json, report.html."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def existing(cls, path: Path) -> RunFolder:
        """The run in a folder; RunError where there is none."""
        run = cls(path)
        if not run.exists():
            what = "has no config.json, so it is no run of autocompress search" if path.is_dir() else "no such folder"
            raise RunError(f"{path}: {what}; give the folder that `autocompress search` printed")
        return run

    @property
    def database(self) -> Path:
        """The Optuna study."""
        return self.path / "study.db"

    @property
    def config(self) -> dict[str, Any]:
        """What config.json holds."""
        try:
            content: dict[str, Any] = json.loads((self.path / CONFIG).read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunError(f"{self.path / CONFIG}: not readable as JSON ({error})") from error
        return content

    def trial(self, number: int) -> Path:
        """The folder of a trial."""
        return self.path / "trials" / f"{number:04d}"

    def objectives(self, number: int) -> list[float] | None:
        """PSNR-Y and FLOPs of a trial whose student is written, else None."""
        side_file = self.trial(number) / "student.json"
        if not side_file.is_file():
            return None
        content = json.loads(side_file.read_text(encoding="utf-8"))
        return [content["metrics"]["psnr_y"], float(content["flops"])]

    def students(self) -> list[dict[str, Any]]:
        """The student.json of every finished trial, in order, each with its `trial` number and `file`."""
        found = []
        for side_file in sorted(self.path.glob("trials/*/student.json")):
            content = json.loads(side_file.read_text(encoding="utf-8"))
            content["trial"] = int(side_file.parent.name)
            content["file"] = str(side_file.with_suffix(".safetensors"))
            found.append(content)
        return found

    def exists(self) -> bool:
        """Whether a search has been here."""
        return (self.path / CONFIG).is_file()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """The folder made and locked, for one search at a time; gone again if it fails before anything is in it.

        RunError where the folder cannot be written, holds something else, or another search is running in it (one that
        died keeps no lock).
        """
        self._make()
        lock = FileLock(self.path / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunError(
                f"{self.path}: another search is running in this folder; wait for it, or give another --out"
            ) from None
        try:
            yield
        finally:
            if not self.exists():
                shutil.rmtree(self.path)
            lock.release()

    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not self.exists() and any(entry.name != LOCK for entry in self.path.iterdir()):
                raise RunError(f"{self.path}: not empty, and no run of autocompress; give a new folder with --out")
            (self.path / LOCK).touch()
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot be written to ({error.strerror}); give another folder with --out"
            ) from None

    def check(self, search: Mapping[str, Any]) -> None:
        """RunError, with what differs, if the folder holds a search of other settings."""
        if not self.exists():
            return
        before, now = _flat(self.config["search"]), _flat(search)
        differences = [
            f"{key} was {before.get(key, 'absent')} and is now {now.get(key, 'absent')}"
            for key in sorted(before.keys() | now.keys())
            if before.get(key) != now.get(key)
        ]
        if differences:
            raise RunError(
                f"{self.path}: holds a search of other settings ({'; '.join(differences)}); "
                "give another folder with --out"
            )

    def settle(self, config: Mapping[str, Any]) -> None:
        """Write config.json, unless an earlier session of the same search has."""
        if not self.exists():
            checkpoints.write_json(self.path / CONFIG, config)


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
