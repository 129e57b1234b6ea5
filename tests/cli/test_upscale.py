"""`autocompress upscale`: files of every kind, folders of them, and bad input."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import tifffile
from helpers.command_line import Call, Ended
from helpers.images import disc, write_16_bit_png, write_image
from helpers.pictures import SRGB, Samples
from helpers.small_search import Recorder
from PIL import ExifTags, Image

from autocompress.data import pictures
from autocompress.data.images import read_image
from autocompress.evaluation import upscaling
from autocompress.io import atomic
from autocompress.networks.base import SRNetwork
from autocompress.networks.teachers import load_teacher
from autocompress.search import Outcome, RunFolder
from autocompress.search.results.rows import front_rows, pick


@pytest.fixture
def run(call: Call, monkeypatch: pytest.MonkeyPatch, teacher_file: Path, tmp_path: Path) -> Call:
    """Runs `autocompress upscale TEACHER ...` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, student: object = teacher_file) -> Ended:
        return call("upscale", student, *arguments)

    return run


def refused(ended: Ended, *words: str) -> None:
    """One clear line, and exit code 2."""
    code, out, err = ended
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    for word in words:
        assert word in err


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [
        (".bmp", "L"),
        (".bmp", "RGB"),
        *itertools.product([".png", ".webp", ".tif", ".TIFF"], ["L", "LA", "RGB", "RGBA"]),
    ],
)
def test_a_file_holds_what_python_gives(run: Call, network: SRNetwork, photo: Samples, suffix: str, mode: str) -> None:
    given = Image.fromarray(np.dstack([photo, np.arange(2000).reshape(40, 50) % 256]).astype(np.uint8)).convert(mode)
    given.save("in.png")
    code, out, err = run("in.png", f"made/here{suffix}")
    assert (code, out, err) == (0, f"made/here{suffix}\n", "")
    expected = network.upscale(given)
    with Image.open(f"made/here{suffix}") as made:
        found, expected = np.array(made.convert("RGBA")), np.array(expected.convert("RGBA"))
    assert np.array_equal(found[:, :, 3], expected[:, :, 3])
    assert np.array_equal(found[expected[:, :, 3] > 0], expected[expected[:, :, 3] > 0])
    assert [path.name for path in Path("made").iterdir()] == [f"here{suffix}"]


def test_jpeg_keeps_profile_and_exif(run: Call, network: SRNetwork, photo: Samples) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x8298] = 3, "Ours"
    Image.fromarray(photo).save("in.jpg", exif=exif, icc_profile=SRGB, quality=98)
    assert run("in.jpg", "out.jpg")[0] == 0
    with Image.open("out.jpg") as made:
        assert made.info["icc_profile"] == SRGB
        assert dict(made.getexif()) == {0x8298: "Ours"}
        assert made.layer[0][1:3] == (1, 1)  # type: ignore[attr-defined]  # colours in full
        close = np.abs(np.asarray(made).astype(int) - network.upscale(read_image(Path("in.jpg"))))
    assert close.mean() < 3


@pytest.mark.parametrize(
    ("colour_type", "channels", "mode"), [(0, 1, "L"), (2, 3, "RGB"), (4, 2, "LA"), (6, 4, "RGBA")]
)
def test_16_bits_become_8(run: Call, network: SRNetwork, colour_type: int, channels: int, mode: str) -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (20, 30, channels), dtype=np.uint16)
    write_16_bit_png(Path("deep.png"), samples, colour_type)
    assert run("deep.png", "out.png")[0] == 0
    with Image.open("out.png") as made:
        found = made.copy()
    high = (samples >> 8).astype(np.uint8)
    assert np.array_equal(np.asarray(found.convert(mode)).reshape(40, 60, channels), network.upscale(high))


def test_the_shipped_teacher_by_name_and_an_existing_folder(run: Call, photo: Samples) -> None:
    write_image(Path("in.png"), photo)
    Path("out").mkdir()
    assert run("in.png", "out", "--tile", 32, student="edsr-baseline-x2")[:2] == (0, "out/in.png\n")
    expected = load_teacher("edsr-baseline-x2").upscale(photo)
    assert np.array_equal(read_image(Path("out/in.png")), expected)


