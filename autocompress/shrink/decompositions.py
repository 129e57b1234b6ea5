"""Operations of a captured graph that are replaced by others, as there are rules for these alone."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import DispatchKey, Tensor, fx

from autocompress.shrink.operations import MOVES


def _attention(  # noqa: PLR0913 - as PyTorch has them
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`scaled_dot_product_attention` by the products that channels are followed through.

    What language models have besides, and no image needs, is left to PyTorch.
    """
    if is_causal or enable_gqa:
        in_parts = torch.ops.aten._scaled_dot_product_attention_math.default
        made: Tensor = in_parts(query, key, value, attn_mask, 0.0, is_causal, scale=scale, enable_gqa=enable_gqa)[0]
        return made
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.where(attn_mask, 0.0, -torch.inf).to(query.dtype)
    scores = (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.transpose(-2, -1)
    return (scores if attn_mask is None else scores + attn_mask).softmax(-1) @ value


_REPLACED = _EINSUM, _ATTENTION = torch.ops.aten.einsum.default, torch.ops.aten.scaled_dot_product_attention.default


@cache
def replacements() -> dict[Any, Callable[..., Any]]:
    """What computes each of these operations by others; PyTorch's own table, which has one, takes a while to make."""
    return {_EINSUM: torch.export.default_decompositions()[_EINSUM], _ATTENTION: _attention}


def stays(node: fx.Node) -> bool:
    """Whether an operation is not decomposed: where all stay, that step, which takes longest, is left out.

    So do operations on views that only move values, for which there is a rule whether they are decomposed or not.
    """
    if node.op != "call_function" or node.target is operator.getitem:
        return True
    if not isinstance(node.target, torch._ops.OpOverload):
        return False
    aliases = [alias for argument in node.target._schema.arguments if (alias := argument.alias_info) is not None]
    in_place = any(alias.is_write for alias in aliases)
    of_views = bool(aliases) and node.target.has_kernel_for_dispatch_key(DispatchKey.CompositeImplicitAutograd)
    has_rule = str(node.target.overloadpacket.__name__) in MOVES | {"to"}
    return node.target not in _REPLACED and not in_place and (has_rule or not of_views)
