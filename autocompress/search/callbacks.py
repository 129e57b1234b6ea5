"""What a search tells while it runs: whoever shows it implements this."""

from __future__ import annotations

from typing import Protocol

from autocompress.search.space.search_space import Candidate


class SearchCallback(Protocol):
    """Called from the search, in order; a `reason` is for people."""

    def stage(self, what: str) -> None:
        """The preparation has come to this."""

    def prepared(self, facts: list[str]) -> None:
        """The preparation is done, with these facts worth knowing."""

    def to_go(self, trials: int) -> None:
        """So many trials have not come to their end yet, in this session or another; before each is asked for."""

    def scored(self, trial: int, candidate: Candidate, psnr: float) -> None:
        """A student has been made, and has this PSNR-Y in dB before any training."""

    def training(self, trial: int, candidate: Candidate) -> None:
        """A student begins to train."""

    def step(self, trial: int, step: int) -> None:
        """It has done so many steps."""

    def at_rung(self, trial: int, step: int, psnr: float) -> None:
        """It has this PSNR-Y after so many steps."""

    def finished(self, trial: int, candidate: Candidate, psnr: float) -> None:
        """It has trained to the end, and has this PSNR-Y."""

    def stopped(self, trial: int, candidate: Candidate, reason: str) -> None:
        """It ended before its last step."""

    def failed(self, trial: int, candidate: Candidate, reason: str) -> None:
        """It could not be made or trained."""
