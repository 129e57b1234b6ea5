"""What must hold of a run whose front was refined."""

import pytest
from typing_extensions import override

from autocompress import load
from autocompress.evaluation.scores import evaluate, network_upscaler, pairs
from autocompress.search import RunFolder, SearchCallback
from autocompress.search.results.changed_pictures import note_of_pictures
from autocompress.search.running import recorded_settings
from autocompress.search.space.search_space import Candidate
from autocompress.search.task import open_task


class Watching(SearchCallback):
    """Remembers the pieces: of which trial, how many steps, the PSNR-Y before and after."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, int]] = []
        self.ends: list[tuple[int, float, float]] = []
        self.failed: list[str] = []
        self.scored = 0
        self.under_way = set[int]()

    @override
    def on_piece_start(self, trial: int, candidate: Candidate, steps: int, psnr: float) -> None:
        self.pieces.append((trial, steps))

    @override
    def on_piece_end(self, trial: int, candidate: Candidate, before: float, after: float) -> None:
        self.ends.append((trial, before, after))

    @override
    def on_piece_score(self, trial: int, step: int, psnr: float) -> None:
        self.scored += 1

    @override
    def on_trial_fail(self, trial: int, candidate: Candidate, reason: str) -> None:
        self.failed.append(reason)


def scores_of_weights(run: RunFolder) -> dict[int, float]:
    """By trial, the PSNR-Y of the weights as they are in their files."""
    valid = list(pairs(open_task(recorded_settings(run)).valid))
    return {
        student.trial: evaluate(network_upscaler(load(student.file)), valid, 2, ["psnr_y"]).mean["psnr_y"]
        for student in run.students()
    }


def check_refined(run: RunFolder, before: dict[int, float]) -> None:
    """What must hold at any time: no student is worse than before, and its record is of the weights in its file."""
    now = scores_of_weights(run)
    for student in run.students():
        assert student.metrics["psnr_y"] == pytest.approx(now[student.trial], abs=1e-4)
        assert student.metrics["psnr_y"] >= before[student.trial]
        assert student.judged["psnr_y"] == before[student.trial]
        kept = [piece.psnr_y for piece in student.provenance.refinements if piece.kept]
        assert student.metrics["psnr_y"] == max([before[student.trial], *kept])
    assert note_of_pictures(run) is None
    assert all(len(known) == 1 for student in run.students() for known in student.pictures.values())
    assert not list(run.path.rglob("*.tmp"))
    assert not list(run.path.rglob("refinement.pt"))


def psnr(run: RunFolder) -> dict[int, float]:
    return {student.trial: student.metrics["psnr_y"] for student in run.students()}
