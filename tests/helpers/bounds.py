"""What a small file may take of time and memory while it is read or refused."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 10.0  # of the processor


@contextmanager
def within(megabytes: int) -> Iterator[None]:
    """Fails where so much more memory was taken, or more time than any small file is worth."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    yield
    assert time.process_time() - start < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1000 * megabytes