def test_opaque_alpha_may_become_jpeg_and_transparency_may_not(run: Call, photo: Samples) -> None:
    Image.fromarray(photo).convert("RGBA").save("opaque.png")
    Image.fromarray(np.dstack(disc(photo))).save("disc.png")
    assert run("opaque.png", "out.jpg")[0] == 0
    refused(run("disc.png", "disc.jpg"), "disc.png: it is transparent in places", ".jpg", "write a .png file")
    refused(run("disc.png", "disc.bmp"), "it is transparent in places, which a .bmp file cannot hold")
    assert not list(Path().glob("disc.[jb]*"))


def test_a_name_that_says_no_format_becomes_png(run: Call, network: SRNetwork, photo: Samples) -> None:
    for name in ("photo.jfif", "other"):
        write_image(Path("in.png"), photo)
        Path("in.png").rename(name)
    Path("out").mkdir()
    assert run("photo.jfif", "out")[:2] == (0, "out/photo.png\n")
    assert run("other", "out")[:2] == (0, "out/other.png\n")
    assert np.array_equal(read_image(Path("out/photo.png")), network.upscale(photo))


def test_more_exif_than_a_jpeg_can_hold_is_left_out(run: Call, photo: Samples) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = 70_000 * "x"
    Image.fromarray(photo).save("in.png", exif=exif)
    assert run("in.png", "out.jpg")[0] == 0
    assert run("in.png", "out.png")[0] == 0
    with Image.open("out.jpg") as made:
        assert len(made.getexif()) == 0
    with Image.open("out.png") as made:
        assert made.getexif() == exif


