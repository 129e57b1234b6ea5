"""Files of exported programs: what is none, and what would run more than operations, is refused in one line."""

from __future__ import annotations

import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.exported import changed, write_pt2
from helpers.own_network import OwnNetwork

from autocompress.errors import CheckpointError
from autocompress.io.programs import read_program


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("program") / "own.pt2"
    write_pt2(OwnNetwork(), file)
    return file


def test_a_program_is_read(program: Path) -> None:
    state = read_program(program).state_dict
    assert state.keys() == OwnNetwork().state_dict().keys()


def call_the_system(model: Any) -> None:
    model["graph_module"]["graph"]["nodes"][0]["target"] = "torch.os.system"


def read_a_file(model: Any) -> None:
    model["graph_module"]["graph"]["nodes"][0]["target"] = "torch.ops.aten.from_file.default"


def give_a_function(model: Any) -> None:
    model["graph_module"]["graph"]["nodes"][0]["inputs"][0]["arg"] = {"as_operator": "torch.os.system"}


def of_size(formula: str) -> Callable[[Any], None]:
    """With this formula in the place of the first."""

    def change(model: Any) -> None:
        text = json.dumps(model)
        at = text.index('"expr_str": "')
        end = text.index('"', at + len('"expr_str": "'))
        model.update(json.loads(f"""{text[:at]}"expr_str": "{formula}"{text[end + 1 :]}"""))

    return change


def unpickle_a_weight(config: Any) -> None:
    next(iter(config["config"].values()))["use_pickle"] = True


def of_another_version(model: Any) -> None:
    model["schema_version"]["major"] = 99


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("models/model.json", call_the_system, "it calls torch.os.system, but only programs of ATen operations"),
        ("models/model.json", read_a_file, "it calls torch.ops.aten.from_file.default, but only"),
        ("models/model.json", give_a_function, "it calls torch.os.system, but only"),
        ("models/model.json", of_size("__import__('os').getcwd()"), "it has the size __import__"),
        ("models/model.json", of_size("9**9**9**9"), "it has the size 9"),  # of more digits than any memory has
        ("models/model.json", of_size("(9**16)**16**16"), "it has the size"),
        ("models/model.json", of_size("Pow(Integer(9), Pow(Integer(99), Integer(99)))"), "it has the size Pow"),
        ("models/model.json", of_size("LShift(Integer(1), Integer(9999999999))"), "it has the size LShift"),
        ("models/model.json", of_size("1<<10**10"), "it has the size 1<<"),
        ("models/model.json", of_size("FloorToInt(1e999999999)"), "it has the size FloorToInt"),
        ("models/model.json", of_size("Product(1, 2)"), "it has the size Product"),
        ("model_weights_config.json", unpickle_a_weight, "is no plain tensor, but only programs"),
        ("models/model.json", of_another_version, "no exported program that PyTorch .* reads"),
    ],
)
def test_what_is_more_than_a_network_is_refused(
    program: Path, tmp_path: Path, part: str, change: Callable[[Any], None], message: str
) -> None:
    changed(program, tmp_path / "other.pt2", part, change)
    with pytest.raises(CheckpointError, match=message) as raised:
        read_program(tmp_path / "other.pt2")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("left", [0, 4, 100])
