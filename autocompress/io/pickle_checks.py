"""Pickles gone through without making what they ask for, before PyTorch makes it.

PyTorch's reader for weights runs no code of a file's, but calls what it allows with whatever the file gives it: forty
bytes that ask for `bytearray(10**10)` fill the memory, and a tuple that holds another one twice, sixty deep, takes for
ever as the key of a dict. What torch.save writes has none of that. Here Python's own reader goes through a pickle with
nothing but place-holders in it, which refuse it.
"""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, ClassVar

import torch

from autocompress.errors import CheckpointError, cut

LARGEST_KEY = 2**32  # numbers beyond may have equal hashes, and a dict of many such keys takes for ever
LARGEST_TUPLE = 100_000  # values in a tuple and those within it
HEADER = 3  # pickles before the content in a file of PyTorch before 1.6, and one behind it
MAGIC_NUMBER = torch.serialization.MAGIC_NUMBER
ZIP = b"PK\x03\x04"
ENCODINGS = ("latin1", "latin-1")  # with which Python 3 writes bytes for Python 2
WITHOUT_ARGUMENTS = ("Tensor", "Storage")  # how classes end of which torch.save never makes one by calling it
CONTAINERS = ("set", "frozenset", "dict", "OrderedDict", "Counter", "defaultdict")  # that hash what they are given
REFUSED = ("_rebuild_device_tensor_from_cpu_tensor", "_rebuild_device_tensor_from_numpy", "_rebuild_nested_tensor")


def load_weights_only(file: BinaryIO) -> Any:
    """What torch.save has stored: tensors on the CPU and plain values.

    Raises CheckpointError, without the file's name, for a pickle that asks for what torch.save never writes, and
    nearly any exception for a damaged one.
    """
    check_pickles(file)
    return torch.load(file, map_location="cpu", weights_only=True)


def check_pickles(file: BinaryIO) -> None:
    """Go through the pickles of a file of torch.save, from its beginning, and go back there; raises as above."""
    if file.read(len(ZIP)) == ZIP:
        file.seek(0)
        content = torch._C.PyTorchFileReader(file).get_record("data.pkl")  # the one that PyTorch takes
        _DryRun(io.BytesIO(content)).load()
    else:
        file.seek(0)
        if tarfile.is_tarfile(file):
            raise CheckpointError("written by a PyTorch before 0.2, in a tar archive; save it again with torch.save")
        file.seek(0)
        for number in range(HEADER + 2):
            found = _DryRun(file).load()
            if number == 0 and found != MAGIC_NUMBER:
                raise CheckpointError(
                    "no file of torch.save, and loading it could run code, so it is refused; "
                    "save its state dict with torch.save"
                )
    file.seek(0)


class _Made:
    """In the place of whatever a call gives; takes all that a pickle does to it, and keeps nothing."""

    def __call__(self, *_: object) -> _Made:
        return _Made()

    def __setitem__(self, key: object, _: object) -> None:
        hash(key)

    def __setstate__(self, _: object) -> None:
        pass

    def append(self, _: object) -> None:
        pass

    add = extend = append


class _Name(_Made):
    """In the place of what a pickle names."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def __call__(self, *arguments: object) -> _Made:
        """Refuse a call that costs more than the pickle has bytes."""
        name, first = self._name, arguments[0] if arguments else None
        if name in CONTAINERS:
            _check_keys(arguments)
        elif name == "bytearray":
            self._allow(not isinstance(first, int))
        elif (self._module, name) == ("_codecs", "encode"):
            self._allow(isinstance(first, str) and arguments[1:] in [(encoding,) for encoding in ENCODINGS])
        elif name == "_rebuild_from_type_v2":
            self._allow(isinstance(first, _Name) and first._name.startswith("_rebuild_tensor"))
        elif self._module.partition(".")[0] == "torch":
            self._allow(name not in REFUSED and not (arguments and name.endswith(WITHOUT_ARGUMENTS)))
        return _Made()

    def _allow(self, good: bool) -> None:
        if not good:
            raise CheckpointError(
                f"asks for {cut(f'{self._module}.{self._name}')} with what torch.save never writes, so it is refused; "
                "save its state dict alone with torch.save(model.state_dict(), ...)"
            )


def _check_keys(keys: Sequence[object]) -> None:
    """Refuse large numbers as keys, or within what becomes keys."""
    left, seen = list(keys), set[int]()  # a list may hold itself, and each of a few the next one twice
    while left:
        key = left.pop()
        if isinstance(key, tuple | list):
            if id(key) not in seen:
                seen.add(id(key))
                left += key
        elif isinstance(key, complex) or (isinstance(key, int | float) and not abs(key) < LARGEST_KEY):
            raise CheckpointError(
                f"has the number {cut(repr(key))} as a key, but torch.save writes none beyond 32 bits; "
                "save its state dict alone with torch.save(model.state_dict(), ...)"
            )


_Reader: Any = pickle._Unpickler  # the one in Python, whose steps can be replaced


class _DryRun(_Reader):  # type: ignore[misc]
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(_Reader.dispatch)

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="latin-1")
        self._tuples: dict[int, tuple[object, int]] = {}  # by id: the tuple, which so stays alive, and its size

    def find_class(self, module: str, name: str) -> _Name:
        return _Name(module, name)

    def persistent_load(self, pid: object) -> _Made:
        match pid:
            case ("storage", _Name(), str() | bytes(), str() | bytes(), int(), *_):
                return _Made()
        raise CheckpointError("holds values that are not stored as torch.save does; save it again with torch.save")

    def _put(self, values: list[object]) -> None:
        """A tuple on the stack."""
        made = tuple(values)
        size = 1 + sum(self._tuples[id(one)][1] if type(one) is tuple and one else 1 for one in made)
        if size > LARGEST_TUPLE:
            raise CheckpointError(f"holds a tuple of more than {LARGEST_TUPLE} values; leave it out, and save it again")
        self._tuples[id(made)] = made, size
        self.append(made)

    def _tuple(self) -> None:
        self._put(self.pop_mark())

    def _call(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self.stack[-1](*arguments)

    def _set_item(self) -> None:
        _check_keys(self.stack[-2:-1])
        _Reader.load_setitem(self)

    def _set_items(self) -> None:
        _check_keys(self.stack[::2])
        _Reader.load_setitems(self)

    def _dict(self) -> None:
        _check_keys(self.stack[::2])
        _Reader.load_dict(self)

    def _add_items(self) -> None:
        _check_keys(self.stack)
        _Reader.load_additems(self)

    def _refuse(self) -> None:
        raise CheckpointError("a pickle of a kind that torch.save does not write; save it again with torch.save")

    def _last(self, count: int) -> None:
        values = self.stack[-count:]
        del self.stack[-count:]
        self._put(values)

    dispatch[pickle.TUPLE[0]] = _tuple
    dispatch[pickle.TUPLE1[0]] = lambda self: self._last(1)
    dispatch[pickle.TUPLE2[0]] = lambda self: self._last(2)
    dispatch[pickle.TUPLE3[0]] = lambda self: self._last(3)
    dispatch[pickle.NEWOBJ[0]] = _call
    dispatch[pickle.SETITEM[0]], dispatch[pickle.SETITEMS[0]] = _set_item, _set_items
    dispatch[pickle.DICT[0]], dispatch[pickle.ADDITEMS[0]] = _dict, _add_items
    for _code in (pickle.NEWOBJ_EX, pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.FROZENSET, pickle.INST, pickle.OBJ):
        dispatch[_code[0]] = _refuse
    del _code
