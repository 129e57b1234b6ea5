"""What a search writes into its study for people who look at it in the Optuna dashboard: attributes, notes, pictures.

Attributes are part of the search. Notes and pictures are not: nothing that goes wrong with them ends it.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from io import BytesIO
from pathlib import Path

import optuna
from optuna.artifacts import get_all_artifact_meta, upload_artifact
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from autocompress.io.checksums import digest_of
from autocompress.names import name_bytes
from autocompress.search.run.artifact_store import PICTURE, AtomicArtifactStore
from autocompress.search.run.config import References, shape_of
from autocompress.search.run.crops import crops_of, side_by_side
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.notes import ended_note, finished_note, study_attributes, study_note
from autocompress.search.run.record import TrialRecord, scores_at_rungs, update_stored
from autocompress.search.run.student import StoredStudent
from autocompress.search.space.joint_space import SPACE_PARAM
from autocompress.search.space.search_space import Candidate

CUT_OFF = "the search was cut off"
NOTE_HASH = "autocompress:note"  # the study's system attribute with the hash of the note that it got from a search


class DashboardWriter:
    """Writes into one study. To be called before a trial is told: Optuna takes no attributes of one that is over.

    What a session that is killed has written in part, the next session writes again.
    """

    def __init__(self, storage: BaseStorage, study: str, run: RunFolder) -> None:
        self._storage = storage
        self._name = study
        self._study_id = storage.get_study_id_from_name(study)
        self._run = run
        self._config = run.config
        self._artifacts = AtomicArtifactStore(run.artifacts)

    def describe_study(self, again: bool) -> None:
        """Write the study's own attributes and note; `again`: the budget may have changed since they were written.

        A note that a user wrote, or changed, stays as it is.
        """
        with suppress(Exception):
            known = self._storage.get_study_user_attrs(self._study_id)
            for name, value in study_attributes(self._run).items():
                if known.get(name) != value:
                    self._storage.set_study_user_attr(self._study_id, name, value)
            self._save_study_note(study_note(self._run), again)

    def record_of(self, candidate: Candidate) -> TrialRecord:
        """What is known of a trial that is asked for."""
        return TrialRecord.of_candidate(
            shape_of(self._config.search.spaces[candidate.space]["family"], candidate.config.to_dict()),
            flops=candidate.flops,
            params=candidate.params,
            latency_ms=candidate.latency,
            seed=candidate.recipe.seed,
            teacher_flops=self._config.references.teacher.flops,
        )

    def finished(self, number: int, metrics: Mapping[str, float], seconds: Mapping[str, float]) -> None:
        """A trial has been trained to its end."""
        steps = self._config.search.recipe["steps"]
        self._update(number, TrialRecord(metrics=metrics, seconds=dict(seconds), steps=steps))
        self._save_note(number, self._finished_note)

    def refined(self, student: StoredStudent) -> None:
        """A finished trial's student has been refined: its note and its picture say so, its values stay as judged."""
        self._save_note(student.trial, self._finished_note)

    def stopped(self, number: int, reason: str) -> None:
        """A trial does not go on at a rung."""
        steps = max(scores_at_rungs(self._trial(number)), default=0)
        self._update(number, TrialRecord(reason=reason, steps=steps))
        self._save_note(number, lambda trial: ended_note(TrialRecord.of(trial), "**stopped**"))

    def failed(self, number: int, reason: str, again: bool) -> None:
        """A trial has broken off; `again`: its config is tried once more."""
        self._update(number, TrialRecord(reason=reason))
        ending = f"**failed** {'(to be tried again)' if again else '(for good)'}"
        self._save_note(number, lambda trial: ended_note(TrialRecord.of(trial), ending))

    def recovered(self, number: int) -> list[float] | None:
        """A trial whose session was killed: its objective values if its student is written, else None."""
        student = self._run.student(number)
        if student is None:
            self.failed(number, TrialRecord.of(self._trial(number)).reason or CUT_OFF, again=True)
            return None
        self.finished(number, student.judged, student.provenance.seconds)
        return student.objectives

    def _trial_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _trial(self, number: int) -> FrozenTrial:
        return self._storage.get_trial(self._trial_id(number))

    def _update(self, number: int, record: TrialRecord) -> None:
        update_stored(self._storage, self._trial_id(number), record)

    @cached_property
    def _study(self) -> optuna.Study:
        """What `save_note` is given. Its sampler is asked for nothing; the search's own is left alone."""
        sampler = optuna.samplers.RandomSampler()
        return optuna.load_study(study_name=self._name, storage=self._storage, sampler=sampler)

    def _save_study_note(self, text: str, again: bool) -> None:
        from optuna_dashboard import get_note, save_note  # takes a second to import, which no other part needs

        study = self._study
        before, ours = get_note(study), self._storage.get_study_system_attrs(self._study_id).get(NOTE_HASH)
        if (before or ours) and not (again and ours == _hash(before)):
            return
        self._storage.set_study_system_attr(self._study_id, NOTE_HASH, _hash(text))
        save_note(study, text)

    def _save_note(self, number: int, write: Callable[[FrozenTrial], str]) -> None:
        try:
            from optuna_dashboard import save_note

            text = write(self._trial(number))
            save_note(optuna.Trial(self._study, self._trial_id(number)), text)
        except Exception as error:
            with suppress(OSError):
                self._run.log(number).write(f"not shown in the dashboard: {error!r}")

    def _finished_note(self, trial: FrozenTrial) -> str:
        spaces = self._config.taught_spaces
        taught = spaces[trial.params.get(SPACE_PARAM, next(iter(spaces)))]
        artifact = self._upload(trial, taught.teacher.name)
        path = None if artifact is None else f"/artifacts/{self._study_id}/{self._trial_id(trial.number)}/{artifact}"
        references = References(self._config.references.bicubic, taught.reference)
        return finished_note(TrialRecord.of(trial), references, path, self._run.student(trial.number))

    def _upload(self, trial: FrozenTrial, teacher: str) -> str | None:
        """The id of the trial's picture in the artifact store; None where there is nothing to see."""
        pieces = crops_of(self._run)
        picture = None if pieces is None else side_by_side(pieces, self._run.trial(trial.number), teacher)
        if picture is None:
            return None
        for known in get_all_artifact_meta(trial, storage=self._storage):
            key, digest = f"{PICTURE}{known.artifact_id}", digest_of(picture)
            before = self._storage.get_study_system_attrs(self._study_id).get(key)
            if before is not None:  # until it is replaced, either may be there
                self._storage.set_study_system_attr(self._study_id, key, [*before, digest])
            self._artifacts.write(known.artifact_id, BytesIO(picture))  # it may have been cut off
            self._storage.set_study_system_attr(self._study_id, key, [digest])
            return known.artifact_id
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, f"trial-{trial.number:04d}.png")
            file.write_bytes(picture)
            artifact = upload_artifact(
                artifact_store=self._artifacts, file_path=str(file), study_or_trial=trial, storage=self._storage
            )
        self._storage.set_study_system_attr(self._study_id, f"{PICTURE}{artifact}", [digest_of(picture)])
        return artifact


def _hash(note: str) -> str:
    return hashlib.sha256(name_bytes(note)).hexdigest()
