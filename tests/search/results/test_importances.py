"""What mattered: from all students alike, and nothing is said of a parameter that never varied."""

import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from autocompress.search.results.importances import MIN_TRIALS, Importances, importances

ANY = {"num_feat": IntDistribution(1, 99), "teacher_share": FloatDistribution(0, 1)}


def trial(
    num_feat: int, teacher_share: float, score: float | None = None, at_step: dict[int, float] | None = None
) -> FrozenTrial:
    """A trial that was stopped if it has no score, with these scores at rungs."""
    return create_trial(
        state=TrialState.PRUNED if score is None else TrialState.COMPLETE,
        values=None if score is None else [score, 1.0],
        params={"num_feat": num_feat, "teacher_share": teacher_share},
        distributions=ANY,
        user_attrs={f"psnr_y_at_step_{step}": psnr for step, psnr in (at_step or {}).items()},
    )


def only(trials: list[FrozenTrial]) -> Importances:
    [found] = importances(trials)
    return found


def test_a_parameter_that_never_varied_is_left_out() -> None:
    found = only([trial(number, 0.5, number) for number in range(1, MIN_TRIALS + 1)])
    assert (found.count, found.step, found.stopped) == (MIN_TRIALS, None, 0)
    assert (found.shares, found.unvaried) == ({"num_feat": 1.0}, ["teacher_share"])
    both = only([trial(number, number % 3 / 3, number) for number in range(1, MIN_TRIALS + 1)])
    assert (both.shares.keys(), both.unvaried) == ({"num_feat", "teacher_share"}, [])
    assert sum(both.shares.values()) == pytest.approx(1)
    assert list(both.shares.values()) == sorted(both.shares.values(), reverse=True)


def test_where_none_varied_nothing_is_said() -> None:
    assert importances([trial(4, 0.5, 4)] * MIN_TRIALS) == []


def test_stopped_students_count_at_the_rung_that_all_have_come_to() -> None:
    """Among those that were trained to the end the share is the same, as whatever had another was stopped."""
    good = [trial(number, 0.75, 30 + number / 10, {0: 1, 10: 20 + number / 10, 20: 25}) for number in range(1, 6)]
    poor = [trial(number, 0.25, None, {0: 1, 10: 10 + number / 10}) for number in range(1, 6)]
    found = only(good + poor)
    assert (found.count, found.step, found.stopped) == (10, 10, 5)
    assert found.unvaried == []
    assert found.shares["teacher_share"] > 0.9


def test_a_trial_that_was_never_scored_in_training_does_not_count() -> None:
    at_rung = [trial(number, 0.5, None, {10: number}) for number in range(1, MIN_TRIALS + 1)]
    assert only([*at_rung, trial(1, 0.1), trial(2, 0.2, None, {0: 99.0})]).count == MIN_TRIALS
    assert importances(at_rung[1:]) == []


def test_scores_without_rungs_are_those_at_the_end() -> None:
    found = only([trial(number, 0.5, number, {10: 1}) for number in range(1, MIN_TRIALS + 1)])
    assert (found.step, found.stopped) == (None, 0)
