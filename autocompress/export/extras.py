"""The optional packages that some formats need. They are looked for, not imported."""

from __future__ import annotations

from importlib.util import find_spec

from autocompress.errors import InvalidInput

EXTRAS = {  # packages by what pip calls the extra
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
    "ncnn": ("ncnn", "pnnx"),
    "hub": ("huggingface_hub",),
}
NAMES = {"onnx": "ONNX", "ncnn": "ncnn", "hub": "The Hugging Face Hub's library"}


def is_here(extra: str) -> bool:
    """Whether all packages of an extra are installed."""
    return all(find_spec(name) is not None for name in EXTRAS[extra])


def require(extra: str) -> None:
    """Raise InvalidInput, with the remedy, if a package of an extra is missing."""
    if missing := [name for name in EXTRAS[extra] if find_spec(name) is None]:
        raise InvalidInput(
            f"{NAMES[extra]} is not installed (no {', '.join(missing)} here); "
            f"pip install 'autocompress[{extra}]' does it"
        )
