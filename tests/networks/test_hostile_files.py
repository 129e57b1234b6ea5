"""Files of weights that promise more than they hold, or no numbers: refused in one line, at once, in little memory."""

import json
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.bounds import within
from helpers.edsr_networks import weights
from helpers.own_network import CODE, OwnNetwork
from helpers.swinir_networks import random_swinir
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

import autocompress
from autocompress.errors import InvalidInput
from autocompress.networks.swinir.network import SwinIRConfig


def swinir_weights() -> dict[str, Tensor]:
    return dict(random_swinir(SwinIRConfig(2, 6, (2,), (2,), 4)).state_dict())


MEGABYTES = 400


def assert_refused(file: Path, message: str = ".") -> None:
    with within(MEGABYTES), pytest.raises(InvalidInput, match=message) as raised:
        autocompress.load(file)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1000


INDICES, ONE = torch.zeros(4, 1, dtype=torch.long), torch.ones(1)
SPARSE = torch.sparse_coo_tensor(INDICES, ONE, (6, 3, 3, 3), check_invariants=True)
TENSORS: dict[str, tuple[Any, str]] = {
    "stride 0": (torch.zeros(1).expand(6, 3, 3, 3), "conv_first.weight is .* repeats"),
    "stride 0, huge": (torch.zeros(1).expand(100_000, 3, 300, 300), "repeats"),
    "sparse": (SPARSE, "sparse"),
    "meta": (torch.empty(6, 3, 3, 3, device="meta"), "without values"),
    "huge meta": (torch.empty(10**6, 3, 10**5, 3, device="meta"), "without values"),
    "complex": (torch.ones(6, 3, 3, 3, dtype=torch.complex64), "complex"),
    "zero-sized": (torch.ones(0, 3, 3, 3), "no values"),
    "zero-sized, huge": (torch.ones(10**9, 0, 3, 3), "no values"),
    "nan": (torch.full((6, 3, 3, 3), torch.nan), "conv_first.weight has values that are not finite"),
    "one inf": (torch.nn.functional.pad(torch.full((1, 1, 1, 1), torch.inf), (2, 0, 2, 0, 2, 0, 5, 0)), "not finite"),
    "too large for float32": (torch.full((6, 3, 3, 3), 1e300, dtype=torch.float64), "not finite"),
    "many dimensions": (torch.zeros([1] * 70), "has 70 dimensions, but weights have up to 16"),
    "a scalar": (torch.tensor(1.0), "an EDSR's has"),
}


@pytest.mark.filterwarnings("ignore")  # of PyTorch: such tensors are to go
def test_a_quantised_tensor(tmp_path: Path) -> None:
    quantised = torch.quantize_per_tensor(torch.ones(6, 3, 3, 3), 0.1, 0, torch.qint8)
    torch.save(weights() | {"conv_first.weight": quantised}, tmp_path / "bad.pth")
    assert_refused(tmp_path / "bad.pth", "quantised")


@pytest.mark.parametrize("kind", TENSORS)
def test_a_tensor_that_is_no_array_of_numbers(tmp_path: Path, kind: str) -> None:
    tensor, message = TENSORS[kind]
    torch.save({"params": weights() | {"conv_first.weight": tensor}}, tmp_path / "bad.pth")
    assert_refused(tmp_path / "bad.pth", message)


