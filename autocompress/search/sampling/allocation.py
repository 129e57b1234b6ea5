"""Which student of a front trains on next, and for how long: the one expected to enlarge the front most per second.

Refinement goes in pieces. A student's first is twice as long as its own training, and each later one twice as long as
the one before: shorter ones gain less per step. From one piece to the next gains shrink by a nearly constant factor,
from which the next one is expected (benchmarks/restarts.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from autocompress.evaluation.records import score_of
from autocompress.search.pareto import Point, ReferencePoint, front, hypervolume
from autocompress.search.run.student import StoredStudent

FIRST = 2  # times its own training's steps are a student's first piece
DECAY = 0.5  # of the gain from one piece to the next
FROM_RUNGS = 0.7  # of the gain between the last two rungs, which a first piece gains
LEAST_GAIN = 0.002  # dB; what is measured as nothing may still be a little
UNKNOWN_GAIN = 0.15  # dB of a first piece, where no scores at rungs are known
FITS = 0.9  # of the time that is left: what is expected is not exact
SHORTEST = 0.5  # of a piece's length: one for which there is less time is not begun


@dataclass(frozen=True)
class Plan:
    """A piece to be trained: of which trial's student, its steps, the gain in dB expected of it, and its seconds."""

    trial: int
    steps: int
    gain: float
    seconds: float


@dataclass(frozen=True)
class Limits:
    """What a refinement may spend: steps of each student in all its pieces, and the seconds that are left of it."""

    steps: int | None = None
    seconds: float | None = None


def next_piece(
    students: Sequence[StoredStudent],
    own_steps: Mapping[int, int],
    reference: ReferencePoint,
    limits: Limits,
    begun: Mapping[int, int],
    excluded: Collection[int] = (),
) -> Plan | None:
    """The piece with the largest expected gain of hypervolume per second; None where the limits allow none.

    Only `students` on the front train on, and of those none in `excluded`. `own_steps` are those of their own
    trainings, by trial. `begun` are the steps of pieces that an earlier session has left unfinished, by trial: these
    come first, in the same order.
    """
    paces = _seconds_a_step(students, own_steps)
    points = {student.trial: Point(student.trial, student.score, student.cost) for student in students}
    eligible = {point.trial for point in front(list(points.values()))}.difference(excluded)
    plans = []
    for student in students:
        if student.trial not in eligible:
            continue
        steps = begun.get(student.trial) or _length(student, own_steps[student.trial], limits, paces[student.trial])
        if steps:
            plans.append(Plan(student.trial, steps, expected_gain(student), steps * paces[student.trial]))

    now = hypervolume(points.values(), reference)

    def order(plan: Plan) -> tuple[bool, float, float, int]:
        point = points[plan.trial]
        after = points | {plan.trial: Point(plan.trial, point.psnr + plan.gain, point.cost)}
        larger = hypervolume(after.values(), reference) - now
        return plan.trial in begun, larger / plan.seconds, plan.gain / plan.seconds, -plan.trial

    return max(plans, key=order, default=None)


def expected_gain(student: StoredStudent) -> float:
    """What the student's next piece is expected to gain, in dB.

    Each gain that is known says how much the first piece gains, and the mean of what they say is taken: a single one is
    as large as its noise.
    """
    scores, pieces = student.provenance.scores or {}, student.provenance.refinements
    firsts = []
    # scores at rungs may be estimates: they are compared with each other, not with the score at the end
    rungs = [psnr for step, psnr in sorted(scores.items()) if step > 0]
    if len(rungs) >= 2:
        firsts.append(FROM_RUNGS * (rungs[-1] - rungs[-2]))
    best = score_of(student.judged)
    for ordinal, piece in enumerate(pieces):
        firsts.append(max(0.0, piece.psnr_y - best) / DECAY**ordinal)
        best = max(best, piece.psnr_y)
    first = sum(firsts) / len(firsts) if firsts else UNKNOWN_GAIN
    return max(LEAST_GAIN, first * DECAY ** len(pieces))


def _length(student: StoredStudent, own_steps: int, limits: Limits, pace: float) -> int:
    """The steps of the student's next piece; 0 where the limits allow none."""
    usual: int = FIRST * own_steps * 2 ** len(student.provenance.refinements)
    steps = usual
    if limits.steps is not None:
        left = limits.steps - student.refined_steps
        # what would not be enough for another piece is added to this one: a short piece gains little
        steps = left if left < 3 * usual else usual
    if limits.seconds is not None:
        fitting = int(FITS * limits.seconds / pace)
        steps = min(steps, fitting) if fitting >= SHORTEST * min(steps, usual) else 0
    return max(0, steps)


def _seconds_a_step(students: Iterable[StoredStudent], own_steps: Mapping[int, int]) -> dict[int, float]:
    """By trial, what a step takes, scoring included: as the last piece took it, or else the student's own training.

    Where nobody has measured it, in proportion to FLOPs by the others' mean.
    """
    measured = {student.trial: _measured(student, own_steps[student.trial]) for student in students}
    flops = {student.trial: student.flops for student in students}
    ratios = [seconds / flops[trial] for trial, seconds in measured.items() if seconds > 0]
    ratio = sum(ratios) / len(ratios) if ratios else 1e-12
    return {trial: seconds or ratio * flops[trial] for trial, seconds in measured.items()}


def _measured(student: StoredStudent, own_steps: int) -> float:
    """Seconds a step; 0 where they are not known."""
    pieces = student.provenance.refinements
    if pieces:
        return pieces[-1].seconds / pieces[-1].steps
    seconds = student.provenance.seconds
    return (seconds.get("training", 0.0) + seconds.get("scoring", 0.0)) / own_steps
