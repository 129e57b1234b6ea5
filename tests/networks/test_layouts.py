"""Everyday files of everyday training scripts: a network is found in each, by structure, wherever it lies in it."""

from __future__ import annotations

import argparse
import collections
import datetime
import pathlib
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.command_line import Call, assert_refused
from helpers.edsr_networks import weights
from helpers.swinir_networks import random_swinir
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

import autocompress
from autocompress.errors import CheckpointError
from autocompress.networks.swinir.network import SwinIRConfig

Weights = dict[str, Tensor]


class Options(dict[str, Any]):
    """As configs of training scripts are: a class of their own."""


class Opaque:
    """An object with a state of its own."""

    def __init__(self) -> None:
        self.state = {"a": 1}


def swinir() -> Weights:
    return dict(random_swinir(SwinIRConfig(2, 6, (2,), (2,), 4)).state_dict())


def prefixed(prefix: str, tensors: Weights) -> Weights:
    return {prefix + name: value for name, value in tensors.items()}


def changed(tensors: Weights) -> Weights:
    return {name: value + 1 for name, value in tensors.items()}


def optimizer(tensors: Weights) -> dict[str, Any]:
    trained = [torch.nn.Parameter(value.clone()) for value in tensors.values() if value.is_floating_point()]
    made = torch.optim.Adam(trained)
    for parameter in made.param_groups[0]["params"]:
        parameter.grad = torch.ones_like(parameter)
    made.step()
    return made.state_dict()


OTHER = {name: torch.ones(4, 3, 3, 3) for name in ("conv0_0.weight", "linear1.bias", "a.b", "a.c")}
EMA = {"n_averaged": torch.tensor(7)}
LAYOUTS: dict[str, Callable[[Weights], Any]] = {
    "bare": lambda w: w,
    "params": lambda w: {"params": w},
    "params_ema": lambda w: {"params_ema": w},
    "state_dict": lambda w: {"state_dict": w},
    "model_state_dict": lambda w: {"model_state_dict": w, "loss": 0.1},
    "model": lambda w: {"model": w},
    "net_g": lambda w: {"net_g": w, "net_d": OTHER},
    "net": lambda w: {"net": w},
    "network": lambda w: {"network": w, "epoch": 3},
    "generator": lambda w: {"generator": w, "discriminator": OTHER},
    "weights": lambda w: {"weights": w},
    "ema": lambda w: {"ema": w},
    "a nested dict": lambda w: {"checkpoint": {"model": {"state_dict": w}}, "epoch": 3},
    "whatever it is called": lambda w: {"my best one (really)": w},
    "epoch, model, optimizer": lambda w: {"epoch": 3, "model": w, "optimizer": optimizer(w)},
    "two optimizers": lambda w: {"net_g": w, "optimizers": {"g": optimizer(w), "d": optimizer(OTHER)}},
    "a scheduler's dict": lambda w: {"model": w, "scheduler": {"base_lrs": [0.1], "last_epoch": 3}},
    "module.": lambda w: prefixed("module.", w),
    "module. in params": lambda w: {"params": prefixed("module.", w)},
    "_orig_mod.": lambda w: prefixed("_orig_mod.", w),
    "_orig_mod.module.": lambda w: prefixed("_orig_mod.module.", w),
    "module._orig_mod.": lambda w: {"state_dict": prefixed("module._orig_mod.", w)},
    "_orig_mod. within": lambda w: {name.replace("body.0", "body.0._orig_mod", 1): value for name, value in w.items()},
    "model.": lambda w: {"state_dict": prefixed("model.", w), "pytorch-lightning_version": "2.1.0", "epoch": 9},
    "net.": lambda w: prefixed("net.", w),
    "generator.": lambda w: prefixed("generator.", w),
    "generator. and discriminator.": lambda w: prefixed("generator.", w) | prefixed("discriminator.", OTHER),
    "model. beside a loss": lambda w: {"state_dict": prefixed("model.", w) | prefixed("loss.vgg.", OTHER)},
    "a loss in the same dict": lambda w: w | prefixed("perceptual_loss.vgg.", OTHER),
    "flat params_ema": lambda w: prefixed("params_ema.", w),
    "flat params and params_ema": lambda w: (
        prefixed("params.", {k: v + 1 for k, v in w.items()}) | prefixed("params_ema.", w)
    ),
    "an averaged model": lambda w: EMA | prefixed("module.", w),
    "a counter in the same dict": lambda w: w | {"epoch": torch.tensor(3), "num_updates": torch.tensor([9])},
    "a number in the same dict": lambda w: w | {"epoch": 3, "psnr": 37.9, "name": "EDSR", "flag": None},
    "a Namespace": lambda w: {"state_dict": w, "args": argparse.Namespace(scale=[2], path=pathlib.Path("a/b"))},
    "NumPy's numbers": lambda w: {"model": w, "best": np.float64(37.9), "curve": np.arange(3)},
    "Python's objects": lambda w: {
        "model": w,
        "log": collections.defaultdict(list, {"loss": [1.0]}),
        "when": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        "seen": {1, 2},
    },
    "a script's own classes": lambda w: {"cfg": Options(a=1), "obj": Opaque(), "list": [Opaque()], "model": w},
    "classes of PyTorch": lambda w: {"model": w, "class": torch.optim.Adam, "act": torch.nn.functional.relu},
    "an ordered dict": collections.OrderedDict,
    "parameters": lambda w: {name: torch.nn.Parameter(v) if v.is_floating_point() else v for name, v in w.items()},
    "half": lambda w: {name: value.half() if value.is_floating_point() else value for name, value in w.items()},
    "a copy of the same": lambda w: {"model": w, "last": w},
}
NETWORKS = {"edsr": weights, "swinir": swinir}


