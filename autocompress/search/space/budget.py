"""The budget: the limits that a user sets on the networks of a search; and the objective beside PSNR."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from autocompress.units import format_count


class Objective(StrEnum):
    """The cost that PSNR is weighed against: FLOPs, which are counted, or the latency measured on this machine."""

    FLOPS = "flops"
    LATENCY = "latency"


@dataclass(frozen=True)
class Budget:
    """Hard limits; None is no limit.

    `flops` are fused multiply-adds for a 1280x720 output; `latency` is in milliseconds, for the same.
    """

    flops: int | None = None
    params: int | None = None
    latency: float | None = None

    def allows(self, flops: float, params: int, latency: float | None = None) -> bool:
        """Whether a network with these costs is within every limit; an unknown latency is never within a limit."""
        return (
            (self.flops is None or flops <= self.flops)
            and (self.params is None or params <= self.params)
            and (self.latency is None or (latency is not None and latency <= self.latency))
        )

    def without_latency(self) -> Budget:
        """The limits for FLOPs and parameters alone."""
        return replace(self, latency=None)

    def __str__(self) -> str:
        limits = [(self.flops, "FLOPs"), (self.params, "parameters")]
        said = [f"{format_count(limit)} {what}" for limit, what in limits if limit is not None]
        return " and ".join(said if self.latency is None else [f"{self.latency:g} ms", *said])
