"""Pushing to the Hugging Face Hub, of which a server on this machine takes the part; and never without being asked."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.command_line import Call

from autocompress.export.hub import to_push

needs_hub = pytest.mark.skipif(
    find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed: pip install 'autocompress[hub]'"
)


class StandIn:
    """The few answers of the Hub that a commit needs; what was asked of it is kept."""

    def __init__(self, refuses: bool = False) -> None:
        self.asked: list[str] = []
        self.made: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                hub.asked.append(self.path)
                answer = {} if refuses else hub.answer(self.path, body)
                content = json.dumps(answer).encode()
                self.send_response(403 if refuses else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path: str, body: bytes) -> dict[str, Any]:
        if path == "/api/repos/create":
            self.made = json.loads(body)
            return {"url": f"{self.address}/me/small", "name": "me/small"}
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}
        if path.startswith("/api/models/me/small/preupload/"):
            files = [file["path"] for file in json.loads(body)["files"]]
            return {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in files]}
        assert path.startswith("/api/models/me/small/commit/")
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        oid = "0" * 40
        return {"success": True, "commitUrl": f"{self.address}/me/small/commit/{oid}", "commitOid": oid}


@pytest.fixture
def hub(request: pytest.FixtureRequest) -> Iterator[StandIn]:
    stand_in = StandIn(refuses=getattr(request, "param", False))
    yield stand_in
    stand_in.server.shutdown()
    stand_in.server.server_close()


def export(hub: StandIn, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own: the library reads the Hub's address when it is imported."""
    environment = os.environ | {
        "HF_ENDPOINT": hub.address,
        "HF_TOKEN": "hf_of_a_test",
        "HF_HOME": str(folder),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
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
    assert "everything is in models. `hf auth login` logs in" in ended.stderr
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
