"""Exported programs, the `.pt2` files of torch.export, checked before PyTorch reads them.

PyTorch's reader unpickles what such a file asks it to, loads the machine code in it, takes any function of PyTorch's
or Python's that it names, and evaluates the formulas for sizes in it. So only the parts of one program are let through,
and in these plain tensors, ATen operations and formulas of numbers. PyTorch is given a copy of what was checked: two
readers of archives may see two different files in one.
"""

from __future__ import annotations

import ast
import io
import json
import logging
import pickle
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch.export import ExportedProgram

from autocompress.errors import CheckpointError, cut
from autocompress.io.pickle_checks import load_weights_only
from autocompress.io.tensor_checks import check_archive, check_unpacked, check_values

OPERATORS = "add|sub|mul|floordiv|truediv|mod|pow|neg|pos|eq|ne|lt|le|gt|ge|and_|or_|getitem"
# what torch.export.save writes of one program, in one folder; PyTorch before 2.9 wrote all its tensors into model.pt
PARTS = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/\w+|models/model\.json|extra/.+"
    r"|data/weights/(?:weight_\d+|model_weights_config\.json)|data/constants/(?:tensor_\d+|model_constants_config\.json)"
    r"|data/(?:weights|constants|sample_inputs)/model\.pt"
)
TENSOR = re.compile(r"(?:weight|tensor)_\d+")  # the parts that are plain numbers; others are unpickled
FILES = re.compile(r"\.(?:from_file|save)\.")  # operations of PyTorch's that read or write files
TARGET = re.compile(rf"torch\.ops\.aten\.\w+\.\w+|_operator\.(?:{OPERATORS})|torch\.sym_\w+|math\.(?:trunc|ceil|floor)")
NUMERAL = r"\d{1,30}(?:\.\d{1,30})?(?:e[-+]?\d{1,2})?"
# sympy computes powers of numbers, of any size
LARGEST_NUMBER, LONGEST_FORMULA, MOST_POWERS, HIGHEST_POWER = 1e30, 2000, 3, 16
POWERS = ("Pow", "PowByNatural", "FloatPow", "LShift")
FUNCTIONS = (
    *("Symbol", "Integer", "Rational", "Float", "Add", "Mul", "Mod", "PythonMod", "FloorDiv", "CleanDiv", "CeilDiv"),
    *("ModularIndexing", "IntTrueDiv", "FloatTrueDiv", "ToFloat", "TruncToInt", "TruncToFloat", "CeilToInt"),
    *("FloorToInt", "RoundToInt", "RShift", "Max", "Min", "Abs", "Identity", "Where", "Eq", "Ne", "Not", "And", "Or"),
    *("Equality", "Unequality", "StrictLessThan", "LessThan", "StrictGreaterThan", "GreaterThan", *POWERS),
)
FORMULA = re.compile(  # functions of sympy's, symbols such as 's0', numbers, and what says which kind these are
    rf"(?:[A-Z][A-Za-z]*|'[a-z]+\d+'|'-?{NUMERAL}'|[a-z]+=(?:True|False|\d+)|[a-z]+\d+|{NUMERAL}|[-+*/(), <>=])*"
)
EXPORT = "torch.export.save(torch.export.export(network.eval(), (image,), dynamic_shapes=...), file)"


