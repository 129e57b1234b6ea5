"""Commands that only read and list answer at once: they import none of the libraries that take long to import."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command_line import Call
from helpers.small_search import FinishedSearch

from autocompress import api
from autocompress.cli import app
from autocompress.io.inputs import arguments_of
from autocompress.search import RunFolder

HEAVY = {"torch", "ray", "pandas", "plotly", "sqlalchemy", "alembic", "sklearn", "skimage", "fvcore", "scipy", "optuna"}
CODE = """
import sys
from autocompress.cli import main
for words in COMMANDS:
    sys.argv = ["autocompress", *words]
    try:
        main()
    except SystemExit as end:
        print(words[0], end.code, sorted(HEAVY & set(sys.modules)), file=sys.stderr)
"""
LISTS = [["models", "list"], ["models", "show", "edsr-x2-3g"], ["spaces", "list"], ["cache", "list"]]


@pytest.mark.parametrize("of_run", [True, False])
def test_they_import_little(finished: FinishedSearch, of_run: bool) -> None:
    run = str(finished[0].path)
    commands = [["pareto", run], ["pareto", run, "--json"], ["status", run], ["status", run, "--json"]]
    commands = commands if of_run else LISTS
    code = CODE.replace("COMMANDS", repr(commands)).replace("HEAVY", repr(HEAVY))
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr.splitlines() == [f"{words[0]} 0 []" for words in commands]
    assert ended.stdout


SHIPPED = "edsr-baseline-x2"
VALUES = [
    ["search", "--budget-flops", "many"],
    ["teacher", "train", "edsr", "--scale", "7", "--out", "out.safetensors"],
    ["evaluate", "bicubic", "--scale", "7"],
]
REFUSED = [
    *VALUES,
    ["search", "--budget-flops", "20G", "--train", "nowhere"],
    ["search", "--budget-flops", "20G", "--teacher", "nowhere.pth"],
    ["search", "--budget-flops", "20G", "--target", "nowhere.pth"],
    ["search", "--budget-flops", "20G", "--space", "edsr", "--space", "swinir", "--teacher", "edsr=nowhere.pth"],
    ["search", "--budget-flops", "20G", "--space", "nowhere.yaml"],
    ["search", "--budget-flops", "20G", "--teacher", SHIPPED, "--code", "nowhere.py:Net"],
    ["search", "--budget-flops", "20G", "--storage", "nowhere://host/studies"],
    ["search", "--join", "nowhere"],
    ["refine", "nowhere"],
    ["pareto", "nowhere"],
    ["report", "nowhere"],
    ["status", "nowhere"],
    ["dashboard", "nowhere"],
    ["compare", "nowhere", "there"],
    ["evaluate", "nowhere.pth"],
    ["evaluate", "nowhere", "--latency"],
    ["evaluate", SHIPPED, "--data", "nowhere"],
    ["evaluate", "bicubic", "--data", "nowhere"],
    ["upscale", "nowhere.pth", "photo.png", "out.png"],
    ["upscale", "nowhere.png", "out.png"],
    ["export", "nowhere", "--out", "out"],
    ["export", SHIPPED, "--out", "out", "--format", "onnx-int8", "--train", "nowhere"],
    ["distill", "nowhere.pth", "--out", "out.safetensors"],
    ["distill", "edsrmini", "--teacher", "nowhere.pth", "--out", "out.safetensors"],
    ["distill", "edsrmini", "--target", "nowhere.pth", "--out", "out.safetensors"],
    ["distill", "edsrmini", "--train", "nowhere", "--out", "out.safetensors"],
    ["distill", "edsrmini", "--data", "nowhere", "--out", "out.safetensors"],
    ["distill", "nowhere", "--out", "out.safetensors"],
    ["distill", "nowhere", "--teacher", SHIPPED, "--out", "out.safetensors"],
    ["distill", "edsrmini", "--set", "nowhere=3", "--out", "out.safetensors"],
    ["distill", "edsrmini", "--set", "patch_size=nowhere", "--out", "out.safetensors"],
    ["distill", "compact", "--set", "nowhere=3", "--target", SHIPPED, "--out", "out.safetensors"],
    ["distill", "edsrmini", "--init", "nowhere", "--out", "out.safetensors"],
    ["distill", "edsrmini", "--recipe", "nowhere", "--out", "out.safetensors"],
    ["prune", "nowhere.pth"],
    ["prune", SHIPPED, "--lr", "nowhere"],
    ["models", "show", "nowhere"],
    ["teacher", "show", "nowhere.pth"],
    ["teacher", "train", "edsr", "--start", "nowhere.pth", "--out", "out.safetensors"],
    ["teacher", "train", "edsr", "--val", "nowhere", "--out", "out.safetensors"],
    ["teacher", "train", "nowhere", "--out", "out.safetensors"],
    ["teacher", "train", "--code", "nowhere.py:Net", "--out", "out.safetensors"],
    ["spaces", "show", "nowhere"],
    ["spaces", "show", "--teacher", "nowhere.pth"],
    ["spaces", "check", "nowhere.yaml"],
]
NAMES_NOTHING = {"cache"}


def test_what_is_not_there_is_said_at_once(here: Path) -> None:
    commands = {str(command.name or command.callback.__name__) for command in app.registered_commands}
    groups = {str(group.name) for group in app.registered_groups}
    assert {words[0] for words in REFUSED} == (commands | groups) - NAMES_NOTHING  # every verb is among them
    code = CODE.replace("COMMANDS", repr(REFUSED)).replace("HEAVY", "{'torch', 'ray', 'plotly'}")
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    errors, ends = ended.stderr.splitlines()[::2], ended.stderr.splitlines()[1::2]
    assert ends == [f"{words[0]} 2 []" for words in REFUSED]
    assert all(error.startswith("error: ") for error in errors)
    assert all("nowhere" in error for error in errors[len(VALUES) :])
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("net.pth --code net.py:Net --set nowhere=3", "nowhere is nothing that can be set here; these can: width"),
        ("net.pth --code net.py:Net --set width=many", "width is 'many', but must be a number"),
        ("net.pth --code net.py:Net --set patch_size=[3,4]", "patch_size is [3, 4], but must be a number"),
        ("net.pth --code net.py:build --set width.0=true", "width.0 is True, but must be a number"),
        ("net.pth --set batch_size=many", "batch_size is 'many', but must be a number"),
    ],
)
def test_what_is_set_of_own_code_is_checked_before_it_runs(here: Path, call: Call, given: str, said: str) -> None:
    code = "raise SystemExit('it was run')\nclass Net:\n    def __init__(self, width, *, scale=2): ...\n"
    Path("net.py").write_text(code + "def build(width): ...\n")
    Path("net.pth").touch()
    ended = call("distill", *given.split(), "--out", "out.safetensors")
    assert ended.code == 2
    assert ended.err.startswith(f"error: {said}")


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("class Net(Base):\n    def __init__(self, width=8, /, deep=2, *, scale): ...", ["width", "deep", "scale"]),
        ("def Net(width): ...", ["width"]),
        ("class Net(Base): ...", None),
        ("def Net(**arguments): ...", None),
        ("@wrapped\ndef Net(width): ...", None),
        ("Net = partial(Other, width=8)", None),
        ("if torch:\n    class Net: ...", None),
        ("no Python", None),
        ("\0", None),
    ],
)
def test_arguments_of_code_are_read_where_it_says_them(here: Path, code: str, arguments: list[str] | None) -> None:
    Path("net.py").write_text(code)
    assert arguments_of("net.py:Net") == arguments


def test_the_database_of_a_session_is_checked_before_pytorch(finished: FinishedSearch) -> None:
    run, storage = str(finished[0].path), ["--storage", "nowhere://host/studies"]
    commands = [["search", "--join", run, *storage], ["refine", run, *storage]]
    code = CODE.replace("COMMANDS", repr(commands)).replace("HEAVY", "{'torch', 'ray', 'plotly'}")
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    errors, ends = ended.stderr.splitlines()[::2], ended.stderr.splitlines()[1::2]
    assert ends == [f"{words[0]} 2 []" for words in commands]
    assert all(error.startswith("error: ") and "nowhere" in error for error in errors)


def test_a_run_of_an_older_version_looks_the_same(copied: RunFolder, call: Call) -> None:
    shown = [call("pareto", str(copied.path), *options).out for options in ((), ("--json",))]
    assert "student" in shown[0]
    for file in [copied.path / "config.json", *copied.path.glob("trials/*/student.json")]:
        content = json.loads(file.read_text())
        del content.get("teacher", content)["network"]
        file.write_text(json.dumps(content))
    assert [call("pareto", str(copied.path), *options).out for options in ((), ("--json",))] == shown


def test_spaces_are_listed_as_they_are_read(call: Call) -> None:
    listed = call("spaces", "list").out
    for space in api.spaces():
        line = next(line for line in listed.splitlines() if f" {space.name} " in line)
        assert space.family.name in line
        assert ", ".join(parameter.name for parameter in space.parameters) in line


def test_nothing_of_what_is_shared_is_lost_on_the_way(finished: FinishedSearch, call: Call, tmp_path: Path) -> None:
    told = json.loads(call("pareto", str(finished[0].path), "--json").out)
    assert told == json.loads((finished[0].path / "pareto.json").read_text())
    assert told["students"][0]["network"].startswith("edsr num_feat=")
