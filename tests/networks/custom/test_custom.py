"""Networks of a user's own code: reading them, what varies in them, what they cost, and what is wrong with code."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.network_files import golden
from helpers.own_network import CODE, OwnNetwork, write_own_network

from autocompress.compute.flops import count_flops, count_params
from autocompress.errors import AutocompressError, CheckpointError, ConfigError, InvalidInput
from autocompress.networks import family_of, load
from autocompress.networks.custom import CustomFamily
from autocompress.networks.custom.code import Code
from autocompress.networks.custom.network import CustomNetwork

HELPERS = Path(__file__).parents[2] / "helpers"


def family(name: str, file: str = "sr_networks.py", **arguments: object) -> CustomFamily:
    return CustomFamily(Code.of(HELPERS / file, name), arguments)


def plain(name: str, **arguments: object) -> CustomFamily:
    return family(name, "plain_networks.py", **arguments)


@pytest.mark.parametrize(
    ("made", "varies", "student"),
    [
        (family("RLFN", feature_channels=16, upscale=2, esa_channels=8, mid=3),
         {"feature_channels": tuple(range(4, 17)), "esa_channels": (4, 5, 6, 7, 8), "mid": (1, 2, 3)},
         {"feature_channels": 12, "esa_channels": 6, "mid": 2}),
        pytest.param(
            family("IMDN", nf=64, num_modules=2, upscale=2),
            {"nf": tuple(range(16, 65, 4)), "num_modules": (1, 2)}, {"nf": 40, "num_modules": 1},
            marks=pytest.mark.slow),
        pytest.param(
            family("SMFANet", dim=12, n_blocks=2, upscaling_factor=2),
            {"dim": (4, 5, 6, 7, 8, 9, 10, 11, 12), "n_blocks": (1, 2),
             "ffn_scale": (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)}, {"dim": 8, "n_blocks": 1, "ffn_scale": 1.25},
            marks=pytest.mark.slow),
        pytest.param(
            plain("PlainUSR", feat=16, mid=8, few=4, attention=4),
            {"feat": tuple(range(9, 17)), "mid": (5, 6, 7, 8)}, {"feat": 14, "mid": 5}, marks=pytest.mark.slow),
        pytest.param(
            plain("PlainUSRTiny", feat=16, few=6),
            {"feat": tuple(range(7, 17)), "few": (4, 5, 6)}, {"feat": 8, "few": 4}, marks=pytest.mark.slow),
        (plain("ECBSR", feat=8, layers=3),
         {"feat": (4, 5, 6, 7, 8), "layers": (1, 2, 3)}, {"feat": 6, "layers": 2}),
        (plain("ETDS", feat=8, layers=3), {"feat": (4, 5, 6, 7, 8), "layers": (1, 2, 3)}, {"feat": 6, "layers": 1}),
    ],
)  # fmt: skip
def test_what_varies_and_what_it_costs(
    made: CustomFamily, varies: dict[str, tuple[float, ...]], student: dict[str, float]
) -> None:
    teacher = made.config()
    assert teacher.scale == 2
    assert {count.field: values for count, values in made.values.items()} == varies
    for config in (teacher, made.student_config(teacher, student)):
        network = made.build(config).eval()
        assert made.flops(config) == count_flops(network, 2)
        assert made.params(config) == count_params(network)


def test_a_value_that_the_code_does_not_take_is_refused() -> None:
    made = family("IMDN", nf=64, num_modules=2, upscale=2)
    with pytest.raises(ConfigError, match=r"nf is 8, but IMDN takes \(16, 20, "):
        made.student_config(made.config(), {"nf": 8})


@pytest.mark.slow
def test_values_that_the_code_takes_only_together() -> None:
    """A block of PlainUSR reads some of the channels, not all, so narrow ones need narrow blocks."""
    made = plain("PlainUSR", feat=16, mid=8, few=4, attention=4)
    config = made.student_config(made.config(), {"feat": 8, "mid": 5})
    assert made.flops(config) == count_flops(made.build(config).eval(), 2)
    with pytest.raises(ConfigError, match=r"feat is 8, but PlainUSR takes \(9, .*, 16\)$"):
        made.student_config(made.config(), {"feat": 8})
    with pytest.raises(ConfigError, match=r"feat is 8, but PlainUSR takes .*, with the others as given"):
        made.student_config(made.config(), {"feat": 8, "mid": 8})


def test_a_family_goes_to_other_processes() -> None:
    made = family("RLFN", feature_channels=8, upscale=2, mid=1)
    again: CustomFamily = pickle.loads(pickle.dumps(made))
    assert again.config() == made.config()
    assert again.flops(again.config()) == made.flops(made.config())


@pytest.mark.parametrize(
    ("name", "file", "code"),
    [
        ("rlfn_x2", "rlfn_x2.pth", "sr_networks.py:RLFN upscale=2"),
        (
            "smfanet_plus_x2",
            "SMFANet_plus_DIV2K_100w_x2SR.pth",
            "sr_networks.py:SMFANet dim=48 n_blocks=12 upscaling_factor=2",
        ),
        ("ecbsr_m6c40_x2", "ECBSR_M6C40_x2.pth", "plain_networks.py:ECBSR"),
        *(
            pytest.param(*published, marks=pytest.mark.slow)
            for published in (
                ("rlfn_x4", "rlfn_x4.pth", "sr_networks.py:RLFN upscale=4"),
                ("imdn_x2", "IMDN_x2.pth", "sr_networks.py:IMDN upscale=2"),
                ("plainusr_m_x2", "plainusrM.pth", "plain_networks.py:PlainUSR"),
                ("plainusr_t_x2", "plainusrT.pth", "plain_networks.py:PlainUSRTiny"),
                ("etds_m_x2", "ETDS_M6C32.pth", "plain_networks.py:ETDS"),
            )
        ),
    ],
)
def test_published_networks_compute_what_the_original_does(shared: Path, name: str, file: str, code: str) -> None:
    known = golden(shared, name)
    callable_, *arguments = code.split()
    network = load(shared / "weights" / file, code=f"{HELPERS}/{callable_}", set=arguments)
    assert isinstance(network, CustomNetwork)
    assert network.input_range == known["input_range"]  # found by trying
    with torch.no_grad():
        sr = network(known["x"])
    assert (sr - known["y"]).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("made", "names"),
    [
        (plain("PlainUSR", feat=8, mid=6, few=4, attention=4), {"head", "tail.0"}),
        (family("RLFN", feature_channels=8, upscale=2, mid=1), {"conv_1", "upsampler.0"}),
    ],
)
def test_what_reads_and_makes_colours_is_exact(made: CustomFamily, names: set[str]) -> None:
    network = made.build(made.config())
    modules = dict(network.network.named_modules())
    assert {name for name, module in modules.items() if any(module is layer for layer in network.exact())} == names


@pytest.mark.slow
def test_published_flops() -> None:
    rlfn, imdn = family("RLFN", upscale=2), family("IMDN", upscale=2)
    assert rlfn.flops(rlfn.config()) / 1e9 == pytest.approx(115.4, abs=0.05)
    assert imdn.flops(imdn.config()) / 1e9 == pytest.approx(158.8, abs=0.05)
    for made, billions in ((plain("PlainUSR"), 30.81), (plain("PlainUSRTiny"), 11.17), (plain("ECBSR"), 21.15)):
        assert made.flops(made.config()) / 1e9 == pytest.approx(billions, abs=0.005)
    assert plain("ETDS").flops(plain("ETDS").config()) / 1e9 == pytest.approx(13.77, abs=0.005)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: state,
        lambda state: {"params_ema": state},
        lambda state: {"state_dict": {f"generator.{key}": value for key, value in state.items()}},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"params": {key: value.half() for key, value in state.items()}},
    ],
)
def test_weights_are_found_by_structure(here: Path, wrapped: object) -> None:
    write_own_network(here / "own.py")
    torch.manual_seed(0)
    own = OwnNetwork(feat=6).eval()
    torch.save(wrapped(own.state_dict()), here / "own.pth")  # type: ignore[operator]
    network = load("own.pth", code="own.py:OwnNetwork", set=["feat=6"], input_range=1)
    x = torch.rand(1, 3, 9, 7)
    with torch.no_grad():
        torch.testing.assert_close(network(x), own(x), atol=1e-3, rtol=1e-2)


@pytest.mark.parametrize(
    ("source", "code", "arguments", "message"),
    [
        (CODE, "own.py", (), "names no code; write FILE.py:CALLABLE"),
        (CODE, "other.py:OwnNetwork", (), "other.py: no such file"),
        (CODE, "own.py:Other", (), "nothing to call in it is named Other; its classes: .*OwnNetwork"),
        ("raise RuntimeError('no luck')", "own.py:Net", (), "running it failed with RuntimeError: no luck"),
        ("def net(): return 3", "own.py:net", (), "gives a int, but an nn.Module is needed"),
        (CODE, "own.py:OwnNetwork", ("colour=3",), r"OwnNetwork\(.*colour=3\) failed with TypeError"),
        (CODE, "own.py:OwnNetwork", ("feat=5",), r"\(8, 3, 3, 3\) in the file, but \(5, 3, 3, 3\)"),
        (CODE, "own.py:OwnNetwork", ("blocks=3",), "body.2.weight; check --code and --set"),
        (CODE.replace("F.pixel_shuffle(y, 2) + skip", "y"), "own.py:OwnNetwork", (), "s being 2 or more"),
        (CODE.replace("forward(self, x)", "forward(self, x, y)"), "own.py:OwnNetwork", (), "fails on an image"),
        (CODE, "own.py:OwnNetwork", (), "worse than bicubic .* --input-range 1 or 255"),
    ],
)
def test_what_is_wrong_is_one_clear_line(
    here: Path, source: str, code: str, arguments: tuple[str, ...], message: str
) -> None:
    (here / "own.py").write_text(source)
    torch.manual_seed(0)
    torch.save(OwnNetwork().state_dict(), here / "own.pth")
    with pytest.raises(AutocompressError, match=message) as raised:
        load("own.pth", code=code, set=arguments)
    assert isinstance(raised.value, InvalidInput | CheckpointError | ConfigError)
    assert "\n" not in str(raised.value)


def test_without_its_code_a_file_says_what_to_give(here: Path) -> None:
    torch.save(OwnNetwork().state_dict(), here / "own.pth")
    with pytest.raises(CheckpointError, match="give the code that builds the network, as --code"):
        load("own.pth")


def test_a_shipped_familys_name_cannot_be_taken(here: Path) -> None:
    (here / "own.py").write_text(CODE.replace("class OwnNetwork", "class edsr"))
    torch.save(OwnNetwork().state_dict(), here / "own.pth")
    with pytest.raises(ConfigError, match="ships with the package is called edsr"):
        load("own.pth", code="own.py:edsr", input_range=1)


def test_what_cannot_be_shrunk_stays_and_says_why(here: Path) -> None:
    (here / "own.py").write_text(CODE.replace("F.relu(layer(x))", "F.relu(layer(x)).cumsum(1)"))
    torch.save(OwnNetwork().state_dict(), here / "own.pth")
    made = family_of(load("own.pth", code="own.py:OwnNetwork", input_range=1))
    assert isinstance(made, CustomFamily)
    assert "the operation cumsum" in made.fixed().values()


EXPERTS = """
import torch
from torch import nn


