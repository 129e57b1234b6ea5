"""The search from Python: what it gives, what it refuses, and that it and the command line have the same options."""

import inspect
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
import torch
from helpers.documentation import own_network
from helpers.images import write_waves
from helpers.small_search import BUDGET, SPACE, Recorder

import autocompress
from autocompress import api
from autocompress.api import Result, open_run
from autocompress.errors import InvalidInput, RunError
from autocompress.report import report_data
from autocompress.search import Outcome, RunFolder
from autocompress.terminal import Display
from autocompress.units import format_count

Search = Callable[..., Result]
PAGE = Path(__file__).parents[2] / "docs" / "python.md"


@pytest.fixture
def search(tmp_path: Path, teacher_file: Path, photos: Path) -> Search:
    """A search of seconds; any keyword can be given."""
    (tmp_path / "small.yaml").write_text(SPACE)
    usual: dict[str, Any] = {
        "budget_flops": BUDGET,
        "space": tmp_path / "small.yaml",
        "teacher": teacher_file,
        "train": photos,
        "init": "scratch",
        "trials": 3,
        "steps": 2,
        "out": tmp_path / "run",
    }
    real = api.search
    return lambda **given: real(**usual | given)


@pytest.fixture
def result(finished: tuple[RunFolder, Outcome, Recorder]) -> Result:
    return open_run(finished[0].path)


def test_a_search_gives_its_front_and_writes_it(search: Search, capsys: pytest.CaptureFixture[str]) -> None:
    result = search()
    assert (result.reason, result.interrupted) == ("all 3 trials are done", False)
    assert len(result.students) == 3
    assert result.front["psnr_y"].is_monotonic_increasing
    for name in ("pareto.csv", "pareto.json", "report.html"):
        assert (result.path / name).is_file()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "dB before training" in captured.err
    assert "\x1b" not in captured.err


def test_without_progress_it_says_nothing(search: Search, capsys: pytest.CaptureFixture[str]) -> None:
    search(progress=False)
    assert capsys.readouterr() == ("", "")


def test_quantities_are_texts_or_numbers(search: Search) -> None:
    assert search(budget_flops="0.4G", timeout="10m").run.config.search.budget.flops == 400_000_000
    again = search(budget_flops=0.4e9, timeout=600)
    assert again.reason == "all 3 trials are done"


