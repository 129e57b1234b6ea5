"""How much memory pictures take to be upscaled, and what is said where there is too little."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.command_line import Call
from helpers.images import write_image
from PIL import Image

from autocompress.compute.tiling import luma
from autocompress.data.images import read_image, read_size
from autocompress.data.pictures import upscaling_memory
from autocompress.errors import DataError
from autocompress.evaluation.upscaling import Job, plan, upscale_file
from autocompress.io import checkpoints
from autocompress.io.free_memory import free_memory
from autocompress.networks.edsr.network import EDSR, EDSRConfig


def picture(file: Path, mode: str = "RGB", sides: tuple[int, int] = (60, 40)) -> Path:
    Image.linear_gradient("L").resize(sides).convert(mode).save(file)
    return file


def test_grey_is_that_of_pillow() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    grey = luma(torch.from_numpy(rgb).permute(2, 0, 1))[0].numpy()
    assert np.array_equal(grey, np.asarray(Image.fromarray(rgb).convert("L")))


# --- what is known before ---


def test_a_picture_that_takes_more_than_is_free_is_refused_by_its_header(tmp_path: Path) -> None:
    source, out = picture(tmp_path / "in.png"), tmp_path / "out.png"
    needed = 60 * 40 * (7 + 7 * 4)
    assert plan(source, out, 2, overwrite=False, skip_bad_images=False, free=lambda: needed).jobs
    assert plan(source, out, 2, overwrite=False, skip_bad_images=False, free=lambda: None).jobs
    said = r"in\.png: 60x40 pixels take up to 84KB of memory to be upscaled by 2, but 42KB are free; cut it into"
    with pytest.raises(DataError, match=said):
        plan(source, out, 2, overwrite=False, skip_bad_images=False, free=lambda: needed // 2)


def test_in_a_folder_it_is_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    picture(folder / "a.png", "L")
    picture(folder / "b.png")
    made = plan(folder, tmp_path / "out", 2, overwrite=False, skip_bad_images=True, free=lambda: 60 * 40 * 20)
    assert [job.source.name for job in made.jobs] == ["a.png"]
    assert "b.png: 60x40 pixels take up to" in made.skipped[0]


@pytest.mark.parametrize(("mode", "bytes_"), [("1", 11), ("L", 11), ("RGB", 35), ("P", 35), ("LA", 32), ("RGBA", 56)])
def test_what_a_pixel_takes_is_known_by_the_header(tmp_path: Path, mode: str, bytes_: int) -> None:
    source = picture(tmp_path / "in.png", mode)
    assert upscaling_memory(source, 2, ".png") == 60 * 40 * bytes_
    assert upscaling_memory(source, 2, ".webp") == 60 * 40 * 4 * 36


MEASURED = """
import re, sys
from pathlib import Path
import torch
from autocompress.compute.tiling import Tiling
from autocompress.data.pictures import upscaling_memory
from autocompress.evaluation.upscaling import Job, upscale_file