DTYPES = [torch.bool, torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", ["ours", "BasicSR's"])
def test_whole_numbers_in_the_place_of_weights(tmp_path: Path, dtype: torch.dtype, layout: str) -> None:
    rounded = {name: (100 * value).to(dtype) for name, value in weights().items()}
    if layout == "ours":
        save_file(rounded, tmp_path / "bad.safetensors")
        config = {"scale": 2, "num_feat": 6, "num_block": 2}
        (tmp_path / "bad.json").write_text(json.dumps({"family": "edsr", "config": config}))
    else:
        torch.save({"params": weights() | {"conv_first.bias": rounded["conv_first.bias"]}}, tmp_path / "bad.pth")
    file = tmp_path / ("bad.safetensors" if layout == "ours" else "bad.pth")
    assert_refused(file, f"is of {str(dtype).removeprefix('torch.')}, but trained weights are floating-point numbers")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_weights_of_any_precision_are_read(tmp_path: Path, dtype: torch.dtype) -> None:
    """Also beside whole numbers that are no parameters, as SwinIR's places in its tables of attention are."""
    places = {"layers.0.residual_group.blocks.0.attn.relative_position_index": torch.zeros(16, 16, dtype=torch.int64)}
    for name, own in {"edsr": weights(), "swinir": swinir_weights() | places}.items():
        given = {key: value.to(dtype) if value.is_floating_point() else value for key, value in own.items()}
        torch.save({"params": given}, tmp_path / f"{name}.pth")
        assert autocompress.load(tmp_path / f"{name}.pth").family == name


def test_whole_numbers_in_the_weights_of_a_users_own_network(tmp_path: Path) -> None:
    """Its buffers, such as how many batches were seen, may be some."""
    code = tmp_path / "counting.py"
    code.write_text(
        f"{CODE}\n\nclass Counting(OwnNetwork):\n    def __init__(self):\n        super().__init__()\n"
        "        self.register_buffer('seen', torch.tensor(7))\n"
    )
    good = OwnNetwork().state_dict() | {"seen": torch.tensor(12345)}
    torch.save(good, tmp_path / "good.pth")
    network = autocompress.load(tmp_path / "good.pth", code=f"{code}:Counting", input_range=1)
    assert network.state_dict()["seen"] == 12345
    torch.save(good | {"head.bias": good["head.bias"] > 0}, tmp_path / "bad.pth")
    with pytest.raises(InvalidInput, match=r"head\.bias is of bool, but trained weights are"):
        autocompress.load(tmp_path / "bad.pth", code=f"{code}:Counting", input_range=1)


def test_numbers_of_four_bits(tmp_path: Path) -> None:
    """PyTorch keeps them, and computes nothing of them."""
    header = b'{"conv_first.weight": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}'
    (tmp_path / "bad.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0")
    assert_refused(
        tmp_path / "bad.safetensors", r"conv_first\.weight is of torch\.float4\w*, which cannot become float32"
    )


@pytest.mark.parametrize("arguments", [{"blocks": 10**6}, {"feat": 10**9}, {"feat": [8, [10**9]]}])
def test_a_side_file_with_arguments_of_a_larger_network(tmp_path: Path, arguments: dict[str, Any]) -> None:
    """Building a million blocks of a user's own code takes gigabytes, also without memory for their weights."""
    (tmp_path / "own.py").write_text(CODE)
    save_file(OwnNetwork().state_dict(), tmp_path / "own.safetensors")
    side = {"family": "OwnNetwork", "scale": 2, "config": {"scale": 2, "arguments": arguments}}
    (tmp_path / "own.json").write_text(json.dumps(side))
    with (
        within(MEGABYTES),
        pytest.raises(InvalidInput, match=r"arguments is .*, but the file holds \d+ parameters in all"),
    ):
        autocompress.load(tmp_path / "own.safetensors", code=f"{tmp_path / 'own.py'}:OwnNetwork", input_range=1)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_safetensors_that_are_not_finite(tmp_path: Path, value: float) -> None:
    bad = weights()
    bad["body.1.conv2.bias"][3] = value
    save_file(bad, tmp_path / "bad.safetensors")
    assert_refused(tmp_path / "bad.safetensors", "body.1.conv2.bias has values that are not finite")


@pytest.mark.parametrize("number", ["1000000", "999999999", "9" * 5000, "1" + "0" * 300])
@pytest.mark.parametrize("name", ["body.{}.conv1.weight", "layers.{}.residual_group.blocks.0.norm1.weight", "{}"])
def test_a_name_that_numbers_many_layers(tmp_path: Path, name: str, number: str) -> None:
    own = swinir_weights() if "layers" in name else weights()
    save_file(own | {name.format(number): torch.ones(1)}, tmp_path / "bad.safetensors")
    assert_refused(tmp_path / "bad.safetensors", "is numbered")


def test_values_that_many_tensors_share(tmp_path: Path) -> None:
    one = torch.zeros(10**6)
    torch.save(weights() | {f"extra{index}": one[:] for index in range(1000)}, tmp_path / "bad.pth")
    assert_refused(tmp_path / "bad.pth", "does not fit into a file")


def test_parts_that_are_compressed(tmp_path: Path) -> None:
    torch.save({"params": weights(), "more": torch.zeros(10**7)}, tmp_path / "plain.pth")
    with zipfile.ZipFile(tmp_path / "plain.pth") as plain, zipfile.ZipFile(tmp_path / "bad.pth", "w", 8) as bad:
        for part in plain.infolist():
            bad.writestr(part.filename, plain.read(part), zipfile.ZIP_DEFLATED)
    assert (tmp_path / "bad.pth").stat().st_size < 100_000
    assert_refused(tmp_path / "bad.pth", "unpack to 40")


CONFIGS: list[dict[str, Any]] = [
    {"num_block": 1_000_000},
    {"num_block": 10**30},
    {"num_feat": 10**6},
    {"num_feat": 10**15},
    {"num_block": 30},
    {"num_block": 1.5},
    {"num_block": True},
    {"num_feat": "6"},
    {"num_feat": None},
    {"num_feat": [6]},
    {"res_scale": "1"},
    {"res_scale": float("nan")},
    {"res_scale": float("inf")},
    {"res_scale": {}},
    {"scale": 10**9},
    {"scale": [2]},
    {"scale": {"a": 1}},
]


@pytest.mark.parametrize("fields", CONFIGS, ids=str)
def test_a_side_file_of_another_network(tmp_path: Path, fields: dict[str, Any]) -> None:
    save_file(weights(), tmp_path / "own.safetensors")
    config = {"scale": 2, "num_feat": 6, "num_block": 2} | fields
    (tmp_path / "own.json").write_text(json.dumps({"family": "edsr", "config": config}))
    assert_refused(tmp_path / "own.safetensors")


@pytest.mark.parametrize(
    "fields",
    [
        {"depths": [10**9], "num_heads": [1]},
        {"depths": [1] * 10_000, "num_heads": [1] * 10_000},
        {"window_size": 3000},
        {"mlp_ratio": 1e300},
        {"mlp_ratio": 1e9},
        {"embed_dim": 10**9},
        {"depths": "ab", "num_heads": "ab"},
        {"depths": [[1]], "num_heads": [1]},
        {"num_heads": [0]},
    ],
    ids=str,
)
def test_a_side_file_of_another_swinir(tmp_path: Path, fields: dict[str, Any]) -> None:
    save_file(swinir_weights(), tmp_path / "own.safetensors")
    config = {"scale": 2, "embed_dim": 6, "depths": [2], "num_heads": [2], "window_size": 4} | fields
    (tmp_path / "own.json").write_text(json.dumps({"family": "swinir", "config": config}))
    assert_refused(tmp_path / "own.safetensors")


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), "1", True])
def test_a_number_of_a_network_that_is_none(tmp_path: Path, number: Any) -> None:
    save_file(weights(), tmp_path / "own.safetensors")
    with pytest.raises(InvalidInput, match="res_scale is "):
        autocompress.load(tmp_path / "own.safetensors", res_scale=number)


NAMES = st.sampled_from([*weights(), "conv_first.bias", "body.3.conv1.weight", "upsample.7.weight", "", "module.", "."])
SHAPES = st.lists(st.integers(0, 7), max_size=5)


@examples(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(NAMES, SHAPES, min_size=1, max_size=4), gone=st.lists(NAMES, max_size=2))
def test_any_shapes_are_one_line_or_a_network(tmp_path: Path, changes: dict[str, list[int]], gone: list[str]) -> None:
    tensors: dict[str, Tensor] = weights() | {name: torch.zeros(shape) for name, shape in changes.items()}
    save_file({name: value for name, value in tensors.items() if name not in gone}, tmp_path / "any.safetensors")
    with within(MEGABYTES), suppress(InvalidInput):
        autocompress.load(tmp_path / "any.safetensors")
