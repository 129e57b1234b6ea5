"""The command evaluate --latency: a network's table, a run's front, and what cannot be measured."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.command_line import Call
from helpers.latencies import invent_latencies, milliseconds

from autocompress.evaluation import latency
from autocompress.evaluation.latency import this_machine
from autocompress.evaluation.records import Latency
from autocompress.networks.edsr import EDSRFamily
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.search import RunFolder
from autocompress.search.results.front import pareto, students


@pytest.fixture(autouse=True)
def _made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "measure", invent_latencies)


def test_a_network_s_table(call: Call, teacher_file: Path, photos: Path) -> None:
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


def test_a_run_s_front_is_measured_and_that_kept(call: Call, copied: RunFolder) -> None:
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
        assert row["latency_on"] == str(this_machine(1, "cpu"))
        assert json.loads((copied.trial(row["trial"]) / "latency.json").read_text())["onnx"]["median"] == 2 * ms
    others = students(copied)
    assert others[~others["on_front"]]["latency_ms"].isna().all()
    assert "latency_onnx_ms" in (copied.path / "pareto.csv").read_text().splitlines()[0]
    listed = json.loads(call("pareto", copied.path, "--json")[1])["students"]
    assert [row["latency_ms"] for row in listed] == list(after["latency_ms"])


def test_the_report_has_what_was_measured(call: Call, copied: RunFolder) -> None:
    report = copied.path / "report.html"
    assert "PyTorch ms" not in report.read_text()
    code, _, err = call("evaluate", copied.path, "--latency", "--quiet")
    assert (code, err) == (0, "")
    assert ">PyTorch ms<" in report.read_text()
    # one whose study cannot be read has more to say than a new one
    before = report.read_bytes()
    config = copied.config.to_dict()
    config["storage"] = {"url": "postgresql://me:***@host/db", "study": "run-1"}
    (copied.path / "config.json").write_text(json.dumps(config))
    code, _, err = call("evaluate", copied.path, "--latency", "--quiet")
    assert code == 0
    assert "report.html is left as it is" in err
    assert "passwords are not kept" in err
    assert report.read_bytes() == before


def test_a_runtime_that_fails_is_named(call: Call, copied: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(*given: Any, on_failure: Callable[[str], None], **_: object) -> dict[str, Latency]:
        on_failure("not measured with onnx: no")
        return {"pytorch": invent_latencies(*given)["pytorch"]}

    monkeypatch.setattr(latency, "measure", half)
    code, out, err = call("evaluate", copied.path, "--latency")
    assert code == 0
    assert "not measured with onnx: no" in err
    assert "PyTorch ms" in out
    assert "ONNX ms" not in out
    assert pareto(copied)["latency_ms"].notna().all()


@pytest.mark.parametrize(("half", "told"), [(0.04, False), (0.2, True)])
def test_times_that_vary_are_told_of(
    call: Call, copied: RunFolder, monkeypatch: pytest.MonkeyPatch, half: float, told: bool
) -> None:
    def varying(*given: Any, on_failure: Callable[[str], None], **_: object) -> dict[str, Latency]:
        one = invent_latencies(*given)["pytorch"]
        return {"pytorch": replace(one, median=100.0, quartiles=(100 * (1 - half), 100 * (1 + half)))}

    monkeypatch.setattr(latency, "measure", varying)
    code, _, err = call("evaluate", copied.path, "--latency")
    assert code == 0
    line = f"half of the times with PyTorch are {100 * (1 - half):.3g} to {100 * (1 + half):.0f} ms: measure again when"
    assert (line in err) == told


@pytest.mark.parametrize(("number", "code"), [(errno.EROFS, 2), (errno.ENOSPC, 1)])
def test_a_run_that_cannot_be_written_is_not_measured(
    call: Call,
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


def test_nothing_measured_is_null_in_json(call: Call, copied: RunFolder) -> None:
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
    call: Call,
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
