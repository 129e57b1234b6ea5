"""Where a run keeps the pictures that its dashboard shows. Imports little: the dashboard starts without PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, BinaryIO

from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound
from typing_extensions import override

from autocompress.io import atomic
from autocompress.io.checksums import digest_of

PICTURE = "autocompress:picture:"  # and a picture's id: the name of the study's attribute with its digests


class AtomicArtifactStore(FileSystemArtifactStore):
    """Optuna's artifact store in a folder, whose files are whole or not there; a link, out of the folder, is none.

    Nor is a picture of a search whose content is another than the digests that `attributes`, the study's system
    attributes as they are now, have of it.
    """

    def __init__(self, folder: Path, attributes: Callable[[], dict[str, Any]] = dict) -> None:
        super().__init__(folder)
        self._folder = folder
        self._attributes = attributes

    @override
    def open_reader(self, artifact_id: str) -> BinaryIO:
        file = self._folder / artifact_id
        if file.is_symlink() or not file.is_file():  # a pipe would be waited for
            raise ArtifactNotFound(f"{artifact_id} is no file here")
        if (known := self._attributes().get(f"{PICTURE}{artifact_id}")) is not None and self._is_other(
            artifact_id, known
        ):
            raise ArtifactNotFound(f"{artifact_id} is not the picture that the search wrote")
        return super().open_reader(artifact_id)

    def changed(self) -> list[str]:
        """The ids of the pictures that are there, but with a content of which the study has no digest."""
        known = {key.removeprefix(PICTURE): each for key, each in self._attributes().items() if key.startswith(PICTURE)}
        return [artifact_id for artifact_id, digests in known.items() if self._is_other(artifact_id, digests)]

    def _is_other(self, artifact_id: str, digests: Collection[str]) -> bool:
        file = self._folder / artifact_id
        return file.is_file() and digest_of(file.read_bytes()) not in digests

    @override
    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        atomic.write_bytes(self._folder / artifact_id, content_body.read())
