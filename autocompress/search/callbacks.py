"""Callbacks of a search: override the methods of a SearchCallback to show, or to react to, what happens in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from autocompress.search.space.search_space import Candidate


class SearchCallback:
    """Called from the search, in order; what is not overridden does nothing. A `reason` is for people.

    What a callback raises ends the search as an error; a KeyboardInterrupt as the user's Ctrl-C.
    """

    def on_stage(self, what: str) -> None:
        """A stage of the preparation begins, or of it so much is done as `what` says."""

    def on_prepared(self, facts: list[str]) -> None:
        """The preparation is done, with these facts worth knowing."""

    def on_trials_left(self, trials: int) -> None:
        """Called before each trial is asked for: so many trials, of all sessions, have not ended yet."""

    def on_trial_start(self, trial: int, candidate: Candidate, psnr: float) -> None:
        """A student has been made, and has this PSNR-Y in dB before any training."""

    def on_part(self, trial: int, candidate: Candidate, part: str, share: float) -> None:
        """Something else than training is done for a student, from 0 to 1: it is made or scored, as `part` says."""

    def on_training_start(self, trial: int, candidate: Candidate) -> None:
        """A student begins to train."""

    def on_step(self, trial: int, step: int) -> None:
        """It has done so many training steps; called for the first one, and then now and then."""

    def on_rung(self, trial: int, step: int, psnr: float) -> None:
        """It has this PSNR-Y after so many steps, before it is decided whether it goes on."""

    def on_trial_complete(self, trial: int, candidate: Candidate, psnr: float) -> None:
        """It has trained to the end, and has this PSNR-Y."""

    def on_trial_pruned(self, trial: int, candidate: Candidate, reason: str) -> None:
        """It ended at a rung, before its last step."""

    def on_trial_fail(self, trial: int, candidate: Candidate, reason: str) -> None:
        """It could not be made or trained."""

    def on_refinement(self, students: int, seconds: float | None) -> None:
        """The students of the front, so many, begin to be refined; `seconds` is the time for that, if it is limited."""

    def on_piece_start(self, trial: int, candidate: Candidate, steps: int, psnr: float) -> None:
        """A student of this PSNR-Y begins to train for so many more steps; `on_step` tells how it goes on."""

    def on_piece_score(self, trial: int, step: int, psnr: float) -> None:
        """It has this PSNR-Y on the way, after so many of these steps."""

    def on_piece_end(self, trial: int, candidate: Candidate, before: float, after: float) -> None:
        """The steps are done; the student keeps its weights where they gained nothing, and then has the same PSNR-Y."""

    def on_repeats(self, trainings: int) -> None:
        """The front's students begin to be trained again with other seeds: so many trainings are left to do."""

    def on_repeat_start(self, trial: int, candidate: Candidate) -> None:
        """The student of this trial begins to be trained again; `on_step` tells how it goes on."""

    def on_repeat_complete(self, trial: int, candidate: Candidate, psnr: float) -> None:
        """It has been trained again, and then had this PSNR-Y; the student stays as it was."""

    def on_repeat_fail(self, trial: int, candidate: Candidate, reason: str) -> None:
        """It could not be trained again; another attempt may follow."""


class CallbackList(SearchCallback):
    """Several callbacks as one: each is called in turn."""

    def __init__(self, callbacks: Iterable[SearchCallback]) -> None:
        self.callbacks = tuple(callbacks)


def _forwarding(name: str) -> Callable[..., None]:
    def call(self: CallbackList, *given: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, name)(*given)

    return call


for _name in vars(SearchCallback):
    if _name.startswith("on_"):
        setattr(CallbackList, _name, _forwarding(_name))
