"""Whether a run's study holds only what searches store: anybody may write to a database, and disks damage files.

What it holds is read whole before a session asks it for anything, as what is found then would end the session in the
middle, and each one after it.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from autocompress.errors import AutocompressError, RunError, cut
from autocompress.io.typed import MALFORMED
from autocompress.names import printable
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.record import TrialRecord, parameters_of
from autocompress.search.run.storage import StudyStorage, disconnect
from autocompress.search.run.study import DIRECTIONS
from autocompress.search.run.study_file import check_tables, naming_what_is_wrong, sqlite_file
from autocompress.search.space.joint_space import JointSpace

# what SQLite says of a file that is not as Optuna makes it; of one that is locked or cannot be reached it says others
DAMAGE = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_MISMATCH)


def problem_of_study(run: RunFolder, place: StudyStorage, joint_space: JointSpace) -> str | None:
    """What a run's study holds that no search stores, in words; None where it is as it should be, or not there.

    Raises as `StudyStorage.open`, and what the storage raises where it goes away.
    """
    if place.url is None and not run.database.is_file():
        return None
    try:
        with naming_what_is_wrong():
            file = sqlite_file(run, place.url)
            if file is not None and file.is_file():
                check_tables(file, shared=place.url is not None)
            storage = place.open(run)
            try:
                _check(storage, place.study, joint_space)
            finally:
                disconnect(storage)
    except AutocompressError:
        raise
    except MALFORMED as error:
        return cut(printable(str(error)))
    except (StorageInternalError, SQLAlchemyError) as error:
        if place.url is None and (reason := _damage(error)):
            return cut(reason)
        raise
    return None


def check_sound(run: RunFolder, place: StudyStorage, joint_space: JointSpace) -> None:
    """RunError where a run's study holds what no search stores."""
    if problem := problem_of_study(run, place, joint_space):
        remedy = "restore it" if place.url is None else "restore it, or give another folder with --out"
        raise RunError(f"{run.path}: its study in {place.shown} holds what no search stores ({problem}); {remedy}")


def _check(storage: BaseStorage, name: str, joint_space: JointSpace) -> None:
    try:
        study = storage.get_study_id_from_name(name)
    except KeyError:
        return
    if tuple(storage.get_study_directions(study)) != DIRECTIONS:
        raise ValueError("its objectives are others than those of a search")
    storage.get_study_system_attrs(study)
    storage.get_study_user_attrs(study)
    _check_trials(storage.get_all_trials(study, deepcopy=False), joint_space)


def _check_trials(trials: Sequence[FrozenTrial], joint_space: JointSpace) -> None:
    """Whether trials are numbered, and have the values, parameters and attributes that a search gives them."""
    distributions = joint_space.distributions()
    for index, trial in enumerate(trials):
        if trial.number != index:
            raise ValueError(f"its trial {index} has the number {trial.number}")
        TrialRecord.sound(trial)
        if trial.state == TrialState.COMPLETE and not _are_objectives(trial.values):
            raise ValueError(f"trial {index} is complete, but its values are {trial.values}")
        for name, distribution in trial.distributions.items():
            if type(distribution) is not type(distributions.get(name, distribution)):
                raise ValueError(f"{name} of trial {index} is of a {type(distribution).__name__}")
        known = {key: value for key, value in parameters_of(trial).items() if key in distributions}
        create_trial(state=TrialState.RUNNING, params=known, distributions={key: distributions[key] for key in known})


def _are_objectives(values: Sequence[float] | None) -> bool:
    return values is not None and len(values) == len(DIRECTIONS) and all(map(math.isfinite, values))


def _damage(error: BaseException) -> str:
    """What SQLite says of a file that is damaged; empty for any other error."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, sqlite3.Error):
        cause = getattr(cause, "orig", None) or cause.__cause__ or cause.__context__
    return str(cause) if cause is not None and cause.sqlite_errorcode & 0xFF in DAMAGE else ""
