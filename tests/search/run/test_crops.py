"""Crops of validation images: which piece is chosen, and that the files show what their names say."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from helpers.small_search import Recorder, run_search
from numpy.typing import NDArray
from PIL import Image

import autocompress
from autocompress.data import bicubic
from autocompress.data.images import read_image
from autocompress.data.sources import ImagePair
from autocompress.errors import RunError
from autocompress.evaluation.scores import bicubic_upscaler, network_upscaler
from autocompress.progress import OnDone, untold
from autocompress.search import Outcome, RunFolder, Settings
from autocompress.search.run import crops
from autocompress.search.run.crops import Pieces, copy_crops, crops_of, make_crops, side_by_side, student_crop

Finished = tuple[RunFolder, Outcome, Recorder]
Pixels = NDArray[np.uint8]


def pair(height: int, width: int, name: str, seed: int = 0) -> ImagePair:
    """Noise."""
    hr = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    return ImagePair(name, bicubic.downscale(hr, 2), hr)


def upscaled(image: Pixels) -> Pixels:
    """A teacher that repeats pixels."""
    return image.repeat(2, axis=0).repeat(2, axis=1)


def made(images: list[ImagePair], key: str, report: OnDone = untold) -> Pieces:
    return make_crops(images, key, 2, bicubic_upscaler(2), {"0123": upscaled}, report)


def test_a_crop_is_where_there_is_something_to_see() -> None:
    side = crops.SIDE
    hr = np.full((2 * side, 3 * side, 3), 128, np.uint8)
    hr[side:, side : 2 * side] = np.random.default_rng(0).integers(0, 255, (side, side, 3))
    (crop,) = made([ImagePair("one", bicubic.downscale(hr, 2), hr)], "one").crops
    assert (crop.top, crop.left, crop.height, crop.width) == (side, side, side, side)


def test_files_are_what_their_names_say() -> None:
    images = [pair(2 * crops.SIDE, crops.SIDE + 10, f"image {n}", n) for n in range(crops.IMAGES + 2)]
    told: list[tuple[int, int]] = []
    pieces = made(images, "many", lambda done, total: told.append((done, total)))
    assert told == [(done + 1, crops.IMAGES) for done in range(crops.IMAGES)]
    assert [crop.image for crop in pieces.crops] == [f"image {n}" for n in range(crops.IMAGES)]
    for crop, image in zip(pieces.crops, images, strict=False):
        assert np.array_equal(read_image(pieces.truth(crop)), crop.of(image.hr))
        assert np.array_equal(read_image(pieces.file(crop, "0123")), crop.of(upscaled(image.lr)))
        assert np.array_equal(read_image(pieces.file(crop, "bicubic")), crop.of(bicubic.upscale(image.lr, 2)))


def test_a_small_image_is_its_own_crop() -> None:
    (crop,) = made([pair(40, 60, "small")], "small").crops
    assert (crop.top, crop.left, crop.height, crop.width) == (0, 0, 40, 60)


def test_copies_have_the_teachers_names(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    pieces = made([pair(40, 60, "copied")], "copied")
    assert crops_of(run) is None
    copy_crops(pieces, run, {"my teacher": "0123", "the same": "0123"}, "valid")
    copy = crops_of(run)
    assert copy is not None
    assert copy.names == ("bicubic", "my teacher", "the same")
    (crop,) = copy.crops
    for name in copy.names[1:]:
        assert copy.file(crop, name).read_bytes() == pieces.file(crop, "0123").read_bytes()
    copy_crops(made([pair(40, 60, "others", seed=1)], "others"), run, {"my teacher": "0123"}, "valid")
    assert crops_of(run) == copy


def test_a_damaged_index_is_one_line(tmp_path: Path) -> None:
    for content in ("{", "[]", '{"crops": [{}], "names": []}', '{"names": []}'):
        (tmp_path / "crops.json").write_text(content)
        with pytest.raises(
            RunError, match=r"crops\.json: (no index of crops|not readable as JSON) \(.*\); restore it, or remove"
        ):
            Pieces.read(tmp_path)


def test_a_teacher_that_it_does_not_know_is_left_out(tmp_path: Path) -> None:
    pieces = made([pair(40, 60, "unknown")], "unknown")
    pieces.keep("unknown", np.zeros((40, 60, 3), np.uint8), tmp_path)
    known, unknown = (side_by_side(pieces, tmp_path, name) for name in ("0123", "another"))
    assert known is not None
    assert unknown is not None
    assert Image.open(BytesIO(known)).width > Image.open(BytesIO(unknown)).width


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_later_students_are_cut_to_the_run_s_crops(small: Callable[..., Settings], workers: int) -> None:
    """Also where others would be chosen now, and by workers in processes of their own."""
    run, _ = run_search(small(trials=1, steps=2, init="scratch"))
    index = run.path / "crops" / "crops.json"
    content = json.loads(index.read_text())
    content["crops"][0] |= {"top": 8, "left": 4, "height": 32, "width": 64}
    index.write_text(json.dumps(content))
    run_search(small(trials=3, steps=2, init="scratch", workers=workers))
    assert json.loads(index.read_text()) == content
    pieces = crops_of(run)
    assert pieces is not None
    shapes = [read_image(student_crop(run.trial(student.trial), pieces.crops[0])).shape for student in run.students()]
    assert shapes == [(96, 96, 3), (32, 64, 3), (32, 64, 3)]


def test_a_run_has_crops_of_bicubic_and_its_teacher(finished: Finished, teacher_file: Path) -> None:
    pieces = crops_of(finished[0])
    assert pieces is not None
    assert pieces.names == ("bicubic", str(teacher_file))
    for crop in pieces.crops:
        files = [pieces.truth(crop), *(pieces.file(crop, name) for name in pieces.names)]
        assert {read_image(file).shape for file in files} == {(crop.height, crop.width, 3)}


def test_students_crops_are_theirs(finished: Finished) -> None:
    run = finished[0]
    pieces = crops_of(run)
    assert pieces is not None
    (crop,) = pieces.crops  # a third of the photos validates
    lr = bicubic.downscale(read_image(pieces.truth(crop)), 2)  # the crop is the whole image
    for student in run.students():
        expected = network_upscaler(autocompress.load(Path(student.file)))(lr)
        assert np.array_equal(read_image(student_crop(run.trial(student.trial), crop)), expected)
