"""The picture of a run: its front, in one HTML file that needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from autocompress import checkpoints
from autocompress.quantities import format_count
from autocompress.search.results import pick, rows, students
from autocompress.search.run_folder import RunFolder


def write_report(run: RunFolder) -> Path:
    """Write report.html, with Plotly's script inside, and return its path."""
    path = run.path / "report.html"
    title = f"autocompress: {run.path.name}"
    html = front_figure(run).to_html(include_plotlyjs=True, full_html=True, config={"displaylogo": False})
    checkpoints.write_text(path, html.replace("<head>", f"<head><title>{title}</title>", 1))
    return path


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
    teacher, bicubic = config["references"]["teacher"], config["references"]["bicubic"]
    figure.add_scatter(
        x=[teacher["flops"]],
        y=[teacher["psnr_y"]],
        mode="markers",
        name=f"teacher {config['teacher']['name']}",
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
        title=f"{run.path.name}: students of {config['teacher']['name']}, x{config['scale']}",
        template="plotly_white",
        legend={"orientation": "h", "y": -0.2},
    )
    return figure


def _hover(table: pd.DataFrame) -> dict[str, Any]:
    """What shows when the pointer is on a student."""
    texts = [
        f"trial {row['trial']}: {row['psnr_y']:.2f} dB, SSIM {row['ssim_y']:.4f}<br>"
        f"{format_count(row['flops'])} FLOPs, {format_count(row['params'])} parameters<br>"
        + "<br>".join(f"{key}: {value}" for key, value in row["config"].items())
        for row in rows(table)
    ]
    return {"hovertext": texts, "hoverinfo": "text"}
