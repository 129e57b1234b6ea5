"""Whether a network takes images in 0 to 1 or in 0 to 255: found by trying."""

from __future__ import annotations

import math
from dataclasses import replace

from autocompress.data.embedded import embedded
from autocompress.errors import CheckpointError
from autocompress.networks.custom.network import CustomConfig, CustomNetwork
from autocompress.networks.versus_bicubic import versus_bicubic

RANGES = (1.0, 255.0)


def in_best_range(network: CustomNetwork) -> CustomNetwork:
    """The network with the range in which it upscales a photograph best.

    Raises CheckpointError where it is worse than bicubic in each: then its range cannot be told.
    """
    photograph = embedded("valid", network.scale).read(0)
    found = {}
    for largest in RANGES:
        network.input_range = largest
        found[largest] = versus_bicubic(network, [photograph])
    best = max(found, key=lambda largest: -math.inf if math.isnan(found[largest].network) else found[largest].network)
    if found[best].weak:
        raise CheckpointError(
            f"the network upscales a photograph worse than bicubic in each range, at best in 0 to {best:g}: "
            f"{found[best].explained}; --input-range 1 or 255 (a target's as --target-input-range) takes it all "
            "the same"
        )
    assert isinstance(network.config, CustomConfig)
    network.config = replace(network.config, input_range=best)
    network.input_range = best
    return network
