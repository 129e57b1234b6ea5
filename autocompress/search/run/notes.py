"""What the Optuna dashboard says of a study and of its trials: the texts of their notes, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from autocompress.evaluation.records import TO_TEACHER, score_of
from autocompress.names import as_code, as_markdown
from autocompress.search.run.config import References
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.record import TrialRecord
from autocompress.search.run.student import StudentRecord
from autocompress.search.space.cost import LATENCY_MS
from autocompress.units import (
    decibels,
    format_count,
    format_duration,
    format_milliseconds,
    images_in_words,
    quantity,
    signed_decibels,
)


def finished_note(
    record: TrialRecord, references: References, picture: str | None, written: StudentRecord | None = None
) -> str:
    """The note of a finished trial, of its record, the references, the path of its picture, and its student's file."""
    student, bicubic = record.to_attributes(), references.bicubic.to_dict()
    lines = [
        f"**{as_markdown(str(record.config))}**: **{decibels(record.metrics['psnr_y'])} dB** "
        f"PSNR-Y{_nearness(record.metrics)} at {_cost(student)}, {record.flops_share:.1%} of the teacher's",
    ]
    if written is not None and written.provenance.refinements:
        lines += ["", _refined(written)]
    if picture is not None:
        lines += ["", f"![student, teacher, ground truth and bicubic]({picture})"]
    lines += [
        "",
        *_table({"student": student, "teacher": references.teacher.to_dict(), "bicubic": bicubic}),
        "",
        *_training(record),
    ]
    return "\n".join(lines)


def _nearness(metrics: Mapping[str, float]) -> str:
    """How near a student is to its teacher, where that chooses."""
    return f" (**{decibels(metrics[TO_TEACHER])} dB** to its teacher)" if TO_TEACHER in metrics else ""


def _refined(student: StudentRecord) -> str:
    """What refinement made of a student: the trial's own values stay those that the search judged it by."""
    before, after = score_of(student.judged), student.score
    return (
        f"**Refined** by {quantity(student.refined_steps, 'step')}: "
        f"{decibels(before)} dB before, **{decibels(after)} dB** now "
        f"({signed_decibels(after - before)} dB), SSIM-Y {student.metrics['ssim_y']:.4f}. "
        "The trial's values and the table are those before, by which the search judges it."
    )


def ended_note(record: TrialRecord, ending: str) -> str:
    """The note of a trial that was stopped or failed; `ending` says which."""
    lines = [f"**{as_markdown(record.config or 'No config yet')}**: {ending}: {as_markdown(record.reason)}"]
    if record.params is not None:
        lines += ["", f"{_cost(record.to_attributes())}, {format_count(record.params)} parameters"]
    return "\n".join([*lines, "", *_training(record)])


def _cost(network: Mapping[str, Any]) -> str:
    """The cost of a student or a teacher in words, with its latency if that is the objective."""
    flops = f"{format_count(network['flops'])} FLOPs"
    return f"{flops} ({format_milliseconds(network[LATENCY_MS])} ms)" if LATENCY_MS in network else flops


def _in_db(psnr: float) -> str:
    return f"{decibels(psnr)} dB"


