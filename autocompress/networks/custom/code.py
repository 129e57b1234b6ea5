"""A user's own code that builds a network: a callable in a Python file, and its arguments."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from typing_extensions import override

from autocompress.compute.bounded import TooLarge
from autocompress.errors import CheckpointError, InvalidInput
from autocompress.io.inputs import find_code
from autocompress.names import name_bytes
from autocompress.networks.custom.sources import Sources, sources

IMAGE = (1, 3, 32, 48)
LONG = 200  # characters of what the code says of its failure
FEW = 250_000  # parameters: a network of no more computes an image in less time than PyTorch finds out the sizes alone


def printing_aside() -> AbstractContextManager[object]:
    """What the user's code prints goes to stderr: stdout is for results, which programs read."""
    return redirect_stdout(sys.stderr)


class Builder(ABC):
    """What builds networks of one kind of its arguments: a callable with a name."""

    name: str
    checks_sizes: ClassVar[bool] = True  # whether its networks must show that they take images of odd sizes
    digest: str  # of what is not the package's own, and decides what its networks compute; "" where nothing is
    tried_without_memory: ClassVar[bool] = True  # first, and sized so; code of few, small tensors is quicker with it

    @property
    @abstractmethod
    def importing(self) -> str:
        """Python that imports it."""

    @abstractmethod
    def callable(self) -> Callable[..., nn.Module]:
        """What is called with the arguments; raises InvalidInput where there is no such thing."""

    def build(self, arguments: Mapping[str, Any]) -> nn.Module:
        """The network of these arguments, in float32; raises InvalidInput where the code raises or gives no network."""
        build = self.callable()
        try:
            with printing_aside():
                network = build(**arguments)
        except TooLarge:
            raise
        except (Exception, SystemExit) as error:
            given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
            raise InvalidInput(f"{self.name}({given}) failed with {_said(error)}; check --set and the code") from error
        if not isinstance(network, nn.Module):
            raise InvalidInput(
                f"{self.name} gives a {type(network).__name__}, but an nn.Module is needed; "
                "name a class, or a function that builds one"
            )
        for name, parameter in network.named_parameters():
            if is_lazy(parameter):
                raise InvalidInput(
                    f"{self.name} has the lazy {name}, whose size is not known yet; give its layer a size"
                )
        return network.float()

    def shapes(self, arguments: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        """The shapes of its parameters and buffers by name, mostly without memory for them; raises as `build`."""
        network = self.skeleton(arguments) if self.tried_without_memory else self.build(arguments)
        return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}

    def tried(self, arguments: Mapping[str, Any], scale: int) -> dict[str, tuple[int, ...]] | None:
        """As `shapes`; None where the code does not take these arguments, or its network enlarges by another scale."""
        for build in (self._quick_to_run, self.build) if self.tried_without_memory else (self.build,):
            try:
                network = build(arguments).eval()
                with torch.no_grad(), printing_aside():
                    sr = network(torch.zeros(IMAGE, device=next(network.parameters()).device))
            except Exception as error:  # whatever the user's code may raise
                if "meta" in str(error):  # some code computes with values of images, which then need memory
                    continue
                return None
            if sr.shape != (*IMAGE[:2], scale * IMAGE[2], scale * IMAGE[3]):
                return None
            return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        return None

    def _quick_to_run(self, arguments: Mapping[str, Any]) -> nn.Module:
        """The network in eval mode, without memory unless it is small; raises as `build`."""
        network = self.skeleton(arguments)
        if sum(parameter.numel() for parameter in network.parameters()) > FEW:
            return network
        with torch.random.fork_rng(devices=[]):
            return self.build(arguments).eval()

    def skeleton(self, arguments: Mapping[str, Any]) -> nn.Module:
        """The network in eval mode, mostly without memory for its parameters; raises as `build`."""
        try:
            with torch.device("meta"):
                return self.build(arguments).eval()
        except InvalidInput:  # some code computes with values while it builds
            return self.build(arguments).eval()

    def defaults(self) -> dict[str, Any]:
        """The arguments that have a default value, by name."""
        parameters = inspect.signature(self.callable()).parameters.values()
        return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


