"""Exported programs, the `.pt2` files of torch.export, checked before PyTorch reads them.

PyTorch's reader unpickles what such a file asks it to, takes any function of PyTorch's or Python's that it names, and
evaluates the formulas for sizes in it. So only plain tensors, ATen operations and formulas of numbers are let through.
"""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from autocompress.errors import CheckpointError, cut
from autocompress.io.pickle_checks import load_weights_only
from autocompress.io.tensor_checks import check_archive, check_unpacked, check_values

OPERATORS = "add|sub|mul|floordiv|truediv|mod|pow|neg|pos|eq|ne|lt|le|gt|ge|and_|or_|getitem"
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
            stored = _check(path, archive)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = _loaded(path)
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
            raise CheckpointError(f"{path}: cut, as {cut(name)} is not whole in it; copy it again, or export it again")
    try:
        check_values(path.stat().st_size, tensors)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return program


def _loaded(path: Path) -> ExportedProgram:
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # PyTorch logs what it raises, and pages of it
    try:
        return torch.export.load(path)
    finally:
        logging.disable(before)


def _check(path: Path, archive: zipfile.ZipFile) -> dict[str, int]:
    """How many bytes are stored of each tensor, by its name.

    Raises CheckpointError for what is no archive of one program, or would run more than its operations.
    """
    stored: dict[str, int] = {}
    names = {name.partition("/")[2]: name for name in archive.namelist()}
    if "archive_format" not in names or "models/model.json" not in names:
        raise CheckpointError(
            f"{path}: no exported program, or of a PyTorch before 2.8; export it again with {torch.__version__}: "
            f"{EXPORT}"
        )
    model = json.loads(archive.read(names["models/model.json"]))
    _check_graph(path, model)
    for name, whole in names.items():
        if kind := re.fullmatch(r"data/(weights|constants)/model_\w+_config\.json", name):
            for tensor, about in json.loads(archive.read(whole))["config"].items():
                if about.get("use_pickle") or about.get("tensor_meta") is None:
                    raise _refused(path, f"{cut(tensor)} is no plain tensor")
                held = names.get(f"data/{kind[1]}/{about['path_name']}")
                stored[tensor] = 0 if held is None else archive.getinfo(held).file_size
        elif re.fullmatch(r"data/sample_inputs/.*\.pt", name):
            content = archive.read(whole)  # or else PyTorch reads it without a check
            try:
                check_unpacked(io.BytesIO(content), len(content))
                load_weights_only(io.BytesIO(content))
            except CheckpointError as error:
                raise CheckpointError(f"{path}: {name}: {error}") from error
    return stored


def _check_graph(path: Path, model: Any) -> None:
    if model["graph_module"].get("treespec_namedtuple_fields"):
        raise _refused(path, "it takes or gives named tuples")
    for key, value in _entries(model):
        if key == "target" and isinstance(value, str) and not TARGET.fullmatch(value):
            raise _refused(path, f"it calls {cut(value)}")
        if key == "expr_str" and not _is_plain(str(value)):
            raise _refused(path, f"it has the size {cut(str(value))}")


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