def check(file: Path, tensors: Weights, half: bool = False) -> None:
    network = autocompress.load(file)
    for name, value in network.state_dict().items():
        assert torch.equal(value, tensors[name].half().float() if half else tensors[name].float())


@pytest.mark.parametrize(
    ("family", "zipped"),
    [
        ("edsr", False),
        ("swinir", True),
        pytest.param("edsr", True, marks=pytest.mark.slow),
        pytest.param("swinir", False, marks=pytest.mark.slow),
    ],
    ids=["edsr-legacy", "swinir-zip", "edsr-zip", "swinir-legacy"],
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_read(tmp_path: Path, layout: str, family: str, zipped: bool) -> None:
    tensors = NETWORKS[family]()
    file = tmp_path / "file.bin"
    torch.save(LAYOUTS[layout](tensors), file, _use_new_zipfile_serialization=zipped)
    check(file, tensors, half=layout == "half")


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors", "weights.bin", "weights", "w.v2.tar"])
def test_suffixes_do_not_decide(tmp_path: Path, name: str) -> None:
    tensors = weights()
    torch.save(tensors, tmp_path / name)
    check(tmp_path / name, tensors)
    save_file(tensors, tmp_path / name)
    check(tmp_path / name, tensors)


WORDS = st.sampled_from(["params", "model", "net_g", "state_dict", "generator", "a b", "my.net", "7", "ema"])
PREFIXES = st.lists(st.sampled_from(["module", "_orig_mod", "model", "net", "generator", "g"]), max_size=4)


@examples(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(folders=st.lists(WORDS, max_size=4), prefixes=PREFIXES, beside=st.booleans(), zipped=st.booleans())
def test_any_nesting_and_any_prefixes(
    tmp_path: Path, folders: list[str], prefixes: list[str], beside: bool, zipped: bool
) -> None:
    tensors = weights()
    content: Any = prefixed("".join(f"{prefix}." for prefix in prefixes), tensors)
    for folder in reversed(folders):
        content = {folder: content} | ({"epoch": 3, "extra": OTHER} if beside else {})
    torch.save(content, tmp_path / "any.pth", _use_new_zipfile_serialization=zipped)
    check(tmp_path / "any.pth", tensors)


@pytest.mark.parametrize(
    ("layout", "told"),
    [
        ("bare", "BasicSR's names"),
        ("params_ema", "BasicSR's names, under params_ema"),
        ("module. in params", "BasicSR's names, under params, with module. before each name"),
        ("epoch, model, optimizer", "BasicSR's names, under model"),
        ("a counter in the same dict", "BasicSR's names, beside epoch, num_updates, which is left out"),
    ],
)
def test_teacher_show_says_which(call: Call, here: Path, layout: str, told: str) -> None:
    torch.save(LAYOUTS[layout](weights()), "net.pth")
    shown = call("teacher", "show", "net.pth")
    assert f'"layout": "{told}"' in shown.out


def test_which_of_two_networks_is_not_guessed(call: Call, here: Path) -> None:
    torch.save({"first": weights(), "second": changed(weights())}, "net.pth")
    assert_refused(call("teacher", "show", "net.pth"), "several networks", "under first; under second", "torch.save")


def test_a_network_that_holds_itself_ends(tmp_path: Path) -> None:
    content: dict[str, Any] = {"params": weights()}
    for name in "abcdefgh":
        content[name] = content
    torch.save(content, tmp_path / "odd.pth")
    check(tmp_path / "odd.pth", weights())


def zipped(names: list[str]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, b"something")

    return write


def scripted(path: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(torch.nn.Conv2d(3, 3, 3), torch.ones(1, 3, 8, 8)), path)  # type: ignore[no-untyped-call]


def only(name: str, *shape: int) -> Callable[[Path], None]:
    return lambda path: torch.save({"params": {name: torch.ones(shape), "conv_first.bias": torch.ones(3)}}, path)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "TorchScript": (scripted, "a TorchScript program, which is code and is not run; save the weights in it with"),
    "a program of torch.export": (zipped(["a/archive_format", "a/data.pkl"]), "a program of torch.export"),
    "NumPy's archive": (zipped(["a.npy", "b.npy"]), "arrays of NumPy"),
    "another zip": (zipped(["thesis.tex"]), "a zip archive of other files"),
    "text": (lambda path: path.write_text("hello\nworld"), "a text, but a file of weights"),
    "HTML": (lambda path: path.write_text("\n<!DOCTYPE html><html>"), "what a browser was shown"),
    "a pointer of git-lfs": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
        "git lfs pull",
    ),
    "JSON": (lambda path: path.write_text('{"family": "edsr"}'), "JSON; give the file of weights beside it"),
    "an empty file": (lambda path: path.write_bytes(b""), "an empty file; copy or download it again"),
    "HDF5": (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99)), "an HDF5 file"),
    "ONNX": (lambda path: path.write_bytes(b"\x08\x08\x12\x07pytorch"), "as ONNX's files are"),
    "a folder": (lambda path: path.mkdir(), "a folder, but a file of weights is needed"),
    "a pickled network": (
        lambda path: torch.save(torch.nn.Conv2d(3, 3, 3), path),
        "of the class torch.nn.modules.conv.Conv2d",
    ),
    "one in a dict": (
        lambda path: torch.save({"model": torch.nn.ReLU()}, path),
        "'model' (an object of the class",
    ),
    "a tensor": (lambda path: torch.save(torch.ones(3), path), "holds a tensor without a name"),
    "an RRDB": (only("body.0.rdb1.conv1.weight", 4, 3, 3, 3), "seems to be an RRDB network, as ESRGAN"),
    "an RCAN": (only("body.0.body.0.body.3.conv_du.0.weight", 1, 3, 1, 1), "seems to be an RCAN"),
    "a language model": (only("model.embed_tokens.weight", 4, 3), "seems to be a language model"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_is_named(tmp_path: Path, kind: str) -> None:
    make, message = REFUSED[kind]
    make(tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match=re.escape(message)) as caught:
        autocompress.load(tmp_path / "file.pth")
    told = str(caught.value)
    assert "\n" not in told
    assert "weights_only" not in told
    assert told.startswith(f"{tmp_path / 'file.pth'}: ")


class Runs:
    """Pickles as a call of what stands in `what`."""

    def __init__(self, what: Any, *arguments: object) -> None:
        self.what, self.arguments = what, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.what, self.arguments


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "what", ["os.system", "builtins.eval", "builtins.exec", "subprocess.Popen", "shutil.rmtree", "runpy.run_path"]
)
def test_code_of_python_s_own_is_refused(tmp_path: Path, what: str, zipped: bool) -> None:
    module, name = what.rsplit(".", 1)
    call = Runs(getattr(__import__(module), name), f"open({str(tmp_path / 'ran')!r}, 'w')")
    torch.save({"params": weights(), "bomb": call}, tmp_path / "bomb.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="could run code, so it is refused"):
        autocompress.load(tmp_path / "bomb.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["bomb.pth"]


def ran(path: str) -> None:
    Path(path).touch()


def test_code_of_others_is_not_run(tmp_path: Path) -> None:
    """A function that can be imported, beside weights that are read all the same."""
    torch.save({"params": weights(), "bomb": Runs(ran, str(tmp_path / "ran"))}, tmp_path / "bomb.pth")
    check(tmp_path / "bomb.pth", weights())
    assert not (tmp_path / "ran").exists()
    torch.load(tmp_path / "bomb.pth", weights_only=False)
    assert (tmp_path / "ran").exists()
