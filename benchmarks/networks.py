"""Fronts of different networks by the same search, the joint search of several, and published small networks beside.

    python benchmarks/networks.py --weights DIR --train DIR --valid DIR --set5 DIR --runs DIR [--picture FILE.png]
        [--trials 8] [--steps 200] [--seeds 1] [--budget 60G] [--only EDSR RLFN ...] [--table FILE.md]

Each search has the same budget, trials, steps and seeds, and chooses on the images of --valid; the front's students are
scored on Set5 then, which is what is drawn: the fronts of further seeds as thin lines. Weights are as for
own_networks.py. In the joint search, which has twice the trials, SMFANet+ comes with its code, RLFN and IMDN as
exported programs, EDSR by its name. Runs stay in --runs: one that has ended there is not searched again, whatever its
options were. With --table the picture shows, besides, the searches in a table that this printed before, of networks
that are not in --only. The points of published networks are those that the package knows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import torch

from autocompress.api import Result, evaluate, open_run, search
from autocompress.networks import load
from autocompress.networks.descriptions import shape
from autocompress.networks.downloadable import downloadable
from autocompress.networks.loading import know_code, know_program
from autocompress.report.figures import AXES
from autocompress.report.front import draw_downloadable, lay_out_front
from autocompress.units import format_count, parse_count

CODE = Path(__file__).parents[1] / "tests" / "helpers" / "sr_networks.py"
OWN: dict[str, tuple[str, str, list[str]]] = {  # weights, callable, arguments
    "RLFN": ("rlfn_x2.pth", "RLFN", ["upscale=2"]),
    "IMDN": ("IMDN_x2.pth", "IMDN", ["upscale=2"]),
    "SMFANet+": ("SMFANet_plus_DIV2K_100w_x2SR.pth", "SMFANet", ["dim=48", "n_blocks=12", "upscaling_factor=2"]),
}
JOINT, PROGRAMS = "joint", ("RLFN", "IMDN")
NETWORKS = ("RLFN", "EDSR", "SMFANet+", JOINT, "IMDN", "SwinIR")
COLOURS = {
    "EDSR": "#8b97a6", "SwinIR": "#7a3fd1", "RLFN": "#1a56c4", "IMDN": "#b9480c", "SMFANet+": "#c2185b",
    JOINT: "#16202c",
}  # fmt: skip
SIZE = (1600, 900)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for folder in ("weights", "train", "valid", "set5", "runs"):
        parser.add_argument(f"--{folder}", type=Path, required=True)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--budget", default="60G")
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    fronts: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for seed in range(options.seeds):
        for name in options.only:
            print(f"{name}, seed {seed} ...", file=sys.stderr, flush=True)
            fronts[name, seed] = front(name, seed, options)
    print("| search | seed | students | FLOPs | valid | Set5 |\n|---|---|---|---|---|---|")
    for (name, seed), rows in fronts.items():
        for row in rows:
            scores = f"{row['valid']:.2f} | {row['Set5']:.2f}"
            print(f"| {name} | {seed} | {row['student']} | {format_count(row['flops'])} | {scores} |")
    if options.table is not None:
        fronts = {key: rows for key, rows in printed(options.table).items() if key[0] not in options.only} | fronts
    if options.picture is not None:
        options.picture.write_bytes(picture(fronts, f"Students under {options.budget} FLOPs, x2"))


def printed(file: Path) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """The students of each search in a table as `main` prints it, by network and seed."""
    fronts: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for line in file.read_text().splitlines():
        cells = line.strip("| ").split(" | ")
        if len(cells) == 6 and cells[0] in NETWORKS and cells[1].isdecimal():
            name, seed, student, flops, valid, set5 = cells
            row = {"student": student, "flops": parse_count(flops), "valid": float(valid), "Set5": float(set5)}
            fronts.setdefault((name, int(seed)), []).append(row)
    return fronts


def front(name: str, seed: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The students of a search's front, by FLOPs, with their scores."""
    rows = []
    for student in searched(name, seed, options).front.to_dict("records"):
        words = shape(student["family"], student["config"])
        scores = evaluate(load(student["file"]), data=[options.set5]).scores
        rows.append(
            {
                "student": words,
                "flops": student["flops"],
                "valid": student["psnr_y"],
                "Set5": next(iter(scores.values())).mean["psnr_y"],
            }
        )
    return rows


