"""A network of own code is that of its code as it was: of its file, and of what that imports from beside it."""

import pickle
from pathlib import Path

import pytest
import torch

from autocompress.errors import InvalidInput
from autocompress.networks.custom import CustomFamily
from autocompress.networks.custom.code import Code
from autocompress.networks.custom.programs import Program, ProgramFamily
from autocompress.networks.custom.sources import sources
from autocompress.networks.weights import digest

NET = """
from torch import nn
from {helper} import scaled

class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.last = nn.Conv2d(width, 12, 3, padding=1)

    def forward(self, x):
        return nn.functional.pixel_shuffle(self.last(scaled(self.conv(x))), 2)
"""
HELPER = "def scaled(x):\n    return {factor} * x\n"


def written(folder: Path, helper: str, factor: int = 1) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "net.py").write_text(NET.format(helper=helper))
    (folder / f"{helper}.py").write_text(HELPER.format(factor=factor))
    return folder / "net.py"


def digest_of(file: Path) -> str:
    torch.manual_seed(0)
    family = CustomFamily(Code.of(file, "Net"), {"width": 4})
    return digest(family.build(family.config()))


@pytest.mark.parametrize("changed", ["net.py", "helper_a.py"])
def test_a_network_of_changed_code_is_another_one_with_the_same_weights(tmp_path: Path, changed: str) -> None:
    file = written(tmp_path / "here", "helper_a")
    before = Code.of(file, "Net").digest
    copied = written(tmp_path / "copied", "helper_a")

    assert Code.of(copied, "Net").digest == before  # where the folder lies does not matter

    (copied.parent / changed).write_text((copied.parent / changed).read_text() + "\nadded = 1\n")

    assert Code.of(copied, "Net").digest != before


def test_the_digest_of_a_network_has_that_of_its_code(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one", "helper_b1"), written(tmp_path / "other", "helper_b2", factor=2)

    assert digest_of(one) != digest_of(other)


@pytest.mark.slow
def test_the_digest_of_a_network_has_that_of_its_program(tmp_path: Path) -> None:
    family = CustomFamily(Code.of(written(tmp_path, "helper_c"), "Net"), {"width": 4})
    network = family.build(family.config()).network
    found = set()
    for number, module in enumerate((network, torch.nn.Sequential(network, torch.nn.ReLU()))):
        folder = tmp_path / str(number)
        folder.mkdir()
        sizes = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
        program = torch.export.export(module, (torch.zeros(2, 3, 16, 20),), dynamic_shapes=(sizes,))
        torch.export.save(program, folder / "same.pt2")
        found.add(ProgramFamily(Program.of(folder / "same.pt2")).code_digest)

    assert len(found) == 2


def test_code_that_changes_while_it_is_used_is_not_run(tmp_path: Path) -> None:
    file = written(tmp_path, "helper_d")
    begun, elsewhere = Code.of(file, "Net"), Code.of(file, "Net")
    begun.build({})
    file.write_text(NET.format(helper="helper_d").replace("+", "-") + "\n# changed\n")

    begun.build({})  # as it was when it was run
    with pytest.raises(InvalidInput, match="changed, or what it imports from its folder"):
        Code(file, "Net", "another digest").build({})
    with pytest.raises(InvalidInput, match="changed, or what it imports from its folder"):
        pickle.loads(pickle.dumps(Code(file, "Net", elsewhere.digest[::-1])))
    Code.of(file, "Net").build({})  # who names it again asks for what it is now


def test_helpers_of_one_name_beside_two_codes_are_not_mixed_up(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one", "helper_e"), written(tmp_path / "other", "helper_e", factor=2)
    Code.of(one, "Net").build({})

    with pytest.raises(InvalidInput, match=r"other/helper_e.py: .* rename one"):
        Code.of(other, "Net").build({})


def test_a_helper_that_changed_after_it_was_imported_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "helper_f")
    Code.of(file, "Net").build({})
    written(tmp_path, "helper_f", factor=22)

    with pytest.raises(InvalidInput, match="restart the kernel"):
        Code.of(file, "Net").build({})


def test_what_code_imports_is_followed_through_packages(tmp_path: Path) -> None:
    for name, text in {
        "net.py": "import os, torch\nfrom pack.inner import part\nimport plain.deep.end as e\nif 0:\n    import absent",
        "pack/__init__.py": "",
        "pack/inner/__init__.py": "from . import part\nfrom ..beside import x\nfrom .. import far",
        "pack/inner/part.py": "def late():\n    from pack import lazily",
        "pack/beside.py": "from .beside import x",
        "pack/far.py": "no Python (",
        "pack/lazily.py": "",
        "plain/deep/end.py": "",
        "os/not_meant.py": "",
        "unused.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    found = {path.relative_to(tmp_path).as_posix() for path in sources(tmp_path / "net.py").digests}

    assert found == {
        "net.py", "pack/__init__.py", "pack/inner/__init__.py", "pack/inner/part.py", "pack/beside.py", "pack/far.py",
        "pack/lazily.py", "plain/deep/end.py",
    }  # fmt: skip
