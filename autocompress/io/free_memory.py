"""How much memory this process may still take, so that what needs more is refused before the system ends it."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")  # of a container: its own limit is seen there


def free_memory(meminfo: Path = MEMINFO, group: Path = GROUP) -> int | None:
    """Bytes that are free without swapping, within a container's limit; where the system does not say, all there are.

    None where that is not known either.
    """
    known = [bytes_ for bytes_ in (_of_system(meminfo), _of_group(group)) if bytes_ is not None]
    if known:
        return min(known)
    with suppress(AttributeError, OSError, ValueError):  # Windows has no such call
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _of_system(meminfo: Path) -> int | None:
    """What Linux estimates."""
    with suppress(OSError):
        if found := re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text()):
            return int(found[1]) * 1024
    return None


def _of_group(group: Path) -> int | None:
    """What its group of processes may still take, but for caches of files, which make room; of version 2 alone."""
    with suppress(OSError, ValueError):
        limit, used = (group / "memory.max").read_text().strip(), int((group / "memory.current").read_text())
        cached = re.search(r"^inactive_file (\d+)$", (group / "memory.stat").read_text(), re.MULTILINE)
        return None if limit == "max" else int(limit) - used + (int(cached[1]) if cached else 0)
    return None
