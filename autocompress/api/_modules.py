"""Modules from Python in the place of files: workers are processes, so a module travels as a file.

Where its class is in a file that can be run again, and its arguments are known, that is its weights, and students load
in the same class. Elsewhere, as in a notebook, it is an exported program.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocompress.errors import CheckpointError, ConfigError, InvalidInput, shown

if TYPE_CHECKING:
    from torch import Tensor, nn

    from autocompress.networks.custom.code import Code

EXAMPLE = (2, 3, 64, 72)  # the images on which a program is captured
COMPARED = (1, 3, 32, 48)
LARGE = (1, 3, 128, 160)  # another size: what is captured must not hold for images of EXAMPLE's size alone
SAME = 1e-4  # of the largest value that a network makes
LONG = 160  # characters of what PyTorch says of a failure


def is_module(given: object) -> bool:
    """Whether this is a network and no file; PyTorch is not imported for a file."""
    if given is None or isinstance(given, str | Path):
        return False
    from torch import nn

    return isinstance(given, nn.Module)


def as_files(given: Mapping[str, Any], keyword: str, prefix: str = "") -> dict[str, Any]:
    """The keywords of a call with a file in the place of a module, or of each module in a list, under `keyword`.

    `{prefix}code`, `{prefix}set` and `{prefix}input_range` say how the file is read. Raises InvalidInput for a module
    that cannot go to other processes.
    """
    value = given.get(keyword)
    several = list(value) if isinstance(value, list | tuple) else [value]
    for one in several:
        if not (one is None or isinstance(one, str | Path) or is_module(one)):
            remedy = "give a file, a shipped network's name or a torch.nn.Module"
            raise InvalidInput(f"{keyword} is {shown(one)}, which is no network; {remedy}")
    if not any(map(is_module, several)):
        return dict(given)
    from autocompress.networks.base import SRNetwork

    call = dict(given)
    code, arguments, input_range = (f"{prefix}{name}" for name in ("code", "set", "input_range"))
    for index, module in enumerate(several):
        if is_module(module):
            own, module_range, known = _unwrapped(_sound(module))
            if isinstance(own, SRNetwork):
                several[index] = str(_weights_file(_plain(own)))
                continue
            found = None if call.get(code) is not None else known or _code_of(own, call.get(arguments))
            if found is not None:
                call[code], call[arguments] = found
            elif call.get(arguments) is not None and call.get(code) is None:
                raise InvalidInput(f"{type(own).__name__} is not what its class builds of {call[arguments]}")
            several[index] = str(_program_file(own) if found is None else _weights_file(own))
            if module_range is not None and call.get(input_range) is None:
                call[input_range] = module_range
    call[keyword] = several if isinstance(value, list | tuple) else several[0]
    return call


def _sound(module: Any) -> nn.Module:
    """The module itself, or what torch.compile or a training on several GPUs was given.

    CheckpointError where its weights are none to compute with: on the meta device, not finite...
    """
    from torch.nn.parallel import DataParallel, DistributedDataParallel
    from torch.nn.parameter import is_lazy

    from autocompress.io.tensor_checks import check_values

    while isinstance(module, DataParallel | DistributedDataParallel) or hasattr(module, "_orig_mod"):
        module = module.module if isinstance(module, DataParallel | DistributedDataParallel) else module._orig_mod
    name, weights = type(module).__name__, module.state_dict(keep_vars=True)
    if any(map(is_lazy, weights.values())):
        raise CheckpointError(f"{name} has lazy layers without weights; call it on an image once")
    try:
        check_values(sum(value.numel() * value.element_size() for value in weights.values()), weights)
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from error
    network: nn.Module = module
    return network


def _unwrapped(module: Any) -> tuple[nn.Module, float | None, tuple[str, list[str]] | None]:
    """What a network of `load` has from elsewhere, its input range, and the code and arguments that built it, if known.

    Of any other module itself, and nothing more.
    """
    from autocompress.networks import family_of
    from autocompress.networks.custom import CustomFamily
    from autocompress.networks.custom.code import Code
    from autocompress.networks.custom.network import CustomNetwork

    if not isinstance(module, CustomNetwork):
        return module, None, None
    family = family_of(module)
    if not isinstance(family, CustomFamily) or not isinstance(family.code, Code):
        return module.network, module.input_range, None
    built_by = f"{family.code.file}:{family.code.name}", _as_words(module.config.to_dict()["arguments"])
    return module.network, module.input_range, built_by


def _as_words(arguments: Mapping[str, Any]) -> list[str]:
    """Arguments as `--set` takes them."""
    return [f"{name}={json.dumps(value)}" for name, value in arguments.items()]


def _plain(module: nn.Module) -> nn.Module:
    """A copy for computing here, in float32."""
    return copy.deepcopy(module).cpu().float().eval()


def _code_of(module: nn.Module, given: Sequence[str] | None) -> tuple[str, list[str]] | None:
    """`FILE.py:CALLABLE` and arguments that build it; None where it is not certain that they do."""
    from autocompress.io.inputs import parse_fields
    from autocompress.networks.custom.code import Code

    made = type(module)
    if made.__module__ in ("__main__", "builtins") or "." in made.__qualname__:
        return None
    try:
        file = inspect.getsourcefile(made)
        code = Code.of(Path(file or ""), made.__qualname__)
        parameters = inspect.signature(code.callable()).parameters
    except (TypeError, OSError, ValueError, InvalidInput):  # of a class without a file, or one that needs its package
        return None
    named = parse_fields(given or [])
    kept = {name: getattr(module, name) for name in parameters if _is_plain(getattr(module, name, _Nothing))}
    for arguments in [named] if given else [{}, kept]:
        if _builds(code, arguments, module):
            return f"{code.file}:{code.name}", _as_words(arguments)
    return None


class _Nothing:
    """In the place of an attribute that is not there."""


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _builds(code: Code, arguments: Mapping[str, Any], module: nn.Module) -> bool:
    """Whether the code's network with the module's weights computes what the module does."""
    try:
        built = code.build(arguments).eval()
        own = _plain(module)
        built.load_state_dict(own.state_dict())
        expected, computed = _computed(own), _computed(built)
        return bool((expected - computed).abs().max() <= SAME * expected.abs().max())
    except (InvalidInput, RuntimeError, AttributeError, TypeError):  # other names, sizes or results
        return False


def _weights_file(module: nn.Module) -> Path:
    """A file of its weights, and for a network of a known family the side file that says which it is."""
    from autocompress.io import atomic, cache, checkpoints
    from autocompress.networks import describe
    from autocompress.networks.base import SRNetwork

    name = f"{type(module).__name__}.safetensors"

    def build(folder: Path) -> None:
        checkpoints.save_tensors(folder / name, module.state_dict())
        if isinstance(module, SRNetwork):
            atomic.write_json((folder / name).with_suffix(".json"), describe(module))

    return cache.entry("modules", _key(module), build, about=name) / name


def _program_file(module: nn.Module) -> Path:
    from autocompress.io import cache

    name, plain = f"{type(module).__name__}.pt2", _plain(module)
    return cache.entry("modules", f"{_key(plain)}-program", lambda at: _export(plain, at / name), about=name) / name


def _key(module: nn.Module) -> str:
    """Of its class, weights, and what it computes of an image."""
    import torch

    total = hashlib.blake2b(f"{type(module).__qualname__} {torch.__version__}".encode(), digest_size=16)
    for name, tensor in sorted(module.state_dict().items()):
        total.update(f"{name} {tuple(tensor.shape)}".encode())
        total.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    total.update(_computed(_plain(module)).numpy().tobytes())
    return total.hexdigest()


def _computed(module: nn.Module, shape: Sequence[int] = COMPARED) -> Tensor:
    """What it makes of an image; InvalidInput where it fails on it."""
    import torch
    from torch import Tensor

    image = torch.rand(tuple(shape), generator=torch.Generator().manual_seed(0))
    try:
        with torch.no_grad():
            sr = module(image)
    except Exception as error:  # whatever the module's code raises
        reason = " ".join(str(error).split())[:LONG]
        raise InvalidInput(f"{type(module).__name__} fails on an image of {tuple(shape)}: {reason}") from error
    if not isinstance(sr, Tensor):
        raise InvalidInput(f"{type(module).__name__} makes a {type(sr).__name__} of an image, but must make a tensor")
    if not sr.is_floating_point():
        raise InvalidInput(f"{type(module).__name__} makes {sr.dtype} of an image, but must make floats")
    return sr.float()


def _export(module: nn.Module, file: Path) -> None:
    import torch

    free = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(module, (torch.zeros(EXAMPLE),), dynamic_shapes=(free,), strict=False)
            _check_sizes(module, program.module())
            torch.export.save(program, file)
    except Exception as error:  # torch.export passes on whatever capturing raises
        reason = " ".join(str(error).split())[:LONG]
        raise ConfigError(
            f"{type(module).__name__} cannot go to other processes: its class is not in a file of its own, or the "
            f"arguments that build it are not known, and torch.export cannot capture it for images of any size "
            f"({reason}); give the weights' file and code='FILE.py:CALLABLE'"
        ) from error


def _check_sizes(module: nn.Module, program: nn.Module) -> None:
    """RuntimeError if a program computes something else than its module on images of another size."""
    for shape in (COMPARED, LARGE):
        expected, computed = _computed(module, shape), _computed(program, shape)
        if expected.shape != computed.shape or (expected - computed).abs().max() > SAME * expected.abs().max():
            raise RuntimeError(f"what it captures differs on images of {shape[2]}x{shape[3]} pixels")
