"""The dashboard of a run, as a program of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def dashboard_of(run: Path) -> Iterator[str]:
    """The address at which it listens; it is interrupted after that, and must end well."""
    code = "from autocompress.cli import main; main()"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    words = [sys.executable, "-c", code, "dashboard", str(run), "--port", "0"]
    program = subprocess.Popen(words, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, **pipes)
    assert program.stdout is not None
    yield program.stdout.readline().strip()
    program.send_signal(signal.SIGINT)
    said, errors = program.communicate(timeout=30)
    assert (program.returncode, said, errors) == (0, "", "")
