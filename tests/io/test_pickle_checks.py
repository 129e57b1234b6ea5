"""Small pickles that ask for much: refused before anything of them is made. Those of torch.save are read as before."""

import io
import pickle
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import autocompress
from autocompress.errors import CheckpointError
from autocompress.io.checkpoints import load_objects, save_objects
from autocompress.io.pickle_checks import MAGIC_NUMBER, load_weights_only
from autocompress.search.trial.trial import read_state

MANY = 3 * 10**8  # what is made of so many is seen in the memory, and would still fit
DEEP = 26  # 2 to this power values, each hashed: seconds
LIST = b"]q\x00" + b"".join(b"](h%ch%ceq%c" % (n, n, n + 1) for n in range(DEEP)) + b"h%c" % DEEP
TUPLE = b")q\x00" + b"".join(b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(DEEP)) + b"h%c" % DEEP


def value(plain: object) -> bytes:
    """The opcodes that make it."""
    return pickle.dumps(plain, 2)[2:-1]


def call(module: str, name: str, *arguments: bytes) -> bytes:
    return f"c{module}\n{name}\n(".encode() + b"".join(arguments) + b"tR"


STORAGE = b"(" + value("storage") + b"ctorch\nFloatStorage\n" + value("0") + value("cpu") + value(16) + b"tQ"
REPEATED = call("torch._utils", "_rebuild_tensor_v2", STORAGE, value(0), value((MANY,)), value((0,)), b"\x89}")
HOSTILE = {
    "bytes of any length": call("builtins", "bytearray", value(MANY)),
    "as Python 2 names them": call("__builtin__", "bytearray", value(MANY)),
    "as opcode": b"\x96" + MANY.to_bytes(8, "little"),
    "a tensor of any size": call("torch", "FloatTensor", value(MANY)),
    "a storage of any size": call("torch.storage", "UntypedStorage", value(MANY)),
    "a tensor of a list that doubles": call("torch", "Tensor", LIST),
    "values repeated, then converted": call(
        "torch._utils", "_rebuild_device_tensor_from_cpu_tensor", REPEATED, b"ctorch\nfloat64\n", value("cpu"), b"\x89"
    ),
    "by way of another call": call(
        "torch._tensor", "_rebuild_from_type_v2", b"cbuiltins\nbytearray\nctorch\nTensor\n", value((MANY,)), b"}"
    ),
    "an encoding that doubles": call(
        "_codecs", "encode", call("_codecs", "encode", value("a"), value("latin1")), value("hex")
    ),
    "a key that takes for ever": b"}" + TUPLE + b"K\x01s",
    "a set that takes for ever": call("builtins", "set", b"]" + TUPLE + b"a"),
    "a message that takes for ever": b"(" + LIST + b"K\x01K\x01K\x01K\x01tQ",
    "a call of a list": LIST + b"(tR",
}


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, part in {"data.pkl": content, "version": b"3\n", "byteorder": b"little", "data/0": bytes(64)}.items():
            archive.writestr(f"archive/{name}", part)
    return buffer.getvalue()


def legacy(content: bytes) -> bytes:
    header = b"".join(pickle.dumps(part, 2) for part in (MAGIC_NUMBER, 1001, {"little_endian": True}))
    return header + content + pickle.dumps([], 2)


@pytest.mark.parametrize("packed", [zipped, legacy])
@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_small_makes_nothing_large(tmp_path: Path, what: str, packed: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "net.pth"
    file.write_bytes(packed(b"\x80\x02" + HOSTILE[what] + b"."))
    with pytest.raises(CheckpointError, match=r"net\.pth: ") as told:
        autocompress.load(file)
    assert "\n" not in str(told.value)
    assert read_state(file) is None


@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_saves_is_read(zipped: bool) -> None:
    parameter = nn.Parameter(torch.ones(2, 3))
    parameter.note = "kept"  # type: ignore[attr-defined]
    network = nn.Conv2d(3, 4, 3)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.rand(1, 3, 5, 5)).sum().backward()
    optimizer.step()
    content = {
        "params": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "parameter": parameter,
        "view": torch.arange(10.0)[2:8:2],
        "bf16": torch.ones(3, dtype=torch.bfloat16),
        "plain": [(1, (2.0, "a")), {"b": None}, {3, 4}, True, b"bytes", bytearray(b"more"), 1j, 10**30],
        "counted": Counter("aab"),
        "ordered": OrderedDict([((1, 2), torch.Size([3])), ("device", torch.device("cpu"))]),
        "dtype": torch.float16,
    }
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    buffer.seek(0)
    read = load_weights_only(buffer)
    assert read["plain"] == content["plain"]
    for name in ("counted", "ordered", "dtype"):
        assert read[name] == content[name]
    assert torch.equal(read["view"], content["view"])  # type: ignore[arg-type]
    assert torch.equal(read["params"]["weight"], network.weight)
    assert torch.equal(read["optimizer"]["state"][0]["exp_avg"], optimizer.state[network.weight]["exp_avg"])


def test_objects_are_read_as_they_were_written(tmp_path: Path) -> None:
    save_objects(tmp_path / "state.pt", {"step": 3, "weights": torch.ones(2)})
    assert load_objects(tmp_path / "state.pt")["step"] == 3


@pytest.mark.parametrize("large", [2**61 - 1, float(2**61), (1, 2**61 - 1)], ids=["int", "float", "in a tuple"])
@pytest.mark.parametrize("kind", [dict.fromkeys, set], ids=["dict", "set"])
def test_keys_that_may_have_one_hash_are_refused(large: object, kind: Callable[[list[object]], object]) -> None:
    """Of n of them Python compares n^2 pairs: a megabyte of multiples of 2^61 - 1 took minutes."""
    file = io.BytesIO()
    torch.save({"params": kind([1, large])}, file)
    file.seek(0)
    with pytest.raises(CheckpointError, match=r"as a key, but torch.save writes none beyond 32 bits"):
        load_weights_only(file)


@pytest.mark.parametrize("within", [LIST, b"]q\x00(h\x00h\x00e"], ids=["shared", "itself"])
def test_lists_that_become_keys_are_gone_through_once(within: bytes) -> None:
    load = io.BytesIO(b"\x80\x02" + call("builtins", "set", within) + b".")
    with pytest.raises(CheckpointError, match=r"no file of torch.save"):  # which is seen behind it
        load_weights_only(load)


def test_names_of_very_many_parts_are_refused_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "deep.pth"
    torch.save({f"{'a.' * 39}b{number}": torch.zeros(1) for number in range(8_000)}, file)
    with pytest.raises(CheckpointError, match=r"deep.pth: names of more than 300000 parts in all; give a file of one"):
        autocompress.load(file)
