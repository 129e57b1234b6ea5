"""Pictures, each in one HTML file that needs no network: the front of a run, and the densities of a pruned teacher."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from autocompress import checkpoints
from autocompress.families import family_of
from autocompress.prune import Pruned
from autocompress.quantities import format_count
from autocompress.search.results import pick, rows, students
from autocompress.search.run_folder import RunFolder


def write_report(run: RunFolder) -> Path:
    """Write report.html, with Plotly's script inside, and return its path."""
    path = run.path / "report.html"
    _write_page(path, front_figure(run), f"autocompress: {run.path.name}")
    return path


def _write_page(path: Path, figure: go.Figure, title: str) -> None:
    html = figure.to_html(include_plotlyjs=True, full_html=True, config={"displaylogo": False})
    checkpoints.write_text(path, html.replace("<head>", f"<head><title>{escape(title)}</title>", 1))


def front_figure(run: RunFolder) -> go.Figure:
    """PSNR-Y on the validation images over FLOPs (log scale): the front, the other students, bicubic and teacher."""
    table, config = students(run), run.config
    front, others = table[table["on_front"]], table[~table["on_front"]]
    figure = go.Figure()
    figure.add_scatter(
        x=others["flops"], y=others["psnr_y"], mode="markers", name="dominated", opacity=0.35, **_hover(others)
    )
    figure.add_scatter(x=front["flops"], y=front["psnr_y"], mode="lines+markers", name="Pareto front", **_hover(front))
    if not front.empty:
        best = pick(front)
        figure.add_scatter(
            x=[best["flops"]],
            y=[best["psnr_y"]],
            mode="markers",
            name=f"pick: trial {best['trial']}",
            marker={"size": 16, "symbol": "star"},
            hoverinfo="skip",
        )
    bicubic = config["references"]["bicubic"]
    teachers = {branch["teacher"]["name"]: branch["teacher"] for branch in config["branches"].values()}
    for name, teacher in teachers.items():
        figure.add_scatter(
            x=[teacher["flops"]],
            y=[teacher["psnr_y"]],
            mode="markers",
            name=f"teacher {name}",
            marker={"size": 12, "symbol": "diamond"},
            hovertemplate=f"teacher<br>%{{y:.2f}} dB, {format_count(teacher['flops'])} FLOPs<extra></extra>",
        )
    figure.add_hline(y=bicubic["psnr_y"], line_dash="dot", annotation_text=f"bicubic {bicubic['psnr_y']:.2f} dB")
    budget = config["search"]["budget"]["flops"]
    if budget is not None:
        figure.add_vline(x=budget, line_dash="dash", annotation_text=f"budget {format_count(budget)}")
    figure.update_xaxes(type="log", title="FLOPs for a 1280x720 output (fused multiply-adds)")
    figure.update_yaxes(title=f"PSNR-Y in dB, {config['valid']['images']} images of {config['valid']['name']}")
    figure.update_layout(
        title=f"{run.path.name}: students of {' and '.join(teachers)}, x{config['scale']}",
        template="plotly_white",
        legend={"orientation": "h", "y": -0.2},
    )
    return figure


def _hover(table: pd.DataFrame) -> dict[str, Any]:
    """What shows when the pointer is on a student."""
    texts = [
        f"trial {row['trial']}, {row['family']}: {row['psnr_y']:.2f} dB, SSIM {row['ssim_y']:.4f}<br>"
        f"{format_count(row['flops'])} FLOPs, {format_count(row['params'])} parameters<br>"
        + "<br>".join(f"{key}: {value}" for key, value in row["config"].items())
        for row in rows(table)
    ]
    return {"hovertext": texts, "hoverinfo": "text"}


def write_densities(pruned: Pruned, name: str, path: Path) -> None:
    """Write the picture of a pruned teacher's densities, with Plotly's script inside; `name` is the teacher's."""
    _write_page(path, densities_figure(pruned, name), f"autocompress: densities of {name}")


def densities_figure(pruned: Pruned, name: str) -> go.Figure:
    """A bar for each layer, in the network's order and the colour of the residual block that it is in."""
    family = family_of(pruned.teacher)
    groups: dict[str, list[str]] = {}
    for layer in pruned.layers:
        groups.setdefault(next(iter(family.groups_of(layer)), "head and tail"), []).append(layer)
    figure = go.Figure()
    for group, layers in groups.items():
        densities = [pruned.layers[layer] for layer in layers]
        figure.add_bar(
            x=layers,
            y=[density.share for density in densities],
            name=group,
            hovertext=[
                f"{layer}<br>{density.share:.1%} of {density.weights} weights"
                for layer, density in zip(layers, densities, strict=True)
            ],
            hoverinfo="text",
        )
    counts = (family.counts_of(config) for config in (pruned.teacher.config, pruned.suggested))
    before, after = (" ".join(f"{count}={value}" for count, value in found.items()) for found in counts)
    figure.update_xaxes(categoryorder="array", categoryarray=list(pruned.layers), title="layer")
    figure.update_yaxes(range=[0, 1], title="density: share of the weights that are not zero")
    figure.update_layout(
        title=f"{escape(name)}: {before}<br>suggested: {after}", template="plotly_white", barmode="overlay"
    )
    return figure
