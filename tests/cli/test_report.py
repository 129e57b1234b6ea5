"""The command report: where its page and its picture go."""

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.command_line import Call
from helpers.small_search import FinishedSearch
from playwright.sync_api import Browser

from autocompress.errors import InvalidInput
from autocompress.report import picture, write_png


def test_the_report_goes_where_it_is_wanted(call: Call, finished: FinishedSearch, here: Path) -> None:
    code, _, err = call("report", finished[0].path, "--out", here / "there" / "page.html")
    assert (code, err) == (0, "")
    assert (here / "there" / "page.html").stat().st_size > 1e6
    (here / "folder").mkdir()
    code, _, err = call("report", finished[0].path, "--out", "folder")
    assert code == 2
    assert "folder: cannot be written to (Is a directory); give another file with --out" in err
    assert not list((here / "folder").iterdir())


@pytest.mark.slow
def test_a_png_is_one(finished: FinishedSearch, browser: Browser, tmp_path: Path) -> None:
    pytest.importorskip("kaleido")
    code = (
        "import sys; from pathlib import Path; from autocompress.cli import main\n"
        "sys.argv = ['autocompress', 'report', *sys.argv[1:]]; main()"
    )
    file = tmp_path / "front.png"
    arguments = [str(finished[0].path), "--out", str(tmp_path / "page.html"), "--png", str(file)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'page.html'}\n{file}\n"), done.stderr
    content = file.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", content[16:24]) == (1600, 900)


NO_BROWSER = "\nKaleido requires Google Chrome to be installed.\n\n    $ plotly_get_chrome\n"
BROKEN = "The browser seemed to close immediately after starting.\nYou can set the `logging.Logger` level lower."


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (None, 2, "--png needs kaleido, which is not installed; pip install 'autocompress[png]'"),
        (NO_BROWSER, 2, "--png needs Chrome or Chromium, which is not installed; install it, or run plotly_get_chrome"),
        (BROKEN, 1, "the browser that draws --png failed (The browser seemed to close immediately after starting.)"),
    ],
)
def test_without_what_draws_a_png(
    call: Call,
    finished: FinishedSearch,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: str | None,
    code: int,
    message: str,
) -> None:
    def fail(*_: Any, **__: Any) -> bytes:
        raise RuntimeError(error)

    monkeypatch.setattr(picture, "find_spec", lambda name: None if error is None else name)
    monkeypatch.setattr("plotly.graph_objects.Figure.to_image", fail)
    wanted = ["--png", tmp_path / "front.png", "--out", tmp_path / "page.html"]
    found, _, err = call("report", finished[0].path, *wanted)
    assert found == code
    assert err.startswith(f"error: {message}")
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_picture_of_another_kind_is_refused(call: Call, finished: FinishedSearch, tmp_path: Path) -> None:
    code, _, err = call("report", finished[0].path, "--png", tmp_path / "front.jpg")
    assert code == 2
    assert "front.jpg: must end in .png; give such as front.png" in err
    (tmp_path / "front.png").mkdir()
    with pytest.raises(InvalidInput, match=r"front.png: cannot be written to \(Is a directory\)"):
        write_png(tmp_path / "front.png", b"")