@dataclass(frozen=True)
class Code(Builder):
    """`name` in the Python file `file`, which builds an nn.Module of its arguments.

    The file is run when the callable is taken from it: only a user who names it asks for that. What is run is never
    found in a checkpoint.

    `digest` is that of the file and of what it imports from beside it: a network of changed code is another one, also
    where its weights are the same.
    """

    file: Path
    name: str
    digest: str

    @property
    @override
    def importing(self) -> str:
        return f"from {self.file.stem} import {self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes, where the file has the same path: it is run there, for the networks that it built."""
        return _ran, (self.file, self.name, self.digest)

    @classmethod
    def of(cls, file: Path, name: str) -> Code:
        """`name` in a file as it is now; raises InvalidInput where that cannot be read."""
        file = file.absolute()
        return cls(file, name, _sources(file).digest)

    @classmethod
    def parse(cls, text: str) -> Code:
        """From `FILE.py:CALLABLE`; raises InvalidInput."""
        return cls.of(*find_code(text))

    @override
    def callable(self) -> Callable[..., nn.Module]:
        module = self._module()
        build = getattr(module, self.name, None)
        if not callable(build):
            names = ", ".join(name for name, value in vars(module).items() if inspect.isclass(value))
            raise InvalidInput(
                f"{self.file}: nothing to call in it is named {self.name}; its classes: {names or 'none'}"
            )
        return build  # type: ignore[no-any-return]

    def _module(self) -> ModuleType:
        # the same code is run once in a process; its folder is searched for what it imports
        known_by = hashlib.blake2b(name_bytes(f"{self.file} {self.digest}"), digest_size=8).hexdigest()
        name = f"autocompress_code_{known_by}"
        if name in sys.modules:
            return sys.modules[name]
        own = _sources(self.file)
        if own.digest != self.digest:
            raise InvalidInput(
                f"{self.file}: changed, or what it imports from its folder, since this work began; put it back as it "
                "was, or begin again with the new code"
            )
        _check_helpers(own)
        spec = importlib.util.spec_from_file_location(name, self.file)
        if spec is None or spec.loader is None:
            raise InvalidInput(f"{self.file}: not a Python file; give one that ends in .py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        sys.path.append(str(self.file.parent))
        try:
            with printing_aside():
                spec.loader.exec_module(module)
            _check_helpers(own)
        except InvalidInput:
            del sys.modules[name]
            raise
        except Exception as error:
            del sys.modules[name]
            raise InvalidInput(f"{self.file}: running it failed with {_said(error)}; mend that") from error
        except SystemExit as error:  # of a script that reads the command line, say
            del sys.modules[name]
            raise InvalidInput(
                f"{self.file}: running it ended the program ({_said(error)}); put what is not for importing it under "
                'if __name__ == "__main__":'
            ) from error
        finally:
            sys.path.remove(str(self.file.parent))
        return module


def _ran(file: Path, name: str, digest: str) -> Code:
    code = Code(file, name, digest)
    code.callable()
    return code


def _sources(file: Path) -> Sources:
    try:
        return sources(file)
    except FileNotFoundError as error:
        raise InvalidInput(
            f"{error.filename}: no such file here; the code must have the same path on every machine"
        ) from error
    except OSError as error:
        raise InvalidInput(f"{error.filename}: cannot be read ({error.strerror}); check the file") from error


_imported: dict[Path, str] = {}  # the digests of files that code of this process imported, as they were then


def _check_helpers(own: Sources) -> None:
    """Raise InvalidInput where what code imports from its folder is, or would be, another file in this process, or an
    older state of it: Python keeps the first module of a name."""
    if found := own.mixed_up(sys.modules):
        name, wanted, other = found
        raise InvalidInput(
            f"{wanted}: the code imports it as {name}, but that is {other} in this process already, and Python keeps "
            "one module of a name; rename one of the two files"
        )
    for path in own.modules.values():
        if _imported.setdefault(path, own.digests[path]) != own.digests[path]:
            raise InvalidInput(
                f"{path}: changed after this process imported it, and Python keeps what it imported; begin again in a "
                "new process (in a notebook, restart the kernel)"
            )


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())[:LONG]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def matching(tensors: Mapping[str, torch.Tensor], expected: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """The tensors of a file by a network's own names: without the prefix that they share; raises CheckpointError."""
    if not expected:
        raise CheckpointError("the code builds a network without parameters; give that of the trained network")
    first = next(iter(expected))
    prefixes = [name.removesuffix(first) for name in tensors if name.endswith(first)] or [""]
    prefix = max(prefixes, key=lambda prefix: sum(prefix + name in tensors for name in expected))
    missing = [name for name in expected if prefix + name not in tensors]
    if missing:
        raise CheckpointError(
            f"{len(missing)} of the {len(expected)} tensors that the code's network has are not in the file, such as "
            f"{missing[0]}; check --code and --set"
        )
    other = [name for name in expected if tuple(tensors[prefix + name].shape) != expected[name]]
    if other:
        name = other[0]
        raise CheckpointError(
            f"{name} is {tuple(tensors[prefix + name].shape)} in the file, but {expected[name]} in the code's network; "
            "check --set"
        )
    return {name: tensors[prefix + name] for name in expected}
