"""Temporary files: new ones of random names, with the rights that the umask leaves, for names of any length."""

import os
import stat
from pathlib import Path

import pytest

from autocompress.io import atomic


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_is_respected(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        atomic.write_json(tmp_path / "a.json", {})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == mode


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / f".a.json.{os.getpid()}.tmp").symlink_to(tmp_path / "precious")
    seen: set[str] = set()

    def write(temporary: Path) -> None:
        assert not temporary.is_symlink()
        seen.add(temporary.name)
        temporary.write_text("{}")

    for _ in range(2):
        atomic.write_atomically(tmp_path / "a.json", write)
    assert (tmp_path / "precious").read_text() == "precious"
    assert len(seen) == 2  # no name can be foreseen


def test_a_name_that_exists_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: "known")
    (tmp_path / "precious").write_text("precious")
    (tmp_path / ".a.json.known.tmp").symlink_to(tmp_path / "precious")
    with pytest.raises(FileExistsError):
        atomic.write_json(tmp_path / "a.json", {})
    assert (tmp_path / "precious").read_text() == "precious"
    assert (tmp_path / ".a.json.known.tmp").is_symlink()


def test_the_longest_names(tmp_path: Path) -> None:
    for name in ("n" * 255, "é" * 127, "図" * 85, "🖼" * 63):
        atomic.write_text(tmp_path / name, "x")
        assert (tmp_path / name).read_text() == "x"


@pytest.mark.parametrize("name", [".", "", "folder", "folder/.."])
def test_a_folder_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Before anything is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        atomic.write_atomically(Path(name), lambda _: pytest.fail("it has begun"))
    assert caught.value.filename


def test_names_that_are_no_utf_8_are_written_as_escapes(tmp_path: Path) -> None:
    atomic.write_text(tmp_path / "a.html", os.fsdecode(b"a\xff"))
    assert (tmp_path / "a.html").read_text() == "a\\udcff"
