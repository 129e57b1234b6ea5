"""Pushing to the Hugging Face Hub, of which a server on this machine takes the part; and never without being asked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from helpers.command_line import Call
from helpers.hub import StandIn

from autocompress.export.hub import answer_of, to_push

needs_hub = pytest.mark.skipif(
    find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed: pip install 'autocompress[hub]'"
)


@pytest.fixture
def hub(request: pytest.FixtureRequest) -> Iterator[StandIn]:
    stand_in = StandIn("me/small", refuses=getattr(request, "param", False))
    yield stand_in
    stand_in.close()


def export(hub: StandIn, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    environment = os.environ | hub.environment | {"HF_HOME": str(folder)}
    command = [sys.executable, "-m", "autocompress", "export", *words, "--out", "models"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@needs_hub
def test_a_network_is_pushed_with_its_card(tmp_path: Path, hub: StandIn) -> None:
    ended = export(hub, tmp_path, "edsr-x2-1g", "--format", "pth", "--hub", "me/small")
    assert ended.returncode == 0, ended.stderr
    assert f"pushed to {hub.address}/me/small\n" in ended.stderr
    assert hub.made.get("private") is True or hub.made.get("visibility") == "private"  # as older and newer ones say it
    written = {path.name: path.read_bytes() for path in (tmp_path / "models").iterdir()}
    assert hub.files == {**written, "README.md": written["edsr-x2-1g.md"]}
    assert hub.files["README.md"].startswith(b"---\nlicense: apache-2.0\nlibrary_name: autocompress\n")


@needs_hub
@pytest.mark.parametrize("hub", [True], indirect=True)
def test_what_the_hub_refuses_is_one_line(tmp_path: Path, hub: StandIn) -> None:
    ended = export(hub, tmp_path, "edsr-x2-1g", "--format", "pth", "--hub", "me/small")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: me/small: the Hub did not take it (")
    assert (
        "everything is in models, to be pushed by the same command once that is mended: `hf auth login`" in ended.stderr
    )
    assert (tmp_path / "models" / "edsr-x2-1g.pth").is_file()


def test_a_front_is_pushed_with_its_index(tmp_path: Path) -> None:
    for name in ("a.json", "a.md", "a.png", "a-int8.json", "b.json", "b.md", "README.md", "index.json", "other.md"):
        (tmp_path / name).write_text(name)
    files = [tmp_path / name for name in ("a.onnx", "a-int8.onnx", "b.onnx")]
    for file in files:
        torch.save({}, file)
    found = to_push(files)
    assert found.keys() == {path.name for path in tmp_path.iterdir()} - {"other.md"}
    assert found["README.md"].read_text() == "README.md"


def test_nothing_is_done_for_a_name_that_is_none(call: Call, here: Path) -> None:
    for name in ("small", "me/", "me/small/3", "../x"):
        ended = call("export", "edsr-x2-1g", "--out", "models", "--hub", name)
        assert (ended.code, ended.out) == (2, "")
        assert f"--hub is {name!r}, but must be USER/REPO" in ended.err
    assert not Path("models").exists()


def test_without_the_library_the_remedy_is_named(call: Call, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    ended = call("export", "edsr-x2-1g", "--out", "models", "--hub", "me/small")
    assert ended.code == 2
    assert "pip install 'autocompress[hub]'" in ended.err
    assert not Path("models").exists()


def test_a_hub_that_does_not_answer_is_not_waited_for() -> None:
    waiting = threading.Event()
    with pytest.raises(TimeoutError, match="no answer within"):
        answer_of(waiting.wait, 0.05)
    waiting.set()


def test_what_the_hub_answers_in_time_is_passed_on() -> None:
    def fail() -> None:
        raise ValueError("refused")

    assert answer_of(lambda: "page", 60.0) == "page"
    with pytest.raises(ValueError, match="refused"):
        answer_of(fail, 60.0)
