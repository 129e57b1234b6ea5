"""What the Optuna dashboard says of a study and of its trials in words, as Markdown."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from optuna.storages import BaseStorage

from autocompress.search.run.folder import RunFolder
from autocompress.search.run.record import TrialRecord
from autocompress.search.space.budget import Budget
from autocompress.search.space.cost import LATENCY_MS
from autocompress.units import format_count, format_duration, format_milliseconds

OURS = "autocompress:note"  # of a study: the hash of the note that it got from us
PART = 2045  # characters of a note in one attribute of a study: what its column in a database holds


def save_note(storage: BaseStorage, study_id: int, trial_id: int | None, text: str) -> None:
    """Make `text` the note of a study (`trial_id` None) or a trial, also of one that is over.

    As optuna_dashboard.save_note writes it, whose import takes two seconds: `_note.py` in optuna-dashboard 0.21. What a
    longer note had more is blank then, and a page that shows the old one may not save over the new one.
    """
    prefix = "dashboard:" if trial_id is None else f"dashboard:{trial_id}:"
    before = storage.get_study_system_attrs(study_id)
    parts = [text[start : start + PART] for start in range(0, len(text), PART)]
    parts += [""] * (sum(key.startswith(f"{prefix}note_str:") for key in before) - len(parts))
    for number, part in enumerate(parts):
        storage.set_study_system_attr(study_id, f"{prefix}note_str:{number}", part)
    storage.set_study_system_attr(study_id, f"{prefix}note_ver", before.get(f"{prefix}note_ver", 0) + 1)


def save_study_note(storage: BaseStorage, study_id: int, text: str, again: bool) -> None:
    """Unless the study has a note; `again`: instead of one that it got from us, and that no user has changed since."""
    before = storage.get_study_system_attrs(study_id)
    if "dashboard:note_ver" in before:
        parts = sum(key.startswith("dashboard:note_str:") for key in before)
        note = "".join(before[f"dashboard:note_str:{number}"] for number in range(parts))
        if not (again and before.get(OURS) == _hash(note)):
            return
    storage.set_study_system_attr(study_id, OURS, _hash(text))
    save_note(storage, study_id, None, text)


def _hash(note: str) -> str:
    return hashlib.sha256(note.encode()).hexdigest()


def finished_note(record: TrialRecord, references: Mapping[str, Any], picture: str | None) -> str:
    """Of a trial that came to its end: its record, what it is compared with, and where its picture is."""
    student = record.to_attributes()
    lines = [
        f"**{record.config}**: **{record.metrics['psnr_y']:.2f} dB** PSNR-Y at "
        f"{_cost(student)}, {record.flops_share:.1%} of the teacher's",
    ]
    if picture is not None:
        lines += ["", f"![student, teacher, ground truth and bicubic]({picture})"]
    lines += ["", *_table({"student": student, **references}), "", *_training(record)]
    return "\n".join(lines)


def ended_note(record: TrialRecord, ending: str) -> str:
    """Of a trial that was stopped or failed; `ending` says which."""
    lines = [f"**{record.config or 'No config yet'}**: {ending}: {record.reason}"]
    if record.params is not None:
        lines += ["", f"{_cost(record.to_attributes())}, {format_count(record.params)} parameters"]
    return "\n".join([*lines, "", *_training(record)])


def _cost(network: Mapping[str, Any]) -> str:
    """Of a student or a teacher; its latency too, where that counts."""
    flops = f"{format_count(network['flops'])} FLOPs"
    return f"{flops} ({format_milliseconds(network[LATENCY_MS])} ms)" if LATENCY_MS in network else flops


def _table(columns: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    """Scores and costs, of those that have them."""
    rows: dict[str, tuple[str, Callable[[float], str]]] = {
        "psnr_y": ("PSNR-Y", "{:.2f} dB".format),
        "ssim_y": ("SSIM-Y", "{:.4f}".format),
        "flops": ("FLOPs at 1280x720", format_count),
        "params": ("parameters", format_count),
    }
    if any(LATENCY_MS in values for values in columns.values()):
        rows[LATENCY_MS] = ("latency in ms", format_milliseconds)
    yield "| | " + " | ".join(columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for key, (heading, form) in rows.items():
        cells = (form(values[key]) if key in values else "" for values in columns.values())
        yield f"| {heading} | " + " | ".join(cells) + " |"


def _training(record: TrialRecord) -> Iterable[str]:
    """The scores at rungs, and where the time went."""
    if record.at_step:
        at_step = record.at_step.items()
        scores = (f"{psnr:.2f} dB {f'after {step} steps' if step else 'untrained'}" for step, psnr in at_step)
        yield f"Scores on the way: {', '.join(scores)}.  "
    if seconds := record.seconds:
        parts = ", ".join(f"{part} {format_duration(spent)}" for part, spent in seconds.items() if spent >= 1)
        yield f"Time: {format_duration(sum(seconds.values()))}{f' ({parts})' if parts else ''}.  "
    if record.seed is not None:
        yield f"Seed of its training: {record.seed}."


def study_attributes(run: RunFolder) -> dict[str, Any]:
    """The few facts that what is shown of a study's trials is to be seen beside."""
    config = run.config
    teachers = [branch["teacher"] for branch in config["branches"].values()]
    return {
        "budget": str(Budget(**config["search"]["budget"])),
        "teacher": "; ".join(f"{one['name']}: {one['psnr_y']:.2f} dB, {_cost(one)}" for one in teachers),
        "bicubic": f"{config['references']['bicubic']['psnr_y']:.2f} dB",
        "images": f"{config['train']['name']} to train on, {config['valid']['name']} to choose by",
        "seed": config["search"]["seed"],
    }


def study_note(run: RunFolder) -> str:
    """What was searched, and how to read what is shown of it."""
    config = run.config
    asked, references = config["search"], config["references"]
    teachers = {branch["teacher"]["name"]: branch["teacher"] for branch in config["branches"].values()}
    lines = [
        f"## Small networks of {' and '.join(teachers)}, x{config['scale']}",
        "",
        f"Within {Budget(**asked['budget'])}. Every trial shrinks a teacher to a student, distills it, and scores it.",
        "",
        *(f"- teacher `{name}`: {teacher['psnr_y']:.2f} dB at {_cost(teacher)}" for name, teacher in teachers.items()),
        f"- bicubic: {references['bicubic']['psnr_y']:.2f} dB",
        *(f"- space `{name}`: {_ranges(space['parameters'])}" for name, space in asked["spaces"].items()),
        f"- {config['train']['images']} images of {config['train']['name']} to train on, "
        f"{config['valid']['images']} of {config['valid']['name']} to choose by: all scores here are of these",
        f"- {asked['recipe']['steps']} steps of training, sampler {asked['sampler']}, seed {asked['seed']}",
        "",
        _READING.replace("RUN", str(run.path)),
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
  one takes PyTorch on the machine of the search; fewer are better.
- *Complete*: trained to the end. *Pruned*: stopped at a rung, where it was not among the best of those that had come so
  far; it has no point in the plot, but its scores are among its attributes.
  *Fail*: broke off; its note says why, and whether its config was tried again.
- A trial's attributes: `config`, `flops`, `flops_share` (of the teacher's), `params` (parameters), `latency_ms`
  (where it counts), `psnr_y`, `ssim_y`, `psnr_y_at_step_N` (at rungs; 0 is before training), `steps` (trained),
  `seconds`, `seed`, `reason` (for its end).
- On the command line: `autocompress pareto RUN` prints the front, `autocompress report RUN` draws it,
  `autocompress export RUN --out models` writes its students as files for other programs.
"""
