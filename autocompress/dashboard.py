"""A run in the Optuna dashboard: the real one, with the run's study and pictures."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from socketserver import ThreadingMixIn
from typing import Any, BinaryIO
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from bottle import HTTPResponse
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna_dashboard import wsgi
from typing_extensions import override

from autocompress.errors import InvalidInput, RunError
from autocompress.search.results.left_out import note_of_changed
from autocompress.search.run.artifact_store import AtomicArtifactStore
from autocompress.search.run.folder import RunFolder
from autocompress.search.run.storage import find_storage
from autocompress.search.run.study_file import is_another_database, sqlite_file

HIGHEST_PORT = 65535
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
EVERYWHERE = ("0.0.0.0", "::")  # addresses that stand for all of this machine
READING = ("GET", "HEAD", "OPTIONS")
PAGES = ("/dashboard/", "/static/")  # where the dashboard has its own pages, and what these load


class _Server(ThreadingMixIn, WSGIServer):
    """A server with one thread for each request: a page sends many at once. Threads do not keep it from ending."""

    daemon_threads = True


class _Server6(_Server):
    """The same, on an IPv6 address."""

    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    """Does not log requests."""

    def log_message(self, format: str, *args: object) -> None:
        pass


class ServedStore(AtomicArtifactStore):
    """The same for the dashboard, which answers 500, and prints a traceback, where a store has no such artifact."""

    @override
    def open_reader(self, artifact_id: str) -> BinaryIO:
        try:
            return super().open_reader(artifact_id)
        except ArtifactNotFound:
            raise HTTPResponse("Not Found", 404) from None


class Guard:
    """A WSGI application around another that answers its own pages alone.

    A page of any site that the user looks at can send requests to this machine, under a name of its own that it lets
    point here, or under an address of ours. So only requests for one of `names` are answered, or for any address where
    `addresses` is given; what writes must come from a page of the same origin; and no other page may frame ours.
    """

    def __init__(self, app: Any, names: frozenset[str], addresses: bool = False) -> None:
        self._app = app
        self._names = names
        self._addresses = addresses

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request, or refuse it with 403."""
        host = environ.get("HTTP_HOST", "")
        if not self._is_ours(_name_of(host)):
            return _refuse(start_response, f"This is no name of this server: {host!r}. Give it with --host.")
        origin = environ.get("HTTP_ORIGIN", "")
        if environ["REQUEST_METHOD"] not in READING and not _is_from(origin, host):
            return _refuse(start_response, f"What changes the study must come from its own pages, not {origin!r}.")

        # An artifact is of any kind that its study says, and others may have written that: none of them runs anything.
        # The application drops bytes that are no UTF-8 from paths, so many lead there: its own pages are told instead.
        own = f"{environ.get('PATH_INFO', '')}/".startswith(PAGES)
        policy = "frame-ancestors 'self'" if own else "sandbox"

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [*headers, ("Content-Security-Policy", policy)], *more)

        answer: Iterable[bytes] = self._app(environ, start)
        return answer

    def _is_ours(self, name: str) -> bool:
        if name in self._names:
            return True
        with suppress(ValueError):
            return self._addresses and bool(ipaddress.ip_address(name))
        return False


def _name_of(host: str) -> str:
    """The name or address in a Host header, without port and brackets; "" for what is none, or has more than these."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # ValueError for what is no number, as where two Host headers are joined by a comma
        return _plain(parts.hostname or "") if parts.netloc == host and "@" not in host else ""
    except ValueError:
        return ""


def _plain(name: str) -> str:
    """A name or address as browsers send it: they write addresses of IPv6 in one way."""
    with suppress(ValueError):
        return ipaddress.ip_address(name).compressed
    return name.lower()


def _is_from(origin: str, host: str) -> bool:
    """Whether an Origin header, of which a page of any site may make anything, is that of a page of `host`."""
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def _refuse(start_response: Callable[..., Any], why: str) -> list[bytes]:
    start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{why}\n".encode()]


def with_encodings(app: Any) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """Around an application that takes it for granted that requests name the encodings they accept, as browsers do.

    optuna-dashboard's answers 500 where they do not (curl, wget, health checks).
    """

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answered: Iterable[bytes] = app({"HTTP_ACCEPT_ENCODING": "identity", **environ}, start_response)
        return answered

    return answer


def guarded(app: Any, host: str, bound: str) -> Guard:
    """Around an application on a server that was told to listen on `host`, which is the address `bound`."""
    names = LOCAL | {_plain(host)}
    if bound not in EVERYWHERE:
        return Guard(app, names)
    return Guard(app, names | {socket.gethostname().lower(), socket.getfqdn().lower()}, addresses=True)


def serve(
    run: RunFolder,
    host: str,
    port: int,
    storage: str | None,
    listens: Callable[[str], object],
    on_changed: Callable[[str], object] = lambda _: None,
) -> None:
    """Serve the dashboard until a keyboard interrupt; `listens` is called with the study's URL once it can be opened.

    Port 0 takes any free port. A search may go on meanwhile. There is no password: whoever reaches the address can edit
    notes, add artifacts and delete the study. The students stay, and the next session makes the study again from them.
    Other sites' pages in the user's browser cannot: see `Guard`. Pictures that are not those that the search wrote are
    not served; `on_changed` gets a line about those that are there at the beginning. `storage` must be given if its URL
    has a password. Raises InvalidInput if there is no study, the port is taken or the host is empty.
    """
    if not host.strip():  # to the system, all addresses of this machine
        raise InvalidInput("--host is empty; give an address or a name of this machine, 0.0.0.0 for all of them")
    if not 0 <= port <= HIGHEST_PORT:
        raise InvalidInput(f"--port is {port}, but must be from 0 (any that is free) to {HIGHEST_PORT}")
    place = find_storage(storage, run)
    if place.url is None and not run.database.is_file():
        raise RunError(f"{run.path}: has no study.db yet; wait until its search has begun its first trial")
    absent = RunError(f"{run.path}: its study is not in {place.shown} yet; let its search go on")
    file = sqlite_file(run, place.url)
    if file is not None and (not file.is_file() or is_another_database(file)):
        raise absent
    with place.errors_explained():
        kept = place.open(run)
        try:
            study = kept.get_study_id_from_name(place.study)
        except KeyError:
            raise absent from None
        finally:
            kept.remove_session()
        store = ServedStore(run.artifacts, partial(kept.get_study_system_attrs, study))
        if changed := store.changed():
            on_changed(note_of_changed(run.artifacts, changed))
        app = with_encodings(wsgi(kept, artifact_store=store))
        with _listening(host, port, app) as server:
            shown = f"[{host}]" if ":" in host else host
            listens(f"http://{shown}:{server.server_port}/dashboard/studies/{study}")
            server.serve_forever()


def _listening(host: str, port: int, app: Any) -> WSGIServer:
    """A server at an address, to be closed; InvalidInput where it cannot listen there."""
    try:
        kind = _Server6 if ":" in host else _Server
        server = make_server(host, port, app, server_class=kind, handler_class=_Handler)
    except (OSError, UnicodeError) as error:  # the latter of names that are none
        reason = getattr(error, "strerror", None) or "no name or address"
        raise InvalidInput(
            f"cannot listen on {host}:{port} ({reason}); give another --port, or 0 for any that is free"
        ) from None
    server.set_app(guarded(app, host, str(server.server_address[0])))
    return server
