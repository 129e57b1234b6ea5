"""A config.json that was changed by hand: one line where its numbers or its settings are none."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from autocompress.errors import InvalidInput, RunError
from autocompress.search import RunFolder
from autocompress.search.results.rows import front_rows
from autocompress.search.running import recorded_settings

ODD: list[Any] = [[], {}, -1, "x", 1e308]


def change(run: RunFolder, place: tuple[str, ...], value: object) -> None:
    """`value` None removes it."""
    content = json.loads((run.path / "config.json").read_text())
    within = content
    for name in place[:-1]:
        within = within[name]
    if value is None:
        del within[place[-1]]
    else:
        within[place[-1]] = value
    (run.path / "config.json").write_text(json.dumps(content))


def lines(run: RunFolder) -> Iterator[str]:
    """What is said for each odd value in the place of each setting."""
    whole = (run.path / "config.json").read_text()
    for name in json.loads(whole)["settings"]:
        for value in ODD:
            change(run, ("settings", name), value)
            try:
                recorded_settings(run)
            except InvalidInput as error:
                yield f"{name}={value}: {error}"
            (run.path / "config.json").write_text(whole)


def test_settings_that_are_none(copied: RunFolder) -> None:
    said = list(lines(copied))
    assert len(said) > 50
    assert not any("\n" in line or len(line) > 1000 for line in said)
    assert any("config.json: its settings are not those of a search" in line for line in said)


@pytest.mark.parametrize("of", ["bicubic", "teacher"])
def test_references_without_a_score(copied: RunFolder, of: str) -> None:
    change(copied, ("references", of, "psnr_y"), None)
    with pytest.raises(RunError, match=r"config\.json: describes no run of autocompress search \(it has no 'psnr_y'\)"):
        front_rows(copied)
