"""Files of ours that are far larger than any that we write: refused after their first part, in little memory."""

import os
from pathlib import Path

import pytest

from autocompress.errors import RunError, SpaceError
from autocompress.io import atomic
from autocompress.search import RunFolder
from autocompress.search.run.student import read_student
from autocompress.search.space.declared import declared_space, read_space
from autocompress.search.space.search_space import load_space

SIZE = 10**12  # bytes, of which the disk holds none


def sparse(file: Path, begin: bytes = b"") -> Path:
    file.write_bytes(begin)
    os.truncate(file, SIZE)
    return file


@pytest.mark.parametrize("begin", [b"", b'{"a": 1}', b'{"a": "'])
def test_json(tmp_path: Path, begin: bytes) -> None:
    with pytest.raises(RunError, match=r"a\.json: not readable as JSON \(more than 33554432 bytes\); remove it"):
        atomic.read_json(sparse(tmp_path / "a.json", begin))


@pytest.mark.parametrize(
    ("number", "said"),
    [("1" * 4000, "a number of 4000 digits"), ("-1e400", "-1e400 is no finite number"), ("NaN", "NaN")],
)
def test_numbers_that_nothing_can_be_made_of(tmp_path: Path, number: str, said: str) -> None:
    (tmp_path / "a.json").write_text(f'{{"total": {number}}}')
    with pytest.raises(RunError, match=rf"a\.json: not readable as JSON \({said}"):
        atomic.read_json(tmp_path / "a.json")


def test_a_run(tmp_path: Path) -> None:
    (tmp_path / "0003").mkdir()
    sparse(tmp_path / "0003/student.json", b"{}")
    sparse(tmp_path / "config.json", b"{}")
    for read in (lambda: RunFolder(tmp_path).config, lambda: read_student(tmp_path / "0003")):
        with pytest.raises(RunError, match="more than 33554432 bytes"):
            read()


@pytest.mark.parametrize("begin", [b"", b"family: edsr\nparameters: {}\n#"])
@pytest.mark.parametrize("read", [read_space, declared_space, load_space])
def test_a_search_space(tmp_path: Path, begin: bytes, read: object) -> None:
    file = sparse(tmp_path / "a.yaml", begin)
    with pytest.raises(SpaceError, match=r"a\.yaml: more than 262144 characters; leave some out"):
        read(str(file))  # type: ignore[operator]
