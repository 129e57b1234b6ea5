"""Names of files that are no UTF-8: they work as others do, and are written down and shown as escapes."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from helpers.command_line import Call

from autocompress.search import RunFolder

ODD = os.fsdecode(b"n\xff\xfe")
pytestmark = pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="names are text there")


@pytest.fixture
def odd(here: Path, photos: Path, teacher_file: Path, search_words: list[object]) -> list[object]:
    """A search's words, in which all names are of that kind."""
    (here / ODD).mkdir()
    for index, file in enumerate(sorted(photos.iterdir())):
        shutil.copy(file, here / ODD / f"{ODD}{index}.png")
    shutil.copy(teacher_file, here / f"{ODD}.pth")
    space = Path(str(search_words[search_words.index("--space") + 1]))
    shutil.copy(space, here / f"{ODD}.yaml")
    names = {teacher_file: f"{ODD}.pth", photos: ODD, space: f"{ODD}.yaml"}
    words = [names.get(word, word) if isinstance(word, Path) else word for word in search_words]
    assert words.count(ODD) == 1
    return words


def test_a_search_and_all_that_comes_after_it(call: Call, odd: list[object], here: Path) -> None:
    run = f"run{ODD}"
    ended = call(*odd, "--out", run)
    assert ended.code == 0, ended.err
    assert (here / run / "report.html").read_text().count(r"n\udcff\udcfe") >= 1
    again = call(*odd, "--out", run)
    assert again.code == 0, again.err
    words = (["pareto", run], ["pareto", run, "--json"], ["status", run], ["report", run])
    for command in (*words, ["export", run, "--out", f"m{ODD}"], ["export", f"{ODD}.pth", "--out", f"m{ODD}"]):
        ended = call(*command)
        assert ended.code == 0, ended.err
    front = json.loads(call("pareto", run, "--json").out)
    assert Path(front["students"][0]["file"]).is_file()
    assert r"run" in (here / run / "pareto.csv").read_text(encoding="utf-8")
    assert RunFolder(here / run).students()


def test_one_network(call: Call, odd: list[object], here: Path) -> None:
    student = ("distill", "edsr", "--set", "num_feat=4", "--set", "num_block=1", "--teacher", f"{ODD}.pth")
    ended = call(*student, "--train", ODD, "--val", ODD, "--data", ODD, "--steps", "2", "--out", f"o{ODD}.safetensors")
    assert ended.code == 0, ended.err
    for command in (["evaluate", f"o{ODD}.safetensors", "--data", ODD], ["upscale", f"{ODD}.pth", ODD, f"up{ODD}"]):
        ended = call(*command)
        assert ended.code == 0, ended.err
    assert sorted(os.listdir(os.fsencode(here / f"up{ODD}")))[0] == b"n\xff\xfe0.png"  # noqa: PTH208
