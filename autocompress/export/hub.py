"""Exported files pushed to the Hugging Face Hub, by its own library, with the login that this has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from autocompress.errors import AutocompressError, InvalidInput
from autocompress.export.extras import require
from autocompress.export.formats import Format
from autocompress.units import quantity

README, INDEX = "README.md", "index.json"
_REPOSITORY = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")
_NUMBERS = re.compile(f"-({'|'.join(sorted({format.numbers for format in Format} - {''}))})$")
LONG = 200  # characters of what the Hub says of a failure


def check_repository(name: str) -> None:
    """Raise InvalidInput where this is no USER/REPO, or the Hub's library is not installed."""
    if not _REPOSITORY.fullmatch(name):
        raise InvalidInput(f"--hub is {name!r}, but must be USER/REPO, such as me/2x-edsr-f16b15-19G")
    require("hub")


def push(files: Sequence[Path], repository: str) -> str:
    """Commit files that were exported into one folder, and all that belongs to them, to a model repository on the Hub.

    The folder's index becomes the repository's page, or of a single network its card. A repository that is not there
    yet is made, and is private. Returns its address. Raises AutocompressError where the Hub refuses anything.
    """
    check_repository(repository)
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(library_name="autocompress")
    adding = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in to_push(files).items()]
    try:
        page = api.create_repo(repository, private=True, exist_ok=True)
        api.create_commit(
            repository, adding, commit_message=f"Export of {quantity(len(files), 'file')} by autocompress"
        )
    except Exception as error:  # the library's own, and those of what it stands on
        reason = " ".join(str(error).split())[:LONG]
        raise AutocompressError(
            f"{repository}: the Hub did not take it ({reason}); everything is in {files[0].parent}, to be pushed by "
            "the same command once that is mended: `hf auth login`, with a token that may write, where it asks who "
            "you are"
        ) from error
    return str(page)


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
