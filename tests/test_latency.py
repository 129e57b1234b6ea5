"""Latency: what is measured, where it is shown and kept, and searches that weigh PSNR against it."""

import errno
import itertools
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import stub
from made_up import LIMIT, MACHINE, made_up, milliseconds
from optuna.trial import TrialState
from small import Silent, trials_of
from stub import StubSetup

from autocompress import latency, search
from autocompress.cli import main
from autocompress.cli.tables import front_table
from autocompress.errors import AutocompressError, ExportFailed, InvalidInput, RunError, SpaceError
from autocompress.families.base import SRNetwork
from autocompress.families.edsr import EDSRFamily
from autocompress.families.edsr.network import EDSR, EDSRConfig
from autocompress.latency import ENOUGH, WARM_UP, Latency, Machine, measure, repeated, timed
from autocompress.onnx_export import onnx_is_here
from autocompress.search import Outcome, RunFolder, Settings, latencies
from autocompress.search.costs import LATENCY_MS
from autocompress.search.results import pareto, students
from autocompress.search.settings import OnRay
from autocompress.search.space import Budget
from autocompress.search.status import status
from autocompress.search.storage import STUDY_NAME

Make = Callable[..., Settings]


# --- measuring ---


def test_a_larger_network_takes_longer() -> None:
    small, large = (timed(EDSR(EDSRConfig(2, *size)), Machine.here(1, "cpu"), 0.2) for size in ((4, 1), (16, 4)))
    assert small.median < large.median
    for found in (small, large):
        assert found.quartiles[0] <= found.median <= found.quartiles[1]
        assert (found.width, found.height, found.dtype, found.runtime) == (640, 360, "float32", "pytorch")


