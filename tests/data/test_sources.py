"""Finding images in the usual layouts, pairing LR with HR, refusing what is unusable; the embedded set."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.images import write_image
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from autocompress.data import embedded as embedded_module
from autocompress.data.bicubic import downscale
from autocompress.data.embedded import embedded
from autocompress.data.folders import open_folder
from autocompress.data.sources import ImageFile, ImageSource
from autocompress.errors import DataError


def image(height: int = 24, width: int = 36, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def put(path: Path, pixels: NDArray[np.uint8] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, image() if pixels is None else pixels)
    return path


def names(source: ImageSource) -> list[str]:
    return [file.name for file in source.files]


def test_flat_folder_in_natural_order(tmp_path: Path) -> None:
    for name in ("img10.png", "img2.PNG", "Img1.bmp", ".hidden.png", "sub/other.png"):
        put(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    source = open_folder(tmp_path, 2, min_size=8)
    assert names(source) == ["Img1", "img2", "img10"]
    assert (source.name, source.scale, len(source), source.skipped) == (tmp_path.name, 2, 3, ())


def test_equal_stems_keep_their_suffix(tmp_path: Path) -> None:
    for name in ("a.png", "a.bmp", "b.png"):
        put(tmp_path / name)
    assert names(open_folder(tmp_path, 2, min_size=8)) == ["a.bmp", "a.png", "b"]


def test_lr_is_made_of_cropped_hr(tmp_path: Path) -> None:
    hr = image(25, 38)
    put(tmp_path / "a.png", hr)
    pair = open_folder(tmp_path, 3, min_size=8).read(0)
    np.testing.assert_array_equal(pair.hr, hr[:24, :36])
    np.testing.assert_array_equal(pair.lr, downscale(hr[:24, :36], 3))
    assert pair.name == "a"
    assert pair.hr.flags.c_contiguous


LAYOUTS = [
    ("HR", "LR_bicubic/X2", "a", "ax2"),
    ("HR", "LR_bicubic/X2", "a", "a"),
    ("GTmod12", "LRbicx2", "a", "a"),
    ("GTmod12", "LRbicx2", "a", "ax2"),
    ("DIV2K_train_HR", "DIV2K_train_LR_bicubic/X2", "0001", "0001x2"),
    ("DIV2K_valid_HR", "DIV2K_valid_LR_bicubic/X2", "0801", "0801x2"),
    ("Flickr2K_HR", "Flickr2K_LR_bicubic/X2", "000001", "000001x2"),
]


@pytest.mark.parametrize(("hr_folder", "lr_folder", "hr_name", "lr_name"), LAYOUTS)
def test_lr_beside_hr(tmp_path: Path, hr_folder: str, lr_folder: str, hr_name: str, lr_name: str) -> None:
    hr = put(tmp_path / hr_folder / f"{hr_name}.png")
    lr = put(tmp_path / lr_folder / f"{lr_name}.png", image(12, 18, seed=5))
    for folder in (tmp_path, hr.parent):
        source = open_folder(folder, 2, min_size=8)
        assert source.files == (ImageFile(hr_name, hr, lr),)
        np.testing.assert_array_equal(source.read(0).lr, image(12, 18, seed=5))
    made = open_folder(tmp_path, 4, min_size=8)
    assert made.files == (ImageFile(hr_name, hr),)
    np.testing.assert_array_equal(made.read(0).lr, downscale(image(), 4))


def test_layout_is_found_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "HR/a.png")
    lr = put(tmp_path / "LR_bicubic/X2/a.png", image(12, 18))
    monkeypatch.chdir(tmp_path / "HR")
    assert open_folder(Path(), 2, min_size=8).files[0].lr == lr


def test_lr_of_the_wrong_size(tmp_path: Path) -> None:
    put(tmp_path / "HR/a.png")
    put(tmp_path / "LR_bicubic/X2/ax2.png", image(12, 17))
    with pytest.raises(DataError, match=r"ax2\.png: 17x12 pixels, but a\.png at scale 2 needs 18x12; give"):
        open_folder(tmp_path, 2, min_size=8)
    source = ImageSource("turned", 2, (ImageFile("a", tmp_path / "HR/a.png", put(tmp_path / "a.png", image(18, 12))),))
    with pytest.raises(DataError, match=r"a\.png: 12x18 pixels, but a\.png at scale 2 needs 18x12; give"):
        source.read(0)


def test_lr_missing_for_one_image(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put(tmp_path / f"HR/{name}.png")
    put(tmp_path / "LR_bicubic/X2/ax2.png", image(12, 18))
    with pytest.raises(DataError, match=r"b\.png: its LR file bx2\.png \(or b\.png\) is missing from .*X2; add"):
        open_folder(tmp_path, 2, min_size=8)
    source = open_folder(tmp_path, 2, min_size=8, skip_bad_images=True)
    assert names(source) == ["a"]
    assert source.skipped[0][0] == "b"


def test_bad_images_are_named_or_skipped(tmp_path: Path) -> None:
    put(tmp_path / "good.png")
    put(tmp_path / "small.png", image(24, 15))
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("this is not an image")
    with pytest.raises(DataError, match=r"empty\.png: is empty"):
        open_folder(tmp_path, 2, min_size=16)
    source = open_folder(tmp_path, 2, min_size=16, skip_bad_images=True)
    assert names(source) == ["good"]
    assert [name for name, _ in source.skipped] == ["empty", "small", "text"]
    assert "24x15 pixels, but both sides must be at least 16" in source.skipped[1][1]
    assert "small.png" in source.skipped[1][1]
    assert names(open_folder(tmp_path, 2, min_size=15, skip_bad_images=True)) == ["good", "small"]


def test_nothing_left(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match=r"none of its 1 image can be used; the first: .*empty\.png"):
        open_folder(tmp_path, 2, min_size=8, skip_bad_images=True)


def test_smaller_than_one_lr_pixel(tmp_path: Path) -> None:
    put(tmp_path / "dot.png", image(3, 40))
    with pytest.raises(DataError, match=r"dot\.png: smaller than one LR pixel at scale 4"):
        open_folder(tmp_path, 4, min_size=1).read(0)


def test_folders_without_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent: no such folder"):
        open_folder(tmp_path / "absent", 2, min_size=8)
    with pytest.raises(DataError, match=r"a\.png: not a folder"):
        open_folder(put(tmp_path / "file/a.png"), 2, min_size=8)
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match=r"bare: no images in it \(looked for \.bmp, .*subfolders HR, GT, GTmod12"):
        open_folder(tmp_path / "bare", 2, min_size=8)


def test_two_layouts_at_once(tmp_path: Path) -> None:
    put(tmp_path / "DIV2K_train_HR/0001.png")
    put(tmp_path / "DIV2K_valid_HR/0801.png")
    with pytest.raises(DataError, match="holds DIV2K_train_HR and DIV2K_valid_HR; give one of them, such as"):
        open_folder(tmp_path, 2, min_size=8)
    assert names(open_folder(tmp_path / "DIV2K_valid_HR", 2, min_size=8)) == ["0801"]


def test_digest_is_of_content_not_of_place(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        put(tmp_path / folder / "a.png")
        put(tmp_path / folder / "b.png", image(seed=1))

    def digest(folder: str, scale: int = 2) -> str:
        return open_folder(tmp_path / folder, scale, min_size=8).digest

    assert digest("one") == digest("two")
    assert digest("one") != digest("one", scale=3)
    source = open_folder(tmp_path / "one", 2, min_size=8)
    assert source.subset([0]).digest != source.digest
    assert source.subset([1, 0]).digest != source.digest
    assert source.subset([0, 1]).digest == source.digest
    put(tmp_path / "two/b.png", image(seed=2))
    assert digest("one") != digest("two")
    (tmp_path / "one/b.png").rename(tmp_path / "one/c.png")
    assert digest("one") != source.digest


def test_digest_sees_given_lr_files(tmp_path: Path) -> None:
    put(tmp_path / "HR/a.png")
    without = open_folder(tmp_path, 2, min_size=8).digest
    put(tmp_path / "LR_bicubic/X2/a.png", image(12, 18))
    assert open_folder(tmp_path, 2, min_size=8).digest != without


def test_file_gone_before_it_is_hashed(tmp_path: Path) -> None:
    path = put(tmp_path / "a.png")
    source = open_folder(tmp_path, 2, min_size=8)
    path.unlink()
    with pytest.raises(DataError, match=r"a\.png: cannot be read"):
        _ = source.digest


def made_up(count: int) -> ImageSource:
    return ImageSource("made up", 2, tuple(ImageFile(f"i{k}", Path(f"i{k}.png")) for k in range(count)))


@given(st.integers(2, 60), st.floats(0.01, 0.99), st.integers(0, 50))
def test_split_is_a_partition_in_order(count: int, share: float, seed: int) -> None:
    source = made_up(count)
    train, held_out = source.split(share, seed)
    assert train
    assert held_out
    assert sorted(names(train) + names(held_out), key=names(source).index) == names(source)
    assert names(train) == sorted(names(train), key=names(source).index)
    assert abs(len(held_out) - share * count) <= 1
    assert source.split(share, seed) == (train, held_out)


def test_split_depends_on_the_seed_and_is_fixed_for_all_time() -> None:
    splits = {tuple(names(made_up(20).split(0.2, seed)[1])) for seed in range(10)}
    assert len(splits) > 5
    assert names(made_up(20).split(0.2, 0)[1]) == ["i4", "i8", "i14", "i18"]


def test_split_hardly_changes_with_one_more_image() -> None:
    before, after = (set(names(made_up(count).split(0.2, 0)[1])) for count in (50, 51))
    assert len(before - after) <= 1


def test_split_needs_two_images_and_a_share() -> None:
    with pytest.raises(DataError, match="1 image is too few"):
        made_up(1).split(0.1, 0)
    with pytest.raises(DataError, match=r"share of 1\.5"):
        made_up(9).split(1.5, 0)


def test_embedded_photographs() -> None:
    train, valid = embedded("train", 2), embedded("valid", 2)
    assert names(valid) == ["astronaut", "camera", "chelsea", "coffee"]
    assert not set(names(train)) & set(names(valid))
    assert len(train) >= 8
    for source in (train, valid):
        assert source.skipped == ()
        for index in range(len(source)):
            pair = source.read(index)
            assert pair.hr.shape == (2 * pair.lr.shape[0], 2 * pair.lr.shape[1], 3)
            assert min(pair.lr.shape[:2]) >= 96
    assert embedded("train", 3).digest != train.digest


def test_embedded_photograph_or_package_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def installed_here(name: str) -> SimpleNamespace:
        return SimpleNamespace(origin=str(tmp_path / name / "__init__.py"))

    monkeypatch.setattr(embedded_module, "find_spec", installed_here)
    with pytest.raises(
        DataError, match=r"astronaut\.png: .*missing from the installed scikit-image; install scikit-image>="
    ):
        embedded("valid", 2)
    monkeypatch.setattr(embedded_module, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"scikit-image, whose photographs .* is not installed; install"):
        embedded("train", 2)


def test_no_heavy_imports() -> None:
    code = (
        "import sys; from autocompress.data.embedded import embedded; from autocompress.io import cache;"
        "embedded('train', 2).read(0); "
        "heavy = {'torch', 'skimage', 'scipy'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("lr_given", [True, False])
def test_windows_of_larger_images(tmp_path: Path, lr_given: bool) -> None:
    sizes = [(60, 80), (81, 120), (20, 16)]
    for index, size in enumerate(sizes):
        put(tmp_path / "HR" / f"{index}.png", image(*size, seed=index))
        if lr_given:
            put(tmp_path / "LR_bicubic" / "X2" / f"{index}x2.png", image(size[0] // 2, size[1] // 2, seed=9))
    whole = open_folder(tmp_path, 2, min_size=16)
    total = sum(height * width for height, width in sizes)
    assert whole.within(total, 16) is whole
    quarter = whole.within(total // 4, 16)
    assert quarter.described == f"3 images of {tmp_path.name} (25.0% of their pixels, a window of each)"
    assert quarter.digest == whole.within(total // 4, 16).digest
    assert len({source.digest for source in (whole, quarter, whole.within(total // 5, 16))}) == 3
    shapes = [quarter.read(index).lr.shape[:2] for index in range(3)]
    assert shapes == [(15, 20), (20, 30), (8, 8)]
    for index in range(3):
        pair, source = quarter.read(index), whole.read(index)
        height, width = pair.lr.shape[:2]
        assert pair.hr.shape[:2] == (2 * height, 2 * width)
        places = [
            (top, left)
            for top in range(source.lr.shape[0] - height + 1)
            for left in range(source.lr.shape[1] - width + 1)
            if np.array_equal(source.hr[2 * top : 2 * (top + height), 2 * left : 2 * (left + width)], pair.hr)
        ]
        ((top, left),) = places
        lr = source.lr[top : top + height, left : left + width] if lr_given else downscale(pair.hr, 2)
        np.testing.assert_array_equal(pair.lr, lr)
