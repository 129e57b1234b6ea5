"""No text of libraries or of the system reaches the terminal as it is: warnings, markup, names that are too long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import typer
from helpers.command_line import Call, assert_refused
from PIL import Image

from autocompress.cli import app


def commands(group: click.Command) -> Iterator[click.Command]:
    yield group
    for inner in getattr(group, "commands", {}).values():
        yield from commands(inner)


def test_no_help_text_is_taken_for_markup() -> None:
    for command in commands(typer.main.get_command(app)):
        for parameter in command.params:
            assert not re.search(r"\[[a-z/]", getattr(parameter, "help", None) or ""), (command.name, parameter.name)


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
