"""Whether what a call names is there: said at once, before PyTorch and others are imported, which takes seconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autocompress.io.inputs import find_code, find_network
from autocompress.names import is_program

if TYPE_CHECKING:
    from torch import nn

Named = str | Path | None


def check_named(
    *,
    networks: Iterable[Named | nn.Module] = (),
    codes: Iterable[str | None] = (),
    folders: Iterable[Named] = (),
    lr: Sequence[str | Path] = (),
) -> None:
    """Raise InvalidInput for a network, a file of code or a folder of images that is not there; None names nothing.

    `networks` are names of shipped ones or files (modules are there), `codes` FILE.py:CALLABLE or programs, `lr` is as
    in `data.layouts`.
    """
    from autocompress.data.layouts import MADE, check_folder, is_alone  # NumPy and Pillow come with it

    for network in networks:
        if isinstance(network, str | Path):
            find_network(str(network))
    for code in codes:
        if code is not None and not is_program(code):
            find_code(code)
    of_lr = () if is_alone(lr) else (one for one in lr if str(one) != MADE)
    for folder in (*folders, *of_lr):
        if folder is not None:
            check_folder(Path(folder))
