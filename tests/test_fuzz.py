"""Every file that is read, damaged at random: an error of one line, or a result; nothing else, in bounded time."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.edsr_networks import weights
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from safetensors.torch import save

import autocompress
from autocompress.data.images import png, read_image
from autocompress.errors import AutocompressError
from autocompress.io import cache, checksums
from autocompress.io.yaml_text import parse_yaml
from autocompress.names import as_cell, as_code, as_markdown, printable
from autocompress.search import RunFolder
from autocompress.search.space.search_space import load_space
from autocompress.search.trial.trial import read_state

ROOT = Path(__file__).parents[1]


def pickled(content: object, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def with_side_file(folder: Path, damaged: bytes) -> None:
    (folder / "net.safetensors").write_bytes(save(weights()))
    (folder / "net.json").write_bytes(damaged)
    autocompress.load(folder / "net.safetensors")


def weights_of(name: str) -> Callable[[Path, bytes], object]:
    def read(folder: Path, damaged: bytes) -> object:
        (folder / name).write_bytes(damaged)
        return autocompress.load(folder / name)

    return read


def in_run(name: str, look: Callable[[RunFolder], object]) -> Callable[[Path, bytes], object]:
    def read(folder: Path, damaged: bytes) -> object:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(damaged)
        return look(RunFolder(folder))

    return read


def state(folder: Path, damaged: bytes) -> object:
    (folder / "state.pt").write_bytes(damaged)
    return read_state(folder / "state.pt")


def image(folder: Path, damaged: bytes) -> object:
    (folder / "a.png").write_bytes(damaged)
    return read_image(folder / "a.png")


def space(folder: Path, damaged: bytes) -> object:
    (folder / "space.yaml").write_bytes(damaged)
    return load_space(str(folder / "space.yaml"))


def entry(folder: Path, damaged: bytes) -> None:
    """What is opened is whole, whatever lay there."""
    os.environ["AUTOCOMPRESS_CACHE"] = str(folder / "cache")
    built = folder / "cache/kind/key"
    built.mkdir(parents=True, exist_ok=True)
    (built / "a").write_bytes(damaged)
    recorded = folder / "cache/.checksums/kind+key.json"
    recorded.parent.mkdir(exist_ok=True)
    recorded.write_bytes(damaged)
    for lock in cache._in_use.values():
        lock.release()
    cache._in_use.clear()
    whole = cache.entry("kind", "key", lambda path: (path / "a").write_bytes(b"whole") and None)
    assert checksums.is_whole(whole, recorded)


STUDENT = {
    **{"family": "edsr", "config": {"scale": 2}, "scale": 2, "flops": 1, "params": 2, "weights": ["00"]},
    "pictures": {"crop-0.png": ["00"]},
    **{"metrics": {"psnr_y": 30.0, "ssim_y": 0.9}, "psnr_y_by_image": {"a": 30.0}},
    "provenance": {"recipe": {"seed": 1}, "scores": {"0": 1.0}, "refinements": []},
}
SIDE = {"family": "edsr", "config": {"scale": 2, "num_feat": 6, "num_block": 2}}
TIMES = {"sessions": [{"session": "a", "started": 1.0, "total": 2.0, "parts": {"x": 1.0}}]}
READERS: dict[str, tuple[bytes, Callable[[Path, bytes], object]]] = {
    "safetensors": (save(weights()), weights_of("net.safetensors")),
    "pth": (pickled({"params": weights()}), weights_of("net.pth")),
    "legacy pth": (pickled({"params": weights(), "epoch": 3}, zipped=False), weights_of("net.pth")),
    "side file": (json.dumps(SIDE).encode(), with_side_file),
    "student.json": (json.dumps(STUDENT).encode(), in_run("trials/0001/student.json", RunFolder.students)),
    "config.json": (json.dumps({"search": {}, "scale": 2}).encode(), in_run("config.json", lambda run: run.config)),
    "times.json": (json.dumps(TIMES).encode(), in_run("times.json", lambda run: run.times)),
    "latency.json": (b'{"pytorch": {"median_ms": 1.0}}', in_run("trials/0001/latency.json", lambda r: r.latency(1))),
    "YAML": (b"a: {b: [1, 2e3, x]}", lambda _, damaged: parse_yaml(damaged.decode("utf-8", "replace"))),
    "space": ((ROOT / "search_spaces/edsr.yaml").read_bytes(), space),
    "cache entry": (b'{"a": {"size": 5, "time": 1, "sampled": 2, "whole": 3}}', entry),
    "state": (pickled({"training": {"step": 1}, "scores": {}, "seconds": {}}), state),
    "image": (png(torch.zeros(8, 8, 3, dtype=torch.uint8).numpy()), image),
}
CHANGE = st.tuples(
    st.integers(0, 2**16), st.sampled_from(["set", "cut", "drop", "add", "repeat"]), st.binary(max_size=6)
)


def damaged(content: bytes, changes: list[tuple[int, str, bytes]]) -> bytes:
    for place, kind, new in changes:
        at = place % (len(content) + 1)
        match kind:
            case "set":
                content = content[:at] + new + content[at + len(new) :]
            case "cut":
                content = content[:at]
            case "drop":
                content = content[:at] + content[at + 1 + len(new) :]
            case "add":
                content = content[:at] + new + content[at:]
            case "repeat":
                content = content[:at] + content[max(0, at - 20) :]
    return content


def check(reader: str, folder: Path, changes: list[tuple[int, str, bytes]]) -> None:
    content, read = READERS[reader]
    told = message(lambda: read(folder, damaged(content, changes)))
    assert "\n" not in told
    assert len(told) < 2000


def message(read: Callable[[], object]) -> str:
    """What it raises on purpose; empty where it raises nothing."""
    try:
        read()
    except AutocompressError as error:
        return str(error)
    return ""


def fuzz(times: int) -> Callable[..., Any]:
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return examples(max_examples=times, suppress_health_check=quiet, derandomize=True)


@pytest.fixture(autouse=True)
def _cache_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOCOMPRESS_CACHE", os.environ.get("AUTOCOMPRESS_CACHE", ""))


@pytest.mark.parametrize("reader", READERS)
@fuzz(40)
@given(changes=st.lists(CHANGE, min_size=1, max_size=4))
def test_a_damaged_file_is_one_line(tmp_path: Path, reader: str, changes: list[tuple[int, str, bytes]]) -> None:
    check(reader, tmp_path, changes)


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
@fuzz(2000)
@given(changes=st.lists(CHANGE, min_size=1, max_size=6))
def test_two_thousand_damaged_files(tmp_path: Path, reader: str, changes: list[tuple[int, str, bytes]]) -> None:
    check(reader, tmp_path, changes)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("reader", ["side file", "student.json", "config.json", "times.json", "latency.json"])
@fuzz(40)
@given(data=st.data())
def test_json_of_any_shape(tmp_path: Path, reader: str, data: st.DataObject) -> None:
    """A known file with other values under its keys, at any depth."""
    content = json.loads(READERS[reader][0])
    for key in data.draw(st.sets(st.sampled_from(sorted(content)), max_size=3)):
        content[key] = data.draw(JSON)
    assert "\n" not in message(lambda: READERS[reader][1](tmp_path, json.dumps(content).encode()))


@fuzz(200)
@given(st.text())
def test_any_name_is_text(name: str) -> None:
    assert printable(name).isprintable() or not name
    for shown in (as_markdown(name), as_code(name), str(as_cell(name))):
        assert "\n" not in shown
        assert "\x1b" not in shown
