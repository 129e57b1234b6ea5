"""What mattered: nothing is said of a parameter that never varied."""

from optuna.distributions import IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from autocompress.search.results.importances import MIN_TRIALS, importances

ANY = {"num_feat": IntDistribution(1, 99), "num_block": IntDistribution(1, 99)}


def trial(num_feat: int, num_block: int) -> FrozenTrial:
    params = {"num_feat": num_feat, "num_block": num_block}
    return create_trial(state=TrialState.COMPLETE, values=[float(num_feat), 1.0], params=params, distributions=ANY)


def test_a_parameter_that_never_varied_is_left_out() -> None:
    [(count, shares)] = importances(trial(number, 4) for number in range(1, MIN_TRIALS + 1)).values()
    assert (count, shares) == (MIN_TRIALS, {"num_feat": 1.0})
    both = importances(trial(number, number % 3 + 1) for number in range(1, MIN_TRIALS + 1))
    assert set(next(iter(both.values()))[1]) == {"num_feat", "num_block"}


def test_where_none_varied_nothing_is_said() -> None:
    assert importances([trial(4, 4)] * MIN_TRIALS) == {}
