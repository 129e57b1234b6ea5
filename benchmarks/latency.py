"""FLOPs beside measured latency: how far one says the other.

    python benchmarks/latency.py [--threads N] [--device cpu] [--limit 10]

Networks from 8x1 to EDSR-baseline and both of SwinIR, untrained: one 1280x720 output (x2), float32, the median of
repeated runs, with PyTorch and, where it is installed, ONNX Runtime. Prints milliseconds and ms per GFLOP of each, then
for each runtime the rank correlation with FLOPs, and by how much ms per GFLOP differ. Needs a quiet machine.
"""

from __future__ import annotations

import argparse

from scipy.stats import spearmanr

from autocompress.evaluation.latency import LIMIT, measure, this_machine
from autocompress.networks import PRESETS, family_of, find_family
from autocompress.networks.edsr.network import EDSRConfig
from autocompress.networks.swinir.network import SwinIRConfig

EDSRS = ((8, 1), (8, 16), (16, 4), (32, 1), (32, 8), (64, 2), (64, 16))  # features, blocks
NETWORKS = {
    **{f"edsr-{feat}x{block}": ("edsr", EDSRConfig(2, feat, block)) for feat, block in EDSRS},
    **PRESETS,
    "swinir-s": ("swinir", SwinIRConfig(2)),
}


def main() -> None:
    options = parse()
    machine = this_machine(options.threads, options.device)
    print(machine)
    flops: dict[str, float] = {}
    times: dict[str, dict[str, float]] = {}
    for name, (family, config) in NETWORKS.items():
        network = find_family(family).build(config)
        flops[name] = family_of(network).flops(config)
        for runtime, found in measure(network, machine, options.limit, on_failure=print).items():
            times.setdefault(runtime, {})[name] = found.median
            lower, upper = found.quartiles
            memory = "" if found.peak_memory is None else f" {found.peak_memory / 1e6:6.0f} MB"
            print(
                f"{name:11} {flops[name] / 1e9:7.2f} GFLOPs {runtime:8} {found.median:8.1f} ms "
                f"({lower:.1f} to {upper:.1f}, {found.runs} runs) {found.median / flops[name] * 1e9:6.2f} ms per "
                f"GFLOP{memory}",
                flush=True,
            )
    for runtime, medians in times.items():
        each = [medians[name] / flops[name] for name in medians]
        correlation = spearmanr([flops[name] for name in medians], list(medians.values())).statistic
        print(f"{runtime} rank-correlation {correlation:.3f} ms-per-gflop-spread {max(each) / min(each):.1f}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", choices=("cpu", "cuda"))
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds of timed runs for each")
    return parser.parse_args()


if __name__ == "__main__":
    main()
