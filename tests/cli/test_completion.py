"""What a shell completes."""

import os
import subprocess
import sys

import pytest
from helpers.command_line import Call

from autocompress.export.formats import Format
from autocompress.io import package_files
from autocompress.networks.teachers import shipped
from autocompress.search.settings import BackendName, SamplerName
from autocompress.search.space.budget import Objective
from autocompress.search.space.declared import shipped_spaces
from autocompress.shrink.init import Init


def completed(words: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What bash is told of the last of these words."""
    monkeypatch.setenv("_AUTOCOMPRESS_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    ended = call()
    assert ended.code == 0
    return ended.out.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("autocompress par", ["pareto"]),
        ("autocompress search --space ", list(shipped_spaces())),
        ("autocompress search --teacher edsr", [name for name in shipped() if name.startswith("edsr")]),
        ("autocompress search --sampler ", list(SamplerName)),
        ("autocompress search --init ", list(Init)),
        ("autocompress search --backend ", list(BackendName)),
        ("autocompress search --objective ", list(Objective)),
        ("autocompress export run --format ", list(Format)),
        ("autocompress distill edsrmini --recipe p", ["paper"]),
        ("autocompress models show ", list(package_files.models())),
        ("autocompress upscale edsrm", ["edsrmini-x2"]),
        ("autocompress export edsr-x2-3", ["edsr-x2-3g"]),
        ("autocompress search --target edsrm", ["edsrmini-x2"]),
        ("autocompress evaluate swin", [name for name in shipped() if name.startswith("swin")]),
    ],
)
def test_a_shell_completes_values(call: Call, monkeypatch: pytest.MonkeyPatch, words: str, expected: list[str]) -> None:
    assert completed(words, call, monkeypatch) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_shown(call: Call, monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    monkeypatch.setenv("_AUTOCOMPRESS_COMPLETE", f"source_{shell}")
    ended = call()
    assert ended.code == 0
    assert "_AUTOCOMPRESS_COMPLETE" in ended.out


def test_completion_imports_no_torch() -> None:
    code = (
        "import sys; sys.argv = ['autocompress']\n"
        "from autocompress.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    print(sorted({'torch', 'optuna', 'pandas'} & set(sys.modules)), file=sys.stderr)"
    )
    asked = {
        "_AUTOCOMPRESS_COMPLETE": "complete_bash",
        "COMP_WORDS": "autocompress search --teacher ",
        "COMP_CWORD": "3",
    }
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | asked, check=True
    )
    assert (ended.stdout.split(), ended.stderr) == (list(shipped()), "[]\n")