class Experts(nn.Module):
    def __init__(self, feat=6):
        super().__init__()
        self.head, self.tail = nn.Conv2d(3, feat, 3, padding=1), nn.Conv2d(feat, 12, 3, padding=1)
        self.router = nn.Linear(feat, 3)
        self.experts = nn.ModuleList(nn.Sequential(nn.Conv2d(feat, n, 1), nn.Conv2d(n, feat, 1)) for n in (2, 5, 9))

    def forward(self, x):
        x = self.head(x)
        shares = self.router(x.mean((2, 3))).softmax(-1)
        if self.training:
            chosen = torch.zeros_like(shares).scatter(1, shares.argmax(-1, keepdim=True), 1.0)
            made = sum(expert(x) * chosen[:, n, None, None, None] for n, expert in enumerate(self.experts))
        else:
            made = self.experts[int(shares.argmax())](x)
        return nn.functional.pixel_shuffle(self.tail(x + made), 2)
"""


def test_flops_of_experts_do_not_depend_on_weights(here: Path) -> None:
    """Which of them runs is chosen by the image: the first, of 2 channels, is counted."""
    (here / "own.py").write_text(EXPERTS)
    found = set()
    for seed in range(2):
        torch.manual_seed(seed)
        made = CustomFamily(Code.of(here / "own.py", "Experts"), {})
        for feat in (6, 4):
            config = made.student_config(made.config(), {"feat": feat})
            assert made.flops(config) == count_flops(made.build(config).eval(), 2)
            found.add((feat, made.flops(config)))
    assert len(found) == 2


LARGE = EXPERTS.replace("self.router = ", "self.rest = nn.Parameter(torch.zeros(300_000))\n        self.router = ")


@pytest.mark.parametrize("source", [pytest.param(EXPERTS, marks=pytest.mark.slow), LARGE], ids=["small", "large"])
def test_what_varies_in_code_that_computes_with_values_of_images(here: Path, source: str) -> None:
    """Small networks are run at once; large ones first without memory, which this code cannot be."""
    (here / "own.py").write_text(source)
    made = CustomFamily(Code.of(here / "own.py", "Experts"), {"feat": 6})
    assert {count.field: values for count, values in made.values.items()} == {"feat": (4, 5, 6)}


COMPUTING = CODE.replace("        super().__init__()", "        super().__init__()\n        float(torch.ones(()))")


def test_code_that_computes_with_values_while_it_builds(here: Path) -> None:
    """As networks with stochastic depth do: built without memory for values it fails."""
    (here / "own.py").write_text(COMPUTING)
    made = CustomFamily(Code.of(here / "own.py", "OwnNetwork"), {})
    config = made.student_config(made.config(), {"feat": 5})
    assert made.params(config) == count_params(made.build(config))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, -1.0])
def test_an_input_range_that_is_none(here: Path, value: float) -> None:
    write_own_network(here / "own.py")
    torch.save(OwnNetwork().state_dict(), "own.pth")
    with pytest.raises(InvalidInput, match=r"input_range is .*, but must be a number > 0, such as 1 or 255"):
        load("own.pth", code="own.py:OwnNetwork", input_range=value)


@pytest.mark.parametrize("given", [{"input_range": 255.0}, {"set": ["feat=12"]}])
def test_what_is_for_own_code_is_not_passed_over_for_other_networks(teacher_file: Path, given: dict[str, Any]) -> None:
    for file in (teacher_file, "edsr-x2-1g"):
        with pytest.raises(InvalidInput, match=r"for a network of your own code; add --code FILE\.py:CALLABLE"):
            load(file, **given)
