"""The densities of a pruned teacher as one HTML file."""

from __future__ import annotations

from html import escape
from pathlib import Path

import plotly.graph_objects as go

from autocompress.io import atomic
from autocompress.networks import family_of
from autocompress.prune import Pruned
from autocompress.report.figures import figure_page


def write_densities(pruned: Pruned, name: str, path: Path) -> None:
    """Write the picture of a pruned teacher's densities, with Plotly's script inside; `name` is the teacher's."""
    atomic.write_text(path, figure_page(densities_figure(pruned, name), f"autocompress: densities of {name}"))


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
    before, after = (" ".join(f"{count}={value}" for count, value in shown_counts.items()) for shown_counts in counts)
    figure.update_xaxes(categoryorder="array", categoryarray=list(pruned.layers), title="layer")
    figure.update_yaxes(range=[0, 1], title="density: share of the weights that are not zero")
    figure.update_layout(
        title=f"{escape(name)}: {before}<br>suggested: {after}", template="plotly_white", barmode="overlay"
    )
    return figure
