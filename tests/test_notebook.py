"""A notebook in a real kernel: progress is a few outputs, results are tables and plots."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.own_network import write_own_network

NBCLIENT = "nbclient and ipykernel are not installed: pip install nbclient ipykernel"
FEW = 40  # outputs of a search of three trials: a line for each event, none drawn again
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of Jupyter's packages
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def executed(folder: Path, *cells: str) -> list[list[dict[str, Any]]]:
    """The outputs of each cell, run one after the other in a kernel of its own in a folder."""
    nbformat = pytest.importorskip("nbformat", reason=NBCLIENT)
    nbclient = pytest.importorskip("nbclient", reason=NBCLIENT)
    pytest.importorskip("ipykernel", reason=NBCLIENT)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = nbclient.NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        iopub_timeout=60,
    )
    client.execute(env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"})
    return [cell["outputs"] for cell in notebook["cells"]]


def printed(outputs: list[dict[str, Any]]) -> str:
    return "".join(output.get("text", "") for output in outputs)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A kernel of this interpreter, wherever Jupyter's packages lie."""
    pytest.importorskip("ipykernel", reason=NBCLIENT)
    spec = tmp_path / "jupyter/kernels/python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        f'{{"argv": ["{sys.executable}", "-m", "ipykernel_launcher", "-f", "{{connection_file}}"], '
        '"display_name": "x", "language": "python"}'
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))


@pytest.mark.usefixtures("kernel")
def test_a_search_in_a_notebook(here: Path, photos: Path, search_words: list[object]) -> None:
    given = dict(zip(map(str, search_words[1::2]), map(str, search_words[2::2]), strict=True))
    call = ", ".join(f"{name[2:].replace('-', '_')}={value!r}" for name, value in given.items() if not value.isdigit())
    run, shown, plot, again = executed(
        here,
        f"from autocompress import api\nresult = api.search({call}, trials=3, steps=4, out='run')",
        "result",
        "result.plot()",
        "len(result.students)",
    )
    assert len(run) <= FEW, printed(run)
    assert "trial   0" in printed(run)
    assert "\x1b[" not in printed(run)  # no line is drawn again
    assert "Warning" not in printed(run)
    [table] = shown
    assert "<table" in table["data"]["text/html"]
    assert "PSNR-Y dB" in table["data"]["text/html"]
    [figure] = plot
    [layout] = [
        content["layout"] for kind, content in figure["data"].items() if kind.startswith("application/vnd.plot")
    ]
    assert "width" not in layout  # as wide as the notebook is
    [config] = [
        content["config"] for kind, content in figure["data"].items() if kind.startswith("application/vnd.plot")
    ]
    assert config["showSendToCloud"] is False  # Plotly's button that uploads
    assert again[0]["data"]["text/plain"] == "3"


@pytest.mark.usefixtures("kernel")
def test_a_module_of_a_notebook_is_a_teacher(here: Path, photos: Path) -> None:
    """Its class is in a cell, so it goes to other processes as a program, which the cache keeps."""
    write_own_network(here / "own.py")
    images = f"train={str(photos)!r}, val={str(photos)!r}, steps=2, allow_weak_teacher=True, progress=False"
    made, loaded, searched = executed(
        here,
        (here / "own.py").read_text()
        + "\nimport torch, autocompress\nfrom autocompress import api\ntorch.manual_seed(0)\n"
        "teacher = OwnNetwork(feat=12)\n"
        f"made = api.distill(teacher, 'a.safetensors', config={{'width_12': 6}}, input_range=1, {images})",
        "student = autocompress.load('a.safetensors')\ntuple(student(torch.rand(1, 3, 8, 9)).shape)",
        f"len(api.search(teacher=teacher, input_range=1, budget_flops='2G', trials=2, out='run', {images}).students)",
    )
    assert "Warning" not in printed(made) + printed(searched)
    assert loaded[-1]["data"]["text/plain"] == "(1, 3, 16, 18)"
    assert searched[-1]["data"]["text/plain"] == "2"
