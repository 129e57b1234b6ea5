"""A network's weights: building a network with them, checking tensors from a file, and telling equal networks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import nn

from autocompress.errors import CheckpointError
from autocompress.names import name_bytes
from autocompress.networks.base import Config, Family, SRNetwork, Weights

LARGEST_ARGUMENT = 2**17  # of a user's own code, in a file; it may be a seed, or a number of blocks


def with_weights(family: Family, config: Config, weights: Weights) -> SRNetwork:
    """The network of `config` with these weights (float32, copied), in eval mode.

    Raises CheckpointError, before anything is built, where the config is of a larger network than these are of.
    """
    _check_size(family, config, weights)
    network = family.build(config)
    check_parameters(network, weights)
    network.load_state_dict({key: value.to(torch.float32) for key, value in weights.items()}, strict=True)
    return network.eval()


def check_parameters(network: nn.Module, weights: Weights) -> None:
    """Raise CheckpointError where whole numbers or truth values stand for a parameter of `network`; for buffers they
    may, as for counts of batches."""
    for name, value in network.state_dict(keep_vars=True).items():
        given = weights.get(name)
        if isinstance(value, nn.Parameter) and given is not None and not given.is_floating_point():
            kind = str(given.dtype).removeprefix("torch.")
            raise CheckpointError(
                f"{name} is of {kind}, but trained weights are floating-point numbers; give the file from before they "
                "were rounded"
            )


def _check_size(family: Family, config: Config, weights: Weights) -> None:
    held = sum(value.numel() for value in weights.values())
    for name, given in config.to_dict().items():
        most = max(held, LARGEST_ARGUMENT) if isinstance(given, Mapping) else held
        for count in _whole_numbers(given):
            if count > most:
                raise CheckpointError(f"{name} is {given}, but the file holds {held} parameters in all")
    params = family.params(config)
    if params > held:
        raise CheckpointError(f"the config is that of {params} parameters, but the file holds {held}")


def _whole_numbers(value: object) -> Iterator[int]:
    """All in a value from JSON."""
    if isinstance(value, int):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _whole_numbers(one)


def check_tensors(build: Callable[[], nn.Module], weights: Weights, described: str) -> None:
    """Raise CheckpointError, naming the first differences, unless keys and shapes are those of what `build` makes."""
    with torch.device("meta"):
        expected = {key: tuple(value.shape) for key, value in build().state_dict().items()}
    shapes = {key: tuple(value.shape) for key, value in weights.items()}
    differences = [
        f"{key} is {shapes.get(key, 'missing')} where {expected.get(key, 'nothing')} is expected"
        for key in sorted(expected.keys() | shapes.keys())
        if shapes.get(key) != expected.get(key)
    ]
    if differences:
        more = f" (and {len(differences) - 2} more)" if len(differences) > 2 else ""
        raise CheckpointError(f"this looks like {described}, but {'; '.join(differences[:2])}{more}")


def digest(network: SRNetwork) -> str:
    """A hex hash of a network's family, config and weights, and of the code that builds it where that is a user's own.

    It is the same for the same function, whatever file it was in.
    """
    described = json.dumps([network.family, network.config.to_dict()], sort_keys=True)
    if network.made_by is not None:
        described += network.made_by.code_digest
    total = hashlib.blake2b(described.encode(), digest_size=16)
    for key, value in sorted(network.state_dict().items()):
        total.update(name_bytes(key))
        total.update(value.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
    return total.hexdigest()