def read_program(path: Path) -> ExportedProgram:
    """The program in a file of torch.export.save.

    Raises CheckpointError for what is none, is of a version that this PyTorch does not read, holds more than a network
    of ATen operations, or has tensors that are not finite.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; check the path")
    try:
        check_archive(path)
        with zipfile.ZipFile(path) as archive:
            parts = _parts(path, archive)
        stored = _check(path, parts)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = _loaded(_archived(parts))
    except CheckpointError:
        raise
    except Exception as error:  # zipfile, json and PyTorch raise nearly any exception for damaged and other files
        reason = cut(" ".join(str(error).split()) or type(error).__name__, 160)
        raise CheckpointError(
            f"{path}: no exported program that PyTorch {torch.__version__} reads ({reason}); export it again with this "
            f"version: {EXPORT}"
        ) from error
    tensors = {**program.state_dict, **program.constants}
    for name, value in tensors.items():  # of an empty part PyTorch takes whatever lies in memory
        if value.numel() * value.element_size() > stored.get(name, path.stat().st_size):
            raise CheckpointError(f"{path}: {_is_cut(name)}")
    try:
        check_values(path.stat().st_size, tensors)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return program


def _loaded(archive: BinaryIO) -> ExportedProgram:
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # PyTorch logs what it raises, and pages of it
    try:
        return torch.export.load(archive)
    finally:
        logging.disable(before)


def _parts(path: Path, archive: zipfile.ZipFile) -> dict[str, bytes]:
    """The parts of an archive by name, without the folder that they share.

    Raises CheckpointError for what is no archive of one program, or has parts beside it.
    """
    names = archive.namelist()
    folders = {name.partition("/")[0] for name in names}
    parts = [name.partition("/")[2] for name in names]
    if not {"archive_format", "models/model.json"} <= set(parts):
        raise CheckpointError(
            f"{path}: no exported program, or of a PyTorch before 2.8; export it again with {torch.__version__}: "
            f"{EXPORT}"
        )
    if len(folders) > 1:
        raise _refused(path, f"it has the folders {cut(', '.join(sorted(folders)))}")
    for part, times in Counter(parts).items():
        if times > 1 or not PARTS.fullmatch(part):
            raise _refused(path, f"it has the part {cut(part)}{' twice' if times > 1 else ''}")
    return {part: archive.read(name) for part, name in zip(parts, names, strict=True)}


def _archived(parts: Mapping[str, bytes]) -> BinaryIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(f"program/{name}", content)
    file.seek(0)
    return file


def _check(path: Path, parts: Mapping[str, bytes]) -> dict[str, int]:
    """How many bytes are stored of each tensor, by its name.

    Raises CheckpointError for what would run more than its operations.
    """
    stored: dict[str, int] = {}
    _check_graph(path, json.loads(parts["models/model.json"].decode()))
    for name, content in parts.items():
        if kind := re.fullmatch(r"data/(weights|constants)/model_\w+_config\.json", name):
            for tensor, about in json.loads(content.decode())["config"].items():
                held = about["path_name"]
                if about.get("use_pickle") or about.get("tensor_meta") is None or not TENSOR.fullmatch(held):
                    raise _refused(path, f"{cut(tensor)} is no plain tensor")
                stored[tensor] = len(parts.get(f"data/{kind[1]}/{held}", b""))
                if not stored[tensor]:  # PyTorch would make one of any size
                    raise CheckpointError(f"{path}: {_is_cut(tensor)}")
        elif name.endswith("/model.pt"):
            try:  # or else PyTorch reads it without a check
                check_unpacked(io.BytesIO(content), len(content))
                load_weights_only(io.BytesIO(content))
            except CheckpointError as error:
                raise CheckpointError(f"{path}: {name}: {error}") from error
            except pickle.UnpicklingError as error:
                raise _refused(path, f"{name} holds more than tensors") from error
    return stored


def _is_cut(tensor: str) -> str:
    return f"cut, as {cut(tensor)} is not whole in it; copy it again, or export it again"


def _check_graph(path: Path, model: Any) -> None:
    if model["graph_module"].get("treespec_namedtuple_fields"):
        raise _refused(path, "it takes or gives named tuples")
    for key, value in _entries(model):
        if key in ("target", "as_operator") and not _computes(value):
            raise _refused(path, f"it calls {cut(str(value))}")
        if key == "expr_str" and not _is_plain(str(value)):
            raise _refused(path, f"it has the size {cut(str(value))}")


def _computes(target: object) -> bool:
    """Whether what a program calls is an operation on numbers alone."""
    return isinstance(target, str) and bool(TARGET.fullmatch(target)) and not FILES.search(target)


def _is_plain(formula: str) -> bool:
    """Whether a formula for a size is one that PyTorch writes, and takes no time and memory to evaluate."""
    if len(formula) > LONGEST_FORMULA or not FORMULA.fullmatch(formula):
        return False
    exponents: list[ast.expr] = []
    for node in ast.walk(ast.parse(formula.strip(), mode="eval")):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow | ast.LShift):
            exponents.append(node.right)
        elif isinstance(node, ast.Constant) and isinstance(node.value, float) and not node.value < LARGEST_NUMBER:
            return False
        elif isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
                return False
            if node.func.id in POWERS:
                exponents += node.args[1:]
    return len(exponents) <= MOST_POWERS and all(map(_is_small, exponents))


def _is_small(exponent: ast.expr) -> bool:
    """Whether it is a number up to HIGHEST_POWER, such as 2, -1 or Integer(2)."""
    number = re.fullmatch(r"(?:Integer\()?-?(\d{1,2})\)?", ast.unparse(exponent))
    return number is not None and int(number[1]) <= HIGHEST_POWER


def _entries(content: Any) -> Iterator[tuple[str, Any]]:
    """All keys and values in JSON, at every depth, but those of metadata, which nothing runs."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield key, value
            if key != "metadata":
                yield from _entries(value)
    elif isinstance(content, list):
        for value in content:
            yield from _entries(value)


def _refused(path: Path, what: str) -> CheckpointError:
    return CheckpointError(
        f"{path}: {what}, but only programs of ATen operations on plain tensors are read; export the network again in "
        "eval mode, without custom operations"
    )
