"""Students that ship with the package: `models` lists them, and `describe_model` says what is known of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autocompress.io.arguments import typed_arguments

if TYPE_CHECKING:
    from autocompress.networks.models import Shipped


def models() -> list[Shipped]:
    """The students that ship with the package, the cheapest first."""
    from autocompress.networks.models import shipped_models

    return list(shipped_models().values())


@typed_arguments
def describe_model(name: str) -> dict[str, Any]:
    """What is known of a shipped student: config, cost, scores, provenance, and the official code that loads it.

    Raises InvalidInput for another name, with those that there are.
    """
    from autocompress.networks.models import find_model

    model = find_model(name)
    return {"name": model.name, "official_code": model.official_code, **model.about}