def _table(columns: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    """A table of scores and costs, with one column for each network."""
    rows: dict[str, tuple[str, Callable[[float], str]]] = {
        "psnr_y": ("PSNR-Y", _in_db),
        TO_TEACHER: ("PSNR-Y to its teacher", _in_db),
        "ssim_y": ("SSIM-Y", "{:.4f}".format),
        "flops": ("FLOPs at 1280x720", format_count),
        "params": ("parameters", format_count),
    }
    if any(LATENCY_MS in values for values in columns.values()):
        rows[LATENCY_MS] = ("latency in ms", format_milliseconds)
    yield "| | " + " | ".join(columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    if not any(TO_TEACHER in values for values in columns.values()):
        del rows[TO_TEACHER]
    for key, (heading, form) in rows.items():
        cells = (form(values[key]) if key in values else "" for values in columns.values())
        yield f"| {heading} | " + " | ".join(cells) + " |"


def _extent(step: int) -> str:
    return f"after {quantity(step, 'step')}" if step else "untrained"


def _training(record: TrialRecord) -> Iterable[str]:
    """The scores at rungs, and where the time went."""
    if record.at_step:
        at_step = record.at_step.items()
        scores = (f"{decibels(psnr)} dB {_extent(step)}" for step, psnr in sorted(at_step))
        yield f"Scores on the way: {', '.join(scores)}.  "
    if seconds := record.seconds:
        parts = ", ".join(f"{part} {format_duration(spent)}" for part, spent in seconds.items() if spent >= 1)
        yield f"Time: {format_duration(sum(seconds.values()))}{f' ({parts})' if parts else ''}.  "
    if record.seed is not None:
        yield f"Seed of its training: {record.seed}."


def study_attributes(run: RunFolder) -> dict[str, Any]:
    """The study's own attributes: budget, references, images and seed."""
    config = run.config
    return {
        "budget": str(config.search.budget),
        "teacher": "; ".join(
            f"{space.teacher.name}: {decibels(space.reference.psnr_y)} dB, {_cost(space.reference.to_dict())}"
            for space in config.taught_spaces.values()
        ),
        "bicubic": f"{decibels(config.references.bicubic.psnr_y)} dB",
        "images": _images(run),
        "seed": config.search.seed,
    }


def _images(run: RunFolder) -> str:
    """The images to train on and to choose by, in words."""
    valid = run.config.valid
    return f"{run.config.train} to train on, {images_in_words(valid.images, valid.name)} to choose by"


def study_note(run: RunFolder) -> str:
    """The note of the study: what is searched, and how to read the trials."""
    config = run.config
    search, teachers = config.search, config.teachers
    lines = [
        f"## Small networks of {' and '.join(map(as_markdown, teachers))}, x{config.scale}",
        "",
        f"Within {search.budget}. Every trial shrinks a teacher to a student, distills it, and scores it.",
        "",
        *(
            f"- teacher {as_code(name)}: {decibels(teacher.psnr_y)} dB at {_cost(teacher.to_dict())}"
            for name, teacher in teachers.items()
        ),
        f"- bicubic: {decibels(config.references.bicubic.psnr_y)} dB",
        *(
            f"- space {as_code(name)}: {as_markdown(_ranges(space['parameters']))}"
            for name, space in search.spaces.items()
        ),
        f"- {as_markdown(_images(run))}: all scores here are of these",
        f"- {quantity(search.recipe['steps'], 'step')} of training, sampler {search.sampler}, seed {search.seed}",
        "",
        _READING.replace("RUN", as_code(str(run.path)).strip("`")),
    ]
    return "\n".join(lines)


def _ranges(parameters: Mapping[str, Iterable[Any]]) -> str:
    """Values in full where they are few, else the first and the last."""
    texts = []
    for name, values in parameters.items():
        known = list(values)
        few = len(known) <= 5
        texts.append(f"{name} {', '.join(map(str, known)) if few else f'{known[0]} to {known[-1]}'}")
    return "; ".join(texts)


_READING = """### How to read it

- "Pareto Front" is on the first page; the trials of the front are listed there as best. PSNR-Y is on the luma channel
  in dB, more is better; FLOPs are fused multiply-adds for an output of 1280x720 (5B is 5G), and latency is how long
  PyTorch takes for one on the machine of the search: less is better.
- *Complete*: trained to the end. *Pruned*: stopped at a rung (a step at which trials are scored), since it was not
  among the better half of those that had come so far; it has no point in the plot, but its scores are among its
  attributes. *Fail*: broke off; its note says why, and whether its config was tried again.
- A trial's attributes: `config`, `flops`, `flops_share` (of the teacher's), `params` (parameters), `latency_ms`
  (where it counts), `psnr_y`, `ssim_y`, `psnr_y_at_step_N` (at rungs; 0 is before training), `steps` (trained),
  `seconds`, `seed`, `reason` (for its end).
- On the command line: `autocompress pareto RUN` prints the front, `autocompress report RUN` draws it,
  `autocompress export RUN --out models` writes its students as files for other programs.
"""
