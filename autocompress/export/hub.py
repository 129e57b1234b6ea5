"""Exported files pushed to the Hugging Face Hub, by its own library, with the login that this has."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from autocompress.errors import AutocompressError, InvalidInput
from autocompress.export.extras import require
from autocompress.export.formats import Format
from autocompress.units import format_duration, quantity

README, INDEX = "README.md", "index.json"
_REPOSITORY = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")
_NUMBERS = re.compile(f"-({'|'.join(sorted({format.numbers for format in Format} - {''}))})$")
LONG = 200  # characters of what the Hub says of a failure
PATIENCE = 60.0  # seconds for an answer, beside what an upload takes; the library itself waits for ever
SLOWEST = 20_000  # bytes a second of an upload that is waited for


def check_repository(name: str) -> None:
    """Raise InvalidInput where this is no USER/REPO, or the Hub's library is not installed."""
    if not _REPOSITORY.fullmatch(name):
        raise InvalidInput(f"--hub is {name!r}, but must be USER/REPO, such as me/2x-edsr-f16b15-19G")
    require("hub")


def push(files: Sequence[Path], repository: str) -> str:
    """Commit files that were exported into one folder, and all that belongs to them, to a model repository on the Hub.

    The folder's index becomes the repository's page, or of a single network its card. A repository that is not there
    yet is made, and is private. Returns its address. Raises AutocompressError where the Hub refuses anything, or does
    not answer.
    """
    check_repository(repository)
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(library_name="autocompress")
    pushed = to_push(files)
    adding = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in pushed.items()]
    message = f"Export of {quantity(len(files), 'file')} by autocompress"
    uploading = PATIENCE + sum(path.stat().st_size for path in pushed.values()) / SLOWEST
    try:
        page = answer_of(lambda: api.create_repo(repository, private=True, exist_ok=True), PATIENCE)
        answer_of(lambda: api.create_commit(repository, adding, commit_message=message), uploading)
    except Exception as error:  # the library's own, and those of what it stands on
        reason = " ".join(str(error).split())[:LONG] or type(error).__name__
        raise AutocompressError(
            f"{repository}: the Hub did not take it ({reason}); everything is in {files[0].parent}, to be pushed by "
            "the same command once that is mended: `hf auth login`, with a token that may write, where it asks who "
            "you are"
        ) from error
    return str(page)


def answer_of(call: Callable[[], Any], seconds: float) -> Any:
    """What `call` returns or raises; TimeoutError where it does neither in time, and is left to itself."""
    returned: list[Any] = []
    raised: list[Exception] = []

    def work() -> None:
        try:
            returned.append(call())
        except Exception as error:  # passed on to whoever waits
            raised.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    if not returned:
        raise TimeoutError(f"no answer within {format_duration(seconds)}")
    return returned[0]


def to_push(files: Sequence[Path]) -> dict[str, Path]:
    """By their names in the repository: these files, their side files, cards and pictures, and a page."""
    folder = files[0].parent
    names = list(dict.fromkeys(_NUMBERS.sub("", file.stem) for file in files))
    paths = [*files, *(file.with_suffix(".json") for file in files)]
    paths += [folder / f"{name}{suffix}" for name in names for suffix in (".md", ".png")]
    found = {path.name: path for path in paths if path.is_file()}
    if len(names) == 1:
        return {**found, README: folder / f"{names[0]}.md"}
    return {**found, README: folder / README, INDEX: folder / INDEX}
