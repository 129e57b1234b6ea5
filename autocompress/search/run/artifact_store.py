"""Where a run keeps the pictures that its dashboard shows. Imports little: the dashboard starts without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from optuna.artifacts import FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound
from typing_extensions import override

from autocompress.io import atomic


class AtomicArtifactStore(FileSystemArtifactStore):
    """Optuna's artifact store in a folder, whose files are whole or not there; a link, out of the folder, is none."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._folder = folder

    @override
    def open_reader(self, artifact_id: str) -> BinaryIO:
        if (self._folder / artifact_id).is_symlink():
            raise ArtifactNotFound(f"{artifact_id} is a link")
        return super().open_reader(artifact_id)

    @override
    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        atomic.write_bytes(self._folder / artifact_id, content_body.read())
