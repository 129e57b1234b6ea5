"""Entries of a cache that is empty at first, some of them of other processes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from autocompress.io import cache

OPEN = """
import sys, time
from pathlib import Path
from autocompress.io import cache

def build(folder):
    log = Path(sys.argv[1])
    (folder / "half").write_bytes(bytes(1000))
    with log.open("a") as file:
        file.write("start\\n")
    time.sleep(float(sys.argv[2]))
    (folder / "whole").write_bytes(bytes(500))
    with log.open("a") as file:
        file.write("end\\n")

print(cache.entry("kind", "key", build), flush=True)
sys.stdin.read()
"""


def opener(log: Path, seconds: float) -> subprocess.Popen[str]:
    """A process that opens the entry (building takes `seconds`), prints its path and lives until ended."""
    command = [sys.executable, "-c", OPEN, str(log), str(seconds)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def file_of(size: int) -> Callable[[Path], None]:

    def build(path: Path) -> None:
        (path / "data").write_bytes(bytes(size))

    return build


def fail(path: Path) -> None:
    (path / "data").write_bytes(b"half")
    raise RuntimeError("no luck")


def never(path: Path) -> None:
    raise AssertionError("built again")


def forget() -> None:
    """As if the process that opened the entries had ended."""
    for lock in cache._in_use.values():
        lock.release()
    cache._in_use.clear()


def put(key: str, size: int, age: float = 0) -> Path:
    """An entry nobody uses, last used `age` seconds ago."""
    path = cache.entry("kind", key, file_of(size))
    os.utime(path, (time.time() - age,) * 2)
    forget()
    return path


def keys() -> list[str]:
    return [item.key for item in cache.entries()]