def kilobytes(what):
    return int(re.search(what + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

def twice(samples):
    nearest = lambda lr: torch.nn.functional.interpolate(lr, scale_factor=2)
    return Tiling(256).upscale(nearest, torch.from_numpy(samples), 2).numpy()

small, source, target = map(Path, sys.argv[1:])
upscale_file(Job(small, target, (60, 40)), twice, 2)  # what is loaded for the first one
Path("/proc/self/clear_refs").write_text("5")
before = kilobytes("VmRSS")
upscale_file(Job(source, target, (60, 40)), twice, 2)
print(1024 * (kilobytes("VmHWM") - before), upscaling_memory(source, 2, target.suffix))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the most that was resident")
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_that_is_what_it_takes(tmp_path: Path, mode: str, suffix: str) -> None:
    """Of noise, within a third, without what a network takes."""
    if "A" in mode and suffix == ".jpg":
        pytest.skip("JPEG has no transparency")
    samples = np.random.default_rng(0).integers(0, 256, (2000, 3000, 4), np.uint8)
    samples[:, ::2, 3] = 0
    bands = Image.fromarray(samples).split()
    image = Image.merge(mode, (bands[0], bands[3])) if mode == "LA" else Image.merge(mode, bands[: len(mode)])
    image.save(tmp_path / "in.png", compress_level=1)
    words = [str(picture(tmp_path / "small.png", mode)), str(tmp_path / "in.png"), str(tmp_path / f"out{suffix}")]
    ended = subprocess.run([sys.executable, "-c", MEASURED, *words], capture_output=True, text=True, check=True)
    took, expected = map(int, ended.stdout.split())
    assert expected * 2 / 3 < took < expected * 4 / 3


def test_free_memory(tmp_path: Path) -> None:
    meminfo, group = tmp_path / "meminfo", tmp_path / "group"
    group.mkdir()
    assert free_memory(meminfo, group) == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo.write_text("MemTotal:       24000000 kB\nMemFree:   1 kB\nMemAvailable:   20000 kB\n")
    assert free_memory(meminfo, group) == 20_480_000
    (group / "memory.current").write_text("9000\n")
    (group / "memory.stat").write_text("anon 5\ninactive_file 500\n")
    for limit, free in (("max", 20_480_000), ("10000", 1500), ("90000000", 20_480_000)):
        (group / "memory.max").write_text(f"{limit}\n")
        assert free_memory(meminfo, group) == free


# --- what is found out on the way ---


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_memory_is_left_for_the_network(tmp_path: Path, error: Exception) -> None:
    def upscale(_: object) -> None:
        raise error

    job = Job(picture(tmp_path / "in.png"), tmp_path / "out.png", (60, 40))
    with pytest.raises(DataError, match=r"in\.png: cannot be upscaled \(no memory is left\); free some, or cut it"):
        upscale_file(job, upscale, 2)  # type: ignore[arg-type]
    assert not job.target.exists()


def test_no_memory_is_left_for_the_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(*_: object, **__: object) -> None:
        raise MemoryError

    job = Job(picture(tmp_path / "in.png"), tmp_path / "out.png", (60, 40))
    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(DataError, match=r"in\.png: cannot be upscaled \(no memory is left\); free some, or cut it"):
        upscale_file(job, lambda lr: lr.repeat(2, 0).repeat(2, 1), 2)


def test_no_memory_is_left_to_decode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(*_: object, **__: object) -> None:
        raise MemoryError

    source = picture(tmp_path / "in.png", "P")
    monkeypatch.setattr(Image.Image, "convert", convert)
    with pytest.raises(DataError, match=r"in\.png: cannot be read as an image \(too little memory is free\)"):
        read_image(source)


def test_another_error_of_the_network_stays_what_it_is(tmp_path: Path) -> None:
    def upscale(_: object) -> None:
        raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError, match="a fault of ours"):
        upscale_file(Job(picture(tmp_path / "in.png"), tmp_path / "out.png", (60, 40)), upscale, 2)  # type: ignore[arg-type]


LIMITED = """
import resource, sys
from autocompress.cli import main
import torch, scipy.ndimage, safetensors.torch, rich.progress, autocompress.evaluation.upscaling  # what it will need
own = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
if sys.argv[1] != "0":
    resource.setrlimit(resource.RLIMIT_AS, (own + int(sys.argv[1]),) * 2)
if sys.argv[2] != "0":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
sys.argv[1:3] = []
main()
"""


def limited(memory: int, file_size: int, *words: object) -> subprocess.CompletedProcess[str]:
    """A command that may take so many bytes of memory beside its libraries, and write files of so many; 0: any."""
    command = [sys.executable, "-c", LIMITED, str(memory), str(file_size), *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


needs_limits = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux alone tells and limits it so")


@needs_limits
def test_a_limit_of_memory_is_one_line(tmp_path: Path, teacher_file: Path) -> None:
    source = picture(tmp_path / "in.png", "RGB", (3000, 3000))
    ended = limited(150_000_000, 0, "upscale", teacher_file, source, tmp_path / "out.png")
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    lines = [line for line in ended.stderr.splitlines() if not line.startswith(("tile ", "by "))]
    assert len(lines) == 1, ended.stderr
    assert re.match(r"error: .*in\.png: .*memory", lines[0])
    assert not (tmp_path / "out.png").exists()


@pytest.mark.slow
@needs_limits
def test_a_limit_of_a_files_size_is_one_line(tmp_path: Path, teacher_file: Path) -> None:
    source = tmp_path / "in.png"
    write_image(source, np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8))
    ended = limited(0, 100_000, "upscale", teacher_file, source, tmp_path / "out.png")
    assert (ended.returncode, ended.stdout) == (1, ""), ended.stderr
    [line] = [line for line in ended.stderr.splitlines() if not line.startswith("tile ")]
    assert line.endswith(
        "out.png: cannot be written (File too large); raise the limit of a file's size (ulimit -f), and "
        "the same command goes on"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


def test_a_command_without_memory_is_one_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError("Unable to allocate 3 GiB\nfor an array")

    monkeypatch.setattr("autocompress.api.cache_entries", no_memory)
    ended = call("cache", "list")
    assert ended == (
        1,
        "",
        "error: out of memory (Unable to allocate 3 GiB for an array); free some, or give smaller images or "
        "fewer workers\n",
    )


# --- measured ---


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "suffix", "most"), [("RGB", ".png", 2e9), ("RGB", ".jpg", 2e9), ("1", ".png", 1e9)])
def test_24_megapixels_within_2_gigabytes_and_in_black_and_white_within_one(
    tmp_path: Path, mode: str, suffix: str, most: float
) -> None:
    """The whole command, in a process of its own; the picture is smooth, which makes no difference to memory."""
    student, source, target = tmp_path / "student.pth", tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    checkpoints.save_pth(student, EDSR(EDSRConfig(2, 16, 8)).state_dict())
    Image.linear_gradient("L").resize((6000, 4000)).convert(mode).save(source)
    code = (
        "import re, resource, sys\nfrom pathlib import Path\nfrom autocompress.cli import main\n"
        "status = 0\ntry:\n    main()\nexcept SystemExit as end:\n    status = end.code or 0\n"
        # what getrusage says of a process on Linux is not less than its parent's peak
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "own = Path('/proc/self/status')\n"
        "print(status, re.search(r'VmHWM:\\s+(\\d+)', own.read_text())[1] if own.exists() else peak)"
    )
    command = [sys.executable, "-c", code, "upscale", str(student), str(source), str(target)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    status, peak = ended.stdout.split()[-2:]
    assert status == "0", ended.stderr
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    assert int(peak) * unit < most
    assert read_size(target) == (12000, 8000)
