"""The command line: what it prints where, its exit codes, and one clear line for every bad input."""

import io
import json
import pickle
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import write_waves
from PIL import Image
from rich.console import Console
from torch import Tensor, nn

import autocompress
from autocompress import arithmetic, display
from autocompress.arithmetic import Arithmetic
from autocompress.cli import main
from autocompress.data.sources import open_folder
from autocompress.display import Display, LiveDisplay
from autocompress.distill.recipe import Recipe
from autocompress.families.base import SRNetwork
from autocompress.families.edsr.network import EDSR, EDSRConfig
from autocompress.metrics import psnr_y
from autocompress.search import Outcome, RunFolder
from autocompress.search.driver import Driver
from autocompress.search.space import Candidate, load_space
from autocompress.teachers import load_teacher

SPACE = """
family: edsr
parameters:
  num_feat: {type: int, low: 2, high: 8, step: 2}
  num_block: {type: int, low: 1, high: 2}
"""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command line in this process."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["autocompress", *map(str, arguments)])
        capsys.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


# --- help ---


def test_help_answers_at_once_without_torch_or_ray() -> None:
    code = (
        "import sys; sys.argv = ['autocompress', '--help']\n"
        "from autocompress.cli import main\n"
        "try:\n    main()\nfinally:\n    heavy = {'torch', 'ray', 'optuna', 'numpy', 'pandas'}\n"
        "    print('heavy:', sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - start)
    for command in ("search", "prune", "pareto", "evaluate", "upscale", "export", "report", "teacher", "spaces"):
        assert command in ended.stdout
    assert ended.stderr == "heavy: []\n"
    assert min(seconds) < 1  # half a second on a machine that does nothing else


@pytest.mark.parametrize(
    "command",
    [
        "search",
        "prune",
        "pareto",
        "report",
        "evaluate",
        "upscale",
        "export",
        "teacher list",
        "teacher show",
        "spaces check",
    ],
)
def test_every_command_has_help(run: Run, command: str) -> None:
    result = run(*command.split(), "--help")
    assert result.code == 0
    assert "Usage:" in result.out


# --- bad input ---


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def prepare(folder: Path) -> None:
    """All that the bad inputs below need."""
    (folder / "empty").mkdir()
    (folder / "notes").mkdir()
    (folder / "notes" / "config.json").write_text('{"model_type": "bert"}')
    (folder / "listed").mkdir()
    (folder / "listed" / "config.json").write_text("[1]")
    (folder / "file").write_text("a file")
    (folder / "typo.yaml").write_text(SPACE.replace("num_block", "num_blok"))
    (folder / "no.yaml").write_text("family: [edsr\n")
    (folder / "list.yaml").write_text("- edsr\n")
    with (folder / "bomb.pth").open("wb") as file:
        pickle.dump({"params": Bomb(folder / "ran")}, file)
    torch.save({"params": Bomb(folder / "ran")}, folder / "bomb.pt")
    torch.save({"params": {"layer.weight": torch.ones(3)}}, folder / "other.pth")
    (folder / "small").mkdir()
    Image.new("RGB", (20, 20)).save(folder / "small" / "stamp.png")
    (folder / "broken").mkdir()
    write_waves(folder / "broken" / "half.png", 96, 96, seed=0)
    whole = (folder / "broken" / "half.png").read_bytes()
    (folder / "broken" / "half.png").write_bytes(whole[: len(whole) // 2])


SEARCH = "search --budget-flops 20G"

BAD_INPUT = {
    "search": ("no budget is given", "--budget-flops 20G"),
    "search --budget-flops 1G": ("smallest (num_feat 8, num_block 1) has 1.178G FLOPs", "within 1G FLOPs", "edsr"),
    "search --budget-params 10": ("smallest (num_feat 8, num_block 1)", "4.531K parameters"),
    "search --budget-flops -5G": ("--budget-flops: '-5G' is no amount",),
    "search --budget-flops 0": ("--budget-flops: '0' is no amount",),
    "search --budget-flops plenty": ("--budget-flops: 'plenty' is no amount", "such as 20G"),
    "search --budget-flops 1e999": ("--budget-flops: '1e999' is no amount",),
    "search --budget-params 5X": ("--budget-params: '5X' is no amount",),
    f"{SEARCH} --timeout soon": ("--timeout: 'soon' is no duration", "such as 90s or 10m"),
    f"{SEARCH} --teacher nobody": ("nobody: no such file, and no shipped teacher", "edsr-baseline-x2"),
    f"{SEARCH} --teacher bomb.pth": ("bomb.pth: holds more than tensors", "could run code", "refused"),
    f"{SEARCH} --teacher bomb.pt": ("bomb.pt: holds more than tensors", "could run code", "refused"),
    f"{SEARCH} --teacher other.pth": ("other.pth: 1 tensors (layer.weight", "none of the families edsr"),
    f"{SEARCH} --teacher file": ("file: a file of weights ends in one of .safetensors, .pt, .pth, .ckpt",),
    f"{SEARCH} --space nowhere": ("nowhere: no such file, and no shipped search space", "edsr"),
    f"{SEARCH} --space typo.yaml": ("typo.yaml: parameters.num_blok is nothing", "did you mean num_block?"),
    f"{SEARCH} --space no.yaml": ("no.yaml: not readable as YAML",),
    f"{SEARCH} --space list.yaml": ("list.yaml: must be a mapping",),
    f"{SEARCH} --scale 3": ("scale 3 was asked for", "upscales by 2"),
    f"{SEARCH} --train empty": ("empty: no images in it",),
    f"{SEARCH} --train missing": ("missing: no such folder",),
    f"{SEARCH} --train file": ("file: not a folder",),
    f"{SEARCH} --train small": ("stamp.png: 20x20 pixels, but both sides must be at least",),
    f"{SEARCH} --train broken": ("1 image is too few to hold some out",),
    f"{SEARCH} --val broken": ("give --train DIR too",),
    f"{SEARCH} --trials 0": ("trials is 0, but must be >= 1",),
    f"{SEARCH} --steps -1": ("steps is -1, but must be >= 1",),
    f"{SEARCH} --seed -1": ("seed is -1, but must be",),
    f"{SEARCH} --init magic": ("init is 'magic', but must be one of projection, density, copy, taylor, scratch",),
    f"{SEARCH} --out file": ("file: cannot be written to",),
    f"{SEARCH} --out file/below": ("file/below: cannot be written to",),
    f"{SEARCH} --out /proc/run": ("/proc/run: cannot be written to",),
    f"{SEARCH} --out notes/": ("notes",),
    f"{SEARCH} --out broken": ("broken: not empty, and no run of autocompress",),
    "pareto missing": ("missing: no such folder", "autocompress search"),
    "pareto empty": ("empty: has no config.json, so it is no run",),
    "pareto notes": ("notes", "no run of autocompress search"),
    "pareto listed --json": ("listed", "no run of autocompress search"),
    "report empty": ("empty: has no config.json, so it is no run",),
    "report file": ("file: no such folder",),
    "export missing --out there": ("missing: no such folder",),
    "export bomb.pth --out there": ("could run code",),
    "evaluate bicubic --data missing": ("missing: no such folder",),
    "evaluate bicubic --data broken": ("half.png: cannot be read as an image",),
    "evaluate bicubic --data broken --skip-bad-images": ("broken: none of its images can be used", "half.png"),
    "evaluate bicubic --scale 5": ("--scale is 5, but must be 2, 3 or 4",),
    "evaluate bicubic --scale 0": ("--scale is 0, but must be 2, 3 or 4",),
    "evaluate nobody": ("nobody: no such file, and no shipped teacher",),
    "evaluate edsr-baseline-x2 --scale 4": ("--scale is 4, but edsr-baseline-x2 upscales by 2",),
    "evaluate edsr-baseline-x2 --tile 31": ("tile is 31, but must be at least 32 LR pixels",),
    "evaluate edsr-baseline-x2 --tile -5": ("tile is -5, but must be at least 32 LR pixels",),
    "evaluate bicubic --tile 64": ("--tile is for networks", "leave --tile out"),
    "teacher show nobody": ("nobody: no such file, and no shipped teacher",),
    "spaces show nowhere": ("nowhere: no such file, and no shipped search space",),
    "spaces check typo.yaml": ("typo.yaml: parameters.num_blok", "did you mean num_block?"),
    "spaces show bomb.pth": ("bomb.pth: not readable as YAML",),
}


@pytest.mark.parametrize("command", BAD_INPUT)
def test_bad_input_gets_one_line_and_code_2(run: Run, here: Path, command: str) -> None:
    prepare(here)
    before = sorted(here.rglob("*"))
    result = run(*command.split())
    assert_refused(result, *BAD_INPUT[command])
    assert sorted(here.rglob("*")) == before


def assert_refused(result: Result, *parts: str) -> None:
    assert result.code == 2
    assert result.out == ""
    lines = [line for line in result.err.splitlines() if not line.startswith("... ")]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    for part in parts:
        assert part in lines[0]


def test_bad_input_shows_no_traceback_in_a_process_of_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from autocompress.cli import main; main()", "pareto", "nowhere"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == "error: nowhere: no such folder; give the folder that `autocompress search` printed\n"


def test_a_failure_while_running_is_code_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise autocompress.errors.TrainingDiverged("the loss is nan")

    monkeypatch.setattr("autocompress.teachers.load_teacher", fail)
    result = run("teacher", "show", "edsr-baseline-x2")
    assert (result.code, result.err) == (1, "error: the loss is nan\n")


# --- a search and what follows it ---


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory, teacher_file: Path, photos: Path) -> list[object]:
    """Of a search of seconds."""
    space = tmp_path_factory.mktemp("space") / "small.yaml"
    space.write_text(SPACE)
    inputs = ["--teacher", teacher_file, "--train", photos, "--space", space, "--init", "scratch"]
    return ["search", "--budget-flops", "0.4G", *inputs, "--trials", "3", "--steps", "4"]


@pytest.fixture(autouse=True)
def _plain_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "choose", Arithmetic)


@pytest.fixture
def finished(run: Run, here: Path, arguments: list[object]) -> Path:
    """The folder of a search that has run."""
    assert run(*arguments, "--out", "run").code == 0
    return Path("run")


def test_a_search_shows_the_front_and_its_pick(run: Run, here: Path, arguments: list[object]) -> None:
    result = run(*arguments, "--out", "run", "--budget-params", "5K")
    assert result.code == 0
    students = RunFolder(here / "run").students()
    best = max(students, key=lambda student: float(student["metrics"]["psnr_y"]))
    assert f"Pick: trial {best['trial']}, {best['metrics']['psnr_y']:.2f} dB" in result.out
    assert "run/pareto.csv" in result.out
    assert "run/report.html" in result.out
    assert "bicubic" in result.out
    assert "The search ended: all 3 trials are done." in result.err
    assert "dB before training" in result.err
    assert "left" in result.err  # the time
    for name in ("pareto.csv", "pareto.json", "report.html", "config.json", "study.db"):
        assert (here / "run" / name).is_file()


def test_the_default_folder_is_named_after_the_search(run: Run, here: Path, arguments: list[object]) -> None:
    assert run(*arguments, "--seed", "5").code == 0
    assert (here / "runs" / "small-400M-seed5" / "pareto.csv").is_file()


def test_a_run_of_other_settings_is_refused(run: Run, finished: Path, arguments: list[object]) -> None:
    before = {file: file.read_bytes() for file in finished.rglob("*.json")}
    result = run(*arguments, "--out", finished, "--seed", "1")
    assert_refused(result, "run: holds a search of other settings", "seed was 0 and is now 1", "--out")
    assert {file: file.read_bytes() for file in finished.rglob("*.json")} == before


def test_ctrl_c_shows_the_front_so_far(
    run: Run, here: Path, arguments: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def step(self: Display, trial: int, step: int) -> None:
        seen.append(trial)
        if len(set(seen)) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(display.Display, "step", step)
        result = run(*arguments, "--out", "run")
    assert result.code == 130
    assert "The search ended: interrupted." in result.err
    assert "the same command goes on from here" in result.err
    assert "Pareto front" in result.out
    assert len(RunFolder(here / "run").students()) == 1
    result = run(*arguments, "--out", "run")
    assert result.code == 0
    assert "all 3 trials are done" in result.err


def test_ctrl_c_while_preparing_leaves_nothing(
    run: Run, here: Path, arguments: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stage(self: Display, what: str) -> None:
        if what == "analysing the teacher":
            raise KeyboardInterrupt

    monkeypatch.setattr(display.Display, "stage", stage)
    result = run(*arguments, "--out", "runs/new")
    assert result.code == 130
    assert "Traceback" not in result.err
    assert not list(here.iterdir())


def test_a_search_without_any_student_says_so(run: Run, here: Path, arguments: list[object]) -> None:
    result = run(*arguments, "--out", "run", "--timeout", "1ms")
    assert result.code == 1
    assert "No student was trained to the end" in result.err
    assert_refused(run("pareto", "run"), "run: no trial has finished yet")
    assert_refused(run("export", "run", "--out", "there"), "run: no trial has finished yet")
    assert not Path("there").exists()
    assert_refused(run("report", "run"), "run: no trial has finished yet")
    assert not Path("run/report.html").exists()


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_budget_that_no_student_is_within(
    run: Run, finished: Path, arguments: list[object], interrupted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written of the front of another budget goes, and every command says why there is none."""
    largest = max(RunFolder(finished).students(), key=lambda student: int(student["flops"]))
    for student in RunFolder(finished).students():
        if student["flops"] < largest["flops"]:
            shutil.rmtree(Path(student["file"]).parent)
    before = (finished / "report.html").read_text()
    if interrupted:
        monkeypatch.setattr(Driver, "run", lambda *_: Outcome("interrupted", interrupted=True))
    result = run(*arguments, "--out", finished, "--budget-flops", largest["flops"] - 1, "--extend")
    assert result.code == (130 if interrupted else 1)
    [said] = [line for line in result.err.splitlines() if "no front" in line]
    assert re.match(r"None of the 1 students is within .* FLOPs, so there is no front yet\. Run folder: run$", said)
    assert "Traceback" not in result.err
    assert not (finished / "pareto.csv").exists()
    assert not (finished / "pareto.json").exists()
    after = (finished / "report.html").read_text()
    assert "No student is within the budget" in after
    assert "No student is within the budget" not in before
    for command in (
        "pareto run",
        "pareto run --json",
        "export run --out there",
        "export run --out there --trial pick",
        "upscale run photo.png there.png",
        "evaluate run --latency",
    ):
        assert_refused(run(*command.split()), "run: none of its 1 students is within", "--extend")
    assert run("export", finished, "--out", "there", "--trial", int(Path(largest["file"]).parent.name)).code == 0
    assert run("status", finished).code == 0


def test_pareto_as_table_and_as_json_alone(run: Run, finished: Path) -> None:
    table = run("pareto", finished)
    assert table.code == 0
    for heading in ("PSNR-Y", "SSIM-Y", "FLOPs", "params", "of teacher", "over bicubic", "under teacher"):
        assert heading in table.out
    result = run("pareto", finished, "--json")
    content = json.loads(result.out)
    assert (result.code, result.err) == (0, "")
    assert content == json.loads((finished / "pareto.json").read_text())
    assert content["objective"] == "flops"
    columns = {"trial", "family", "psnr_y", "ssim_y", "flops", "params", "flops_share", "gain_over_bicubic"}
    assert columns <= content["students"][0].keys()


def test_a_damaged_student_is_named(run: Run, finished: Path) -> None:
    [*_, file] = sorted(finished.glob("trials/*/student.json"))
    file.write_text("{")
    assert_refused(run("pareto", finished), str(file), "not readable as JSON")


def test_report_writes_the_picture(run: Run, finished: Path) -> None:
    (finished / "report.html").unlink()
    result = run("report", finished)
    assert (result.code, result.out) == (0, f"{finished}/report.html\n")
    assert (finished / "report.html").stat().st_size > 1_000_000  # Plotly is inside


class ResidualBlockNoBN(nn.Module):
    def __init__(self, num_feat: int, res_scale: float) -> None:
        super().__init__()
        self.res_scale = res_scale
        self.conv1 = nn.Conv2d(num_feat, num_feat, 3, 1, 1)
        self.conv2 = nn.Conv2d(num_feat, num_feat, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(F.relu(self.conv1(x)))
        return x + out * self.res_scale


class BasicSREDSR(nn.Module):
    """Written after BasicSR's edsr_arch.py, independently of the package's; x2."""

    def __init__(self, num_feat: int, num_block: int, res_scale: float = 1.0) -> None:
        super().__init__()
        self.mean = torch.Tensor((0.4488, 0.4371, 0.4040)).view(1, 3, 1, 1)
        self.conv_first = nn.Conv2d(3, num_feat, 3, 1, 1)
        self.body = nn.Sequential(*[ResidualBlockNoBN(num_feat, res_scale) for _ in range(num_block)])
        self.conv_after_body = nn.Conv2d(num_feat, num_feat, 3, 1, 1)
        self.upsample = nn.Sequential(nn.Conv2d(num_feat, 4 * num_feat, 3, 1, 1), nn.PixelShuffle(2))
        self.conv_last = nn.Conv2d(num_feat, 3, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_first((x - self.mean) * 255.0)
        x = self.conv_last(self.upsample(self.conv_after_body(self.body(x)) + x))
        return x / 255.0 + self.mean


def check_in_basicsr(file: Path, expected: nn.Module) -> None:
    """The file loads strictly into the official architecture and computes there what it should."""
    content = torch.load(file, weights_only=True)
    assert content.keys() == {"params"}
    config = json.loads(file.with_suffix(".json").read_text())["config"]
    network = BasicSREDSR(config["num_feat"], config["num_block"])
    network.load_state_dict(content["params"], strict=True)
    lr = torch.rand(1, 3, 17, 12)
    torch.testing.assert_close(network(lr), expected(lr), atol=1e-5, rtol=0)


def test_export_of_a_run_loads_in_basicsr(run: Run, finished: Path) -> None:
    result = run("export", finished, "--out", "models", "--format", "pth")
    assert result.code == 0
    files = [Path(line) for line in result.out.splitlines()]
    front = json.loads(run("pareto", finished, "--json").out)["students"]
    assert [file.name for file in files] == [f"trial-{student['trial']:04d}.pth" for student in front]
    for file, student in zip(files, front, strict=True):
        check_in_basicsr(file, autocompress.load(student["file"]))
        about = json.loads(file.with_suffix(".json").read_text())
        assert about["metrics"]["psnr_y"] == student["psnr_y"]
        assert about["flops"] == student["flops"]


def test_export_folds_residual_scaling(run: Run, here: Path, tiny_teacher: nn.Module) -> None:
    torch.save(tiny_teacher.state_dict(), here / "scaled.pth")
    scaled = autocompress.load(here / "scaled.pth", res_scale=0.1)
    torch.save({"params": scaled.state_dict()}, here / "plain.pth")
    result = run("export", "scaled.pth", "--res-scale", "0.1", "--out", "models", "--format", "pth")
    assert result.code == 0
    check_in_basicsr(Path("models/scaled.pth"), scaled)


def test_export_as_safetensors_loads_again(run: Run, finished: Path) -> None:
    [file, *_] = sorted(finished.glob("trials/*/student.safetensors"))
    result = run("export", file, "--out", "models")
    assert (result.code, result.out) == (0, "models/student.safetensors\n")
    lr = torch.rand(1, 3, 8, 9)
    assert torch.equal(autocompress.load("models/student.safetensors")(lr), autocompress.load(file)(lr))
    written = json.loads(Path("models/student.json").read_text())
    assert written["provenance"] == json.loads(file.with_suffix(".json").read_text())["provenance"]


@pytest.mark.parametrize("format", ["pth", "safetensors"])
@pytest.mark.parametrize("out", ["/proc", "/proc/models", "file/models"])
def test_export_where_nothing_can_be_written(run: Run, here: Path, teacher_file: Path, format: str, out: str) -> None:
    prepare(here)
    result = run("export", teacher_file, "--out", out, "--format", format)
    assert_refused(result, f"{out}: cannot be written to", "another folder")


# --- evaluate, teacher, spaces ---


@pytest.mark.parametrize(("scale", "psnr", "ssim"), [(2, 33.66, 0.9299), (3, 30.39, 0.8682), (4, 28.42, 0.8104)])
def test_evaluate_bicubic_on_set5(run: Run, shared: Path, scale: int, psnr: float, ssim: float) -> None:
    result = run("evaluate", "bicubic", "--data", shared / "data/benchmark/Set5", "--scale", scale, "--json")
    assert (result.code, result.err) == (0, "")
    content = json.loads(result.out)
    assert (content["model"], content["scale"]) == ("bicubic", scale)
    assert content["data"]["Set5"]["mean"]["psnr_y"] == pytest.approx(psnr, abs=0.02)
    assert content["data"]["Set5"]["mean"]["ssim_y"] == pytest.approx(ssim, abs=0.0015)
    assert sorted(content["data"]["Set5"]["images"]) == ["baby", "bird", "butterfly", "head", "woman"]


def test_evaluate_on_two_sets_in_one_call(run: Run, here: Path) -> None:
    for index, name in enumerate(("first", "second")):
        (here / name).mkdir()
        write_waves(here / name / f"{name}-image.png", 48, 40, seed=index)
    both = json.loads(run("evaluate", "bicubic", "--data", "first", "--data", "second", "--json").out)["data"]
    assert list(both) == ["first", "second"]
    for name, scores in both.items():
        alone = json.loads(run("evaluate", "bicubic", "--data", name, "--json").out)["data"]
        assert alone == {name: scores}
        assert scores["images"] == {f"{name}-image": scores["mean"]}
        assert scores["mean"].keys() == {"psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb"}
    table = run("evaluate", "bicubic", "--data", "first", "--data", "second").out
    assert "bicubic on first, x2" in table
    assert "bicubic on second, x2" in table


def evaluated(run: Run, network: SRNetwork, *model: object) -> dict[str, Any]:
    """What `evaluate --json` says of a model on one image, after a check that the score is this network's."""
    Path("one").mkdir(exist_ok=True)
    write_waves(Path("one/waves.png"), 48, 96, seed=3)
    result = run("evaluate", *model, "--data", "one", "--json")
    assert (result.code, result.err) == (0, "")
    content: dict[str, Any] = json.loads(result.out)
    pair = open_folder(Path("one"), network.scale, min_size=32).read(0)
    with torch.no_grad():
        sr = network(torch.from_numpy(pair.lr).permute(2, 0, 1)[None] / 255)[0].clamp(0, 1) * 255
    expected = psnr_y(sr.round().to(torch.uint8).permute(1, 2, 0).numpy(), pair.hr, border=network.scale)
    assert (content["model"], content["scale"]) == (str(model[0]), network.scale)
    assert content["data"]["one"]["mean"]["psnr_y"] == pytest.approx(expected, abs=1e-3)
    return content


@pytest.mark.parametrize("name", ["edsr-baseline-x2", "swinir-s-x2"])
def test_evaluate_a_shipped_teacher_by_name(run: Run, here: Path, name: str) -> None:
    evaluated(run, load_teacher(name), name)


def test_evaluate_a_student_and_its_export(run: Run, finished: Path) -> None:
    [file, *_] = sorted(finished.glob("trials/*/student.safetensors"))
    assert run("export", file, "--out", "models", "--format", "pth").code == 0
    student = autocompress.load(file)
    assert evaluated(run, student, file)["data"] == evaluated(run, student, "models/student.pth")["data"]


@pytest.mark.parametrize(
    "name",
    [
        "edsr_x2_f16_b4",
        "edsr_pytorch_keys_x2_f16_b4",
        "edsr_x3_f8_b2",
        "swinir_x2_direct_d22_c24",
        "swinir_x4_pixelshuffle_d2_c12",
    ],
)
def test_evaluate_a_file_from_elsewhere(run: Run, here: Path, shared: Path, name: str) -> None:
    content = torch.load(shared / "golden" / f"{name}.pt", weights_only=True)
    torch.save(content["params"], "foreign.pth")
    network = autocompress.load("foreign.pth")
    assert f"_x{network.scale}_" in name
    evaluated(run, network, "foreign.pth")


def test_evaluate_with_residual_scaling(run: Run, here: Path) -> None:
    torch.manual_seed(0)
    torch.save(EDSR(EDSRConfig(2, 8, 2)).state_dict(), "plain.pth")
    scores = [
        evaluated(run, autocompress.load("plain.pth", scaling), "plain.pth", "--res-scale", scaling)["data"]
        for scaling in (1, 0.1)
    ]
    assert scores[0] != scores[1]


def test_evaluate_shows_each_image_and_the_mean(run: Run, photos: Path, teacher_file: Path) -> None:
    result = run("evaluate", teacher_file, "--data", photos)
    assert (result.code, result.err) == (0, "")
    for part in ("waves0", "waves1", "waves2", "mean", "PSNR-Y", "SSIM-Y", "PSNR-RGB"):
        assert part in result.out


def test_evaluate_on_tiles_gives_the_same_scores(run: Run, photos: Path, teacher_file: Path) -> None:
    whole = run("evaluate", teacher_file, "--data", photos, "--json")
    tiled = run("evaluate", teacher_file, "--data", photos, "--json", "--tile", "32")
    assert (tiled.code, tiled.err) == (0, "")
    assert json.loads(tiled.out) == json.loads(whole.out)


def test_evaluate_keeps_folders_of_one_name_apart(run: Run, here: Path) -> None:
    for parent in ("a", "b"):
        (here / parent / "HR").mkdir(parents=True)
        write_waves(here / parent / "HR" / "x.png", 40, 40, seed=ord(parent))
    content = json.loads(run("evaluate", "bicubic", "--data", "a/HR", "--data", "b/HR", "--json").out)
    assert len(content["data"]) == 2
    scores = [data["mean"]["psnr_y"] for data in content["data"].values()]
    assert scores[0] != scores[1]


def test_evaluate_json_is_strict_where_psnr_is_infinite(run: Run, here: Path) -> None:
    Image.new("RGB", (40, 40), (7, 7, 7)).save(here / "grey.png")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    content = json.loads(run("evaluate", "bicubic", "--data", ".", "--json").out, parse_constant=refuse)
    [data] = content["data"].values()
    assert data["mean"]["psnr_y"] is None
    assert data["mean"]["ssim_y"] == pytest.approx(1)


def test_teacher_list_and_show(run: Run) -> None:
    listed = run("teacher", "list")
    assert listed.code == 0
    assert "edsr-baseline-x2" in listed.out
    assert "316.2" in listed.out
    content = json.loads(run("teacher", "show", "edsr-baseline-x2").out)
    assert content["config"] == {"scale": 2, "num_feat": 64, "num_block": 16, "res_scale": 1.0}
    assert content["params"] == 1_369_859
    assert content["flops"] == pytest.approx(316.25e9, abs=0.005e9)
    assert content["metrics"]


def test_teacher_show_of_a_file(run: Run, teacher_file: Path) -> None:
    content = json.loads(run("teacher", "show", teacher_file, "--res-scale", "0.5").out)
    assert content["config"] == {"scale": 2, "num_feat": 8, "num_block": 2, "res_scale": 0.5}


def test_spaces_list_show_and_check(run: Run, here: Path) -> None:
    listed = run("spaces", "list")
    assert listed.code == 0
    assert "num_feat, num_block" in listed.out
    shown = run("spaces", "show", "edsr")
    (here / "mine.yaml").write_text(shown.out)
    checked = run("spaces", "check", "mine.yaml")
    assert checked.code == 0
    assert checked.out.startswith("mine.yaml: good, ")
    for parameter in load_space("edsr").parameters:
        assert f"  {parameter.name}: {', '.join(map(str, parameter.values))}\n" in checked.out


# --- what a terminal shows ---


def test_the_live_display_shows_trial_step_psnr_flops_and_time() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, highlight=False, width=120)
    values = {"num_feat": 16, "teacher_share": 0.5}
    candidate = Candidate("edsr", values, EDSRConfig(2, 16, 8), Recipe(), 11_650_000_000, 49603)
    with LiveDisplay(console, trials=4, steps=100) as live:
        live.stage("decoding images")
        live.prepared(["teacher  x2"])
        live.scored(3, candidate, 35.5)
        live.training(3, candidate)
        live.step(3, 33)
        live.at_rung(3, 33, 36.25)
        console.print(live._render())
        live.finished(3, candidate, 36.5)
        live.stopped(4, candidate, "dominated")
        live.failed(5, candidate, "the loss is nan")
    shown = screen.getvalue()
    for part in (
        "trial   3",
        "num_feat=16",
        "11.65G FLOPs",
        "36.25 dB so far",
        "step 33/100",
        "left",
        "teacher_share=0.5",
    ):
        assert part in shown
    assert "36.50 dB after 100 steps" in shown
    assert "stopped: dominated" in shown
    assert "FAILED: the loss is nan" in shown
