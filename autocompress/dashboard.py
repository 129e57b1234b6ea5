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
    """A thread a request, as a page asks for many things at once; none keeps the server from ending."""

    daemon_threads = True


class _Handler(WSGIRequestHandler):
    """Tells nothing of each request."""

    def log_message(self, format: str, *args: object) -> None:
        pass


def serve(run: RunFolder, host: str, port: int, storage: str | None, listens: Callable[[str], object]) -> None:
    """Show a run until a keyboard interrupt; `listens` gets the URL of its study as soon as it can be opened.

    Port 0 is any that is free. A search may go on meanwhile. There is no password: whoever reaches the address can edit
    notes, add artifacts and delete the study; the students stay, and of them the next session makes a study again.
    `storage` is needed where its URL has a password. Raises InvalidInput where there is no study or the address cannot
    be had.
    """
    if not 0 <= port <= HIGHEST_PORT:
        raise InvalidInput(f"--port is {port}, but must be from 0 (any that is free) to {HIGHEST_PORT}")
    place = find_storage(storage, run)
    if place.url is None and not run.database.is_file():
        raise RunError(f"{run.path}: has no study.db yet; wait until its search has begun its first trial")
    with place.kept():
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
