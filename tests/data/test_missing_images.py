"""What has the name of an image in a folder and cannot be read is said, not passed over."""

import os
from pathlib import Path

import numpy as np
import pytest
from helpers.images import write_image

from autocompress.data.folders import open_folder
from autocompress.errors import DataError
from autocompress.evaluation.upscaling import plan

HR = np.full((32, 32, 3), 90, dtype=np.uint8)


def broken_link(path: Path) -> None:
    path.symlink_to(path.parent / "moved away.png")


def pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(("lay", "what"), [(broken_link, "a link to a file that is not there"), (pipe, "no regular")])
def test_a_set_with_what_cannot_be_read_is_refused(tmp_path: Path, lay, what: str) -> None:  # type: ignore[no-untyped-def]
    for name in ("a.png", "b.png"):
        write_image(tmp_path / name, HR)
    lay(tmp_path / "c.png")

    with pytest.raises(DataError, match=f"c.png: {what}"):
        open_folder(tmp_path, 2, min_size=16)
    with pytest.raises(DataError, match=f"c.png: {what}"):
        plan(tmp_path, tmp_path / "out", 2, overwrite=False, skip_bad_images=False)

    left = open_folder(tmp_path, 2, min_size=16, skip_bad_images=True)
    assert [file.name for file in left.files] == ["a", "b"]
    assert len(left.skipped) == 1
    assert len(plan(tmp_path, tmp_path / "out", 2, overwrite=False, skip_bad_images=True).jobs) == 2


def test_an_lr_image_that_is_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    for folder, image in (("HR", HR), ("LR", HR[:16, :16])):
        (tmp_path / folder).mkdir()
        write_image(tmp_path / folder / "a.png", image)
    write_image(tmp_path / "HR" / "b.png", HR)
    broken_link(tmp_path / "LR" / "b.png")

    with pytest.raises(DataError, match=r"b.png: a link to a file that is not there"):
        open_folder(tmp_path, 2, min_size=16)
