"""Decoded pixels in flat arrays, and patches cut from them: every value comes from where it should."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.images import write_image
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from autocompress.data.bank import PixelBank
from autocompress.data.embedded import embedded
from autocompress.data.folders import open_folder
from autocompress.data.patches import PatchSampler
from autocompress.data.sources import ImageSource
from autocompress.errors import DataError, InvalidInput
from autocompress.io import cache

SIZES = [(20, 31), (33, 22), (26, 26)]  # HR, cropped to multiples of the scale


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for number, size in enumerate(SIZES):
        write_image(path / f"image{number}.png", rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    return path


def source_of(folder: Path, scale: int = 2) -> ImageSource:
    return open_folder(folder, scale, min_size=16)


def positions_bank(sizes: list[tuple[int, int]], scale: int) -> PixelBank:
    """A bank whose pixels say where they are, in LR pixels: (image, y, x); so HR repeats each LR pixel."""
    images = [
        torch.cartesian_prod(torch.tensor([k]), torch.arange(h), torch.arange(w)) for k, (h, w) in enumerate(sizes)
    ]
    lr = [image.view(h, w, 3) for image, (h, w) in zip(images, sizes, strict=True)]
    hr = [image.repeat_interleave(scale, 0).repeat_interleave(scale, 1) for image in lr]
    heights, widths = torch.tensor(sizes).T
    return PixelBank(
        key="positions",
        scale=scale,
        names=tuple(f"image{k}" for k in range(len(sizes))),
        skipped=(),
        lr=torch.cat(images).to(torch.uint8),
        hr=torch.cat([image.reshape(-1, 3) for image in hr]).to(torch.uint8),
        offsets=(heights * widths).cumsum(0) - heights * widths,
        heights=heights.contiguous(),
        widths=widths.contiguous(),
    )


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bank_has_every_pair(folder: Path, scale: int) -> None:
    source = source_of(folder, scale)
    bank = PixelBank.open(source)
    assert len(bank) == 3
    assert bank.scale == scale
    assert bank.names == ("image0", "image1", "image2")
    assert bank.skipped == ()
    assert bank.lr.dtype == bank.hr.dtype == torch.uint8
    for index in range(3):
        pair = source.read(index)
        np.testing.assert_array_equal(bank.lr_image(index).numpy(), pair.lr)
        np.testing.assert_array_equal(bank.hr_image(index).numpy(), pair.hr)
    assert len(bank.hr) == scale**2 * len(bank.lr) == scale**2 * int((bank.heights * bank.widths).sum())


def test_bank_is_decoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_of(folder)
    first = PixelBank.open(source)

    def never(self: ImageSource, index: int) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(ImageSource, "read", never)
    second = PixelBank.open(source_of(folder))
    assert first.key == second.key
    assert torch.equal(first.hr, second.hr)


def test_writing_to_a_bank_does_not_reach_its_file(folder: Path) -> None:
    bank = PixelBank.open(source_of(folder))
    before = bank.lr[0].clone()
    bank.lr[0] = 255 - before
    assert torch.equal(PixelBank.open(source_of(folder)).lr[0], before)


def damaged_copy(folder: Path, target: Path) -> Path:
    """The images, the second of them cut off behind its header."""
    for path in folder.iterdir():
        data = path.read_bytes()
        (target / path.name).write_bytes(data[: len(data) // 2] if path.stem == "image1" else data)
    return target


def test_truncated_image_is_named_before_anything_is_kept(folder: Path, tmp_path: Path) -> None:
    source = source_of(damaged_copy(folder, tmp_path))
    before = cache.entries()
    with pytest.raises(DataError, match=r"image1\.png: cannot be read as an image"):
        PixelBank.open(source)
    assert cache.entries() == before


def test_truncated_image_is_skipped_on_request_only(folder: Path, tmp_path: Path) -> None:
    source = source_of(damaged_copy(folder, tmp_path))
    bank = PixelBank.open(source, skip_bad_images=True)
    assert bank.names == ("image0", "image2")
    assert [name for name, _ in bank.skipped] == ["image1"]
    assert "image1.png" in bank.skipped[0][1]
    np.testing.assert_array_equal(bank.hr_image(1).numpy(), source.read(2).hr)
    with pytest.raises(DataError, match=r"image1\.png"):
        PixelBank.open(source)


def test_nothing_left_to_keep(folder: Path, tmp_path: Path) -> None:
    source = source_of(damaged_copy(folder, tmp_path)).subset([1])
    with pytest.raises(DataError, match=r"none of its 1 image can be used; the first: .*image1\.png"):
        PixelBank.open(source, skip_bad_images=True)


def test_what_was_skipped_before_is_still_listed(folder: Path, tmp_path: Path) -> None:
    (damaged_copy(folder, tmp_path) / "empty.png").touch()
    source = open_folder(tmp_path, 2, min_size=16, skip_bad_images=True)
    bank = PixelBank.open(source, skip_bad_images=True)
    assert [name for name, _ in bank.skipped] == ["empty", "image1"]


def dihedral(patch: Tensor) -> list[Tensor]:
    """All eight flips and rotations of a patch (3, p, p)."""
    turned = [torch.rot90(patch, quarter, (1, 2)) for quarter in range(4)]
    return turned + [image.flip(2) for image in turned]


@settings(max_examples=30)
@given(
    st.sampled_from([2, 3, 4]),
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(6, 20), st.integers(6, 20)), min_size=1, max_size=4),
    st.integers(0, 999),
)
def test_patches_are_contiguous_turned_and_aligned(
    scale: int, size: int, sizes: list[tuple[int, int]], seed: int
) -> None:
    bank = positions_bank(sizes, scale)
    teacher = bank.hr / 255
    sampler = PatchSampler(bank, patch_size=size, batch_size=12, seed=seed, targets={"teacher": teacher})
    batch = sampler.sample()
    assert batch.lr.shape == (12, 3, size, size)
    assert batch.lr.dtype == torch.float32
    assert batch.targets.keys() == {"hr", "teacher"}
    torch.testing.assert_close(batch.targets["teacher"], batch.targets["hr"], rtol=0, atol=1e-7)
    large = batch.lr.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    torch.testing.assert_close(batch.targets["hr"], large, rtol=0, atol=0)
    for patch in (batch.lr * 255).round().to(torch.int64):
        image, top, left = patch.flatten(1).amin(1)
        assert top + size <= sizes[int(image)][0]
        assert left + size <= sizes[int(image)][1]
        cut = bank.lr_image(int(image))[top : top + size, left : left + size].permute(2, 0, 1)
        assert any(torch.equal(patch, turned) for turned in dihedral(cut.to(torch.int64)))


def test_hr_is_turned_pixel_by_pixel(folder: Path) -> None:
    """HR patches of real images, not only whole LR pixels, are one of eight views of a contiguous cut."""
    bank = PixelBank.open(source_of(folder).subset([2]))
    for number in range(4):
        batch = PatchSampler(bank, patch_size=13, batch_size=8, seed=number).sample()
        whole_lr, whole_hr = bank.lr_image(0).permute(2, 0, 1), bank.hr_image(0).permute(2, 0, 1)
        for lr, hr in zip(batch.lr, batch.targets["hr"], strict=True):
            views = zip(dihedral(whole_lr), dihedral(whole_hr), strict=True)
            assert any(torch.equal(lr * 255, a.float()) and torch.equal(hr * 255, b.float()) for a, b in views)


def test_every_position_and_every_turn_is_equally_likely() -> None:
    bank = positions_bank([(4, 5), (7, 3)], 2)  # patches of 3: 2*3 and 5*1 positions
    sampler = PatchSampler(bank, patch_size=3, batch_size=8800, seed=0)
    patches = (sampler.sample().lr * 255).round().to(torch.int64)
    positions = Counter(tuple(position.tolist()) for position in patches.flatten(2).amin(2))
    assert len(positions) == 11
    assert max(abs(count - 800) for count in positions.values()) < 5 * 800**0.5
    corners = (patches[:, 1:, [0, 0, 2], [0, 2, 0]] - patches[:, 1:].flatten(2).amin(2)[..., None]).flatten(1)
    turns = Counter(tuple(corner.tolist()) for corner in corners)
    assert len(turns) == 8
    assert max(abs(count - 1100) for count in turns.values()) < 5 * 1100**0.5


def test_stream_is_seeded_and_goes_on_where_it_was(folder: Path) -> None:
    bank = PixelBank.open(source_of(folder))

    def sampler(seed: int) -> PatchSampler:
        return PatchSampler(bank, patch_size=8, batch_size=4, seed=seed)

    first, second = sampler(1), sampler(1)
    state = torch.get_rng_state()
    batches = [first.sample().lr for _ in range(3)]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(second.sample().lr, batches[0])
    assert not torch.equal(batches[0], batches[1])
    assert not torch.equal(sampler(2).sample().lr, batches[0])
    other = sampler(2)
    other.load_state_dict(second.state_dict())
    assert torch.equal(other.sample().lr, batches[1])
    assert torch.equal(other.sample().lr, batches[2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_number_format_and_memory_layout(folder: Path, dtype: torch.dtype) -> None:
    bank = PixelBank.open(source_of(folder))
    half = (bank.hr / 255).half()

    def sample(layout: torch.memory_format, dtype: torch.dtype = dtype) -> tuple[Tensor, Tensor, Tensor]:
        sampler = PatchSampler(
            bank,
            patch_size=8,
            batch_size=4,
            seed=0,
            targets={"teacher": half},
            dtype=dtype,
            memory_format=layout,
        )
        batch = sampler.sample()
        return batch.lr, batch.targets["hr"], batch.targets["teacher"]

    plain, last = sample(torch.contiguous_format), sample(torch.channels_last)
    exact = sample(torch.contiguous_format, torch.float32)
    for a, b, c in zip(plain, last, exact, strict=True):
        assert a.dtype == b.dtype == dtype
        assert torch.equal(a, b)
        assert a.is_contiguous()
        assert b.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(a, c.to(dtype))
        assert (a >= 0).all()
        assert (a <= 1).all()


def test_image_smaller_than_a_patch(folder: Path) -> None:
    bank = PixelBank.open(source_of(folder))
    with pytest.raises(DataError, match=r"'image0' has 15x10 LR pixels, too few for patches of 11x11: .* at most 10"):
        PatchSampler(bank, patch_size=11, batch_size=4, seed=0)
    assert PatchSampler(bank, patch_size=10, batch_size=4, seed=0).sample().lr.shape == (4, 3, 10, 10)


def test_target_of_another_shape(folder: Path) -> None:
    bank = PixelBank.open(source_of(folder))
    with pytest.raises(InvalidInput, match=r"target 'teacher' has shape \(155, 3\), but must have .* \(\d+, 3\)"):
        PatchSampler(bank, patch_size=8, batch_size=4, seed=0, targets={"teacher": bank.lr[:155]})


def test_bank_of_the_embedded_photographs() -> None:
    bank = PixelBank.open(embedded("train", 2))
    batch = PatchSampler(bank, patch_size=48, batch_size=16, seed=0).sample()
    assert batch.targets["hr"].shape == (16, 3, 96, 96)
    smaller = torch.nn.functional.avg_pool2d(batch.targets["hr"], 2)
    assert (smaller - batch.lr).abs().mean() < 0.03


def test_it_is_told_how_many_images_are_decoded(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOCOMPRESS_CACHE", str(tmp_path))
    told: list[tuple[int, int]] = []
    for _ in range(2):  # the second time it is there
        PixelBank.open(source_of(folder), on_image=lambda *done: told.append(done))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_images_that_change_while_they_are_decoded_are_not_kept(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.png", np.full((20, 20, 3), 50, dtype=np.uint8))
    source = source_of(tmp_path)

    def change(done: int, _: int) -> None:
        if done == 1:
            write_image(tmp_path / "b.png", np.full((20, 20, 3), 60, dtype=np.uint8))

    with pytest.raises(DataError, match="changed while they were decoded"):
        PixelBank.open(source, on_image=change)
    assert int(PixelBank.open(source_of(tmp_path)).hr_image(1)[0, 0, 0]) == 60
