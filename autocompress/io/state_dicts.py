"""Where the weights of a network may be in a file: state dicts, found by structure, whatever is around them.

Training scripts keep weights under `params`, `model`, `state_dict` or `net_g`, beside epochs and optimizers, with
prefixes that wrappers have put in front (`module.`, `_orig_mod.`, `generator.`). A nested dict and a prefix are the
same here: each name is a path, and whatever lies below a part of it may be a network. Who knows networks tries them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from autocompress.errors import CheckpointError, cut
from autocompress.io.pickles import StandIn

DEEPEST = 8  # dicts in each other
MOST_TENSORS, MOST_PARTS = 200_000, 40  # of a file; of a name
MOST_NAMES = 300_000  # parts of the names of all tensors of a file
FEWEST = 4  # tensors of a network that is not all that a file holds
WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")  # parts of names, wherever they stand
_AVERAGED = re.compile(r"(?:^|_)(?:ema|averaged?|swa)(?:_|$)", re.IGNORECASE)
_BESIDE = re.compile(
    r"loss|criterion|perceptual|vgg|lpips|metric|psnr|ssim|discriminator|net_?d$|optim|scheduler", re.IGNORECASE
)
_FIRST = ("params",)  # what is taken before others that are no moving average, as BasicSR does

Path = tuple[str, ...]


@dataclass(frozen=True)
class StateDict:
    """Tensors by name that may be those of a network; `place` says in words where they were, empty for the top.

    `path` is where they were: the names of dicts, and then the `prefix` that their names have had.

    `beside` are those of the same dict that seem to be none of its weights: counters, losses, discriminators.
    """

    tensors: dict[str, Tensor]
    beside: dict[str, Tensor]
    path: Path
    prefix: Path
    place: str
    rank: tuple[bool, bool]

    @property
    def everything(self) -> dict[str, Tensor]:
        """All tensors of the dict."""
        return self.tensors | self.beside

    def is_apart_from(self, other: StateDict) -> bool:
        """Whether neither lies within the other."""
        short, long = sorted((self.path, other.path), key=len)
        return long[: len(short)] != short


def state_dicts(content: object) -> list[StateDict]:
    """All that may be the weights of a network in what a file holds; the likeliest first, an outer before an inner.

    Raises CheckpointError, without the file's name, for names of too many parts.

    Moving averages (`params_ema`) come before other weights, `params` before what has another name.
    """
    folders: set[Path] = {()}
    found = dict(itertools.islice(_leaves(content, (), folders, set()), MOST_TENSORS))
    if sum(map(len, found)) > MOST_NAMES:
        raise CheckpointError(f"names of more than {MOST_NAMES} parts in all; give a file of one network's weights")
    groups: dict[Path, dict[Path, Tensor]] = {}
    for name, tensor in found.items():
        for length in range(len(name)):
            if name[:length] in folders or not name[length - 1].isdecimal():  # not each block of a network
                groups.setdefault(name[:length], {})[name[length:]] = tensor
    made = [_state_dict(path, tensors, folders) for path, tensors in groups.items()]
    large = (one for one in made if one.tensors and len(one.everything) >= min(FEWEST, len(found)))
    return sorted(large, key=lambda one: (one.rank, len(one.path)))


def _leaves(content: object, path: Path, folders: set[Path], seen: set[int]) -> Iterator[tuple[Path, Tensor]]:
    """Each tensor with the parts of its name; optimizers and what is met again are passed over."""
    if not isinstance(content, Mapping) or id(content) in seen or len(path) > DEEPEST:
        return
    if {"state", "param_groups"} <= content.keys():
        return
    seen.add(id(content))
    for key, value in content.items():
        if not isinstance(key, str | int):
            continue
        if isinstance(value, Tensor):
            yield (*path, *(part for part in str(key).split(".", MOST_PARTS) if part not in WRAPPERS)), value
        elif isinstance(value, Mapping):
            folders.add((*path, str(key)))
            yield from _leaves(value, (*path, str(key)), folders, seen)


def _state_dict(path: Path, tensors: Mapping[Path, Tensor], folders: set[Path]) -> StateDict:
    own: dict[str, Tensor] = {}
    beside: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        counter = len(name) == 1 and (tensor.dim() == 0 or not tensor.is_floating_point())
        (beside if counter or _BESIDE.search(name[0]) else own)[".".join(name)] = tensor
    depth = next(length for length in range(len(path), -1, -1) if path[:length] in folders)
    folder, prefix = path[:depth], path[depth:]
    place = [f"under {cut('/'.join(folder))}"] if folder else []
    place += [f"with {cut('.'.join(prefix))}. before each name"] if prefix else []
    left_out = dict.fromkeys(name.partition(".")[0] for name in beside)
    place += [f"beside {cut(', '.join(left_out))}, which is left out"] if beside else []
    averaged = any(_AVERAGED.search(part) for part in path)
    return StateDict(own, beside, path, prefix, ", ".join(place), (not averaged, not path or path[-1] not in _FIRST))


def described(content: object) -> str:
    """What a file holds that has no tensors, in words."""
    if isinstance(content, StandIn):
        return f"an object of the class {cut(content.stands_for)}"
    if isinstance(content, Mapping):
        inner = [
            f"{cut(repr(key), 40)}{f' ({described(value)})' if isinstance(value, StandIn) else ''}"
            for key, value in list(content.items())[:5]
        ]
        return f"a dict of {', '.join(inner) or 'nothing'}"
    return "a tensor without a name" if isinstance(content, Tensor) else f"a {type(content).__name__}"
