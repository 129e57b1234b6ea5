"""README.md and docs/: every command in them runs, every option is one, every link leads somewhere.

The commands run in this process, on small stand-ins for the teachers, images and runs that they name
(tests/helpers/documentation.py), and in short: FEW replaces or adds the numbers of steps and trials. So what is tested
is that a command is right, not that its training is. tests/test_docs_programs.py runs what needs a process of its own.
"""

import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
import typer.main
from helpers.command_line import Call
from helpers.documentation import (
    FENCE,
    IMAGES,
    NOT_RUN,
    PAGES,
    PROGRAMS,
    PROGRAMS_OF_THEIR_OWN,
    ROOT,
    StandIns,
    blocks,
    commands,
    load_family,
    with_small_teachers,
)
from helpers.network_files import fvcore_total
from typer.core import TyperGroup

from autocompress import networks, prune
from autocompress.cli import app
from autocompress.export.files import export_network
from autocompress.networks import FAMILIES
from autocompress.networks.base import Family, SRNetwork
from autocompress.search import Outcome, RunFolder
from autocompress.search.space.search_space import load_space

FEW = {  # option: what it is given, and the commands that are given it also where they do not have it
    "--steps": ("2", ("search", "refine", "distill", "prune", "teacher train")),
    "--trials": ("1", ("search",)),
    "--batch-size": ("2", ("teacher train",)),
    "--patch-size": ("16", ("teacher train",)),
    "--refine": ("1s", ()),
}
# By how they begin: a SwinIR is trained or shrunk, many networks are timed, one is trained to be rounded or rounded on
# whole photographs, a graph is followed or converted as in another command that is run, or a command differs from
# another of the same verb in folders and numbers alone.
SLOW = (
    "autocompress export edsr-x2-3g --out models --format onnx-int8",
    "autocompress export edsr-x2-3g --out models --format onnx --format onnx-fp16",
    "autocompress search --objective latency",
    "autocompress distill swinirmini",
    "autocompress prune swinir",
    "autocompress teacher train swinir",
    "autocompress search --space swinir --budget-flops 30G",
    "autocompress search --budget-flops 30G --space edsr --space swinir",
    "autocompress export runs/edsr-20G-seed0 --trial pick --out models --format onnx-int8 --qat",
    "autocompress search --teacher rlfn_x2.pth --code rlfn.py:",
    "autocompress search --teacher rlfn_x4.pth --code rlfn.py:",
    "autocompress search --teacher my_network.pth --code my_network.py:MyNetwork --set scale=2 --teacher edsr",
    "autocompress search --teacher my_network.pth --code my_network.py:MyNetwork --set scale=2 --input-range 1 --train",
    "autocompress search --budget-flops 20G --target my_network.pth",
    "autocompress distill my_network.pth --code my_network.py:MyNetwork --code-set scale=2 --set feat=16 --train",
    "autocompress teacher train edsr --start net_g.pth --target my_network.pth",
    "autocompress search --budget-flops 20G --log tensorboard",
    "autocompress search --budget-flops 20G --repeats 3",
    "autocompress search --budget-flops 20G --refine 30m",
    "autocompress search --budget-flops 20G --space edsr-folded",
    "autocompress search --budget-flops 10G --space compact --out runs/compact",
    "autocompress search --budget-flops 10G --space compact --space edsr --out runs/both",
    "autocompress search --budget-flops 12G --prune",
    "autocompress search --budget-flops 20G --teacher net_g.pth --train DIV2K_train_HR",
    "autocompress search --budget-flops 20G --teacher net_g.pth --target swinir-s-x2",
    "autocompress search --budget-flops 20G --train DIV2K_train_HR --steps 3000",
    "autocompress search --teacher net.pt2",
    "autocompress search --teacher my_network.pth --code my_network.py:MyNetwork --set scale=2 --input-range 1 --score",
    "autocompress export runs/edsr-20G-seed0 --out models --format safetensors --format pth --format onnx",
    "autocompress export runs/program --trial pick --format pt2 --format onnx",
    "autocompress export swinirmini-x2",
    "autocompress search --teacher my_network.pth --code my_network.py:MyNetwork --set scale=2 --budget-flops",
    "autocompress refine runs/mine --steps",
    "autocompress prune my_network.pth",
    "autocompress distill edsrmini --train DIV2K_train_HR --data Set5 --data Set14",
    "autocompress distill edsrmini --train DIV2K_train_HR --val DIV2K_valid_HR",
    "autocompress distill edsrmini --target my_network.pth",
    "autocompress distill edsr --set num_feat=16 --set num_block=8",
    "autocompress teacher train edsr --scale 4 --train",
    "autocompress teacher train edsr --train DIV2K_train_HR --val DIV2K_valid_HR",
)
FOREIGN_OPTIONS = {"--appendonly", "--logdir"}  # of other programs, in running text
ALL = [(page, command) for page in PAGES for command in commands(page)]
RUN = list(dict.fromkeys(command for _, command in ALL if not command.startswith((*NOT_RUN, *PROGRAMS_OF_THEIR_OWN))))