def test_what_an_encoder_refuses_is_one_line(run: Call, photo: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("bad Huffman code")

    write_image(Path("in.png"), photo)
    monkeypatch.setattr(Image.Image, "save", fail)
    refused(run("in.png", "out.jpg"), "out.jpg: cannot be encoded (bad Huffman code)")
    assert not Path("out.jpg").exists()


# --- folders ---


@pytest.fixture
def folder(tmp_path: Path, photo: Samples) -> Path:
    """`in`, with a PNG, a JPEG, and what is not taken: a text, a hidden image, a subfolder."""
    folder = tmp_path / "in"
    (folder / "deeper").mkdir(parents=True)
    for name in ("a.png", "b.jpg", ".hidden.png", "deeper/c.png"):
        write_image(folder / name, photo)
    (folder / "notes.txt").write_text("")
    return folder


def test_a_folder(run: Call, folder: Path, network: SRNetwork, photo: Samples) -> None:
    assert run("in", "out/of/it")[:2] == (0, "out/of/it/a.png\nout/of/it/b.jpg\n")
    assert sorted(path.name for path in Path("out/of/it").iterdir()) == ["a.png", "b.jpg"]
    assert np.array_equal(read_image(Path("out/of/it/a.png")), network.upscale(photo))


def test_what_exists_is_left_or_replaced(run: Call, folder: Path) -> None:
    Path("out").mkdir()
    Path("out/a.png").write_text("mine")
    code, out, err = run("in", "out")
    assert (code, out) == (0, "out/b.jpg\n")
    assert "1 exist already and are left as they are; --overwrite replaces them" in err
    assert Path("out/a.png").read_text() == "mine"
    assert run("in", "out")[:2] == (0, "")
    assert run("in", "out", "--overwrite")[:2] == (0, "out/a.png\nout/b.jpg\n")
    assert read_image(Path("out/a.png")).shape == (80, 100, 3)
    refused(run("in/a.png", "out/a.png"), "out/a.png exists already; add --overwrite")
    assert run("in/a.png", "out/a.png", "--overwrite")[0] == 0


def test_a_bad_image_in_a_folder(run: Call, folder: Path) -> None:
    (folder / "c.png").write_text("no image")
    refused(run("in", "out"), "in/c.png: is not a PNG")
    assert not Path("out").exists()
    data = (folder / "a.png").read_bytes()
    (folder / "d.png").write_bytes(data[: len(data) // 2])
    code, out, err = run("in", "out", "--skip-bad-images")
    assert (code, out) == (0, "out/a.png\nout/b.jpg\n")
    assert "left out: in/c.png: is not a PNG" in err
    assert "left out: in/d.png: cannot be read" in err
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "b.jpg"]


def test_a_folder_of_bad_images(run: Call, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    refused(run("in", "out"), "in: no images in it", "subfolders are not searched")
    (tmp_path / "in/a.png").write_text("")
    refused(run("in", "out", "--skip-bad-images"), "in: none of its 1 image can be used; the first: in/a.png")


def test_what_a_format_cannot_hold_becomes_png(
    run: Call, folder: Path, photo: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(folder / "w.webp", photo)
    monkeypatch.setitem(pictures.LARGEST_SIDES, ".webp", 99)
    assert run("in", "out")[1] == "out/a.png\nout/b.jpg\nout/w.png\n"
    write_image(folder / "w.png", photo)
    refused(run("in", "other"), "in/w.png and in/w.webp would both become other/w.png")


# --- bad input ---


def test_what_cannot_be_done(run: Call, folder: Path) -> None:
    refused(run("absent.png", "out.png"), "absent.png: no such file")
    refused(run("in/notes.txt", "out.png"), "notes.txt: is empty")
    refused(run("in/a.png", "out.gif"), "out.gif ends in '.gif'", ".png")
    refused(run("in/a.png", "in/a.png", "--overwrite"), "in/a.png would be replaced by what is made of it")
    refused(run("in", "in", "--overwrite"), "would be replaced")
    refused(run("in", "in/notes.txt"), "in is a folder, but in/notes.txt is a file")
    refused(run("in/a.png", "out.png", "--tile", 31), "tile is 31, but must be at least 32")
    refused(run("in/a.png", "out.png", student="nobody"), "nobody: no such file, and no shipped network")
    refused(run("in/a.png", "in/notes.txt/out.png"), "in/notes.txt/out.png: cannot be written")


def test_a_run_upscales_by_its_pick(run: Call, folder: Path, finished: tuple[RunFolder, Outcome, Recorder]) -> None:
    best = pick(front_rows(finished[0]))["file"]
    assert run("in/a.png", "run.png", student=finished[0].path)[0] == 0
    assert run("in/a.png", "file.png", student=best)[0] == 0
    assert Path("run.png").read_bytes() == Path("file.png").read_bytes()
    refused(run("in/a.png", "out.png", student=folder), "has no config.json, so it is no run")


def test_large_pictures_are_no_reason_to_warn(run: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1500)
    assert run("in/a.png", "out.png")[0] == 0
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 900)
    refused(run("in/a.png", "other.png"), "in/a.png: cannot be read as an image", "exceeds limit of 1800 pixels")


def test_interrupted(run: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the second file is being written."""
    write, written = atomic._write, []

    def interrupted(path: Path, content: bytes) -> None:
        write(path, content)
        written.append(path)
        if len(written) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(atomic, "_write", interrupted)
    code, out, err = run("in", "out")
    assert (code, out) == (130, "")
    assert "Interrupted; what is written is whole." in err
    assert [path.name for path in Path("out").iterdir()] == ["a.png"]
    assert run("in", "out")[:2] == (0, "out/b.jpg\n")


def test_tiles_are_counted_in_a_pipe(run: Call, folder: Path) -> None:
    err = run("in/a.png", "out.png", "--tile", 32)[2]
    assert "tile 4/4" in err


def test_planar_tiff_is_refused_in_one_line(run: Call) -> None:
    tifffile.imwrite("planes.tif", np.zeros((3, 20, 30), np.uint16), photometric="rgb", planarconfig="separate")
    refused(run("planes.tif", "out.png"), "planes.tif", "save it interleaved")


def test_a_plan_knows_sizes(folder: Path, tmp_path: Path) -> None:
    made = upscaling.plan(folder, tmp_path / "out", 2, overwrite=False, skip_bad_images=False)
    assert [job.sides for job in made.jobs] == [(50, 40), (50, 40)]
