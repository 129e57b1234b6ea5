"""What a study itself carries for people who look at it in the Optuna dashboard: attributes, notes, pictures.

Attributes are part of the search; notes and pictures are not, and nothing that goes wrong with them ends it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta, upload_artifact
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from autocompress.io import checkpoints
from autocompress.search.run.crops import crops_of
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.notes import (
    ended_note,
    finished_note,
    save_note,
    save_study_note,
    study_attributes,
    study_note,
)
from autocompress.search.run.pictures import side_by_side
from autocompress.search.run.record import TrialRecord, scores_at_rungs, update_stored
from autocompress.search.run.trial_log import TrialLog
from autocompress.search.space.joint_space import SPACE_PARAM
from autocompress.search.space.search_space import Candidate

CUT_OFF = "the search was cut off"


class Pictures(FileSystemArtifactStore):
    """The artifact store of a run, whose files are whole or not there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._folder = folder

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """See `ArtifactStore.write`."""
        checkpoints.write_bytes(self._folder / artifact_id, content_body.read())


class Showing:
    """Of one study. Trials are shown before they are told, as Optuna takes no attributes of theirs after that.

    What a session leaves that dies in between is written over by the next.
    """

    def __init__(self, storage: BaseStorage, study: str, run: RunFolder) -> None:
        self._storage = storage
        self._study_id = storage.get_study_id_from_name(study)
        self._run = run
        self._config = run.config
        self._store = Pictures(run.artifacts)

    def study(self, again: bool) -> None:
        """The study's own attributes and note; `again`: what was searched may have changed, see `save_study_note`."""
        with suppress(Exception):
            known = self._storage.get_study_user_attrs(self._study_id)
            for name, value in study_attributes(self._run).items():
                if known.get(name) != value:
                    self._storage.set_study_user_attr(self._study_id, name, value)
            save_study_note(self._storage, self._study_id, study_note(self._run), again)

    def cost(self, candidate: Candidate) -> TrialRecord:
        """What is known of a trial that is asked for."""
        return TrialRecord.of_candidate(
            self._config["search"]["spaces"][candidate.space]["family"],
            candidate.config.to_dict(),
            flops=candidate.flops,
            params=candidate.params,
            latency_ms=candidate.latency,
            seed=candidate.recipe.seed,
            teacher_flops=self._config["references"]["teacher"]["flops"],
        )

    def finished(self, number: int, metrics: Mapping[str, float], seconds: Mapping[str, float]) -> None:
        """A trial has been trained to its end."""
        steps = self._config["search"]["recipe"]["steps"]
        self._set(number, TrialRecord(metrics=metrics, seconds=dict(seconds), steps=steps))
        self._show(number, self._finished_note)

    def stopped(self, number: int, reason: str) -> None:
        """A trial does not go on at a rung."""
        steps = max(scores_at_rungs(self._trial(number)), default=0)
        self._set(number, TrialRecord(reason=reason, steps=steps))
        self._show(number, lambda trial: ended_note(TrialRecord.of(trial), "**stopped**"))

    def failed(self, number: int, reason: str, again: bool) -> None:
        """A trial has broken off; `again`: its config is tried once more."""
        self._set(number, TrialRecord(reason=reason))
        ending = f"**failed** {'(to be tried again)' if again else '(for good)'}"
        self._show(number, lambda trial: ended_note(TrialRecord.of(trial), ending))

    def recovered(self, number: int) -> list[float] | None:
        """A trial that a dead session left: its objective values if its student is written, else None."""
        student = self._run.student(number)
        if student is None:
            self.failed(number, TrialRecord.of(self._trial(number)).reason or CUT_OFF, again=True)
            return None
        self.finished(number, student["metrics"], student.get("provenance", {}).get("seconds", {}))
        return self._run.objectives(number)

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _trial(self, number: int) -> FrozenTrial:
        return self._storage.get_trial(self._trial_id(number))

    def _set(self, number: int, record: TrialRecord) -> None:
        update_stored(self._storage, self._trial_id(number), record)

    def _show(self, number: int, write: Callable[[FrozenTrial], str]) -> None:
        try:
            save_note(self._storage, self._study_id, self._trial_id(number), write(self._trial(number)))
        except Exception as error:
            with suppress(OSError):
                TrialLog(self._run.trial(number) / "log.txt").write(f"not shown in the dashboard: {error!r}")

    def _finished_note(self, trial: FrozenTrial) -> str:
        branches, references = self._config["branches"], self._config["references"]
        teacher = branches[trial.params.get(SPACE_PARAM, next(iter(branches)))]["teacher"]
        artifact = self._upload(trial, teacher["name"])
        path = None if artifact is None else f"/artifacts/{self._study_id}/{self._trial_id(trial.number)}/{artifact}"
        return finished_note(TrialRecord.of(trial), {"teacher": teacher, "bicubic": references["bicubic"]}, path)

    def _upload(self, trial: FrozenTrial, teacher: str) -> str | None:
        """The id of the trial's picture in the artifact store; None where there is nothing to see."""
        pieces = crops_of(self._run)
        picture = None if pieces is None else side_by_side(pieces, self._run.trial(trial.number), teacher)
        if picture is None:
            return None
        for known in get_all_artifact_meta(trial, storage=self._storage):
            self._store.write(known.artifact_id, BytesIO(picture))  # it may have been cut off
            return known.artifact_id
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, f"trial-{trial.number:04d}.png")
            file.write_bytes(picture)
            return upload_artifact(
                artifact_store=self._store, file_path=str(file), study_or_trial=trial, storage=self._storage
            )
