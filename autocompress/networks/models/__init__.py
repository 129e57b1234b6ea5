"""The students that ship with the package: each a file of weights and a JSON side file, and nothing else to declare.

The side file has what `distill` writes: family, config, scale, FLOPs, parameters, scores by set of images (`metrics`),
and how it was made (`provenance`); and, if there is one, the class of other code that loads it (`official_code`, as
`networks.official_class` says it). A name is the architecture, the scale and the FLOPs in G, or what a paper calls it.
Nothing here imports torch, so that they are listed at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autocompress.errors import InvalidInput, cut
from autocompress.io import package_files


@dataclass(frozen=True)
class Shipped:
    """A network in the package: its file, and what is known of it (scores, training, licence)."""

    name: str
    file: Path
    about: dict[str, Any]

    @property
    def official_code(self) -> str | None:
        """The class that loads its exported `pth`, such as `basicsr.archs.edsr_arch.EDSR`; None where there is none."""
        code: str | None = self.about.get("official_code")
        return code


def read_shipped(files: Mapping[str, Path]) -> dict[str, Shipped]:
    """The networks in these files of the package, by name, with their side files."""
    return {
        name: Shipped(name, file, json.loads(file.with_suffix(".json").read_text(encoding="utf-8")))
        for name, file in files.items()
    }


def shipped_models() -> dict[str, Shipped]:
    """The students in the package, by name, the cheapest first."""
    known = read_shipped(package_files.models())
    return dict(sorted(known.items(), key=lambda item: int(item[1].about["flops"])))


def find_model(name: str) -> Shipped:
    """The shipped student of this name; InvalidInput, with the names that there are, for any other."""
    known = shipped_models()
    if name not in known:
        raise InvalidInput(f"{cut(name)} is no model that ships with autocompress; these do: {', '.join(known)}")
    return known[name]
