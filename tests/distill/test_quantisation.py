"""Networks in int8: how they are rounded, what is told of it, and that training to be rounded helps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers.swinir_networks import TINY, random_swinir

from autocompress.compute.precision import Precision
from autocompress.data.folders import open_folder
from autocompress.data.sources import ImageSource
from autocompress.distill.fake_quantisation import with_fake_quantisation, without_fake_quantisation
from autocompress.distill.quantisation import RECIPE, Quantiser
from autocompress.export.int8 import OURS, Rounding, as_input, of_one_size, quantised
from autocompress.networks import FAMILIES, load
from autocompress.networks.base import SRNetwork
from autocompress.networks.compact.network import CompactConfig
from autocompress.networks.edsr.network import EDSRConfig


@pytest.fixture
def images(photos: Path) -> ImageSource:
    return open_folder(photos, 2, min_size=64)


def edsr(tail: str = "plain") -> SRNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FAMILIES["edsr"].build(EDSRConfig(2, 8, 2, tail=tail)).eval()


def test_the_file_is_of_integers_around_its_first_convolution(images: ImageSource) -> None:
    network = edsr()
    patches = [images.read(0).lr[:32, :40], images.read(1).lr[:32, :40]]
    model = onnx.load_from_string(quantised(network, patches, 13, Rounding(tail=True)))
    onnx.checker.check_model(model)
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == 13
    assert {entry.key for entry in model.metadata_props} == {"family", "scale", "autocompress", "config"}
    weights = {entry.name: entry for entry in model.graph.initializer}
    made_by = {name: node for node in model.graph.node for name in node.output}
    first, *others = (node for node in model.graph.node if node.op_type == "Conv")
    assert first.input[1] in weights  # as it is
    for node in others:
        dequantise = made_by[node.input[1]]
        assert dequantise.op_type == "DequantizeLinear"
        stored, scales = (weights[name] for name in dequantise.input[:2])
        assert stored.data_type == onnx.TensorProto.INT8
        assert list(scales.dims) == [stored.dims[0]]  # a scale for each output
    assert made_by["sr"].op_type not in ("QuantizeLinear", "DequantizeLinear")
    lr = torch.from_numpy(as_input(patches[0][:19, :31]))
    fixed = of_one_size(model.SerializeToString(), 2, (19, 31))
    free, one = (onnxruntime.InferenceSession(content) for content in (model.SerializeToString(), fixed))
    assert (one.get_inputs()[0].shape, one.get_outputs()[0].shape) == ([1, 3, 19, 31], [1, 3, 38, 62])
    found = free.run(["sr"], {"lr": lr.numpy()})[0]
    assert np.array_equal(found, one.run(["sr"], {"lr": lr.numpy()})[0])
    torch.testing.assert_close(torch.from_numpy(found), network(lr), atol=0.05, rtol=0)


@pytest.mark.parametrize("tail", [pytest.param("plain", marks=pytest.mark.slow), "folded"])
def test_what_upsamples_stays_as_it_is(images: ImageSource, tail: str) -> None:
    """In the file, where it is one convolution at LR and a few at the border, and in the training for that."""
    network = edsr(tail)
    patches = [images.read(0).lr[:32, :40]]
    model, former = (onnx.load_from_string(quantised(network, patches, 13, how)) for how in (OURS, Rounding(tail=True)))
    whole = weights_of(model)
    assert {name.partition(".")[0] for name in whole} == {"conv_first", "upsample"}
    assert weights_of(former) == {"conv_first.weight"}
    modules = with_fake_quantisation(network).named_modules()
    rounded = {name for name, one in modules if isinstance(one, torch.nn.Conv2d) and type(one) is not torch.nn.Conv2d}
    assert rounded == {*(f"body.{block}.conv{number}" for block in (0, 1) for number in (1, 2)), "conv_after_body"}


def weights_of(model: onnx.ModelProto) -> set[str]:
    """The weights of convolutions that are in float32."""
    stored = {entry.name for entry in model.graph.initializer}
    return {node.input[1] for node in model.graph.node if node.op_type == "Conv" and node.input[1] in stored}


def test_what_is_rounded_has_the_levels_of_int8() -> None:
    network = edsr()
    rounded = with_fake_quantisation(network).train()
    lr = torch.rand(2, 3, 16, 16)
    seen = {}
    conv = rounded.get_submodule("body.0.conv1")
    weights = {name: tensor.clone() for name, tensor in rounded.state_dict().items()}
    conv.register_forward_hook(lambda module, inputs, output: seen.update(output=output))
    sr = rounded(lr)
    sr.sum().backward()
    assert 0 < float((sr - network(lr)).detach().abs().max()) < 0.05
    gradients = {name for name, parameter in rounded.named_parameters() if parameter.grad is not None}
    assert gradients == {name for name, _ in network.named_parameters()}
    scale = weights["body.0.conv1.weight"].abs().amax((1, 2, 3), keepdim=True) / 127
    levels = (weights["body.0.conv1.weight"] / scale).round()
    low, high = (getattr(conv, side) for side in ("low", "high"))
    assert low <= 0 <= high
    step = (high - low) / 255
    before = network.conv_first((lr - network.mean) * 255)  # type: ignore[operator]
    inputs = ((before / step).round()) * step
    bias = weights["body.0.conv1.bias"]
    expected = torch.nn.functional.conv2d(inputs, levels * scale, bias, padding=1)
    close = (seen["output"] - expected).detach().abs() < 2e-3  # but where the largest inputs are cut
    assert close.float().mean() > 0.95
    plain = without_fake_quantisation(rounded)
    assert torch.equal(plain(lr), network(lr))
    assert plain.state_dict().keys() == network.state_dict().keys()


@pytest.mark.parametrize("refine", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_training_to_be_rounded_brings_back_what_is_lost(images: ImageSource, refine: bool) -> None:
    """Of a student that computes the same as a shipped one, but with features of very different ranges."""
    network = load("edsr-x2-1g")
    with torch.no_grad():
        for block in range(network.config.num_block):  # type: ignore[attr-defined]
            for leaf in ("weight", "bias"):
                network.get_parameter(f"body.{block}.conv1.{leaf}")[0] *= 100
            network.get_parameter(f"body.{block}.conv2.weight")[:, 0] /= 100
    told: list[str] = []
    recipe = replace(RECIPE, steps=30, patch_size=24, batch_size=4)
    quantiser = Quantiser(images, images, refine, told.append, Precision(), recipe)
    content, about = quantiser(network, "student", 13, None)
    assert onnx.load_from_string(content).graph.node
    lost = about["psnr_y_float32"] - about["psnr_y"]
    assert about["calibrated_on"] == about["scored_on"] == images.described
    if not refine:
        assert lost > 0.1
        assert about["refined_steps"] == 0
        assert told[-1].startswith("student: --qat trains the network for int8")
        return
    plain = [line for line in told if not line.endswith("%")]
    assert plain[0].startswith("student: the int8 file has ")
    first = float(plain[0].split(", ")[1].split()[0])  # less than the network
    assert about["refined_steps"] == 30
    assert [line for line in told if "training for int8: " in line][::9] == [
        f"student: training for int8: {share}" for share in ("10%", "100%")
    ]
    assert lost < first - 0.05


def test_a_network_that_loses_little_is_not_trained(images: ImageSource) -> None:
    network = FAMILIES["compact"].build(CompactConfig(2, 6, 1)).eval()
    told: list[str] = []
    about = Quantiser(images, images, True, told.append, Precision())(network, "student", 13, None)[1]
    assert about["refined_steps"] == 0
    plain = [line for line in told if not line.endswith("%")]
    assert plain[1:] == ["student: at most 0.1 dB is lost, so it is not trained for int8"]


def test_of_a_transformer_its_products_with_weights_are_rounded(images: ImageSource) -> None:
    """In the file and in the training for it; attention and convolutions stay in float32."""
    network = random_swinir(TINY)
    patches = [images.read(0).lr[:32, :40]]
    graph = onnx.load_from_string(quantised(network, patches, 13)).graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    products = [node for node in graph.node if node.op_type == "MatMul"]
    rounded = [node for node in products if made_by.get(node.input[1]) == "DequantizeLinear"]
    linear = [name for name, module in network.named_modules() if isinstance(module, torch.nn.Linear)]
    assert 0 < len(rounded) == len(linear) < len(products)
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert "DequantizeLinear" not in {made_by.get(name) for node in convolutions for name in node.input}
    trained = with_fake_quantisation(network).train()
    assert [name for name, module in trained.named_modules() if hasattr(module, "low")] == linear
    lr = torch.rand(1, 3, 16, 16)
    trained(lr).sum().backward()
    assert torch.equal(without_fake_quantisation(trained)(lr), network(lr))


def test_more_convolutions_at_the_start_stay_whole_where_much_is_lost(images: ImageSource) -> None:
    network = edsr()
    patches = [images.read(0).lr[:32, :40]]
    whole = weights_of(onnx.load_from_string(quantised(network, patches, 13, replace(OURS, whole=3))))
    assert len(whole - weights_of(onnx.load_from_string(quantised(network, patches, 13)))) == 2
    assert "body.0.conv1.weight" in whole
    rounded = [name for name, module in with_fake_quantisation(network, 3).named_modules() if hasattr(module, "low")]
    assert rounded == ["body.1.conv1", "body.1.conv2", "conv_after_body"]