def test_the_output_is_of_1280x720_or_just_above() -> None:
    found = timed(EDSR(EDSRConfig(3, 2, 1)), Machine.here(1, "cpu"), 0.0)
    assert (found.width, found.height, found.runs) == (427, 240, 1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells of a peak of memory")
def test_each_runtime_is_measured_in_a_process_of_its_own() -> None:
    found = measure(EDSR(EDSRConfig(2, 4, 1)), Machine.here(1, "cpu"), 0.1, on_failure=pytest.fail)
    assert set(found) == ({"pytorch", "onnx"} if onnx_is_here() else {"pytorch"})
    for name, one in found.items():
        assert one.runtime == name
        assert one.machine == Machine.here(1, "cpu")
        assert one.median > 0
        # at least the output and the features before it, and not all that this process has
        assert one.peak_memory is not None
        assert (3 + 4) * 1280 * 720 * 4 < one.peak_memory < 400e6
        json.dumps(one.to_dict(), allow_nan=False)


def test_what_one_runtime_cannot_do_the_other_can(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxscript")
    network, told = EDSR(EDSRConfig(2, 4, 1)), list[str]()

    def no_export(*_: object) -> None:
        raise ExportFailed("PyTorch cannot export this network to ONNX: no")

    def no_memory(job: Any) -> Latency:
        raise AutocompressError("the process that measured it was killed")

    monkeypatch.setattr(latency, "write_onnx", no_export)
    with monkeypatch.context() as patch:
        patch.setattr(latency, "_apart", lambda job: made_up(network, job.machine)["pytorch"])
        assert list(measure(network, MACHINE, on_failure=told.append)) == ["pytorch"]
    assert told == ["not measured with onnx: PyTorch cannot export this network to ONNX: no"]
    monkeypatch.setattr(latency, "_apart", no_memory)
    with pytest.raises(AutocompressError, match="was killed"):
        measure(network, MACHINE, on_failure=pytest.fail)


def test_the_number_of_threads_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    before, seen = torch.get_num_threads(), []
    monkeypatch.setattr(latency, "repeated", lambda run, limit: seen.append(torch.get_num_threads()) or [1.0])
    timed(EDSR(EDSRConfig(2, 2, 1)), Machine.here(2, "cpu"))
    assert seen == [2]
    assert torch.get_num_threads() == before


class Clock:
    """Runs take what they are told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *seconds: float) -> None:
        self.now, self.runs, self._seconds = 0.0, 0, itertools.cycle(seconds)
        monkeypatch.setattr(latency.time, "perf_counter", lambda: self.now)

    def run(self) -> None:
        self.now += next(self._seconds)
        self.runs += 1


def test_runs_end_when_they_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 0.01)
    assert repeated(clock.run, 10) == pytest.approx([0.01] * ENOUGH)
    assert clock.runs == WARM_UP + ENOUGH


def test_runs_that_do_not_agree_end_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = repeated(Clock(monkeypatch, 0.01, 0.02).run, 1)
    assert len(found) > 3 * ENOUGH
    assert 1 <= sum(found) < 1.03


def test_what_takes_long_is_run_twice_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 30.0)
    assert repeated(clock.run, 10) == [30.0]
    assert clock.runs == 2


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"threads": 0}, "threads is 0, but must be >= 1"),
        ({"device": "tpu"}, "device is 'tpu', but must be cpu or cuda"),
        ({"device": "cuda"}, "PyTorch sees no GPU here; give cpu"),
    ],
)
def test_machines_that_are_none(wanted: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency.torch.cuda, "is_available", lambda: False)
    with pytest.raises(InvalidInput, match=re.escape(said)):
        Machine.here(**wanted)


# --- evaluate --latency ---


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command line, with made-up latencies."""
    monkeypatch.setattr(latency, "measure", made_up)

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["autocompress", *map(str, words)])
        code: Any = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def copied(finished: tuple[RunFolder, Outcome, Silent], tmp_path: Path) -> RunFolder:
    shutil.copytree(finished[0].path, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def test_a_network_s_table(call: Callable[..., tuple[int, str, str]], teacher_file: Path, photos: Path) -> None:
    code, out, _ = call("evaluate", teacher_file, "--data", photos, "--latency", "--threads", 3, "--device", "cpu")
    assert code == 0
    assert "PSNR-Y dB" in out
    assert "one image of 640x360, float32" in out
    [row] = [line for line in out.splitlines() if "PyTorch 1.0" in line]
    flops = EDSRFamily().flops(EDSRConfig(2, 8, 2))
    assert [cell.strip() for cell in row.strip("│").split("│")][2:] == [
        "28",
        "27.4 to 28.6",
        "7",
        f"{28 / flops * 1e9:.2f}",
        "100 MB",
    ]
    assert "3 threads" in row
    code, out, _ = call("evaluate", teacher_file, "--data", photos, "--latency", "--json")
    content = json.loads(out)
    assert content["flops"] == flops
    assert {name: one["median"] for name, one in content["latency"].items()} == {"pytorch": 28, "onnx": 56}
    assert content["data"]


def test_a_run_s_front_is_measured_and_that_kept(call: Callable[..., tuple[int, str, str]], copied: RunFolder) -> None:
    assert "PyTorch ms" not in call("pareto", copied.path)[1]
    before = pareto(copied)
    assert before["latency_ms"].isna().all()
    code, out, _ = call("evaluate", copied.path, "--latency", "--threads", 1, "--device", "cpu")
    assert code == 0
    assert "PyTorch ms" in out
    assert "1 thread" in out
    after = pareto(copied)
    assert list(after["trial"]) == list(before["trial"])
    for row in after.to_dict(orient="records"):
        ms = milliseconds(EDSRConfig(**row["config"]))
        assert (row["latency_ms"], row["latency_onnx_ms"]) == (ms, 2 * ms)
        assert row["latency_on"] == str(Machine.here(1, "cpu"))
        assert json.loads((copied.trial(row["trial"]) / "latency.json").read_text())["onnx"]["median"] == 2 * ms
    others = students(copied)
    assert others[~others["on_front"]]["latency_ms"].isna().all()
    assert "latency_onnx_ms" in (copied.path / "pareto.csv").read_text().splitlines()[0]
    listed = json.loads(call("pareto", copied.path, "--json")[1])["students"]
    assert [row["latency_ms"] for row in listed] == list(after["latency_ms"])


def test_the_report_has_what_was_measured(call: Callable[..., tuple[int, str, str]], copied: RunFolder) -> None:
    report = copied.path / "report.html"
    assert "PyTorch ms" not in report.read_text()
    code, _, err = call("evaluate", copied.path, "--latency", "--quiet")
    assert (code, err) == (0, "")
    assert ">PyTorch ms<" in report.read_text()
    # one whose study cannot be read has more to say than a new one
    before = report.read_bytes()
    config = copied.config
    config["storage"] = {"url": "postgresql://me:***@host/db", "study": "run-1"}
    (copied.path / "config.json").write_text(json.dumps(config))
    code, _, err = call("evaluate", copied.path, "--latency", "--quiet")
    assert code == 0
    assert "report.html is left as it is" in err
    assert "passwords are not kept" in err
    assert report.read_bytes() == before


def test_a_runtime_that_fails_is_named(
    call: Callable[..., tuple[int, str, str]], copied: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(*given: Any, on_failure: Callable[[str], None]) -> dict[str, Latency]:
        on_failure("not measured with onnx: no")
        return {"pytorch": made_up(*given)["pytorch"]}

    monkeypatch.setattr(latency, "measure", half)
    code, out, err = call("evaluate", copied.path, "--latency")
    assert code == 0
    assert "not measured with onnx: no" in err
    assert "PyTorch ms" in out
    assert "ONNX ms" not in out
    assert pareto(copied)["latency_ms"].notna().all()


@pytest.mark.parametrize(("half", "told"), [(0.04, False), (0.2, True)])
def test_times_that_vary_are_told_of(
    call: Callable[..., tuple[int, str, str]],
    copied: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    half: float,
    told: bool,
) -> None:
    def varying(*given: Any, on_failure: Callable[[str], None]) -> dict[str, Latency]:
        one = made_up(*given)["pytorch"]
        return {"pytorch": replace(one, median=100.0, quartiles=(100 * (1 - half), 100 * (1 + half)))}

    monkeypatch.setattr(latency, "measure", varying)
    code, _, err = call("evaluate", copied.path, "--latency")
    assert code == 0
    line = f"half of the times with PyTorch are {100 * (1 - half):.3g} to {100 * (1 + half):.0f} ms: measure again when"
    assert (line in err) == told


@pytest.mark.parametrize(("number", "code"), [(errno.EROFS, 2), (errno.ENOSPC, 1)])
def test_a_run_that_cannot_be_written_is_not_measured(
    call: Callable[..., tuple[int, str, str]],
    copied: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: int,
) -> None:
    def refuse(dir: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(latency, "measure", pytest.fail)
    found, out, err = call("evaluate", copied.path, "--latency")
    assert (found, out) == (code, "")
    [line] = err.splitlines()
    assert line.startswith(f"error: {copied.path}: cannot be written")
    assert os.strerror(number) in line


def test_nothing_measured_is_null_in_json(call: Callable[..., tuple[int, str, str]], copied: RunFolder) -> None:
    found = json.loads(call("pareto", copied.path, "--json")[1], parse_constant=pytest.fail)
    assert {row["latency_ms"] for row in found["students"]} == {None}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("evaluate bicubic --latency", "--latency is for networks, and bicubic is none"),
        ("evaluate edsr-baseline-x2 --threads 2", "--threads and --device are for measuring; add --latency"),
        ("evaluate edsr-baseline-x2 --latency --threads 0", "threads is 0, but must be >= 1"),
        ("evaluate RUN", "add --latency to measure a run's students"),
        ("evaluate RUN --latency --scale 2", "with --latency just --threads, --device and --json"),
        ("evaluate . --latency", "no run of autocompress search"),
        ("search --budget-latency 30ms", "a budget of 30 ms is given, but latency is measured only where"),
        ("search --budget-latency fast --objective latency", "--budget-latency: 'fast' is no duration"),
        ("search --budget-flops 5G --objective speed", "objective is 'speed', but must be one of flops, latency"),
        ("search --budget-latency 30 --objective latency", "'30' has no unit; write 30ms or 30s"),
        ("search --budget-latency 30ms --objective latency --workers 2", "leave --workers and --backend ray out"),
        ("search --objective latency", "no budget is given"),
    ],
)
def test_what_cannot_be_measured(
    call: Callable[..., tuple[int, str, str]],
    copied: RunFolder,
    words: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    data = ["--data", "."] if "--latency --threads 0" in words else []
    if data:
        shutil.copy(next(copied.path.rglob("*.png")), tmp_path / "image.png")
    code, _, err = call(*(str(copied.path) if word == "RUN" else word for word in words.split()), *data)
    assert code == 2
    [line] = [line for line in err.splitlines() if line.startswith("error: ")]
    assert said in line
    assert {path.name for path in tmp_path.iterdir()} <= {"run", "image.png"}


# --- search --objective latency ---


class Measured:
    """Stands in for measuring, and remembers what of."""

    def __init__(self) -> None:
        self.configs: list[EDSRConfig] = []

    def __call__(self, network: SRNetwork, machine: Machine, limit: float) -> Latency:
        assert isinstance(network, EDSR)
        self.configs.append(network.config)
        return made_up(network, machine)["pytorch"]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    found = Measured()
    monkeypatch.setattr(latencies, "timed", found)
    monkeypatch.setattr(Machine, "here", lambda: MACHINE)
    return found


@pytest.fixture
def wanted(small: Make, measured: Measured) -> Make:
    def make(**fields: Any) -> Settings:
        usual: dict[str, Any] = {"budget": Budget(latency=LIMIT), "objective": "latency", "trials": 12}
        return small(**usual | fields)

    return make


def config_of(trial: optuna.trial.FrozenTrial) -> EDSRConfig:
    return EDSRConfig(2, trial.params["num_feat"], trial.params["num_block"])


@pytest.mark.parametrize("sampler", ["cost-aware", "tpe"])
def test_trials_are_weighed_by_what_was_measured(wanted: Make, measured: Measured, sampler: str) -> None:
    """The largest network, the teacher, is measured and never trained."""
    settings = wanted(sampler=sampler)
    assert stub.run(settings, StubSetup(), here=True).reason == "all 12 trials are done"
    run = RunFolder(settings.folder)
    trials = trials_of(run)
    assert len(measured.configs) == len(set(measured.configs))  # each once
    assert EDSRConfig(2, 8, 2) in measured.configs
    for trial in trials:
        assert milliseconds(config_of(trial)) == trial.user_attrs[LATENCY_MS] <= LIMIT
        if trial.state == TrialState.COMPLETE:
            assert trial.values == run.objectives(trial.number)
            assert trial.values[1] == trial.user_attrs[LATENCY_MS]
    study = optuna.load_study(study_name=STUDY_NAME, storage=f"sqlite:///{run.database}")
    assert study.metric_names == ["PSNR-Y (dB)", "latency (ms)"]
    study._storage.remove_session()
    study._storage._backend.engine.dispose()
    kept = json.loads((run.path / "latencies.json").read_text())
    assert kept["machine"]["name"] == "abacus"
    assert len(kept["networks"]) == len(measured.configs)
    assert status(run)["best"]["flops"] > 10**6


def test_all_that_is_within_the_budget_is_tried_and_nothing_else(wanted: Make) -> None:
    """Three networks of six recipes; three more are close enough to be measured first."""
    settings = wanted(budget=Budget(latency=16.0), sampler="random", trials=40)
    assert stub.run(settings, StubSetup(), here=True).reason == "every config that fits the budget has been tried"
    tried = [config_of(trial) for trial in trials_of(RunFolder(settings.folder))]
    assert len(tried) == 18
    assert set(tried) == {EDSRConfig(2, feat, 1) for feat in (2, 4, 6)}


def test_the_front_is_of_latency_and_psnr(wanted: Make) -> None:
    settings = wanted()
    stub.run(settings, StubSetup(), here=True)
    run = RunFolder(settings.folder)
    front, everyone = pareto(run), students(run)
    assert list(front["latency_ms"]) == sorted(front["latency_ms"])
    assert list(front["psnr_y"]) == sorted(front["psnr_y"])
    for one in everyone[~everyone["on_front"]].itertuples():
        assert ((front["latency_ms"] <= one.latency_ms) & (front["psnr_y"] >= one.psnr_y)).any()
    assert set(front["latency_on"]) == {"abacus, 1 thread"}
    assert run.config["references"]["teacher"][LATENCY_MS] == milliseconds(EDSRConfig(2, 8, 2))
    table = front_table(run, front)
    assert table.columns[-1].header == "PyTorch ms"
    assert list(table.columns[-1].cells)[-1] == "28"
    assert settings.folder.name == "run"
    assert wanted(out=None).folder.name == "small-27ms-seed0"


def test_a_search_goes_on_with_what_it_has_measured(wanted: Make, measured: Measured) -> None:
    """Also where the study is lost, and made again from the students."""
    stub.run(wanted(trials=4), StubSetup(), here=True)
    run = RunFolder(wanted().folder)
    before, first = trials_of(run), list(measured.configs)
    stub.run(wanted(trials=12), StubSetup(), here=True)
    assert len(measured.configs) == len(set(measured.configs)) > 0
    assert measured.configs[: len(first)] == first
    assert [trial.values for trial in trials_of(run)[: len(before)]] == [trial.values for trial in before]
    for file in run.path.glob("study.db*"):
        file.unlink()
    stub.run(wanted(trials=12), StubSetup(), here=True)
    again = [trial for trial in trials_of(run) if trial.state == TrialState.COMPLETE]
    assert all(trial.user_attrs[LATENCY_MS] == trial.values[1] for trial in again)
    complete = {trial.number: trial.values for trial in before if trial.state == TrialState.COMPLETE}
    assert complete.items() <= {trial.number: trial.values for trial in again}.items()


def test_what_does_not_fit_a_run(wanted: Make, small: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.run(wanted(trials=2), StubSetup(), here=True)
    with pytest.raises(RunError, match="objective was latency and is now absent"):
        stub.run(small(trials=2), StubSetup(), here=True)
    with pytest.raises(RunError, match=r"budget\.latency was 27\.0 and is now 30\.0.*--extend"):
        stub.run(wanted(budget=Budget(latency=30.0)), StubSetup(), here=True)
    with pytest.raises(InvalidInput, match="it has one session at a time"):
        stub.join(wanted(), StubSetup(), here=True)
    monkeypatch.setattr(Machine, "here", lambda: Machine("slide rule", "cpu", 1))
    with pytest.raises(RunError, match=r"machine\.name was abacus and is now slide rule"):
        stub.run(wanted(trials=2), StubSetup(), here=True)
    monkeypatch.setattr(Machine, "here", lambda: Machine(MACHINE.name, "cpu", 3))
    with pytest.raises(RunError, match=r"machine\.threads was 1 and is now 3\); set OMP_NUM_THREADS=1, as it was, or"):
        stub.run(wanted(trials=2), StubSetup(), here=True)
    monkeypatch.setattr(Machine, "here", lambda: MACHINE)
    assert stub.run(wanted(budget=Budget(latency=30.0), trials=4, extend=True), StubSetup(), here=True)
    (wanted().folder / "latencies.json").write_text("{}")
    with pytest.raises(RunError, match=r"latencies\.json: not readable as latencies"):
        stub.run(wanted(budget=Budget(latency=30.0), trials=5), StubSetup(), here=True)


def test_threads_are_nothing_to_a_gpu(wanted: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for trials, threads in ((2, 1), (4, 8)):
        monkeypatch.setattr(Machine, "here", lambda threads=threads: Machine("big GPU", "cuda", threads))
        stub.run(wanted(trials=trials), StubSetup(), here=True)
    assert set(students(RunFolder(wanted().folder))["latency_on"]) == {"big GPU"}


def test_where_nothing_is_fast_enough_nothing_is_left(wanted: Make) -> None:
    settings = wanted(budget=Budget(latency=11.0))
    with pytest.raises(
        SpaceError, match=r"within 11 ms: the smallest \(num_feat 2, num_block 1.*\) takes 12 ms on abacus"
    ):
        stub.run(settings, StubSetup(), here=True)
    assert not settings.folder.exists()


def test_flops_may_be_limited_too(wanted: Make) -> None:
    limit = EDSRFamily().flops(EDSRConfig(2, 4, 1))
    settings = wanted(budget=Budget(flops=limit, latency=LIMIT), trials=6)
    stub.run(settings, StubSetup(), here=True)
    assert max(trial.user_attrs["flops"] for trial in trials_of(RunFolder(settings.folder))) <= limit


def test_not_on_ray(wanted: Make) -> None:
    with pytest.raises(InvalidInput, match="leave --workers and --backend ray out"):
        wanted(ray=OnRay())


@pytest.mark.slow
def test_a_real_search_for_latency(small: Make) -> None:
    settings = small(budget=Budget(latency=1e5), objective="latency", trials=2, steps=2)
    run, outcome = search.search(settings, Silent())
    assert outcome.reason == "all 2 trials are done"
    for student in run.students():
        assert student[LATENCY_MS] > 0
    assert [trial.values[1] for trial in trials_of(run)] == [student[LATENCY_MS] for student in run.students()]
