"""Workers end with the search that started them, however it ends, and wherever they are."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.programs import PYTHON, descendants

# Three kinds of workers: at work, while they get ready, and while a library is loaded, which lets no other thread run.
SEARCH = """
import ctypes, sys, time
from pathlib import Path
from autocompress.search.backends.worker_process import start_worker

def works(folder):
    (Path(folder) / "works").touch()
    while True:
        time.sleep(0.01)

class SlowToUnpickle:
    def __reduce__(self):
        return slowly, (sys.argv[1],)

def slowly(folder):
    (Path(folder) / "unpickles").touch()
    time.sleep(1000)

def holds_the_lock(folder):
    (Path(folder) / "holds").touch()
    ctypes.PyDLL(None).sleep(1000)

if __name__ == "__main__":
    start_worker(works, sys.argv[1])
    start_worker(print, SlowToUnpickle())
    start_worker(holds_the_lock, sys.argv[1])
    time.sleep(1000)
"""
KINDS = {"works", "unpickles", "holds"}


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
@pytest.mark.parametrize(
    ("number", "stopped"), [(signal.SIGKILL, False), (signal.SIGTERM, False), (signal.SIGKILL, True)]
)
def test_no_worker_outlives_its_search(tmp_path: Path, number: int, stopped: bool) -> None:
    """Not even one that is stopped, as from a terminal."""
    script = tmp_path / "search.py"
    script.write_text(SEARCH)
    search = subprocess.Popen([*PYTHON, str(script), str(tmp_path)], env=os.environ | {"OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 60
    while {path.name for path in tmp_path.iterdir()} < KINDS | {"search.py"}:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    workers = descendants(search.pid)[1:]
    assert len(workers) >= len(KINDS)
    for worker in workers if stopped else ():
        if b"resource_tracker" not in Path(f"/proc/{worker}/cmdline").read_bytes():  # Python's own, which is no worker
            os.kill(worker, signal.SIGSTOP)
    search.send_signal(number)
    search.wait()
    deadline = time.monotonic() + 2
    while any(map(is_alive, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
