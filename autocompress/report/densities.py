"""The densities of a pruned teacher as one HTML file."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import plotly.graph_objects as go

from autocompress.networks import family_of
from autocompress.prune import Pruned
from autocompress.report.figure_page import write_figure
from autocompress.report.figures import LIGHT, lay_out

OUTSIDE = "head and tail"  # the layers in no residual block


def write_densities(pruned: Pruned, name: str, path: Path) -> None:
    """Write the page of a pruned teacher's densities; `name` is the teacher's."""
    family = family_of(pruned.teacher)
    counts = (family.counts_of(config) for config in (pruned.teacher.config, pruned.suggested))
    before, after = (" ".join(f"{count}={value}" for count, value in shown_counts.items()) for shown_counts in counts)
    lead = (
        "Each bar is a layer of the pruned teacher: its density, the share of its weights that are not zero. The two "
        "shades tell a residual block from the next; layers in none are grey. "
        f"The teacher has {before}; suggested: {after}."
    )
    write_figure(path, densities_figure(pruned), f"Densities of {name}", lead)


def densities_figure(pruned: Pruned) -> go.Figure:
    """A bar for each layer, in the network's order and the colour of the residual block that it is in."""
    groups: dict[str, list[str]] = {}
    for layer in pruned.layers:
        groups.setdefault(next(iter(pruned.groups_of[layer]), OUTSIDE), []).append(layer)
    figure = go.Figure()
    shades = cycle(("front", "teacher"))
    for group, layers in groups.items():
        colour = "other" if group == OUTSIDE else next(shades)
        densities = [pruned.layers[layer] for layer in layers]
        figure.add_bar(
            x=layers,
            y=[density.share for density in densities],
            name=group,
            hovertext=[
                f"{layer} ({group})<br>{density.share:.1%} of {density.weights} weights"
                for layer, density in zip(layers, densities, strict=True)
            ],
            hoverinfo="text",
            marker={"color": LIGHT[colour]},
            meta={"colour": colour},
        )
    lay_out(figure, "", "density")
    figure.update_xaxes(categoryorder="array", categoryarray=list(pruned.layers), automargin=True, showgrid=False)
    figure.update_xaxes(tickangle=90)  # slanted, the names of many layers lie over each other
    figure.update_yaxes(range=[0, 1], tickformat=".0%")
    figure.update_layout(barmode="overlay")
    return figure