@pytest.mark.parametrize("number", [0, 1, 7])
def test_a_weight_that_is_cut_is_refused(program: Path, tmp_path: Path, number: int, left: int) -> None:
    """Of an empty one PyTorch takes what lies in memory."""
    with zipfile.ZipFile(program) as old, zipfile.ZipFile(tmp_path / "cut.pt2", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            whole = not name.endswith(f"data/weights/weight_{number}")
            new.writestr(name, content if whole else content[: min(left, len(content) - 4)])
    with pytest.raises(CheckpointError, match=r"cut\.pt2: (cut, as .* is not whole in it|no exported program)"):
        read_program(tmp_path / "cut.pt2")


class Touch:
    """What makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self._file,)


def parts_of(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


WEIGHTS, CONSTANTS = "data/weights/model_weights_config.json", "data/constants/model_constants_config.json"
RUN = [
    "an object as a constant",
    "all weights in one pickle",
    "all constants in one pickle",
    "a second program",
    "a second program's weights",
    "machine code",
    "what nobody knows",
]


def parts_that_run(kind: str, parts: dict[str, bytes], touched: Path) -> dict[str, bytes]:
    """Parts beside a good program's `parts` that PyTorch's reader would run: they touch a file, where they can."""
    about = next(iter(json.loads(parts[WEIGHTS])["config"].values()))
    constant = {"config": {"evil": {**about, "path_name": "opaque_obj_0"}}}
    weight = {"config": {"evil": {**about, "path_name": "weight_9", "use_pickle": True}}}
    other = {name.replace("model", "other"): parts[name] for name in (WEIGHTS, CONSTANTS, "models/model.json")}
    other |= {"data/sample_inputs/other.pt": parts["data/sample_inputs/model.pt"]}
    call = f"__import__('pathlib').Path('{touched}').touch() or "
    graph = parts["models/model.json"].replace(b'"expr_str": "', f'"expr_str": "{call}'.encode(), 1)
    pickled = saved(Touch(touched))
    return {
        RUN[0]: {CONSTANTS: json.dumps(constant).encode(), "data/constants/opaque_obj_0": pickle.dumps(Touch(touched))},
        RUN[1]: {"data/weights/model.pt": pickled},
        RUN[2]: {"data/constants/model.pt": pickled},
        RUN[3]: {**other, "models/other.json": graph},
        RUN[4]: {
            **other,
            "data/weights/other_weights_config.json": json.dumps(weight).encode(),
            "data/weights/weight_9": pickled,
        },
        RUN[5]: {"data/aotinductor/model/wrapper.so": b"", "data/aotinductor/model/wrapper.json": b"{}"},
        RUN[6]: {"data/other": b""},
    }[kind]


@pytest.mark.parametrize("kind", RUN)
def test_parts_that_would_be_run_are_refused(program: Path, tmp_path: Path, kind: str) -> None:
    parts = parts_of(program)
    with zipfile.ZipFile(tmp_path / "other.pt2", "w") as archive:
        for name, content in (parts | parts_that_run(kind, parts, tmp_path / "touched")).items():
            archive.writestr(f"other/{name}", content)
    with pytest.raises(CheckpointError, match=r"other\.pt2: (?!no exported program)"):
        read_program(tmp_path / "other.pt2")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("folder", ["own", "other"])
def test_a_part_that_is_there_twice_is_refused(program: Path, tmp_path: Path, folder: str, first: bool) -> None:
    """Which of them PyTorch takes is not what Python's reader of archives takes."""
    own = [(f"own/{name}", content) for name, content in parts_of(program).items()]
    more = [(f"{folder}/{name.partition('/')[2]}", content) for name, content in own]
    with zipfile.ZipFile(tmp_path / "other.pt2", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the names
        for name, content in more + own if first else own + more:
            archive.writestr(name, content)
    with pytest.raises(CheckpointError, match=r"other\.pt2: it has the (part .* twice|folders other, own), but only"):
        read_program(tmp_path / "other.pt2")


def test_tensors_in_one_part_are_read(program: Path, tmp_path: Path) -> None:
    """As PyTorch 2.8 wrote them."""
    state = dict(OwnNetwork().named_parameters())
    with zipfile.ZipFile(tmp_path / "older.pt2", "w") as archive:
        for name, content in parts_of(program).items():
            if not name.startswith("data/weights/"):
                archive.writestr(f"older/{name}", content)
        archive.writestr("older/data/weights/model.pt", saved(state))
    read = read_program(tmp_path / "older.pt2").state_dict
    assert all(torch.equal(read[name], value) for name, value in state.items())


def test_what_is_no_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pt2").write_text("no archive")
    torch.save(OwnNetwork().state_dict(), tmp_path / "weights.pt2")
    for name, message in (("nothing", "no such file"), ("text", "export it again"), ("weights", "no exported program")):
        with pytest.raises(CheckpointError, match=message):
            read_program(tmp_path / f"{name}.pt2")


def test_an_archive_in_it_is_not_unpacked_beyond_its_size(program: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner.zip"
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", b"\x80\x02" + b"N0" * 10**6 + b"N.")
    large = tmp_path / "large.pt2"
    with zipfile.ZipFile(program) as old, zipfile.ZipFile(large, "w") as new:
        folder = old.namelist()[0].partition("/")[0]
        for name in old.namelist():
            if "/data/sample_inputs/" not in name:
                new.writestr(name, old.read(name))
        new.write(inner, f"{folder}/data/sample_inputs/model.pt")
    with pytest.raises(CheckpointError, match=r"large.pt2: data/sample_inputs/model.pt: its parts unpack to 2M"):
        read_program(large)
