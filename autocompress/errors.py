"""Every exception the package raises on purpose, on one page.

The command line shows an `InvalidInput` as one line and exits with 2; any other
`AutocompressError` is a failure while running and exits with 1.
"""

import reprlib

from autocompress.names import printable

SHOWN = 80  # characters of a value in an error
# what PyTorch says where memory is short and its RuntimeError has no type of its own: of the CPU (of Windows, and of
# C++ everywhere), and of GPUs and their libraries
NO_MEMORY = ("can't allocate memory", "not enough memory", "bad_alloc", "out of memory", "ALLOC_FAILED")


class AutocompressError(Exception):
    """Base of all errors raised on purpose; its message is one line, whatever names stand in it."""

    def __str__(self) -> str:
        return printable(super().__str__())


class InvalidInput(AutocompressError, ValueError):
    """Something the user gave cannot be used; the message has the value, the rule and the remedy."""


class CheckpointError(InvalidInput):
    """A file is not a network that can be read."""


class ConfigError(InvalidInput):
    """A network configuration breaks a rule of its family."""


class DataError(InvalidInput):
    """An image or a folder of images cannot be used."""


class SpaceError(InvalidInput):
    """A search space is not valid, or nothing in it fits the budget."""


class RunError(InvalidInput):
    """A run folder is missing, damaged, or holds a run of other settings."""


class TrainingDiverged(AutocompressError):
    """The loss of a training is no longer finite."""


class ExportFailed(AutocompressError):
    """A network cannot be converted, or computes something else in its new form."""


class StorageError(AutocompressError):
    """The storage of a study went away while a search was running."""


class DiskFull(AutocompressError, OSError):
    """A file cannot be written for want of room; `errno` and `strerror` are the system's."""

    def __str__(self) -> str:
        return printable(str(self.args[0]))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is too little memory, here or on the GPU."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in NO_MEMORY)


def shown(value: object) -> str:
    """A value that a user or a file gave, as an error shows it: in one line, and cut where it is long."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a whole number of {value.bit_length()} bits"
    return cut(repr(value[: 2 * SHOWN]) if isinstance(value, str) else reprlib.repr(value))


def cut(text: str, most: int = SHOWN) -> str:
    """A text, cut where it is long."""
    return text if len(text) <= most else f"{text[:most]}..."
