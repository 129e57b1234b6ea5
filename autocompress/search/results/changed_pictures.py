"""Which pictures of a run are not those that were written there, and all that an export leaves out."""

from __future__ import annotations

from pathlib import Path

from autocompress.search.results.left_out import (
    gone_students,
    note_of_changed,
    note_of_latencies,
    note_of_students,
    places,
)
from autocompress.search.run.crops import CROPS, Pieces, are_of_another_run, changed_of, changed_of_student
from autocompress.search.run.folder import RunFolder


def note_of_pictures(run: RunFolder) -> str | None:
    """A line where pictures of a run are not those that were written; those of older runs are not looked at."""
    if are_of_another_run(run):
        return f"{run.path}: no pictures are shown, as those in {CROPS}/ are another run's; restore that folder"
    pieces = Pieces.read(run.path / CROPS)
    if pieces is None:
        return None
    changed = list[Path]()
    for crop in pieces.crops:
        for file in (pieces.truth(crop), *(pieces.file(crop, name) for name in pieces.names)):
            changed += changed_of(file, pieces.digests)
        for student in run.students():
            changed += changed_of_student(student.file.parent, crop)
    return note_of_changed(run.path, places(run, changed)) if changed else None


def notes_of_files(run: RunFolder) -> list[str]:
    """All lines about what an export of a run leaves out."""
    notes = (note_of_students(run, gone_students(run)), note_of_pictures(run), note_of_latencies(run))
    return [note for note in notes if note is not None]
