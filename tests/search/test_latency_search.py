"""Searches that weigh PSNR against latency."""

import json
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from helpers import fake_trials
from helpers.fake_trials import FakeSetup
from helpers.latencies import LIMIT, MACHINE, invent_latencies, milliseconds
from helpers.small_search import objectives, run_search, trials_of
from optuna.trial import TrialState

from autocompress.cli.tables import front_table
from autocompress.errors import InvalidInput, RunError, SpaceError
from autocompress.evaluation import latency
from autocompress.evaluation.records import Latency, Machine
from autocompress.networks.base import SRNetwork
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.edsr.network import EDSR, EDSRConfig
from autocompress.search import RunFolder, Settings
from autocompress.search.results.front import pareto, rows, students
from autocompress.search.results.status import status
from autocompress.search.space import latencies
from autocompress.search.space.cost import LATENCY_MS

Make = Callable[..., Settings]


class Measured:
    """Stands in for measuring, and remembers what of."""

    def __init__(self) -> None:
        self.configs: list[EDSRConfig] = []

    def __call__(self, network: SRNetwork, machine: Machine, limit: float) -> Latency:
        assert isinstance(network, EDSR)
        self.configs.append(network.config)
        return invent_latencies(network, machine)["pytorch"]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    found = Measured()
    monkeypatch.setattr(latencies, "timed", found)
    monkeypatch.setattr(latency, "this_machine", lambda: MACHINE)
    return found


@pytest.fixture
def wanted(small: Make, measured: Measured) -> Make:
    def make(**fields: Any) -> Settings:
        usual: dict[str, Any] = {"budget_latency": LIMIT, "objective": "latency", "trials": 8}
        return small(**usual | fields)

    return make


def config_of(trial: optuna.trial.FrozenTrial) -> EDSRConfig:
    return EDSRConfig(2, trial.params["num_feat"], trial.params["num_block"])


@pytest.mark.parametrize("sampler", ["cost-aware", pytest.param("tpe", marks=pytest.mark.slow)])
def test_trials_are_weighed_by_what_was_measured(wanted: Make, measured: Measured, sampler: str) -> None:
    """The largest network, the teacher, is measured and never trained."""
    settings = wanted(sampler=sampler)
    assert fake_trials.run(settings, FakeSetup(), here=True).reason == "all 8 trials are done"
    run = RunFolder(settings.folder)
    trials = trials_of(run)
    assert len(measured.configs) == len(set(measured.configs))  # each once
    assert EDSRConfig(2, 8, 2) in measured.configs
    for trial in trials:
        assert milliseconds(config_of(trial)) == trial.user_attrs[LATENCY_MS] <= LIMIT
        if trial.state == TrialState.COMPLETE:
            assert trial.values == objectives(run, trial.number)
            assert trial.values[1] == trial.user_attrs[LATENCY_MS]
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{run.database}")
    assert study.metric_names == ["PSNR-Y (dB)", "latency (ms)"]
    study._storage.remove_session()
    study._storage._backend.engine.dispose()
    kept = json.loads((run.path / "latencies.json").read_text())
    assert kept["machine"]["name"] == "abacus"
    assert len(kept["networks"]) == len(measured.configs)
    assert status(run)["best"]["flops"] > 10**6


def test_all_that_is_within_the_budget_is_tried_and_nothing_else(wanted: Make) -> None:
    """Three networks of six recipes; three more are close enough to be measured first."""
    settings = wanted(budget_latency=16.0, sampler="random", trials=40)
    assert (
        fake_trials.run(settings, FakeSetup(), here=True).reason == "every config that fits the budget has been tried"
    )
    tried = [config_of(trial) for trial in trials_of(RunFolder(settings.folder))]
    assert len(tried) == 18
    assert set(tried) == {EDSRConfig(2, feat, 1) for feat in (2, 4, 6)}


def test_the_front_is_of_latency_and_psnr(wanted: Make) -> None:
    settings = wanted()
    fake_trials.run(settings, FakeSetup(), here=True)
    run = RunFolder(settings.folder)
    front, everyone = pareto(run), students(run)
    assert list(front["latency_ms"]) == sorted(front["latency_ms"])
    assert list(front["psnr_y"]) == sorted(front["psnr_y"])
    for one in everyone[~everyone["on_front"]].itertuples():
        assert ((front["latency_ms"] <= one.latency_ms) & (front["psnr_y"] >= one.psnr_y)).any()
    assert set(front["latency_on"]) == {"abacus, 1 thread"}
    assert run.config.references.teacher.latency_ms == milliseconds(EDSRConfig(2, 8, 2))
    table = front_table(run, rows(front))
    assert table.columns[-1].header == "PyTorch ms"
    assert list(table.columns[-1].cells)[-1] == "28"
    assert settings.folder.name == "run"
    assert wanted(out=None).folder.name == "small-27ms-seed0"