def test_an_interrupt_gives_the_result_so_far(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    def finished(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Display, "on_trial_complete", finished)
        result = search(workers=1)
    assert result.interrupted
    assert len(result.students) == 1
    assert (result.path / "pareto.csv").is_file()
    assert len(search().students) == 3


@pytest.mark.slow
def test_a_resumed_search_tells_how_many_trials_are_to_go(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(Display, "on_trials_left", lambda _, trials: told.append(trials))
    search()
    assert told == [3, 2, 1, 0]
    told.clear()
    search(trials=5)
    assert told == [2, 1, 0]


def test_where_no_student_is_trained_there_is_no_front(search: Search) -> None:
    result = search(timeout="1ms")
    assert result.students.empty
    assert result.reason == "the time is used up"
    for ask in (lambda: result.front, result.best):
        with pytest.raises(RunError, match="no trial has finished yet"):
            ask()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"budget_flops": None}, "no budget is given"),
        ({"budget_flops": "plenty"}, "--budget-flops: 'plenty' is no amount"),
        ({"budget_flops": -1}, "--budget-flops: '-1' is no amount"),
        ({"budget_flops": float("nan")}, "--budget-flops: 'nan' is no amount"),
        ({"budget_params": "5X"}, "--budget-params: '5X' is no amount"),
        ({"timeout": 0}, "--timeout: '0' is no duration"),
        ({"trial_timeout": "soon"}, "--trial-timeout: 'soon' is no duration"),
        ({"trials": 0}, "trials is 0"),
        ({"teacher": "nobody"}, "nobody: no such file"),
        ({"backend": "slurm"}, "backend is 'slurm', but must be one of local, ray"),
        ({"gpus_per_trial": 0.5}, "add --backend ray"),
    ],
)
def test_what_cannot_be_used_is_refused(search: Search, tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        search(**given)
    assert not (tmp_path / "run").exists()


def test_join_helps_a_run(search: Search, tmp_path: Path) -> None:
    search(timeout="1ms")
    joined = api.join(tmp_path / "run", progress=False)
    assert (joined.reason, len(joined.students)) == ("all 3 trials are done", 3)
    with pytest.raises(InvalidInput, match="--timeout: 'soon'"):
        api.join(tmp_path / "run", timeout="soon")


def test_the_best_within_limits(result: Result) -> None:
    table = result.students
    best = result.best()
    assert best.psnr_y == result.front["psnr_y"].max()
    assert best.metrics.keys() == {"psnr_y", "ssim_y"}
    smallest = table.loc[table["params"].idxmin()]
    found = result.best(max_params=int(smallest["params"]))
    assert found.params == smallest["params"]
    limit = int(table["flops"].median())
    assert result.best(max_flops=limit).psnr_y == table[table["flops"] <= limit]["psnr_y"].max()
    with pytest.raises(InvalidInput, match="no student is within 5 FLOPs and 1K parameters; the fewest are"):
        result.best(max_flops=5, max_params="1K")
    with pytest.raises(InvalidInput, match="max_flops: 'few' is no amount"):
        result.best(max_flops="few")


def test_the_best_of_a_run_with_none_in_its_budget(result: Result, tmp_path: Path) -> None:
    """And what is blamed is the limit that leaves nothing."""
    shutil.copytree(result.path, tmp_path / "run")
    config, flops = result.run.config.to_dict(), sorted(set(result.students["flops"].tolist()))
    assert len(flops) > 2

    def within(budget: int) -> Result:
        config["search"]["budget"]["flops"] = budget
        (tmp_path / "run" / "config.json").write_text(json.dumps(config))
        return open_run(tmp_path / "run")

    none = within(flops[0] - 1)
    for ask in (lambda: none.front, none.best, lambda: none.best(max_params="1K")):
        with pytest.raises(
            RunError, match=f"none of its {len(none.students)} students is within .* FLOPs, so there is"
        ):
            ask()
    table = within(flops[1]).students
    fewest = int(table[table["flops"] <= flops[1]]["params"].min())
    with pytest.raises(InvalidInput, match=f"the fewest are .* FLOPs, {format_count(fewest)} parameters"):
        within(flops[1]).best(max_params=1)


def test_a_student_loads(result: Result) -> None:
    student = result.best()
    network = student.load()
    assert isinstance(network, torch.nn.Module)
    assert (network.scale, network.family, network.config.to_dict()) == (2, student.family, student.config)
    assert network(torch.rand(1, 3, 8, 9)).shape == (1, 3, 16, 18)
    assert student.file == result.path / "trials" / f"{student.trial:04d}" / "student.safetensors"


def test_a_result_says_what_it_is_and_plots(result: Result) -> None:
    assert repr(result) == f"<Result of {result.path}: {len(result.students)} students>"
    figure = result.plot()
    assert isinstance(figure, go.Figure)
    assert "front" in {trace.name for trace in figure.data}
    for shown in (figure.to_html(), figure._repr_html_()):
        assert '"showSendToCloud": false' in shown  # Plotly's button that uploads


def test_a_picture_is_from_the_storage_that_was_given(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []
    monkeypatch.setattr(report_data, "trials_of", lambda _, storage: asked.append(storage) or [])
    open_run(result.path, storage="redis://:secret@host").plot()
    open_run(result.path).plot()
    assert asked == ["redis://:secret@host", None]


def test_open_run_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such folder"):
        open_run(tmp_path / "nowhere")


def test_the_package_is_imported_without_torch() -> None:
    code = (
        "import sys, autocompress; from autocompress import api, open_run\n"
        "verbs = [getattr(api, name) for name in api.__all__ if name != 'load']\n"
        "assert not {'torch', 'optuna', 'pandas', 'plotly', 'typer'} & set(sys.modules)\n"
        "from autocompress.api import load; assert load is autocompress.load\n"
        "load('edsr-x2-1g'); assert 'torch._dynamo' not in sys.modules\n"  # which takes longer than all the rest
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = autocompress.nothing
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = api.nothing


@pytest.mark.slow  # each verb is tried alone, too
def test_the_page_runs(
    search: Search,
    tmp_path: Path,
    teacher_file: Path,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All blocks of docs/python.md, in order, with a search of seconds in place of the page's, and tiny networks."""
    real = api.search

    def short(**given: Any) -> Result:
        inspect.signature(real).bind(**given)
        amount = {} if given["budget_flops"] == "20G" else {"budget_flops": given["budget_flops"]}
        return search(**amount, out=given.get("out", "runs/other"))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api, "search", short)
    write_waves(tmp_path / "photo.png", 20, 24, seed=0)
    (tmp_path / "net_g.pth").symlink_to(teacher_file)
    for name in ("DIV2K_train_HR", "Set5"):
        (tmp_path / name).symlink_to(photos)
    namespace: dict[str, Any] = {"module": own_network()}
    smaller = {"workers=2": "workers=1", r"steps=[\d_]+": "steps=2"}
    smaller |= {r'feat": \d+': 'feat": 4', r'block": \d+': 'block": 1'}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for block in blocks:
        code = block
        for large, small in smaller.items():
            code = re.sub(large, small, code)
        exec(code, namespace)
    assert len(blocks) == 10
    for file in ("models/index.json", "photo_x2.png", "mini.safetensors", "mini.json", "teacher.safetensors"):
        assert (tmp_path / file).is_file()
    assert "--budget-flops: 'plenty' is no amount; write a number >= 1 with" in capsys.readouterr().out


def test_a_notebook_shows_the_front_as_a_table(result: Result) -> None:
    html = result._repr_html_()
    assert html is not None
    assert html.count("<tr") == 1 + len(result.front)
    assert f"{result.best().trial} *" in html
