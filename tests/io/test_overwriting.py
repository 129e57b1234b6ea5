"""Nothing that a command reads is lost by what it writes, and nothing of another origin."""

import json
from pathlib import Path

import pytest
from helpers.command_line import Call, assert_refused
from helpers.edsr_networks import edsr

import autocompress
from autocompress.io import checkpoints
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.search import RunFolder

DISTILL = ("distill", "edsr", "--set", "num_feat=4", "--steps", "2", "--teacher", "net.safetensors")
TRAIN = ("teacher", "train", "edsr", "--steps", "2", "--start", "net.safetensors")
EXPORT = ("export", "net.safetensors", "--format", "safetensors")


@pytest.fixture
def net(here: Path) -> Path:
    """A foreign file of a network, in the folder where commands run."""
    file = here / "net.safetensors"
    checkpoints.save_tensors(file, edsr(EDSRConfig(2, 4, 1)).state_dict())
    return file


def kept(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("words", [(*DISTILL, "--out", "net.safetensors"), (*TRAIN, "--out", "net.safetensors")])
def test_what_a_training_reads(call: Call, net: Path, words: tuple[str, ...]) -> None:
    before = kept(net.parent)
    assert_refused(call(*words), "net.safetensors: is read by this command, and would be replaced", "--out")
    Path("link.safetensors").symlink_to("net.safetensors")
    assert_refused(call(*words[:-1], "link.safetensors"), "link.safetensors: is read by this command")
    Path("link.safetensors").unlink()
    assert kept(net.parent) == before


@pytest.mark.parametrize("words", [DISTILL, TRAIN])
@pytest.mark.parametrize("name", ["new.json", "new.html"])
def test_what_a_training_would_write_beside(call: Call, net: Path, words: tuple[str, ...], name: str) -> None:
    Path(name).write_text('{"name": "mine"}')
    before = kept(net.parent)
    assert_refused(call(*words, "--out", "new.safetensors"), f"{name}: is there, is not ", "would be replaced")
    assert kept(net.parent) == before


@pytest.mark.parametrize("words", [DISTILL, TRAIN])
def test_weights_that_would_be_read_as_another_network(call: Call, net: Path, words: tuple[str, ...]) -> None:
    Path("new.pth").write_bytes(net.read_bytes())
    before = kept(net.parent)
    assert_refused(call(*words, "--out", "new.safetensors"), "new.pth: is there, and would be read as new.json says")
    assert kept(net.parent) == before


def test_the_file_that_is_exported(call: Call, net: Path) -> None:
    before = kept(net.parent)
    assert_refused(call(*EXPORT, "--out", "."), "net.safetensors: is read by this command, and would be replaced")
    assert kept(net.parent) == before


def test_an_export_beside_its_source_leaves_it_what_it_is(call: Call, net: Path) -> None:
    """Its numbers are folded into the tensors of what is exported, and the side file would say so of both."""
    before = kept(net.parent)
    words = ("export", net.name, "--out", ".", "--format", "pth")
    assert_refused(call(*words, "--res-scale", "0.3"), "net.safetensors: is there, and is of another network")
    assert kept(net.parent) == before
    assert call(*words).code == 0
    assert autocompress.load(net).config == autocompress.load("net.pth").config
    assert call("export", net.name, "--out", ".", "--format", "pt2").code == 0  # of the same network


def test_an_export_beside_another_network_of_its_name(call: Call, net: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / net.name
    checkpoints.save_tensors(other, edsr(EDSRConfig(2, 2, 1)).state_dict())
    assert call("export", other, "--out", "out", "--format", "pth").code == 0
    before = kept(Path("out"))
    assert_refused(call(*EXPORT, "--out", "out"), "net.pth: is there, and is of another network than net.safetensors")
    assert kept(Path("out")) == before
    assert call("export", net, "--out", "out", "--format", "pth").code == 0  # which is replaced with its side file


@pytest.mark.parametrize("name", ["net.json", "net.md"])
def test_companions_of_an_export(call: Call, net: Path, name: str) -> None:
    Path("out").mkdir()
    (Path("out") / name).write_text("{}")
    assert_refused(call(*EXPORT, "--out", "out"), f"{name}: is there, is not ", "would be replaced")
    assert kept(Path("out")) == {name: b"{}"}


@pytest.mark.parametrize("name", ["README.md", "index.json"])
def test_pages_of_a_front(call: Call, copied: RunFolder, here: Path, name: str) -> None:
    """Such as those of the project in whose folder somebody exports."""
    (here / name).write_text("{}")
    assert_refused(call("export", copied.path, "--out", "."), f"{name}: is there, is not ", "would be replaced")
    assert kept(here) == {name: b"{}"}


def test_a_front_is_exported_again(call: Call, copied: RunFolder, here: Path) -> None:
    for _ in range(2):
        assert call("export", copied.path, "--out", "out").code == 0
    assert json.loads((here / "out" / "index.json").read_text())["students"]


def test_a_run_is_not_replaced_by_a_network_called_like_its_files(call: Call, net: Path, copied: RunFolder) -> None:
    net.rename("config.safetensors")
    before = (copied.path / "config.json").read_bytes()
    ended = call("export", "config.safetensors", "--out", copied.path, "--format", "pth")
    assert_refused(ended, "config.json: is there, is not the side file of a network")
    assert (copied.path / "config.json").read_bytes() == before
