"""Products of two matrices, as attention has them, on classes of channels.

An element of a matrix may belong to two channels: attention over channels has one row and one column for each.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autocompress.shrink.classes import NOTHING, Classes, Freedom


def multiplied(
    a: Sequence[Tensor], b: Sequence[Tensor], size: Sequence[int], classes: Classes
) -> tuple[Tensor, ...] | None:
    """The classes of the product, (..., n, m), of matrices (..., n, k) and (..., k, m): one tensor or two.

    `a` and `b` are the classes of each element, one tensor or two. What is summed over loses the same channels in both;
    heads, which are in the dimensions before, keep as many each. None where classes go along both dimensions at once.
    """
    of_a, of_b = _along(a), _along(b)
    if of_a is None or of_b is None:
        return None
    (rows, summed), (summed_too, columns) = of_a, of_b
    alike = [_uniform(each, along) for each, along in ((a, of_a), (b, of_b))]
    if summed is not None or summed_too is not None:
        _sum(alike[0] if summed is None else summed, alike[1] if summed_too is None else summed_too, classes)
    left = [] if rows is None else [rows[..., :, :1]]
    left += [] if columns is None else [columns[..., :1, :]]
    for ids, dimension in ((rows, -2), (columns, -1)):
        if ids is not None:
            _tie_heads(ids.select(-1 if dimension == -2 else -2, 0), classes)
    if not left:
        classes.join_all(*alike)
        left = [torch.where(alike[1] == NOTHING, alike[0], alike[1])]
        if summed is not None or summed_too is not None:
            left = [torch.full((1, 1), NOTHING)]
    elif summed is None and summed_too is None:
        for ids in alike:
            classes.fix(ids)  # of one value for each head, whose channels are not followed here
    return tuple(ids.expand(tuple(size)) for ids in left)


def _along(labels: Sequence[Tensor]) -> tuple[Tensor | None, Tensor | None] | None:
    """The classes that differ from row to row, and those that differ from column to column; None where one does both.

    Also None where two do the same. What is alone in its row or column stands for those that would differ.
    """
    found: list[Tensor | None] = [None, None]
    for ids in labels:
        by_row, by_column = bool((ids != ids[..., :1, :]).any()), bool((ids != ids[..., :, :1]).any())
        if not by_row and not by_column and (ids != NOTHING).all() and ids.shape[-2:].count(1) == 1:
            by_row, by_column = ids.shape[-2] == 1, ids.shape[-1] == 1  # a head of one channel
        if by_row and by_column:
            return None
        if by_row or by_column:
            place = 0 if by_row else 1
            if found[place] is not None:
                return None
            found[place] = ids
    return found[0], found[1]


def _uniform(labels: Sequence[Tensor], along: Sequence[Tensor | None]) -> Tensor:
    """The class of all elements of a matrix (..., 1, 1), where one class that is along no dimension has all."""
    others = [ids for ids in labels if not any(ids is each for each in along)]
    same = [ids[..., :1, :1] for ids in others if not (ids != ids[..., :1, :1]).any()]
    return same[0] if same else torch.full((1, 1), NOTHING)


def _sum(a: Tensor, b: Tensor, classes: Classes) -> None:
    """Sum over channels: a (..., n, k) and b (..., k, m); a channel that meets no channel stays."""
    of_a, of_b = a[..., :1, :].transpose(-2, -1), b[..., :, :1]  # (..., k, 1)
    for ids in (of_a, of_b):
        classes.limit(ids, Freedom.PAIR)
    if (of_a == NOTHING).all() or (of_b == NOTHING).all():
        classes.fix(torch.maximum(of_a, of_b))
        return
    for ids in (of_a, of_b):
        _tie_heads(ids[..., 0], classes)
    classes.join_all(of_a, of_b)
    classes.left.update(of_a.flatten().tolist())
    classes.right.update(of_b.flatten().tolist())


def _tie_heads(ids: Tensor, classes: Classes) -> None:
    """Heads keep as many channels each: ids are (..., k)."""
    classes.tie_heads(ids.reshape(-1, ids.shape[-1]))
