"""A run in the Optuna dashboard: the real one, with the run's study and pictures."""

from __future__ import annotations

from collections.abc import Callable
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.artifacts import FileSystemArtifactStore
from optuna_dashboard import wsgi

from autocompress.errors import InvalidInput, RunError
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.storage import find_storage

HIGHEST_PORT = 65535


class _Server(ThreadingMixIn, WSGIServer):
    """A server with one thread for each request: a page sends many at once. Threads do not keep it from ending."""

    daemon_threads = True


class _Handler(WSGIRequestHandler):
    """Does not log requests."""

    def log_message(self, format: str, *args: object) -> None:
        pass


def serve(run: RunFolder, host: str, port: int, storage: str | None, listens: Callable[[str], object]) -> None:
    """Serve the dashboard until a keyboard interrupt; `listens` is called with the study's URL once it can be opened.

    Port 0 takes any free port. A search may go on meanwhile. There is no password: whoever reaches the address can edit
    notes, add artifacts and delete the study. The students stay, and the next session makes the study again from them.
    `storage` must be given if its URL has a password. Raises InvalidInput if there is no study or the port is taken.
    """
    if not 0 <= port <= HIGHEST_PORT:
        raise InvalidInput(f"--port is {port}, but must be from 0 (any that is free) to {HIGHEST_PORT}")
    place = find_storage(storage, run)
    if place.url is None and not run.database.is_file():
        raise RunError(f"{run.path}: has no study.db yet; wait until its search has begun its first trial")
    with place.errors_explained():
        kept = place.open(run)
        try:
            study = kept.get_study_id_from_name(place.study)
        except KeyError:
            raise RunError(f"{run.path}: its study is not in {place.shown} yet; let its search go on") from None
        finally:
            kept.remove_session()
        app = wsgi(kept, artifact_store=FileSystemArtifactStore(run.artifacts))
    try:
        server = make_server(host, port, app, server_class=_Server, handler_class=_Handler)
    except OSError as error:
        raise InvalidInput(
            f"cannot listen on {host}:{port} ({error.strerror}); give another --port, or 0 for any that is free"
        ) from None
    with server:
        listens(f"http://{host}:{server.server_port}/dashboard/studies/{study}")
        server.serve_forever()