def searched(name: str, seed: int, options: argparse.Namespace) -> Result:
    """What the search comes to, or came to before."""
    out = options.runs / (name if seed == 0 else f"{name}-seed{seed}")
    given = teachers(name, options)
    if (out / "report.html").exists():  # written at its end
        if "code" in given:
            know_code(given["code"], given["set"])
        if name == JOINT:
            for own in PROGRAMS:
                know_program(exported(own, options))
        return open_run(out)
    return search(
        **given,
        budget_flops=options.budget,
        train=options.train,
        val=options.valid,
        trials=options.trials * (2 if name == JOINT else 1),
        steps=options.steps,
        seed=seed,
        out=out,
        progress=False,
    )


def teachers(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """What says to `search` whose students are searched."""
    if name == JOINT:
        programs = [str(exported(own, options)) for own in PROGRAMS]
        by_code = of_own_code("SMFANet+", options)
        return by_code | {"teacher": [by_code["teacher"], *programs, "edsr-baseline-x2"]}
    if name in OWN:
        return of_own_code(name, options)
    return {"space": [name.lower()]}


def of_own_code(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Keywords of `search` for a network that the package has no line about."""
    file, callable_, arguments = OWN[name]
    return {"teacher": str(options.weights / file), "code": f"{CODE}:{callable_}", "set": arguments}


def exported(name: str, options: argparse.Namespace) -> Path:
    """The program of such a network, beside the runs."""
    file: Path = options.runs / f"{name.lower()}.pt2"
    if not file.exists():
        own = of_own_code(name, options)
        network: Any = load(own["teacher"], code=own["code"], set=own["set"])
        free = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
        program = torch.export.export(network.network, (torch.zeros(2, 3, 64, 72),), dynamic_shapes=(free,))
        options.runs.mkdir(parents=True, exist_ok=True)
        torch.export.save(program, file)
    return file


def picture(fronts: Mapping[tuple[str, int], list[dict[str, Any]]], title: str) -> bytes:
    """The fronts on Set5 from 1G on as a PNG, with published networks as points."""
    figure = go.Figure()
    for (name, seed), rows in fronts.items():
        first = seed == 0
        figure.add_scatter(
            x=[row["flops"] for row in rows],
            y=[row["Set5"] for row in rows],
            mode="lines+markers",
            name={JOINT: "RLFN, IMDN, SMFANet+ and EDSR in one search"}.get(name, name),
            line={"color": COLOURS[name], "width": 4 if first else 1.5, "dash": "dot" if name == JOINT else "solid"},
            marker={"size": 13 if first else 7, "color": COLOURS[name]},
            showlegend=first,
        )
    others = [(each, each.psnr_y["Set5"]) for each in downloadable() if "Set5" in each.psnr_y]
    draw_downloadable(figure, others, "Set5")
    places = ["top center", "bottom center", "middle right"]
    count = len(figure.data[-1].x)
    figure.data[-1].update(
        name="published networks",
        marker_size=15,
        textfont_size=15,
        textposition=[places[index % len(places)] for index in range(count)],
    )
    lay_out_front(figure, AXES["flops"], "PSNR-Y on Set5 in dB")
    figure.update_xaxes(range=[8.95, 11.35])  # of log10: students below 1G, and below 34.5 dB, stand in the table
    figure.update_yaxes(range=[34.5, 38.5])
    figure.update_layout(
        title={"text": title, "x": 0.06, "font": {"size": 32}},
        font={"size": 22},
        margin={"l": 120, "r": 50, "t": 100, "b": 90},
        legend={"y": -0.15},
    )
    return bytes(figure.to_image("png", width=SIZE[0], height=SIZE[1]))


if __name__ == "__main__":
    main()
