"""The cost axis of the report's figures: FLOPs or latency, whichever the run weighs PSNR against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from autocompress.search.space.cost import LATENCY_MS
from autocompress.units import format_count, format_milliseconds


@dataclass(frozen=True)
class Axis:
    """A cost axis: `key` is the cost's field in a student or teacher, `budget` in a budget; ticks cover `decades`."""

    key: str
    budget: str
    name: str
    unit: str
    title: str
    form: Callable[[float], str]
    decades: range

    def said(self, cost: float) -> str:
        """A cost as a text with its unit."""
        return f"{self.form(cost)} {self.unit}"


AXES = {
    "flops": Axis("flops", "flops", "FLOPs", "FLOPs", "FLOPs for a 1280x720 output", format_count, range(5, 14)),
    "latency": Axis(
        LATENCY_MS, "latency", "latency", "ms", "ms for a 1280x720 output", format_milliseconds, range(-2, 7)
    ),
}
