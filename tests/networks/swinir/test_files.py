"""SwinIRs in files: inferred from their tensors, exported and read again, or refused."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.network_files import golden
from helpers.swinir_networks import FAMILY, MINI, TINY, configs, images
from helpers.swinir_networks import random_swinir as network
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import autocompress
from autocompress.errors import CheckpointError
from autocompress.export.files import export_network
from autocompress.io import checkpoints
from autocompress.networks.swinir.network import SwinIRConfig
from autocompress.networks.weights import digest


@settings(max_examples=12)
@given(configs(), st.booleans())
def test_every_count_is_inferred(config: SwinIRConfig, buffers: bool) -> None:
    with torch.device("meta"):
        made = FAMILY.build(config)
        found = FAMILY.read(FAMILY.official_tensors(made) if buffers else made.state_dict())
    assert found is not None
    inferred = found[0]
    assert isinstance(inferred, SwinIRConfig)
    assert inferred.hidden_dim == config.hidden_dim
    assert {**inferred.to_dict(), "mlp_ratio": 0} == {**config.to_dict(), "mlp_ratio": 0}


def test_a_ratio_that_no_division_gives_is_still_inferred() -> None:
    assert int(49 * (1 / 49)) == 0
    found = FAMILY.read(FAMILY.build(SwinIRConfig(2, 49, (1,), (7,), 2, 0.03)).state_dict())
    assert found is not None
    assert getattr(found[0], "hidden_dim", None) == 1


@pytest.mark.parametrize("key", [None, "params", "params_ema"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrappers(tmp_path: Path, prefix: str, key: str | None) -> None:
    made = network(TINY)
    stored = {f"{prefix}{name}": value for name, value in FAMILY.official_tensors(made).items()}
    torch.save(stored if key is None else {key: stored}, tmp_path / "network.pth")
    assert digest(autocompress.load(tmp_path / "network.pth")) == digest(made)


@pytest.mark.parametrize("format", ["pth", "safetensors"])
@pytest.mark.parametrize("upsampler", ["pixelshuffledirect", "pixelshuffle"])
@pytest.mark.parametrize("scale", [2, *(pytest.param(scale, marks=pytest.mark.slow) for scale in (3, 4))])
def test_exports_come_back(tmp_path: Path, scale: int, upsampler: str, format: str) -> None:
    made = network(SwinIRConfig(scale, 12, (2, 1), (3, 2), 4, upsampler=upsampler))
    file = export_network(made, "student", tmp_path, format, {})
    content = checkpoints.read_content(file)
    assert isinstance(content, dict)
    stored = content.get("params", content)
    assert stored["layers.0.residual_group.blocks.0.attn.relative_position_index"].dtype == torch.int64
    lr = images(7, 9)
    for side_file in (True, False):
        if not side_file:
            file.with_suffix(".json").unlink()
        loaded = autocompress.load(file)
        assert loaded.config == made.config
        assert torch.equal(loaded(lr), made(lr))


def test_the_side_file_states_the_costs(tmp_path: Path) -> None:
    made = network(TINY)
    side = json.loads(export_network(made, "s", tmp_path, "pth", {}).with_suffix(".json").read_text())
    assert (side["flops"], side["params"]) == (FAMILY.flops(TINY), FAMILY.params(TINY))


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
def test_spandrel_recognises_an_export(tmp_path: Path) -> None:
    spandrel = pytest.importorskip("spandrel", reason="spandrel is not installed")
    made = network(MINI)
    file = export_network(made, "student", tmp_path, "pth", {})
    theirs = spandrel.ModelLoader(device="cpu").load_from_file(file)
    assert (theirs.architecture.id, theirs.scale) == ("SwinIR", 2)
    lr = images(17, 30)
    with torch.no_grad():
        torch.testing.assert_close(theirs.model.eval()(lr), made(lr), atol=1e-4, rtol=0)


Change = Callable[[dict[str, Tensor]], object]
BLOCK = "layers.0.residual_group.blocks.0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.update({"conv_up1.weight": torch.ones(1)}), "upsamples by nearest+conv (conv_up1.weight)"),
        (lambda w: w.update({"layers.0.conv.0.weight": w.pop("layers.0.conv.weight")}), "resi_connection 3conv"),
        (lambda w: w.update({"conv_after_body.0.weight": w.pop("conv_after_body.weight")}), "resi_connection 3conv"),
        (lambda w: [w.pop(f"upsample.0.{leaf}") for leaf in ("weight", "bias")], "has no upsample.0.weight"),
        (lambda w: w.update({"conv_first.weight": torch.ones(12, 1, 3, 3)}), "reads 1-channel images, but only RGB"),
        (lambda w: w.update({"conv_first.weight": torch.ones(12)}), "conv_first.weight is (12,)"),
        (lambda w: w.pop("conv_first.weight"), "conv_first.weight is missing"),
        (lambda w: w.update({"upsample.0.weight": torch.ones(15, 12, 3, 3)}), "(15, 12, 3, 3), which is no x2, x3 or"),
        (lambda w: w.update({"upsample.0.weight": torch.ones(192, 12, 3, 3)}), "(192, 12, 3, 3), which is no x2"),
        (lambda w: w.pop(f"{BLOCK}.mlp.fc1.weight"), "mlp.fc1.weight is missing"),
        (lambda w: w.pop(f"{BLOCK}.attn.qkv.bias"), "attn.qkv.bias is missing where (36,) is expected"),
        (lambda w: w.update({"absolute_pos_embed": torch.ones(1)}), "absolute_pos_embed is (1,) where nothing is"),
        (lambda w: w.update({f"{BLOCK}.attn.relative_position_bias_table": torch.ones(50, 2)}), "has 50 rows"),
        (
            lambda w: w.update({f"{BLOCK}.attn.relative_position_bias_table": torch.ones(49, 5)}),
            "multiple of num_heads",
        ),
        (lambda w: w.update({"layers.7.conv.bias": torch.ones(12)}), "layers.2.residual_group.blocks.0"),
        (lambda w: w.pop("patch_embed.norm.weight"), "belong to none of the families"),
    ],
)
def test_what_cannot_be_read_says_what_was_found(tmp_path: Path, change: Change, message: str) -> None:
    tensors = dict(FAMILY.official_tensors(network(TINY)))
    change(tensors)
    torch.save(tensors, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=re.escape(message)) as caught:
        autocompress.load(tmp_path / "odd.pth")
    assert str(caught.value).startswith(f"{tmp_path / 'odd.pth'}: ")


def test_residual_scaling_is_not_ignored(tmp_path: Path) -> None:
    torch.save(network(TINY).state_dict(), tmp_path / "s.pth")
    with pytest.raises(
        CheckpointError, match=r"res_scale 0\.1 was given, but this is of the family swinir, which has none"
    ):
        autocompress.load(tmp_path / "s.pth", res_scale=0.1)


def test_other_networks_are_none(shared: Path) -> None:
    assert FAMILY.read({"features.0.weight": torch.ones(1)}) is None
    assert FAMILY.read(golden(shared, "edsr_x2_f16_b4")["params"]) is None
