"""The panel's port around applications of all kinds: what reaches them, and what becomes of their answers."""

from __future__ import annotations

import asyncio
import http.client
import io
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from appliance.http_port.exchange import Exchanges
from appliance.http_port.limits import Limits
from appliance.http_port.port import Port
from tests.lab import until
from web.bodies import BodyRule

Environ = dict[str, Any]
PATIENCE_S = 20.0


class Served:
    """A port around an application, on a loop and thread of its own."""

    def __init__(self, application: Any, rule: BodyRule, limits: Limits) -> None:
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.sock.getsockname()[1]
        self.asked_for_rules: list[str] = []
        self._begun = threading.Event()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

        def rule_of(environ: Environ) -> BodyRule:
            self.asked_for_rules.append(environ["PATH_INFO"])
            return rule

        async def run() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            port = Port(Exchanges(application, rule_of, limits), None, limits)
            port.listen([self.sock])
            self.open = port._open
            self._begun.set()
            await self._stop.wait()
            await port.stop(5)

        def in_thread() -> None:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(run())

        self._thread = threading.Thread(target=in_thread)
        self._thread.start()
        assert self._begun.wait(PATIENCE_S)

    def stop(self) -> None:
        assert self._loop is not None and self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self.sock.close()

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_S, (source, 0))

    def ask(self, method: str = "GET", path: str = "/", body: bytes = b"", **headers: str) -> tuple[int, bytes, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, PATIENCE_S)
        try:
            connection.request(method, path, body or None, {k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    running: list[Served] = []

    def start(application: Any, rule: BodyRule | None = None, **limits: Any) -> Served:
        running.append(Served(application, rule or BodyRule(10_000_000), Limits(**{"threads": 8, **limits})))
        return running[-1]

    yield start
    for one in running:
        one.stop()


def echo(environ: Environ, start: Any) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start("200 OK", [("Content-Length", str(len(body))), ("X-Length", environ.get("CONTENT_LENGTH", "none"))])
    return [body]


# -- what reaches the application ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 1_000_000])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_arrives_as_it_was_sent_with_its_length(
    serve: Callable[..., Served], size: int, is_chunked: bool
) -> None:
    served = serve(echo)
    body = bytes(n % 251 for n in range(size))
    connection = http.client.HTTPConnection("127.0.0.1", served.port, PATIENCE_S)
    pieces = iter([body[at : at + 7_777] for at in range(0, size, 7_777)])
    connection.request("POST", "/", pieces if is_chunked else body, encode_chunked=is_chunked)
    answer = connection.getresponse()
    assert answer.read() == body and answer.headers["X-Length"] == str(size)
    connection.close()
    assert served.asked_for_rules == (["/"] if size > 65_536 else [])


def test_the_environ_is_what_wsgi_says(serve: Callable[..., Served]) -> None:
    seen: list[Environ] = []

    def application(environ: Environ, start: Any) -> list[bytes]:
        seen.append(environ)
        return echo(environ, start)

    served = serve(application)
    sock = served.connect("127.0.0.9")
    sock.sendall(
        b"POST /a%20b/%C3%A4%2F?x=%41&y HTTP/1.1\r\nHost: box.local:8080\r\nX-One: 1\r\nx-one: 2\r\nX_One: 3\r\n"
        b"Cookie: a=b\r\nX-Name: J\xc3\xbcrgen \xe4\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
    )
    assert sock.recv(1000).endswith(b"hi")
    sock.close()
    (environ,) = seen
    assert environ["PATH_INFO"] == "/a b/ä/".encode().decode("latin-1") and environ["QUERY_STRING"] == "x=%41&y"
    assert environ["HTTP_HOST"] == "box.local:8080" and environ["HTTP_X_ONE"] == "1, 2"
    assert environ["HTTP_X_NAME"].encode("latin-1") == b"J\xc3\xbcrgen \xe4"
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("text/plain", "2")
    assert environ["REMOTE_ADDR"] == "127.0.0.9" and environ["SERVER_PORT"] == str(served.port)
    assert environ["wsgi.url_scheme"] == "http" and environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert not [name for name in environ if name.startswith("HTTP_") and name != name.upper()]


def test_what_is_too_large_is_not_read_and_the_application_says_so(serve: Callable[..., Served]) -> None:
    def application(environ: Environ, start: Any) -> list[bytes]:
        with pytest.raises(OSError, match="ended early"):
            while environ["wsgi.input"].read(100_000):
                pass
        start("413 Too Large", [("Content-Length", "0"), ("X-Length", environ["CONTENT_LENGTH"])])
        return []

    served = serve(application, BodyRule(100_000))
    status, _, headers = served.ask("POST", "/", bytes(300_000))
    assert (status, headers["X-Length"], headers["Connection"]) == (413, "300000", "close")
    connection = http.client.HTTPConnection("127.0.0.1", served.port, PATIENCE_S)
    connection.request("POST", "/", iter([bytes(50_000)] * 10), encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 413 and 100_000 < int(answer.headers["X-Length"]) < 500_000
    connection.close()


@pytest.mark.parametrize(("keeps", "heard"), [(True, [90_000]), (False, [])])
def test_a_body_that_breaks_off_reaches_only_those_who_can_use_a_part(
    serve: Callable[..., Served], keeps: bool, heard: list[int]
) -> None:
    came: list[int] = []

    def application(environ: Environ, start: Any) -> list[bytes]:
        count = 0
        try:
            while piece := environ["wsgi.input"].read(8_000):
                count += len(piece)
        except OSError:
            came.append(count)
        start("400 Early", [("Content-Length", "0")])
        return []

    served = serve(application, BodyRule(1_000_000, keeps_parts=keeps))
    sock = served.connect()
    sock.sendall(b"PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + bytes(90_000))
    until(lambda: served.asked_for_rules, "the body is coming")
    served.ask()  # what was sent before is there now
    sock.close()
    until(lambda: not len(served.open), "all is over")
    assert came == heard


def test_a_disk_without_room_is_the_application_s_to_explain(serve: Callable[..., Served], tmp_path: Path) -> None:
    def application(environ: Environ, start: Any) -> list[bytes]:
        start("503 No Room", [("Content-Length", "7")])
        return [b"no room"]

    served = serve(application, min_free_bytes=10**18, spool=tmp_path)
    assert served.ask("POST", "/", bytes(200_000))[:2] == (503, b"no room")
    assert served.ask("POST", "/", bytes(1_000))[0] == 503 and not list(tmp_path.iterdir())


# -- what becomes of its answer -----------------------------------------------------------------------------------


@pytest.mark.parametrize("has_length", [True, False])
@pytest.mark.parametrize("pieces", [[b""], [b"a" * 10], [b"a" * 200_000], [b"ab"] * 1000, [b"x" * 90_000] * 9])
def test_an_answer_arrives_as_it_was_made(serve: Callable[..., Served], pieces: list[bytes], has_length: bool) -> None:
    def application(environ: Environ, start: Any) -> Iterator[bytes]:
        whole = b"".join(pieces)
        start("200 Fine", [("Content-Length", str(len(whole)))] if has_length else [])
        yield from pieces

    served = serve(application)
    assert served.ask()[1] == b"".join(pieces)
    status, body, headers = served.ask("HEAD")
    assert ((status, body) == (200, b"") and not has_length) or headers["Content-Length"] == str(len(b"".join(pieces)))
    old = served.connect()
    old.send(b"GET / HTTP/1.0\r\n\r\n")
    assert b"".join(iter(lambda: old.recv(65536), b"")).partition(b"\r\n\r\n")[2] == b"".join(pieces)
    old.close()


def test_whoever_takes_nothing_holds_no_thread_and_the_rest_is_made_when_it_is_taken(
    serve: Callable[..., Served],
) -> None:
    made: list[int] = []
    ended: list[str] = []

    def application(environ: Environ, start: Any) -> Iterator[bytes]:
        if environ["PATH_INFO"] == "/small":
            start("200 OK", [("Content-Length", "5")])
            yield b"small"
            return
        start("200 OK", [])
        try:
            for number in range(1000):
                made.append(number)
                yield bytes([number % 256]) * 50_000
        finally:
            ended.append(threading.current_thread().name)

    served = serve(application)
    readers = [served.connect() for _ in range(20)]
    for sock in readers:
        sock.send(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    until(lambda: len(made) >= 20, "all have begun")
    assert served.ask(path="/small")[1] == b"small"
    assert len(made) < 20 * 1000 and not ended
    for sock in readers[1:]:
        sock.close()
    until(lambda: len(ended) == 19, "the application is told that they have gone")
    told = readers[0].makefile("rb").read()
    readers[0].close()
    assert told.endswith(b"\r\n0\r\n\r\n") and len(told) > 50_000_000 and len(ended) == 20


def test_what_is_said_live_arrives_when_it_is_said(serve: Callable[..., Served]) -> None:
    go_on, ended = threading.Event(), threading.Event()

    def application(environ: Environ, start: Any) -> Iterator[bytes]:
        start("200 OK", [("Content-Type", "text/event-stream")])
        try:
            yield b"one\n"
            go_on.wait(PATIENCE_S)
            while True:
                yield b"two\n"
        finally:
            ended.set()

    served = serve(application)
    sock = served.connect()
    sock.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    came = b""
    while b"one\n" not in came:
        came += sock.recv(1000)
    assert b"two" not in came
    go_on.set()
    while b"two\n" not in came:
        came += sock.recv(1000)
    sock.close()
    assert ended.wait(PATIENCE_S)
    until(lambda: not len(served.open), "its connection is forgotten")


def fails_at_once(environ: Environ, start: Any) -> list[bytes]:
    raise LookupError("nothing here")


def fails_after_its_head(environ: Environ, start: Any) -> Iterator[bytes]:
    start("200 OK", [("Content-Length", "100")])
    yield b"begun"
    raise LookupError("nothing here")


def fails_after_a_lot(environ: Environ, start: Any) -> Iterator[bytes]:
    start("200 OK", [])
    yield b"a" * 300_000
    raise LookupError("nothing here")


def says_less(environ: Environ, start: Any) -> list[bytes]:
    start("200 OK", [("Content-Length", "100")])
    return [b"short"]


def says_nothing(environ: Environ, start: Any) -> list[bytes]:
    return []


def fails_at_its_end(environ: Environ, start: Any) -> Any:
    class Odd(list[bytes]):
        def close(self) -> None:
            raise LookupError("nothing here")

    start("200 OK", [("Content-Length", "2")])
    return Odd([b"ok"])


@pytest.mark.parametrize(
    ("application", "status"),
    [(fails_at_once, 500), (fails_after_its_head, 500), (says_nothing, 500), (fails_at_its_end, 200)],
)
def test_an_application_that_fails_is_answered_for(serve: Callable[..., Served], application: Any, status: int) -> None:
    served = serve(application)
    assert [served.ask()[0] for _ in range(10)] == [status] * 10
    until(lambda: not len(served.open), "nothing is left")


@pytest.mark.parametrize("application", [fails_after_a_lot, says_less])
def test_half_an_answer_never_looks_like_a_whole_one(serve: Callable[..., Served], application: Any) -> None:
    served = serve(application)
    with pytest.raises(http.client.IncompleteRead):
        served.ask()
    until(lambda: not len(served.open), "nothing is left")


def test_one_who_asks_for_everything_leaves_threads_for_others(serve: Callable[..., Served]) -> None:
    go_on = threading.Event()
    running: list[str] = []

    def application(environ: Environ, start: Any) -> list[bytes]:
        if environ["REMOTE_ADDR"] == "127.0.0.1":
            running.append(environ["PATH_INFO"])
            go_on.wait(PATIENCE_S)
        return echo(environ, start)

    served = serve(application)
    greedy = [served.connect() for _ in range(50)]
    for number, sock in enumerate(greedy):
        sock.send(f"GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    until(lambda: len(running) == 7, "seven of the eight threads are theirs")
    for source in ("127.0.0.2", "127.0.0.3"):
        sock = served.connect(source)
        sock.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
        sock.close()
    assert len(running) == 7
    for sock in greedy[:20]:
        sock.close()  # who has gone counts until his request has been answered
    go_on.set()
    assert all(sock.recv(1000).startswith(b"HTTP/1.1 200") for sock in greedy[20:])
    for sock in greedy[20:]:
        sock.close()
    until(lambda: not len(served.open), "all is over")
    assert len(running) == 50


def test_files_are_sent_and_closed(serve: Callable[..., Served], tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * 4_000)
    opened: list[io.BufferedReader] = []

    def application(environ: Environ, start: Any) -> Any:
        opened.append(path.open("rb"))
        start("200 OK", [("Content-Length", str(path.stat().st_size))])
        return environ["wsgi.file_wrapper"](opened[-1])

    served = serve(application)
    assert served.ask()[1] == path.read_bytes() and served.ask("HEAD")[1] == b""
    until(lambda: all(file.closed for file in opened), "both are closed")
