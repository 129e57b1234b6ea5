"""Where trials run: what is said of a choice that cannot be, with Ray or without."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autocompress.cli import app
from autocompress.errors import InvalidInput
from autocompress.search import OnRay


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--backend", "slurm"], "backend is 'slurm', but must be one of local, ray"),
        (["--address", "auto"], "are for Ray; add --backend ray"),
        (["--gpus-per-trial", "0.5"], "are for Ray; add --backend ray"),
        (["--backend", "ray", "--address", "ray://head:10001"], "Ray's client is not enough"),
        (["--backend", "ray", "--address", "local"], "--address is 'local', but must be auto or HOST:PORT"),
        (["--backend", "ray", "--cpus-per-trial", "0"], "CPUs per trial 0 must be >= 1"),
        (["--backend", "ray", "--gpus-per-trial", "1.5"], "GPUs per trial are 1.5"),
    ],
)
def test_a_choice_that_cannot_be_is_said(options: list[str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["search", "--budget-flops", "20G", "--out", str(tmp_path / "run"), *options])
    assert isinstance(result.exception, InvalidInput)
    assert message in str(result.exception)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "address",
    [
        *("", "local", "Auto", "auto ", "head", "head:", ":6379", "head:0", "head:65536", "head:x", "head:²", "a b:1"),
        *("::1:6379", "head:6379:1", "head\n:1", "\x1b[31m:1", "head:-1", "head:1.5", "head:" + "9" * 5000),
    ],
)
def test_an_address_that_no_cluster_has_starts_none(address: str) -> None:
    """Ray takes "local" for a wish to start one, which would listen on all interfaces."""
    with pytest.raises(InvalidInput, match=r"--address .*, but must be auto or HOST:PORT"):
        OnRay(address=address)


@pytest.mark.parametrize("address", ["auto", "head:6379", "10.0.0.1:1", "[::1]:65535", "my-head.example:6379"])
def test_addresses_that_clusters_have(address: str) -> None:
    assert OnRay(address=address).address == address


@pytest.mark.parametrize("address", ["local", "ray://head:10001"])
def test_the_address_of_the_environment_is_looked_at_too(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray takes it in place of "auto"."""
    cluster = pytest.importorskip("autocompress.search.backends.ray.cluster", reason="Ray is not installed")
    monkeypatch.setenv("RAY_ADDRESS", address)
    with (
        pytest.raises(InvalidInput, match="the environment's RAY_ADDRESS"),
        cluster.connected(OnRay(address="auto")),
    ):
        pytest.fail("it has connected")


def test_without_ray_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "autocompress.search.backends.ray.cluster", raising=False)
    monkeypatch.delattr("autocompress.search.backends.ray.cluster", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    command = ["search", "--budget-flops", "20G", "--out", str(tmp_path / "run"), "--backend", "ray"]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, InvalidInput)
    assert "pip install 'autocompress[ray]'" in str(result.exception)
    assert not (tmp_path / "run").exists()
