"""The runtimes that latencies are measured with, and how their columns are named."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Runtime:
    """A runtime: `column` is the key of its latency in tables and JSON files, `heading` the title that people see."""

    name: str
    column: str
    heading: str


RUNTIMES = {
    "pytorch": Runtime("PyTorch", "latency_ms", "PyTorch ms"),
    "onnx": Runtime("ONNX Runtime", "latency_onnx_ms", "ONNX ms"),
}
