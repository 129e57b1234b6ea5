"""How long the commands take that only read and list, beside Python itself and an import of PyTorch.

    python benchmarks/commands.py RUN [--before CHECKOUT]

The least of five calls each, in seconds: by the clock, and of the processor, which other load on the machine changes
less. With --before the same commands of another checkout of this package run in turn with these.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

CALLS = 5
HERE = Path(__file__).parents[1]


def seconds(words: list[str], checkout: Path) -> tuple[float, float]:
    """Of one call: by the clock, and of the processor."""
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, env=environment)
    spent = time.perf_counter() - start
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent, now.ru_utime + now.ru_stime - own.ru_utime - own.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--before", type=Path, help="another checkout")
    options = parser.parse_args()
    run, checkouts = (
        str(options.run.absolute()),
        [HERE] if options.before is None else [options.before.absolute(), HERE],
    )
    commands = [["pareto", run], ["pareto", run, "--json"], ["status", run], ["models", "list"], ["spaces", "list"]]
    commands += [["cache", "list"], ["--help"]]
    rows = {"python -c pass": ["-c", "pass"], "python -c 'import torch'": ["-c", "import torch"]}
    rows |= {" ".join(words).replace(run, "RUN"): ["-m", "autocompress", *words] for words in commands}
    print("| command | " + " | ".join(["before", "now"][-len(checkouts) :]) + " |")
    print("|---" * (1 + len(checkouts)) + "|")
    for name, words in rows.items():
        found = [[seconds(words, checkout) for checkout in checkouts] for _ in range(CALLS)]
        least = [tuple(map(min, zip(*calls, strict=True))) for calls in zip(*found, strict=True)]
        print(f"| `{name}` | " + " | ".join(f"{clock:.2f} ({own:.2f})" for clock, own in least) + " |")


if __name__ == "__main__":
    main()
