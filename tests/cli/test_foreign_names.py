"""Names of files and tensors that would do something to a terminal, a model card or a spreadsheet."""

import io
import shutil
import sys
from pathlib import Path

import pytest
import torch
from helpers.command_line import Call, assert_refused

from autocompress.cli.printing import Table, echo, show

EVIL = "a\x1b[2J\n=b [red]c <img src=x> | `d`"


def test_a_file_s_name_in_an_error_is_one_line(call: Call, here: Path) -> None:
    assert_refused(call("evaluate", f"{EVIL}.pth"), r"\x1b[2J\n=b")


def test_keys_of_a_file_in_an_error_are_one_line(call: Call, here: Path) -> None:
    torch.save({"params": {EVIL: torch.zeros(1)}}, here / "net.pth")
    ended = call("teacher", "show", "net.pth")
    assert_refused(ended, "net.pth")
    assert "\x1b" not in ended.err


def test_names_of_images_are_shown_and_not_obeyed(call: Call, here: Path, photos: Path) -> None:
    (here / "set").mkdir()
    shutil.copy(min(photos.iterdir()), here / "set" / f"{EVIL.replace('/', '')}.png")
    ended = call("evaluate", "bicubic", "--data", "set", "--scale", "2")
    assert ended.code == 0, ended.err
    assert "\x1b" not in ended.out
    assert r"a\x1b[2J\n=b [red]c <img src=x> | `d`" in ended.out


def test_a_terminal_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    echo(EVIL)
    assert screen.getvalue() == f"{EVIL}\n"  # a program takes it as it is
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    screen.truncate(0)
    echo(EVIL)
    table = Table("x", title=EVIL)
    table.add_row(EVIL)
    table.add_caption(EVIL)
    monkeypatch.setenv("NO_COLOR", "1")
    show(table)
    assert "\x1b[2J" not in screen.getvalue()
    assert screen.getvalue().count("[red]") >= 2


@pytest.mark.parametrize("text", ["a [png] b", "depths=[0, 1]", "'.[dev]'", "[/]", "[red]", "[a=1]"])
def test_brackets_stay_wherever_a_table_shows_them(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(text, title=text, show_footer=True)
    table.add_column(text, footer=f"{text}\n{text}")
    table.add_row(text, text)
    table.add_caption(text)
    show(table)
    assert capsys.readouterr().out.count(text) == 8


def test_no_command_prints_past_it() -> None:
    folder = Path(__file__).parents[2] / "autocompress/cli"
    for file in folder.glob("*.py"):
        if file.name != "printing.py":
            assert "typer.echo(" not in file.read_text()
            assert "rich.table" not in file.read_text()
