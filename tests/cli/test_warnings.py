"""No text of libraries or of the system reaches the terminal as it is: warnings, markup, names that are too long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import click
import numpy as np
import pytest
import typer
from helpers.command_line import Call, assert_refused
from PIL import Image
from typer.testing import CliRunner

from autocompress.cli import app


def with_words(command: click.Command, *words: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that call it."""
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from with_words(inner, *words, name)


def squeezed(text: str) -> str:
    """Without frames and line ends."""
    return re.sub(r"[\s│╭╮╰╯─]+", " ", text).strip()


def shown_texts(command: click.Command) -> Iterator[str]:
    """All that its help is to show: paragraphs, and what each parameter is, takes, and is unless it is given."""
    yield from re.split(r"\n\n", command.help or "")
    for parameter in command.params:
        for text in (getattr(parameter, name, None) for name in ("help", "metavar", "show_default")):
            yield text if isinstance(text, str) and not getattr(parameter, "hidden", False) else ""


@pytest.mark.parametrize(("words", "command"), list(with_words(typer.main.get_command(app))))
def test_help_shows_every_text_as_it_is_written(
    call: Call, words: tuple[str, ...], command: click.Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rich would take [png] for markup, and leave it out."""
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 400)  # of one line each, so that no word is broken
    shown = squeezed(call(*words, "--help").out)
    assert [text for text in map(squeezed, shown_texts(command)) if text not in shown] == []


def test_a_text_that_rich_takes_for_markup_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the test above can fail."""
    other = typer.Typer()

    @other.command()
    def command(option: Annotated[str, typer.Option(help="Needs the extra [png].")] = "") -> None:
        """Do nothing."""

    shown = squeezed(CliRunner().invoke(other, ["--help"]).output)
    assert "Needs the extra" in shown
    assert "Needs the extra [png]." not in shown


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
@pytest.mark.filterwarnings("default")  # as for a user, to whom they would be printed
def test_warnings_of_images_are_not_printed(
    call: Call, here: Path, suffix: str, recwarn: pytest.WarningsRecorder
) -> None:
    """Broken EXIF and TIFF tags, of which Pillow warns when it reads them."""
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    (here / "set").mkdir()
    file = here / f"set/a{suffix}"
    if suffix == ".jpg":
        Image.fromarray(pixels).save(file, exif=b"Exif\0\0II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\x09\0\0\0\xff\xff\0\0")
    else:
        Image.fromarray(pixels).save(file, tiffinfo={270: "x" * 40})
        content = file.read_bytes()
        file.write_bytes(content.replace((270).to_bytes(2, "little") + b"\2\0", (270).to_bytes(2, "little") + b"\2\1"))
    ended = call("evaluate", "bicubic", "--scale", "2", "--data", "set")
    assert ended.code == 0, ended.err
    assert "Warning" not in ended.err
    assert not [str(one.message) for one in recwarn if "PIL" in str(one.filename)]


LONG = "a" * 300


@pytest.mark.parametrize(
    "command",
    [
        f"evaluate {LONG}.pth",
        f"evaluate bicubic --scale 2 --data {LONG}",
        f"search --budget-flops 20G --out {LONG}",
        f"search --budget-flops 20G --train {LONG}",
        f"search --budget-flops 20G --space {LONG}",
        f"status {LONG}",
        f"export {LONG} --out x",
        f"distill edsrmini --out {LONG}.safetensors",
    ],
)
def test_names_that_file_systems_do_not_take(call: Call, here: Path, command: str) -> None:
    assert_refused(call(*command.split()), "File name too long", "; give a shorter name")
