"""Whole channels and whole repeated parts of a teacher."""

import hashlib

import pytest
import torch
from torch import Tensor, nn

from autocompress import prune
from autocompress.networks import find_family
from autocompress.networks.base import Config, SRNetwork
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.networks.swinir.network import SwinIRConfig
from autocompress.shrink.axes import AxisTable
from autocompress.shrink.selection import Selection

AXES = {"first": ("stream", ""), "body.*.0": ("stream", "stream"), "last": ("", "stream")}


def chain(width: int, depth: int) -> nn.ModuleDict:
    body = nn.ModuleList(nn.Sequential(nn.Linear(width, width)) for _ in range(depth))
    return nn.ModuleDict({"first": nn.Linear(3, width), "body": body, "last": nn.Linear(width, 2)})


def selection(teacher: nn.ModuleDict, scores: dict[str, Tensor]) -> Selection:
    weights = {name: weight.detach() for name, weight in teacher.state_dict().items()}
    return Selection(weights, scores, AxisTable.declared(AXES, weights), ("body",))


def test_what_scores_most_stays_in_its_order() -> None:
    teacher = chain(4, 3)
    scores = {name: torch.zeros_like(weight) for name, weight in teacher.state_dict().items()}
    scores["first.weight"][3] = scores["first.weight"][1] = 1.0
    scores["body.2.0.weight"][0, 0] = 0.5
    scores["body.0.0.weight"][0, 0] = 0.25
    weights = selection(teacher, scores).student(chain(2, 2).state_dict())
    stream, old = torch.tensor([1, 3]), teacher.state_dict()
    assert torch.equal(weights["first.weight"], old["first.weight"][stream])
    assert torch.equal(weights["first.bias"], old["first.bias"][stream])
    for ours, theirs in ((0, 0), (1, 2)):
        assert torch.equal(weights[f"body.{ours}.0.weight"], old[f"body.{theirs}.0.weight"][stream][:, stream])
    assert torch.equal(weights["last.weight"], old["last.weight"][:, stream])
    assert torch.equal(weights["last.bias"], old["last.bias"])


def test_parts_within_parts() -> None:
    teacher = nn.ModuleDict({"layers": nn.ModuleList(nn.ModuleDict({"inner": chain(2, 3)["body"]}) for _ in range(2))})
    scores = {name: torch.zeros_like(weight) for name, weight in teacher.state_dict().items()}
    scores["layers.1.inner.2.0.bias"] += 1
    chosen = Selection(teacher.state_dict(), scores, AxisTable({}), ("layers", "inner"))
    assert chosen.sources(["layers.0.inner.0.0.bias"]) == {
        "layers.0.": "layers.1.",
        "layers.0.inner.0.": "layers.1.inner.2.",
    }


def made(config: Config, family: str) -> SRNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = find_family(family).build(config).eval()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.05)
    return network


def hashed(network: SRNetwork) -> str:
    described = repr(network.config).replace(", tail='plain'", "")  # as it was when there was no other
    total = hashlib.sha256(described.encode())
    for name, weight in sorted(network.state_dict().items()):
        total.update(name.encode() + weight.contiguous().numpy().tobytes())
    return total.hexdigest()[:16]


EDSR_FIELDS = {"num_feat": 9, "num_block": 3, "num_layer": 3}
SWINIR_FIELDS = {"embed_dim": 18, "num_block": 2, "depth": 1, "num_heads": 2, "mlp_ratio": 1.0}
DIRECT, INDIRECT = ("pixelshuffledirect", "pixelshuffle")


@pytest.mark.parametrize(
    ("family", "config", "fields", "expected"),
    [
        ("edsr", EDSRConfig(2, 24, 4, res_scale=0.5), EDSR_FIELDS, "60bf723ab5d7bd9d"),
        ("swinir", SwinIRConfig(2, 24, (3, 4, 2), (2, 4, 6), 4, 2.0, DIRECT), SWINIR_FIELDS, "0b1c6f75b0b2e432"),
        ("swinir", SwinIRConfig(2, 24, (3, 4, 2), (2, 4, 6), 4, 2.0, INDIRECT), SWINIR_FIELDS, "87d2aa1551c3591c"),
        ("edsr", EDSRConfig(3, 24, 4, res_scale=0.5), EDSR_FIELDS, "80c3cdf1b15f4fcc"),
        ("swinir", SwinIRConfig(3, 24, (3, 4, 2), (2, 4, 6), 4, 2.0, DIRECT), SWINIR_FIELDS, "5a5e27d2384dbe86"),
        ("swinir", SwinIRConfig(3, 24, (3, 4, 2), (2, 4, 6), 4, 2.0, INDIRECT), SWINIR_FIELDS, "1deab4503fbe623b"),
        ("edsr", EDSRConfig(4, 24, 4, res_scale=0.5), EDSR_FIELDS, "1035a6970cfc5971"),
        ("swinir", SwinIRConfig(4, 24, (3, 4, 2), (2, 4, 6), 4, 2.0, DIRECT), SWINIR_FIELDS, "cadfe96e6ba75cdd"),
        ("swinir", SwinIRConfig(4, 24, (3, 4, 2), (2, 4, 6), 4, 2.0, INDIRECT), SWINIR_FIELDS, "4fc2a7144ad70385"),
    ],
)
def test_students_by_copy_are_the_same_as_ever(
    family: str, config: Config, fields: dict[str, float], expected: str
) -> None:
    """To the bit: what each family's own code made before the families shared it."""
    student_config = find_family(family).student_config(config, fields)
    student = prune.shrink(made(config, family), student_config, torch.rand(6, 3, 24, 24), "copy")
    assert hashed(student) == expected
