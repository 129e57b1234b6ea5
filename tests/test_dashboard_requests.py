"""Which requests a dashboard answers: of its own names and pages alone."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from helpers.dashboard import dashboard_of
from helpers.small_search import Recorder

from autocompress.dashboard import guarded
from autocompress.search import Outcome, RunFolder

Finished = tuple[RunFolder, Outcome, Recorder]


@pytest.fixture(scope="module")
def address(finished: Finished) -> Iterator[str]:
    """Of a finished run's study, while its dashboard is open."""
    with dashboard_of(finished[0].path) as address:
        yield address


def ask(address: str, method: str, path: str, **headers: str) -> int:
    """The status of an answer; `headers` with _ for -."""
    place = urlsplit(address)
    assert place.hostname
    connection = HTTPConnection(place.hostname, place.port, timeout=30)
    with closing(connection):
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        return connection.getresponse().status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:PORT", 200),
        ("localhost:PORT", 200),
        ("LOCALHOST", 200),
        ("[::1]:PORT", 200),
        ("rebound.example:PORT", 403),
        ("127.0.0.1.nip.io:PORT", 403),
        ("192.168.1.2:PORT", 403),
        ("127.0.0.1@rebound.example", 403),
        ("[127.0.0.1", 403),
        ("rebound@127.0.0.1:PORT", 403),
        ("localhost#.rebound.example", 403),
        ("localhost?.rebound.example", 403),
        ("localhost/.rebound.example", 403),
        ("localhost:PORT,rebound.example", 403),
        ("localhost:PORTx", 403),
        ("", 403),
    ],
)
def test_only_its_own_names_are_answered(address: str, host: str, status: int) -> None:
    named = host.replace("PORT", str(urlsplit(address).port))
    assert ask(address, "GET", "/api/studies", Host=named) == status


@pytest.mark.parametrize("path", ["/static/bundle.js", "/static/bundle.js.LICENSE.txt", "/favicon.ico", "/dashboard"])
@pytest.mark.parametrize("encoding", [None, "identity", "gzip"])
def test_files_are_sent_whatever_encodings_a_request_names(address: str, path: str, encoding: str | None) -> None:
    accepted = {} if encoding is None else {"Accept-Encoding": encoding}
    assert ask(address, "GET", path, Host=urlsplit(address).netloc, **accepted) == 200


@pytest.mark.parametrize(
    "origin", [None, "null", "http://rebound.example", "http://127.0.0.1:1", "http://localhost", "http://["]
)
def test_what_writes_must_come_from_its_own_pages(address: str, origin: str | None) -> None:
    host = urlsplit(address).netloc
    headers = {"Host": host} if origin is None else {"Host": host, "Origin": origin}
    assert ask(address, "DELETE", "/nothing", **headers) == 403
    assert ask(address, "DELETE", "/nothing", Host=host, Origin=f"http://{host}") == 404


@pytest.mark.parametrize(
    ("path", "policy"),
    [
        ("/dashboard", "frame-ancestors"),
        ("/dashboard/studies/1", "frame-ancestors"),
        ("/static/bundle.js", "frame-ancestors"),
        ("/artifacts/1/1/a", "sandbox"),
        ("//artifacts/1/1/a", "sandbox"),
        ("/art\xffifacts/1/1/a", "sandbox"),
        ("/\xc3artifacts/1/1/a", "sandbox"),
        ("/dashboards/a", "sandbox"),
        ("", "sandbox"),
    ],
)
def test_what_is_none_of_its_pages_runs_nothing(path: str, policy: str) -> None:
    """The application leaves bytes that are no UTF-8 out of paths, so that many lead to an artifact."""

    def app(_: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/html")])
        return [b"<script>1</script>"]

    said: list[Any] = []
    asked = {"HTTP_HOST": "localhost", "REQUEST_METHOD": "GET", "PATH_INFO": path}
    guarded(app, "127.0.0.1", "127.0.0.1")(asked, lambda *answer: said.extend(answer))
    assert dict(said[1])["Content-Security-Policy"].startswith(policy)


def test_everywhere_is_answered_by_addresses_and_the_machine_s_name() -> None:
    def app(_: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        start("200 OK", [])
        return [b""]

    def status(host: str) -> str:
        said: list[Any] = []
        guard({"HTTP_HOST": host, "REQUEST_METHOD": "GET"}, lambda *answer: said.extend(answer))
        return str(said[0])

    guard = guarded(app, "0", "0.0.0.0")
    for host in ("192.168.1.2:8080", "[fe80::1]:8080", f"{socket.gethostname()}:1", "localhost"):
        assert status(host) == "200 OK"
    assert status("rebound.example") == "403 Forbidden"


@pytest.mark.parametrize("host", ["fe80:0:0::0001", "::ffff:127.0.0.1", "FE80::1"])
def test_an_address_is_its_name_as_browsers_write_it(host: str) -> None:
    def app(_: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        start("200 OK", [])
        return [b""]

    said: list[Any] = []
    sent = "::ffff:7f00:1" if "ffff" in host else "fe80::1"
    guard = guarded(app, host, host)
    guard({"HTTP_HOST": f"[{sent}]:80", "REQUEST_METHOD": "GET"}, lambda *answer: said.extend(answer))
    assert said[0] == "200 OK"
