"""How long the commands take that only read and list, beside Python itself and an import of PyTorch.

    python benchmarks/commands.py RUN

The least of five calls each, in seconds: by the clock, and of the processor, which other load on the machine changes
less.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

CALLS = 5
HERE = Path(__file__).parents[1]


def seconds(words: list[str]) -> tuple[float, float]:
    """Of one call: by the clock, and of the processor."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, cwd=HERE)
    spent, now = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent, now.ru_utime + now.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    run = str(parser.parse_args().run.absolute())
    commands = [["pareto", run], ["pareto", run, "--json"], ["status", run], ["models", "list"], ["spaces", "list"]]
    commands += [["cache", "list"], ["--help"]]
    rows = {"python -c pass": ["-c", "pass"], "python -c 'import torch'": ["-c", "import torch"]}
    rows |= {" ".join(words).replace(run, "RUN"): ["-m", "autocompress", *words] for words in commands}
    print("| command | by the clock | of the processor |\n|---|---|---|")
    for name, words in rows.items():
        clock, own = map(min, zip(*(seconds(words) for _ in range(CALLS)), strict=True))
        print(f"| `{name}` | {clock:.2f} | {own:.2f} |", flush=True)


if __name__ == "__main__":
    main()
