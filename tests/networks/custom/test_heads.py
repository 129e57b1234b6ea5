"""A count of heads, of which a user's own code builds fewer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from autocompress.compute.flops import count_flops, count_params
from autocompress.errors import ConfigError
from autocompress.networks.custom import CustomFamily
from autocompress.networks.custom.code import Code
from autocompress.shrink.init import Init

CODE = Path(__file__).parents[2] / "helpers" / "attention.py"
LR = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def family() -> CustomFamily:
    return CustomFamily(Code.parse(f"{CODE}:WindowAttention"), {"dim": 24, "heads": 4})


def test_heads_are_a_count_and_widths_are_multiples_of_them(family: CustomFamily) -> None:
    assert {count.field: (count.what, values) for count, values in family.values.items()} == {
        "dim": ("channels", (4, 8, 12, 16, 20, 24)),
        "heads": ("heads", (1, 2, 3, 4)),
    }


@pytest.mark.parametrize(
    "counts",
    [
        {},
        *(pytest.param(each, marks=pytest.mark.slow) for each in ({"heads": 3}, {"heads": 1}, {"dim": 12, "heads": 2})),
        {"dim": 12, "heads": 3},
    ],
)
def test_students_of_fewer_heads(family: CustomFamily, counts: dict[str, int]) -> None:
    torch.manual_seed(0)
    teacher = family.build(family.config()).eval().requires_grad_(False)
    config = family.student_config(teacher.config, counts)
    student = family.shrinker(teacher, LR, Init.PROJECTION, family.analyse(teacher, LR, Init.PROJECTION, 0))(config)
    assert family.flops(config) == count_flops(student, 2)
    assert family.params(config) == count_params(student)
    again = family.code.build({"dim": 24, "heads": 4} | counts).eval()
    with torch.no_grad():
        fresh = (again(LR) - teacher(LR)).square().mean()
        again.load_state_dict(student.state_dict(), strict=True)
        torch.testing.assert_close(again(LR), student(LR))
        assert (student(LR) - teacher(LR)).square().mean() < (fresh / 10 if counts else 1e-8)


def test_channels_that_heads_cannot_share_are_refused(family: CustomFamily) -> None:
    with pytest.raises(ConfigError, match="no student of dim 20, heads 3: all heads must have the same number"):
        family.student_config(family.config(), {"dim": 20, "heads": 3})
