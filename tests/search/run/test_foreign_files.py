"""What others put into a run, and files of ours of any other shape: one line, or ignored with a note; no traceback."""

import json
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from autocompress.data.images import read_image
from autocompress.errors import DataError, InvalidInput, RunError
from autocompress.search import RunFolder
from autocompress.search.results.rows import front_rows
from autocompress.search.results.status import status
from autocompress.search.run.crops import crops_of
from autocompress.search.trial.trial import read_state

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def read_all(run: RunFolder) -> None:
    _ = run.config, run.times
    run.students()
    crops_of(run)
    for folder in run.trial_folders():
        run.latency(int(folder.name))


def places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in some JSON."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def replaced(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = content.copy()
    copy[path[0]] = replaced(copy[path[0]], path[1:], value)
    return copy


@pytest.mark.parametrize("name", ["config.json", "times.json", "crops/crops.json", "student.json"])
@examples(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_of_another_shape_is_read_or_named(copied: RunFolder, name: str, data: st.DataObject) -> None:
    file = copied.students()[0].file.with_name(name) if name == "student.json" else copied.path / name
    whole = file.read_text()
    content = json.loads(whole)
    place = data.draw(st.sampled_from(places(content)))
    file.write_text(json.dumps(replaced(content, place, data.draw(anything))))
    try:
        read_all(copied)
    except RunError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert name in str(error)  # noqa: PT017
    finally:
        file.write_text(whole)


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, "\x00", '{"a": NaN}', '{"a": 1', "null", "[1]", '"x"'])
@pytest.mark.parametrize("name", ["config.json", "times.json", "crops/crops.json"])
def test_a_file_that_is_no_object_is_named(copied: RunFolder, name: str, text: str) -> None:
    (copied.path / name).write_text(text)
    with pytest.raises(RunError, match=name) as raised:
        read_all(copied)
    assert len(str(raised.value)) < 500


def test_what_is_wrong_is_said_in_words(copied: RunFolder) -> None:
    """Not as Python writes its errors."""
    for name, said in (("config.json", "it has no 'references'"), ("times.json", "it has no 'sessions'")):
        (copied.path / name).write_text("{}")
        with pytest.raises(RunError, match=f"{name}: .*\\({said}\\)"):
            _ = copied.config if name == "config.json" else copied.times


def test_folders_of_other_names_are_ignored(copied: RunFolder) -> None:
    before = [student.trial for student in copied.students()]
    for name in ("0001.bak", "0001 (copy)", "9999", "1", "00001", "x", "-001", "１２３４", "9" * 300):  # noqa: RUF001
        (copied.path / "trials" / name[:200]).mkdir()
        shutil.copy(copied.students()[0].file.with_name("student.json"), copied.path / "trials" / name[:200])
    (copied.path / "trials" / "0077").write_text("a file")
    assert [student.trial for student in copied.students()] == before
    assert {"0001 (copy)", "0001.bak", "9999", "0077"} <= set(copied.other_folders())


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"x" * 100, b"\x80\x02]q\x00."])
def test_a_damaged_state_is_no_state(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.pt").write_bytes(content)
    assert read_state(tmp_path / "state.pt") is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_and_devices_are_no_images(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", Path("/dev/zero"), tmp_path):
        with pytest.raises(DataError, match="no regular file"):
            read_image(path)


def test_a_teacher_without_flops(copied: RunFolder) -> None:
    """Students' shares of its FLOPs would be of nothing."""
    content = json.loads((copied.path / "config.json").read_text())
    content["references"]["teacher"]["flops"] = 0
    (copied.path / "config.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"config\.json: describes no run .*the teacher's flops are 0"):
        RunFolder.existing(copied.path)


@pytest.mark.parametrize("digits", [400, pytest.param(30, marks=pytest.mark.slow)])
def test_numbers_of_any_size_are_read_or_refused(copied: RunFolder, digits: int) -> None:
    """Of each file of a run that is read for its status and its front."""
    for file in (
        copied.path / "config.json",
        copied.path / "times.json",
        copied.students()[1].file.with_name("student.json"),
    ):
        before = file.read_text()
        for old in sorted(set(dict(re.findall(r'"(\w+)": (\d+\.?\d*),?\n', before)).values())):  # one of each key
            file.write_text(before.replace(f": {old}", f": {10**digits}"))
            for read in (status, front_rows):
                with suppress(InvalidInput):
                    read(RunFolder(copied.path))
        file.write_text(before)
