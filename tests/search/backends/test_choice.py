"""Where trials run: what is said of a choice that cannot be, with Ray or without."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autocompress.cli import app
from autocompress.errors import InvalidInput


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--backend", "slurm"], "backend is 'slurm', but must be one of local, ray"),
        (["--address", "auto"], "are for Ray; add --backend ray"),
        (["--gpus-per-trial", "0.5"], "are for Ray; add --backend ray"),
        (["--backend", "ray", "--address", "ray://head:10001"], "Ray's client is not enough"),
        (["--backend", "ray", "--cpus-per-trial", "0"], "CPUs per trial 0 must be >= 1"),
        (["--backend", "ray", "--gpus-per-trial", "1.5"], "GPUs per trial are 1.5"),
    ],
)
def test_a_choice_that_cannot_be_is_said(options: list[str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["search", "--budget-flops", "20G", "--out", str(tmp_path / "run"), *options])
    assert isinstance(result.exception, InvalidInput)
    assert message in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_without_ray_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "autocompress.search.backends.ray.cluster", raising=False)
    monkeypatch.delattr("autocompress.search.backends.ray.cluster", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    command = ["search", "--budget-flops", "20G", "--out", str(tmp_path / "run"), "--backend", "ray"]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, InvalidInput)
    assert "pip install 'autocompress[ray]'" in str(result.exception)
    assert not (tmp_path / "run").exists()
