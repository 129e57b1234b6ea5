"""What a session that joins a run is to search: what the run's config.json says that was asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Container
from pathlib import Path
from typing import Any

from autocompress.errors import RunError
from autocompress.networks.teachers import shipped
from autocompress.search.run.folder import RunFolder
from autocompress.search.settings import Settings
from autocompress.search.space.budget import Budget
from autocompress.search.space.search_space import shipped_spaces


def recorded_settings(run: RunFolder) -> Settings:
    """Those of the latest session that was started with `search`; RunError where they are not recorded."""
    config = run.config
    if not {"settings", "started_in"} <= config.keys():
        raise RunError(f"{run.path}: an older version made it; let its own command go on once, then join")
    recorded, base = config["settings"], Path(config["started_in"])
    known = {field.name for field in dataclasses.fields(Settings)}
    fields: dict[str, Any] = {key: value for key, value in recorded.items() if key in known - {"ray"}}
    fields["budget"] = Budget(**recorded["budget"])
    fields["spaces"] = tuple(_file(name, base, shipped_spaces()) for name in recorded["spaces"])
    fields["teachers"] = tuple(_teacher(text, base) for text in recorded["teachers"])
    if recorded["target"] is not None:
        fields["target"] = _file(recorded["target"], base, shipped())
    for name in ("train", "val"):
        fields[name] = None if recorded[name] is None else base / recorded[name]
    return Settings(**fields | {"out": run.path})


def _teacher(text: str, base: Path) -> str:
    """`FILE` or `KEY=FILE`; a file's own name may have an equals sign."""
    key, equals, name = text.partition("=")
    if not equals or (base / text).is_file():
        return _file(text, base, shipped())
    return f"{key}={_file(name, base, shipped())}"


def _file(name: str, base: Path, known: Container[str]) -> str:
    """A name that ships with the package, or a file as it is called from any folder."""
    return name if name in known else str(base / name)
