"""Networks that are told by the names of their tensors, so that a refusal can say what a file seems to hold."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAMES = {
    r"(?:rdb\d|RDB\d|RRDB_trunk)\.": "an RRDB network, as ESRGAN and Real-ESRGAN have",
    r"conv_du\.": "an RCAN",
    r"overlap_attn\.|conv_block\.cab\.": "a HAT",
    r"attn\.(?:logit_scale|cpb_mlp)": "a Swin2SR",
    r"qkv_dwconv\.": "a Restormer",
    r"(?:^|\.)SFENet1\.": "an RDN",
    r"\.relative_position_bias_table$": "another network with windows of attention than an official SwinIR",
    r"(?:^|\.)(?:sca|conv5)\.|(?:^|\.)intro\.": "a NAFNet",
    r"(?:^|\.)(?:input_blocks|down_blocks|time_embed)\.": "a diffusion model",
    r"(?:^|\.)(?:embed_tokens|token_embd|lm_head)\.": "a language model",
    r"(?:^|\.)features\.\d+\.": "a VGG or another network for classification",
    r"(?:^|\.)(?:pre_process|bn\d?)\.": "an MDSR, or a network with batch normalisation",
    r"(?:^|\.)upconv1\.": "an SRResNet (MSRResNet of BasicSR)",
    r"(?:^|\.)body\.\d+\.weight$": "a compact network of plain convolutions (SRVGGNetCompact), as realesr-general has",
    r"(?:^|\.)(?:exp_avg|exp_avg_sq|momentum_buffer)$": "the state of an optimizer alone",
    r"(?:^|\.)lora_": "a LoRA, which changes another network's weights",
}


def seems_to_be(names: Iterable[str]) -> str | None:
    """What a network with these names of tensors seems to be; None where they tell nothing."""
    names = list(names)
    for pattern, what in _NAMES.items():
        if any(re.search(pattern, name) for name in names):
            return what
    return None
