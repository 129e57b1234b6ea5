"""The Python files that a user's own code consists of: its file, and what that imports from beside it.

They are found by reading what the files import, without running them, so every process and machine finds the same.
What is installed elsewhere, and what is imported by a name that is computed, is not looked at.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

DIGEST_BYTES = 16


@dataclass(frozen=True)
class Sources:
    """`digests` are hex hashes of the files by their paths, the code's own first; `modules` names those imported."""

    digests: dict[Path, str]
    modules: dict[str, Path]

    @property
    def digest(self) -> str:
        """A hex hash of all of them; where their folder lies does not matter."""
        folder = next(iter(self.digests)).parent
        named = sorted((path.relative_to(folder).as_posix(), digest) for path, digest in self.digests.items())
        return hashlib.blake2b(repr(named).encode(errors="surrogateescape"), digest_size=DIGEST_BYTES).hexdigest()

    def mixed_up(self, modules: dict[str, ModuleType]) -> tuple[str, Path, Path] | None:
        """A name that stands for a file of these, that file, and another file beside other code that it stands for in
        `modules`; None where there is none. What is installed may have the name of a file: it comes first."""
        for name, path in self.modules.items():
            found = getattr(modules.get(name), "__file__", None)
            if found is not None and Path(found).resolve() != path.resolve() and not _is_installed(Path(found)):
                return name, path, Path(found)
        return None


def sources(file: Path) -> Sources:
    """Those of the code in `file`, a path that is absolute; raises OSError where one cannot be read."""
    folder, digests, modules = file.parent, dict[Path, str](), dict[str, Path]()
    left = [file]
    while left:
        path = left.pop()
        if path in digests:
            continue
        state = path.stat()
        digests[path], imports = _read(path, state.st_size, state.st_mtime_ns)
        for level, names in imports:
            above = path.parent if level <= 1 else path.parents[min(level, len(path.parents)) - 1]
            for depth, other in _files(above if level else folder, names):
                left.append(other)
                if level == 0:
                    modules[".".join(names[: depth + 1])] = other
    return Sources(digests, modules)


def _files(folder: Path, names: tuple[str, ...]) -> Iterator[tuple[int, Path]]:
    """The files in a folder that are run where `names`, a dotted name, is imported, and which part of it each is."""
    for depth, name in enumerate(names):
        for file in (folder / name / "__init__.py", folder / f"{name}.py"):
            if file.is_file():
                yield depth, file
                break
        folder /= name


@functools.lru_cache(maxsize=4096)
def _read(path: Path, size: int, changed_ns: int) -> tuple[str, tuple[tuple[int, tuple[str, ...]], ...]]:
    """A hex hash of a file, and what it imports: the level and the parts of each name; read anew where it changed."""
    content = path.read_bytes()
    try:
        nodes = list(ast.walk(ast.parse(content)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # what the parser raises; running it says what
        nodes = []
    imports = dict.fromkeys(each for node in nodes for each in _imports(node))
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).hexdigest(), tuple(imports)


def _imports(node: ast.AST) -> Iterator[tuple[int, tuple[str, ...]]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield 0, tuple(alias.name.split("."))
    elif isinstance(node, ast.ImportFrom):
        module = tuple(node.module.split(".")) if node.module else ()
        for alias in node.names:
            yield node.level, (*module, alias.name)


def _is_installed(file: Path) -> bool:
    """Whether it is of Python or a package in it."""
    places = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    return any(file.resolve().is_relative_to(Path(place).resolve()) for place in places)
