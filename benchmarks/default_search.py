"""What the default search gives, checked from outside: its files, an independent count of FLOPs, its wall time.

    python benchmarks/default_search.py [--out DIR] [--space FILE] [--teacher FILE]

Runs `autocompress search --budget-flops 20G` (or goes on with, or only looks at, the one in DIR), for controls in
another space (edsr-adam.yaml beside this script) or of another teacher; then prints how much of the teacher's gain over
bicubic the best student keeps, the front and its spread, how well the score before training ranks the students that
were trained to the end, how well their score on tiles does, and where the time went.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path

import optuna
from scipy.stats import spearmanr

import autocompress
from autocompress.compute import flops
from autocompress.data.embedded import embedded
from autocompress.evaluation.scores import network_upscaler
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.record import scores_at_rungs
from autocompress.search.trial.quick_score import estimate_by_tiles

BUDGET = 20e9
SMALLEST = 1_177_804_800  # FLOPs of the smallest network of the space, 8 features and 1 block


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs", "benchmark-default"))
    parser.add_argument("--space", default="edsr")
    parser.add_argument("--teacher", default="edsr-baseline-x2")
    options = parser.parse_args()
    out: Path = options.out
    launched, start = time.time(), time.perf_counter()
    command = ["search", "--budget-flops", "20G", "--space", options.space, "--teacher", options.teacher]
    command += ["--out", str(out)]
    subprocess.run(
        [sys.executable, "-c", "from autocompress.cli import main; main()", *command],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - start
    run = RunFolder.existing(out)
    references = run.config.references
    assert run.config.storage is not None  # runs of the first versions have none
    study = optuna.load_study(study_name=run.config.storage["study"], storage=f"sqlite:///{run.database.absolute()}")
    states = [trial.state.name for trial in study.get_trials(deepcopy=False)]
    scored = [trial for trial in study.get_trials(deepcopy=False) if 0 in scores_at_rungs(trial)]
    front = json.loads((out / "pareto.json").read_text())["students"]
    counted = [flops.count_flops(autocompress.load(row["file"]), 2) for row in front]
    best = max(row["psnr_y"] for row in front)
    bicubic, teacher = references.bicubic.psnr_y, references.teacher.psnr_y
    spread = math.log(max(counted) / min(counted)) / math.log(BUDGET / SMALLEST)
    students = run.students()
    before = [student.provenance.psnr_y_before_training for student in students]
    after = [student.metrics["psnr_y"] for student in students]
    costs = [student.flops for student in students]
    print(f"wall time of this call        {seconds:.0f} s")
    ended = sorted(trial.datetime_complete.timestamp() for trial in scored if trial.datetime_complete)
    print(f"four students after           {ended[3] - run.times[0].started:.0f} s of the run's first session")
    print(f"trials scored, to the end     {len(scored)}, {states.count('COMPLETE')}")
    print(f"bicubic, best, teacher        {bicubic:.2f}, {best:.2f}, {teacher:.2f} dB")
    print(f"share of the teacher's gain   {(best - bicubic) / (teacher - bicubic):.1%}")
    for row in front:
        print(f"                              {row['psnr_y']:.2f} dB at {row['flops'] / 1e9:.4g}G")
    print(f"students on the front         {len(front)}, over {spread:.0%} of the log range up to the budget")
    print(f"over budget by fvcore         {sum(count > BUDGET for count in counted)}")
    source = embedded("valid", 2)
    ranks = [spearmanr(values, after).statistic for values in (before, costs)]
    print(f"rank correlation with the end {ranks[0]:.3f} before training (of FLOPs alone: {ranks[1]:.3f})")
    estimate = estimate_by_tiles([source.read(index) for index in range(len(source))], 2)
    assert estimate is not None
    by_tiles = [estimate.psnr_y(network_upscaler(autocompress.load(student.file))) for student in students]
    print(
        f"rank correlation on tiles     {spearmanr(by_tiles, after).statistic:.3f} with the full score, after training"
    )
    show_times(run, launched, seconds)
    print(f"default_search {(best - bicubic) / (teacher - bicubic):.3f}")


def show_times(run: RunFolder, launched: float, seconds: float) -> None:
    """Where the last session's time went, as a table that adds up to the wall time of the command."""
    session = run.times[-1]
    imports = session.started - launched
    end = seconds - imports - session.total
    parts = {**session.parts, "start of the process, imports": imports, "report, end of the process": end}
    print("\n| part | seconds | share |\n|---|---|---|")
    for part, spent in sorted(parts.items(), key=lambda item: -item[1]):
        print(f"| {part} | {spent:.2f} | {spent / seconds:.1%} |")
    print(f"| all | {sum(parts.values()):.2f} | {sum(parts.values()) / seconds:.1%} |")
    beside = 1 - sum(parts.get(part, 0) for part in ("training", "scoring")) / seconds
    print(f"\nbeside training and scoring   {beside:.1%}")
    if session.before_training is not None:  # a session that only looks trains nothing
        print(f"until the first training step {imports + session.before_training:.2f} s, imports included\n")


if __name__ == "__main__":
    main()
