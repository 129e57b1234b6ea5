"""A network of a user's own code, from the command line: what varies, a search, and its students in that code."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
import yaml
from helpers.command_line import Call, assert_refused
from helpers.own_network import CODE, OwnNetwork, write_own_network

from autocompress.io import cache
from autocompress.networks import FAMILIES, load
from autocompress.search import RunFolder
from autocompress.search.results.front import students

OWN = ("--code", "own.py:OwnNetwork")
TWO_INPUTS = CODE.replace("forward(self, x", "forward(self, x, other")
BRANCHING = CODE.replace(
    "        return F.pixel", "        if y.mean() > 0:\n            y = -y\n        return F.pixel"
)
SELECTING = CODE.replace("        return F.pixel", "        y = y - y[y > 0].mean()\n        return F.pixel")


@pytest.fixture
def own(here: Path, photos: Path) -> Path:
    """A folder with the code and random weights."""
    write_own_network(here / "own.py")
    torch.manual_seed(0)
    torch.save({"params": OwnNetwork(feat=12).state_dict()}, here / "own.pth")
    return here


def search(photos: Path, *more: str) -> tuple[str, ...]:
    images = ("--train", str(photos), "--val", str(photos))
    network = ("--teacher", "own.pth", *OWN, "--set", "feat=12", "--input-range", "1", "--allow-weak-teacher")
    return ("search", *network, "--budget-flops", "500M", *images, "--steps", "2", "--out", "run", *more)


@pytest.mark.slow
def test_what_varies_is_shown_and_given_back(call: Call, own: Path, photos: Path) -> None:
    network = (*OWN, "--set", "feat=12", "--input-range", "1")
    shown = json.loads(call("teacher", "show", "own.pth", *network).out)
    assert shown["family"] == "OwnNetwork"
    assert shown["varies"] == {"feat": [4, 5, 6, 7, 8, 9, 10, 11, 12], "blocks": [1, 2]}
    space = call("spaces", "show", "--teacher", "own.pth", *network)
    content = yaml.safe_load(space.out)
    assert content["parameters"]["feat"] == {"type": "int", "low": 4, "high": 12, "step": 1}
    content["parameters"]["feat"]["high"] = 6
    (own / "narrow.yaml").write_text(yaml.safe_dump(content))
    ended = call(*search(photos, "--space", "narrow.yaml", "--trials", "2"))
    assert ended.code == 0, ended.err
    made = RunFolder.existing(own / "run").students()
    assert len(made) == 2
    assert all(student.config["arguments"]["feat"] <= 6 for student in made)


def test_a_search_and_students_that_the_users_code_loads(call: Call, own: Path, photos: Path) -> None:
    ended = call(*search(photos, "--trials", "1"))
    assert ended.code == 0, ended.err
    assert "OwnNetwork" in ended.out
    assert call(*search(photos, "--trials", "2")).code == 0  # goes on
    assert call("refine", "run", "--steps", "2").code == 0
    for views in (("pareto", "run"), ("status", "run"), ("report", "run")):
        assert call(*views).code == 0
    FAMILIES.pop("OwnNetwork")  # as in a new process
    refused = call("export", "run", "--out", "models")
    assert refused.code == 2
    assert "--code FILE.py:OwnNetwork" in refused.err
    exported = call("export", "run", *OWN, "--out", "models", "--format", "pth", "--format", "safetensors")
    assert exported.code == 0, exported.err
    for file in (own / "models").glob("*.pth"):
        side = json.loads(file.with_suffix(".json").read_text())
        student = OwnNetwork(**{name: side["config"]["arguments"][name] for name in ("feat", "blocks")})
        student.load_state_dict(torch.load(file, weights_only=True)["params"])
        weights = str(file.with_suffix(".safetensors"))
        scored = call("evaluate", weights, *OWN, "--data", str(photos), "--json", "--quiet")
        assert scored.code == 0, scored.err


def test_densities_of_an_own_network(call: Call, own: Path, photos: Path) -> None:
    """It is pruned as the shipped families are, and what that suggests is a student of its code."""
    network = ("own.pth", *OWN, "--set", "feat=12", "--input-range", "1", "--allow-weak-teacher")
    pruned = call(
        "prune", *network, "--train", str(photos), "--val", str(photos), "--steps", "3", "--json", "--out", "d"
    )
    assert pruned.code == 0, pruned.err
    about = json.loads(pruned.out)
    assert about == json.loads((own / "d" / "densities.json").read_text())
    groups = {layer["name"]: layer["groups"] for layer in about["layers"]}
    assert groups["head"] == []
    assert groups["body.1"] == ["body.1"]
    OwnNetwork(**about["suggested"]["config"]["arguments"])
    assert load(own / "d" / "pruned.safetensors", code="own.py:OwnNetwork").scale == 2


@pytest.mark.slow
def test_a_search_by_densities_of_an_own_network(call: Call, own: Path, photos: Path) -> None:
    ended = call(*search(photos, "--prune", "--init", "density", "--trials", "2"))
    assert ended.code == 0, ended.err
    assert "pruning the teacher" in ended.err
    assert len(RunFolder.existing(own / "run").students()) == 2


TARGET = ("--target", "own.pth", "--target-code", "own.py:OwnNetwork", "--target-set", "feat=12")


@pytest.mark.slow
def test_an_edsr_student_learns_from_a_network_of_own_code(
    call: Call, own: Path, photos: Path, search_words: list[object]
) -> None:
    words = (*search_words, *TARGET, "--target-input-range", "1", "--allow-weak-teacher", "--out", "run")
    assert call(*words, "--trials", "1").code == 0
    cached = {entry.key for entry in cache.entries() if entry.kind == "targets"}
    again = call(*words, "--trials", "2")
    assert again.code == 0, again.err
    assert "students learn from own.pth" in again.err
    run = RunFolder.existing(own / "run")
    assert [student.family for student in run.students()] == ["edsr"] * 2
    digests = {student.provenance.target_digest for student in run.students()}
    assert len(digests) == 1
    assert {each.target for each in run.config.taught_spaces.values()} == {"own.pth"}
    assert any(key.startswith(*digests) for key in cached)
    assert {entry.key for entry in cache.entries() if entry.kind == "targets"} == cached


@pytest.mark.slow
def test_distill_from_a_network_of_own_code(call: Call, own: Path, photos: Path, teacher_file: Path) -> None:
    student = ("distill", "edsr", "--set", "num_feat=4", "--set", "num_block=1", "--teacher", str(teacher_file))
    images = (
        "--train",
        str(photos),
        "--val",
        str(photos),
        "--data",
        str(photos),
        "--steps",
        "2",
        "--out",
        "a.safetensors",
    )
    ended = call(
        *student,
        *TARGET,
        "--target-input-range",
        "1",
        "--allow-weak-teacher",
        *images,
        "--steps",
        "2",
        "--out",
        "a.safetensors",
    )
    assert ended.code == 0, ended.err
    provenance = json.loads((own / "a.json").read_text())["provenance"]
    assert provenance["target"] == "own.pth"
    refused = call(*student, "--target-code", "own.py:OwnNetwork", *images, "--out", "a.safetensors")
    assert refused.code == 2
    assert "needs the weights of its network; add --target FILE" in refused.err


def distilled(photos: Path, *more: str) -> tuple[str, ...]:
    images = ("--train", str(photos), "--val", str(photos), "--data", str(photos), "--steps", "2")
    images = (*images, "--allow-weak-teacher")
    return ("distill", "own.pth", *OWN, "--code-set", "feat=12", "--input-range", "1", *images, *more)


def test_distill_makes_a_student_that_the_users_code_loads(call: Call, own: Path, photos: Path) -> None:
    ended = call(*distilled(photos, "--set", "feat=6", "--set", "blocks=1", "--out", "student.safetensors"))
    assert ended.code == 0, ended.err
    side = json.loads((own / "student.json").read_text())
    assert side["config"]["arguments"] == {"blocks": 1, "feat": 6}
    assert side["curve"][0][0] == 0
    assert side["provenance"]["code"] == OWN[1]
    FAMILIES.pop("OwnNetwork")  # as in a new process
    assert call("evaluate", "student.safetensors", *OWN, "--data", str(photos)).code == 0
    upscaled = call("upscale", "student.safetensors", str(next(photos.glob("*.png"))), "large.png", *OWN)
    assert upscaled.code == 0, upscaled.err
    exported = call("export", "student.safetensors", *OWN, "--format", "pth", "--format", "pt2", "--out", "models")
    assert exported.code == 0, exported.err
    [exported] = (own / "models").glob("*.pth")
    tensors = torch.load(exported, weights_only=True)["params"]
    OwnNetwork(feat=6, blocks=1).load_state_dict(tensors)


def test_what_the_code_prints_is_not_among_the_results(call: Call, here: Path, photos: Path) -> None:
    """It prints when it is imported, builds and runs; stdout is JSON alone."""
    printing = CODE.replace("        return F.pixel", "        print('runs')\n        return F.pixel")
    printing = printing.replace("        super().__init__()", "        print('builds')\n        super().__init__()")
    (here / "own.py").write_text(printing + "\nprint('is imported')\n")
    torch.save({"params": OwnNetwork(feat=12).state_dict()}, here / "own.pth")
    network = (*OWN, "--set", "feat=12", "--input-range", "1")
    ended = call("evaluate", "own.pth", *network, "--data", str(photos), "--json", "--quiet")
    assert ended.code == 0
    assert json.loads(ended.out)
    assert {"is imported", "builds", "runs"} <= set(ended.err.splitlines())


def test_distill_of_a_known_file_in_the_place_of_a_family(
    call: Call, own: Path, photos: Path, teacher_file: Path
) -> None:
    images = ("--train", str(photos), "--val", str(photos), "--data", str(photos), "--steps", "2")
    shutil.copy(teacher_file, own / "tiny.pth")
    ended = call("distill", "tiny.pth", "--set", "num_feat=4", *images, "--out", "a.safetensors")
    assert ended.code == 0, ended.err
    side = json.loads((own / "a.json").read_text())
    assert (side["family"], side["provenance"]["teacher"]) == ("edsr", "tiny.pth")


@pytest.mark.slow
def test_a_teacher_and_a_target_of_the_same_code(call: Call, own: Path, photos: Path) -> None:
    torch.save(OwnNetwork(feat=16).state_dict(), own / "large.pth")
    target = ("--target", "large.pth", "--target-code", "own.py:OwnNetwork", "--target-set", "feat=16")
    ended = call(*search(photos, *target, "--target-input-range", "1", "--trials", "2"))
    assert ended.code == 0, ended.err
    made = RunFolder.existing(own / "run").students()
    assert max(student.config["arguments"]["feat"] for student in made) <= 12


@pytest.mark.slow
def test_a_joint_front_of_own_code_and_a_known_file(call: Call, own: Path, photos: Path, teacher_file: Path) -> None:
    shutil.copy(teacher_file, own / "tiny.pth")
    ended = call(*search(photos, "--teacher", "tiny.pth", "--trials", "6", "--budget-flops", "2G"))
    assert ended.code == 0, ended.err
    run = RunFolder.existing(own / "run")
    taught = {name: (each.teacher.name, each.teacher.family) for name, each in run.config.taught_spaces.items()}
    assert taught == {"OwnNetwork": ("own.pth", "OwnNetwork"), "edsr": ("tiny.pth", "edsr")}
    assert {student.family for student in run.students()} == {"OwnNetwork", "edsr"}
    table = students(run)
    assert set(table["family"]) == {"OwnNetwork", "edsr"}
    page = (own / "run" / "report.html").read_text()
    assert "OwnNetwork" in page
    assert "edsr num_feat=" in page
    FAMILIES.pop("OwnNetwork")  # as in a new process
    shown = json.loads(call("pareto", "run", "--json").out)
    assert {row["family"] for row in shown["students"]} == set(table[table["on_front"]]["family"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("search", "--budget-flops", "1G", *OWN), "needs the weights of its network; add --teacher FILE"),
        (("search", "--budget-flops", "1G", "--set", "feat=4"), "are for your own code; add --code FILE.py:CALLABLE"),
        (("search", "--budget-flops", "1G", *TARGET[2:4]), "needs the weights of its network; add --target FILE"),
        (("search", "--budget-flops", "1G", *TARGET[:2], *TARGET[4:]), "add --target-code FILE.py:CALLABLE"),
        (("search", "--budget-flops", "1G", *TARGET[:2]), "(a target's as --target-code)"),
        (distilled(Path(), "--set", "feat=13", "--out", "a.safetensors"), "feat is 13, but OwnNetwork takes (4, 5"),
        (distilled(Path(), "--set", "width=3", "--out", "a.safetensors"), "these can: feat, blocks, teacher_loss"),
        (distilled(Path(), "--teacher", "own.pth", "--out", "a.safetensors"), "both files of a teacher"),
        (("distill", "Own", *OWN, "--out", "a.safetensors"), "needs the weights of its network; add --teacher FILE"),
        (("distill", "own.pth", "--code-set", "feat=1", "--out", "a.safetensors"), "add --code FILE.py:CALLABLE"),
        (("distill", "nothing", "--out", "a.safetensors"), "nothing is no file, no preset and no family; known: edsr"),
        (("spaces", "show"), "give a space's name or file, or --teacher FILE"),
        (("spaces", "show", "--teacher", "edsr-baseline-x2"), "have a shipped space"),
        (("evaluate", "own.pth"), "give the code that builds the network, as --code"),
        (("evaluate", "own.pth", "--code", "own.py"), "names no code; write FILE.py:CALLABLE"),
    ],
)
def test_what_is_wrong_is_one_line(call: Call, own: Path, arguments: tuple[str, ...], message: str) -> None:
    ended = call(*arguments)
    assert ended.code == 2
    assert message in ended.err
    assert ended.err.count("error:") == 1


RETURN = "        return F.pixel_shuffle(y, 2) + skip"
LAZY = CODE.replace("self.tail = nn.Conv2d(feat, ", "self.tail = nn.LazyConv2d(")
BY_8 = CODE.replace(RETURN, f"        y = y.unflatten(2, (-1, 8)).flatten(2, 3)\n{RETURN}")
GREY = CODE.replace("nn.Conv2d(3, feat", "nn.Conv2d(1, feat")


BAD_CODE = {  # what stands in the file, and what is said of it
    "raises": ("raise RuntimeError('no luck')", "running it failed with RuntimeError: no luck; mend that"),
    "is no Python": ("def OwnNetwork(:", "running it failed with SyntaxError"),
    "builds no module": ("def OwnNetwork(feat): return 3", "OwnNetwork gives a int, but an nn.Module is needed"),
    "ends the program": ("import sys\nsys.exit(3)", "running it ended the program (SystemExit: 3)", "__name__ =="),
    "is lazy": (LAZY, "has the lazy tail.weight, whose size is not known yet"),
    "makes two things": (CODE.replace(RETURN, "        return y, skip"), "makes a tuple", "change what its forward"),
    "needs multiples of 8": (BY_8, "fails on an image of 37x47 pixels", "pad images in its forward, and crop"),
    "takes grey images": (GREY, "fails on an image of 32x48 pixels", "to have 1 channels", "must take RGB images"),
    "does not enlarge": (CODE.replace(RETURN, "        return x[:, :3]"), "makes (1, 3, 32, 48)", "s being 2 or more"),
    "has two inputs": (TWO_INPUTS, "fails on an image of 32x48 pixels", "missing 1 required positional argument"),
    "looks at values": (
        BRANCHING,
        "cannot be captured (own.py, line",
        "if y.mean() > 0:",
        "what depends on the values",
    ),
    "has sizes of values": (SELECTING, "cannot be captured (own.py, line", "what index makes has a size that depends"),
}


@pytest.mark.parametrize("kind", BAD_CODE)
def test_code_that_cannot_be_used_is_one_line_and_nothing_is_written(
    call: Call, own: Path, photos: Path, kind: str
) -> None:
    source, *parts = BAD_CODE[kind]
    (own / "own.py").write_text(source)
    before = sorted(own.iterdir())
    ended = call(*search(photos, "--quiet"))
    assert ended.code == 2
    [line] = ended.err.splitlines()
    assert line.startswith("error: ")
    for part in parts:
        assert part in line
    assert [path for path in sorted(own.iterdir()) if path.name != "__pycache__"] == before


def test_a_program_of_another_version_is_one_line(call: Call, own: Path, photos: Path) -> None:
    """Its parts are elsewhere in the archive, as in files of PyTorch before 2.8."""
    with zipfile.ZipFile(own / "old.pt2", "w") as archive:
        archive.writestr("serialized_exported_program.json", "{}")
        archive.writestr("version", "8.1")
    ended = call("search", "--teacher", "old.pt2", "--budget-flops", "1G", "--train", str(photos), "--out", "run")
    assert ended.code == 2
    assert "no exported program, or of a PyTorch before 2.8; export it again with" in ended.err
    assert ended.err.count("error:") == 1
    assert not (own / "run").exists()


def test_training_it(call: Call, here: Path, photos: Path) -> None:
    write_own_network(here / "own.py")
    own = ("--code", "own.py:OwnNetwork", "--set", "feat=6")
    images = ("--train", photos, "--val", photos, "--steps", "2", "--batch-size", "2")
    first = call("teacher", "train", *own, *images, "--out", "first.safetensors")
    assert first.code == 0, first.err
    side = json.loads((here / "first.json").read_text())
    assert (side["family"], side["config"]["arguments"]["feat"]) == ("OwnNetwork", 6)
    on = call("teacher", "train", *own, *images, "--start", "first.safetensors", "--out", "second.safetensors")
    assert on.code == 0, on.err
    FAMILIES.pop("OwnNetwork")  # as in a new process
    again = load(here / "second.safetensors", code="own.py:OwnNetwork")
    assert again.config.to_dict()["arguments"]["feat"] == 6
    before = load(here / "first.safetensors", code="own.py:OwnNetwork").state_dict()
    assert any(not torch.equal(tensor, before[name]) for name, tensor in again.state_dict().items())
    for words, message in (
        (("edsr", *own), "both edsr and own.py:OwnNetwork are given"),
        ((), "of your own --code FILE.py:CALLABLE, but neither is given"),
        (("edsr", "--input-range", "1"), "--input-range 1 is for networks of --code"),
        ((*own, "--scale", "3"), "--scale is 3, but OwnNetwork upscales by 2"),
        ((*own, "--start", "own.py"), "own.py"),
    ):
        assert_refused(call("teacher", "train", *words, "--out", "third.safetensors"), message)
    assert not (here / "third.safetensors").exists()