@pytest.fixture(scope="module")
def espcn() -> Iterator[ModuleType]:
    """The family of docs/adding-a-family.md."""
    module = load_family()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, "espcn", module.ESPCNFamily())
        yield module
    del sys.modules[module.__name__]


@pytest.fixture(scope="module")
def stand(
    tmp_path_factory: pytest.TempPathFactory,
    finished: tuple[RunFolder, Outcome, object],
    espcn: ModuleType,
) -> Iterator[StandIns]:
    stand = StandIns(tmp_path_factory.mktemp("stand"), finished[0])
    stand.save("espcn.safetensors", network(espcn, 16, 2))
    yield from (stand for _ in with_small_teachers(tmp_path_factory.mktemp("teachers")))


def network(espcn: ModuleType, num_feat: int, num_layer: int) -> SRNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built: SRNetwork = FAMILIES["espcn"].build(espcn.ESPCNConfig(2, num_feat, num_layer)).eval()
    return built


def shortened(words: list[str]) -> list[str]:
    """With few steps and trials, and small batches."""
    name = " ".join(words[1:3]) if words[1] == "teacher" else words[1]
    for option, (few, given) in FEW.items():
        if option in words:
            words[words.index(option) + 1] = few
        elif name in given and "--join" not in words:
            words += [option, few]
    if name == "distill":
        words += ["--set", "batch_size=2"]
    return words


