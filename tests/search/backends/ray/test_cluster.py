"""A Ray cluster of two nodes, as two `ray start` make it on one machine; the one without the search is killed."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import fake_trials
from helpers.fake_trials import FakeSetup
from helpers.programs import descendants
from helpers.small_search import MakeSettings, Recorder, counts, trials_of

from autocompress.search import RunFolder
from autocompress.search.space.search_space import Candidate

pytest.importorskip("ray", reason="Ray is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Node:
    """A `ray start` with all that it has started."""

    def __init__(self, *options: str) -> None:
        ray = str(Path(sys.executable).with_name("ray"))
        command = [ray, "start", "--num-cpus=1", "--block", *options]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3]), "RAY_USAGE_STATS_ENABLED": "0"}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """All at once, as a machine that loses its power."""
        for pid in descendants(self.process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()


@pytest.fixture
def cluster() -> Iterator[tuple[str, Node]]:
    """Its address, and the node that may be killed."""
    folder = tempfile.mkdtemp(prefix="ray")  # a short path: sockets lie in it
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    head = Node("--head", f"--port={address.rpartition(':')[2]}", "--include-dashboard=false", f"--temp-dir={folder}")
    _until_up(address, 1)
    other = Node(f"--address={address}")
    try:
        _until_up(address, 2)
        yield address, other
    finally:
        other.kill()
        head.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _until_up(address: str, nodes: int) -> None:
    script = f"""
import ray, time
for _ in range(100):
    try:
        ray.init("{address}", log_to_driver=False)
        if sum(node["Alive"] for node in ray.nodes()) >= {nodes}:
            break
        ray.shutdown()
    except ConnectionError:
        pass
    time.sleep(0.5)
else:
    raise SystemExit("no cluster")
"""
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=120)


class Killing(Recorder):
    """Kills a node when two trials are in the middle: as each node has one CPU, one of them is there."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node
        self.in_the_middle: set[int] = set()

    def on_rung(self, trial: int, step: int, psnr: float) -> None:
        self.in_the_middle.add(trial)
        if len(self.in_the_middle) == 2 and self.node.process.poll() is None:
            self.node.kill()

    def on_trial_complete(self, trial: int, candidate: Candidate, psnr: float) -> None:
        self.in_the_middle.discard(trial)

    def on_trial_pruned(self, trial: int, candidate: Candidate, reason: str) -> None:
        self.in_the_middle.discard(trial)


def test_a_search_outlives_a_node(settings: MakeSettings, cluster: tuple[str, Node]) -> None:
    address, node = cluster
    wanted = settings(backend="ray", address=address, trials=6)
    progress = Killing(node)
    assert fake_trials.run(wanted, FakeSetup(seconds=6), callback=progress).reason == "all 6 trials are done"
    assert node.process.poll() is not None
    run = RunFolder(wanted.folder)
    states = counts(run)
    assert states["FAIL"] == 1
    assert sum(states.values()) == 7
    [failed] = [trial for trial in trials_of(run) if trial.state.name == "FAIL"]
    assert failed.user_attrs["reason"] == "its worker's process or node was lost"
    [again] = [trial for trial in trials_of(run) if trial.user_attrs.get("retry_of") == failed.number]
    assert again.params == failed.params
    log = (run.trial(again.number) / "log.txt").read_text()
    assert "begins, attempt 2" in log
    done = [json.dumps(trial.params) for trial in trials_of(run) if trial.state.name in ("COMPLETE", "PRUNED")]
    assert len(set(done)) == len(done) == 6