@pytest.mark.slow
def test_a_search_goes_on_with_what_it_has_measured(wanted: Make, measured: Measured) -> None:
    """Also where the study is lost, and made again from the students."""
    fake_trials.run(wanted(trials=4), FakeSetup(), here=True)
    run = RunFolder(wanted().folder)
    before, first = trials_of(run), list(measured.configs)
    fake_trials.run(wanted(trials=12), FakeSetup(), here=True)
    assert len(measured.configs) == len(set(measured.configs)) > 0
    assert measured.configs[: len(first)] == first
    assert [trial.values for trial in trials_of(run)[: len(before)]] == [trial.values for trial in before]
    for file in run.path.glob("study.db*"):
        file.unlink()
    fake_trials.run(wanted(trials=12), FakeSetup(), here=True)
    again = [trial for trial in trials_of(run) if trial.state == TrialState.COMPLETE]
    assert all(trial.user_attrs[LATENCY_MS] == trial.values[1] for trial in again)
    complete = {trial.number: trial.values for trial in before if trial.state == TrialState.COMPLETE}
    assert complete.items() <= {trial.number: trial.values for trial in again}.items()


def test_what_does_not_fit_a_run(wanted: Make, small: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_trials.run(wanted(trials=2), FakeSetup(), here=True)
    with pytest.raises(RunError, match="objective was latency and is now absent"):
        fake_trials.run(small(trials=2), FakeSetup(), here=True)
    with pytest.raises(RunError, match=r"budget\.latency was 27\.0 and is now 30\.0.*--extend"):
        fake_trials.run(wanted(budget_latency=30.0), FakeSetup(), here=True)
    with pytest.raises(InvalidInput, match="it has one session at a time"):
        fake_trials.join(wanted(), FakeSetup(), here=True)
    monkeypatch.setattr(latency, "this_machine", lambda: Machine("slide rule", "cpu", 1))
    with pytest.raises(RunError, match=r"machine\.name was abacus and is now slide rule"):
        fake_trials.run(wanted(trials=2), FakeSetup(), here=True)
    monkeypatch.setattr(latency, "this_machine", lambda: Machine(MACHINE.name, "cpu", 3))
    with pytest.raises(RunError, match=r"machine\.threads was 1 and is now 3\); set OMP_NUM_THREADS=1, as it was, or"):
        fake_trials.run(wanted(trials=2), FakeSetup(), here=True)
    monkeypatch.setattr(latency, "this_machine", lambda: MACHINE)
    assert fake_trials.run(wanted(budget_latency=30.0, trials=4, extend=True), FakeSetup(), here=True)
    file = wanted().folder / "latencies.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"machine": {"name": "slide rule", "device": "cpu"}}))
    with pytest.raises(RunError, match=r"latencies\.json: measured on slide rule, 1 thread, but this is abacus, 1 th"):
        fake_trials.run(wanted(budget_latency=30.0, trials=5), FakeSetup(), here=True)
    file.write_text("{}")
    with pytest.raises(RunError, match=r"latencies\.json: not readable as latencies"):
        fake_trials.run(wanted(budget_latency=30.0, trials=5), FakeSetup(), here=True)


def test_threads_are_nothing_to_a_gpu(wanted: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for trials, threads in ((2, 1), (4, 8)):
        monkeypatch.setattr(latency, "this_machine", lambda threads=threads: Machine("big GPU", "cuda", threads))
        fake_trials.run(wanted(trials=trials), FakeSetup(), here=True)
    assert set(students(RunFolder(wanted().folder))["latency_on"]) == {"big GPU"}


def test_where_nothing_is_fast_enough_nothing_is_left(wanted: Make) -> None:
    settings = wanted(budget_latency=11.0)
    with pytest.raises(
        SpaceError, match=r"within 11 ms: the smallest \(num_feat 2, num_block 1.*\) takes 12 ms on abacus"
    ):
        fake_trials.run(settings, FakeSetup(), here=True)
    assert not settings.folder.exists()


def test_flops_may_be_limited_too(wanted: Make) -> None:
    limit = EDSRFamily().flops(EDSRConfig(2, 4, 1))
    settings = wanted(budget_flops=limit, budget_latency=LIMIT, trials=6)
    fake_trials.run(settings, FakeSetup(), here=True)
    assert max(trial.user_attrs["flops"] for trial in trials_of(RunFolder(settings.folder))) <= limit


def test_not_on_ray(wanted: Make) -> None:
    with pytest.raises(InvalidInput, match="leave --workers and --backend ray out"):
        wanted(backend="ray")


@pytest.mark.slow
def test_a_real_search_for_latency(small: Make) -> None:
    settings = small(budget_latency=1e5, objective="latency", trials=2, steps=2)
    run, outcome = run_search(settings)
    assert outcome.reason == "all 2 trials are done"
    for student in run.students():
        assert student.latency_ms is not None
        assert student.latency_ms > 0
    assert [trial.values[1] for trial in trials_of(run)] == [student.latency_ms for student in run.students()]
