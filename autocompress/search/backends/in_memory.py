"""A backend for tests and benchmarks: nothing is trained, and a function makes up the scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from autocompress.io import atomic
from autocompress.search.backends.serial import SerialBackend
from autocompress.search.space.cost import LATENCY_MS
from autocompress.search.trial.messages import Finished, Job, Message, RungReached, StepDone

RUNGS = (33, 100, 300)

Score = Callable[[Job, int], float]  # the PSNR-Y in dB of a job's student after so many steps


class InMemoryBackend(SerialBackend):
    """Trials with made-up scores, which take no time; up to `slots` of them are running at once, in turns.

    All but the training is real: each finished trial has its student.json, so that the run can be read, resumed and
    shown.
    """

    def __init__(self, score: Score, slots: int = 1, rungs: Sequence[int] = RUNGS) -> None:
        super().__init__(lambda job: made_up_trial(job, score, rungs), slots)


def made_up_trial(job: Job, score: Score, rungs: Sequence[int] = RUNGS) -> Iterator[Message]:
    """The messages of a trial with these scores, at the rungs, the last of which is its last step."""
    scores = {0: score(job, 0)}
    yield RungReached(job.number, 0, scores[0])
    for rung in rungs:
        yield StepDone(job.number, rung)
        scores[rung] = score(job, rung)
        if rung != rungs[-1]:
            yield RungReached(job.number, rung, scores[rung])
    metrics = {"psnr_y": scores.pop(rungs[-1]), "ssim_y": 0.9}
    write_student(job, metrics, scores)
    yield Finished(job.number, metrics, {"training": 0.0})


def write_student(job: Job, metrics: dict[str, float], scores: dict[int, float]) -> None:
    """Write the student.json of a trial that has no weights; `scores` are those at its rungs."""
    candidate = job.candidate
    student = {
        "family": "edsr",
        "config": candidate.config.to_dict(),
        "flops": candidate.flops,
        "params": candidate.params,
        "metrics": metrics,
        "provenance": {
            "recipe": candidate.recipe.to_dict(),
            "point": dict(candidate.values),
            "scores": {str(step): psnr for step, psnr in scores.items()},
        },
    }
    if candidate.latency is not None:
        student[LATENCY_MS] = candidate.latency
    atomic.write_text(job.folder / "student.safetensors", "no weights")
    atomic.write_json(job.folder / "student.json", student)
