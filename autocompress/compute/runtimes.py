"""What networks are timed with, and what that is called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Runtime:
    """`column` is a latency's in tables of students and in exported JSON files, `heading` for people."""

    name: str
    column: str
    heading: str


RUNTIMES = {
    "pytorch": Runtime("PyTorch", "latency_ms", "PyTorch ms"),
    "onnx": Runtime("ONNX Runtime", "latency_onnx_ms", "ONNX ms"),
}