@pytest.mark.parametrize(
    "command",
    [pytest.param(command, id=command, marks=[pytest.mark.slow] * command.startswith(SLOW)) for command in RUN],
)
def test_a_command_runs(
    call: Call,
    command: str,
    stand: StandIns,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = tmp_path / "here"
    shutil.copytree(stand.folder, here)
    monkeypatch.chdir(here)
    words, _, file = command.partition(" > ")
    arguments = shortened(shlex.split(words))
    if arguments[1] == "search" and "--join" not in arguments:
        shutil.rmtree("runs")  # where it is to write
    if arguments[0] == "export":  # of a shell: what it sets is for all commands after it
        for word in arguments[1:]:
            monkeypatch.setenv(*word.split("=", 1))
        arguments = ["autocompress", "cache", "list"]
    assert arguments[0] == "autocompress", f"{command}: run it in a program of its own, or list it in NOT_RUN"
    ended = call(*arguments[1:])
    assert ended.code == 0, ended.err
    if file:
        Path(file).write_text(ended.out)


def test_what_is_not_run_stands_in_a_page() -> None:
    starts = (*NOT_RUN, *PROGRAMS_OF_THEIR_OWN, *SLOW)
    gone = [start for start in starts if not any(command.startswith(start) for _, command in ALL)]
    assert gone == []


def test_contributing_lists_what_is_not_run() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    _, _, table = text.partition("| documented command | why no test runs it |\n|---|---|\n")
    rows = [line.strip("| ").split(" | ") for line in table.partition("\n\n")[0].splitlines()]
    assert {command.strip("`"): why for command, why in rows} == NOT_RUN


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_no_line_that_a_shell_would_run_is_left_out(page: Path) -> None:
    """A block that has commands has nothing else; what has none is what a command prints."""
    left = []
    for block in blocks(page, "") + blocks(page, "sh"):
        lines = [line for line in block.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
        others = [line for line in lines if Path(line.split()[0]).name not in PROGRAMS]
        left += others if len(others) < len(lines) or block in blocks(page, "sh") else []
    assert left == []


def test_there_are_commands() -> None:
    assert len(RUN) > 20
    assert {"README.md", "teacher-and-data.md", "reproducing-the-paper.md"} <= {page.name for page, _ in ALL}


def test_the_spaces_are_good(espcn: ModuleType, tmp_path: Path) -> None:
    written = [block for page in PAGES for block in blocks(page, "yaml") if block.startswith("family:")]
    for text in written:
        (tmp_path / "space.yaml").write_text(text)
        load_space(str(tmp_path / "space.yaml"))
    assert len(written) >= 2


def test_every_image_folder_is_used() -> None:
    text = "".join(page.read_text() for page in PAGES)
    assert [name for name in IMAGES if name.split("/")[0] not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    lost = [link for link in links if not (page.parent / link.partition("#")[0]).exists()]
    anchors = [link for link in links if "#" in link and link.partition("#")[2] not in headings(page, link)]
    assert lost + anchors == []


def headings(page: Path, link: str) -> set[str]:
    """The anchors of the page that a link leads to, as GitHub makes them."""
    name = link.partition("#")[0]
    text = (page.parent / name if name else page).read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def known_commands() -> dict[str, set[str]]:
    """The options of every command, such as `teacher train`."""
    found: dict[str, set[str]] = {}

    def look(command: object, name: str) -> None:
        if isinstance(command, TyperGroup):
            for child, inner in command.commands.items():
                look(inner, f"{name} {child}".strip())
        else:
            parameters = command.params  # type: ignore[attr-defined]
            found[name] = {option for parameter in parameters for option in parameter.opts + parameter.secondary_opts}

    look(typer.main.get_command(app), "")
    return found


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_options_are_options(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))  # what is in blocks is run
    spans = [span for span in re.findall(r"`([^`\n]+)`", text) if span.split()[0] not in ("ray", "pip", "python")]
    named = {option for span in spans for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", span)}
    everywhere = {option for parameter in typer.main.get_command(app).params for option in parameter.opts}
    known = set().union(*known_commands().values(), everywhere, {"--help"}, FOREIGN_OPTIONS)
    assert named - known == set()


def test_every_command_is_mentioned() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in known_commands() if f"autocompress {name}" not in text] == []


# --- the family of docs/adding-a-family.md ---


@pytest.fixture
def family(espcn: ModuleType) -> Family:
    return FAMILIES["espcn"]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_family_counts_as_fvcore_does(espcn: ModuleType, family: Family, scale: int) -> None:
    config = espcn.ESPCNConfig(scale, 12, 3)
    described = networks.describe(family.build(config))
    assert described["flops"] == family.flops(config)
    assert described["params"] == family.params(config)
    per_pixel = fvcore_total(family.build(config), torch.zeros(1, 3, 10, 7)) / 70
    assert family.flops(config) == round(per_pixel * 1280 * 720 / scale**2)


def test_the_family_shrinks(espcn: ModuleType) -> None:
    # the distances vary by a third with the patches
    teacher, lr = network(espcn, 16, 4), torch.rand(12, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    same = prune.shrink(teacher, teacher.config, lr)
    torch.testing.assert_close(same(lr), teacher(lr), rtol=0, atol=1e-4)
    config = espcn.ESPCNConfig(2, 8, 2)
    distances = {
        init: (prune.shrink(teacher, config, lr, init)(lr) - teacher(lr)).square().mean().item()
        for init in ("projection", "copy", "taylor", "scratch")
    }
    assert distances["projection"] < min(distances["copy"], distances["taylor"], distances["scratch"]) / 2


def test_students_of_the_family_may_have_any_counts(espcn: ModuleType) -> None:
    teacher, lr = network(espcn, 16, 4), torch.rand(6, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    make = prune.shrinker(teacher, lr)
    for counts in ((1, 1), (16, 1), (5, 4), (16, 3)):
        student = make(espcn.ESPCNConfig(2, *counts))
        assert student.config == espcn.ESPCNConfig(2, *counts)
        assert torch.isfinite(student(lr)).all()


def test_the_family_is_read(espcn: ModuleType, tmp_path: Path) -> None:
    made = network(espcn, 8, 3)
    file = export_network(made, "one", tmp_path, "pth", {})
    file.with_suffix(".json").unlink()
    found = networks.load(file)
    assert (found.family, found.config) == ("espcn", made.config)
    lr = torch.rand(1, 3, 9, 11)
    assert torch.equal(found(lr), made(lr))
    assert found(lr).shape == (1, 3, 18, 22)
