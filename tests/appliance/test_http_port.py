"""The panel's port against clients that are slow, silent, rude or many, on a running appliance.

Nothing that is slow ends by itself in most of these tests (slow_client_s is 600), and there are eight threads: what is
answered is answered although all the others are still there, and because they hold none of them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import re
import resource
import socket
import ssl
import struct
import termios
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from store.records import Download
from store.tables import Store
from tests.appliance.conftest import Appliance, Studio
from tests.lab import until

pytestmark = pytest.mark.unannounced

StartAppliance = Callable[..., Appliance]
MANY = 300
LARGE_KB = 20_000
PATIENCE_S = 30.0
HOST = "Host: 127.0.0.1\r\n"
HELLO = b"\x16\x03\x01\x02\x00\x01"  # the beginning of a TLS ClientHello


class Box:
    """An appliance, what is sent to it by hand, and what its process takes."""

    def __init__(self, start: StartAppliance, folder: Path, **environment: str) -> None:
        self.studio = Studio(folder / "data", {}, pool_id=None)
        _offer_download(self.studio.data)
        settings = {"PRINTROOM_SLOW_CLIENT_S": "600", "PRINTROOM_THREADS": "8", **environment}
        self.appliance = start(self.studio.data, **settings)
        self.port = self.appliance.port
        self.open: list[socket.socket] = []
        self._numbers = 0

    def connect(self, source: str = "127.0.0.1", is_tls: bool = False, receives: int = 0) -> socket.socket:
        sock = socket.socket()
        if receives:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        sock.settimeout(PATIENCE_S)
        sock.bind((source, 0))
        sock.connect(("127.0.0.1", self.port))
        if is_tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            sock = context.wrap_socket(sock)
        self.open.append(sock)
        return sock

    def close(self) -> None:
        for sock in self.open:
            sock.close()
        self.open.clear()

    def get(self, path: str, source: str) -> bytes:
        """A page, from an address; fails when it is not answered."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, PATIENCE_S, source_address=(source, 0))
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200
        whole = answer.read()
        connection.close()
        return whole

    def push(self, source: str) -> None:
        """A record, from an address; fails when it is not taken."""
        self._numbers += 1
        record = {"kind": "session", "number": f"S-{self._numbers}", "revision": 1, "status": "New"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, PATIENCE_S, source_address=(source, 0))
        headers = {"Authorization": f"Bearer {self.studio.token}", "Content-Type": "application/json"}
        connection.request("POST", "/sync/v1/statuses", json.dumps({"records": [record]}), headers)
        assert b"accepted" in connection.getresponse().read()
        connection.close()

    @property
    def _process(self) -> Path:
        return Path(f"/proc/{self.appliance.worker_pid()}")

    @property
    def threads(self) -> int:
        return len(list((self._process / "task").iterdir()))

    @property
    def descriptors(self) -> int:
        return len(list((self._process / "fd").iterdir()))

    @property
    def memory_mb(self) -> float:
        lines = (self._process / "status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1000

    def is_working(self) -> None:
        """Panel and sync answer to others, to the box's own check and to the very address of those who are slow."""
        for source in ("127.0.0.2", "127.0.0.1"):
            assert b"password" in self.get("/login", source)
        self.push("127.0.0.3")
        assert b'"healthy":true' in self.get("/health/alive", "127.0.0.1")


def _offer_download(data: Path) -> None:
    """A file that is larger than what the kernel takes of an answer that nobody reads."""
    store = Store(data)
    (store.folder.output / "large.jpg").write_bytes(os.urandom(1000) * LARGE_KB)
    now = datetime.now(UTC)
    link = {"ticket_id": 1, "token": "token", "created_at": now, "expires_at": now + timedelta(days=1)}
    store.downloads.add(Download.model_validate({**link, "files": ("large.jpg",)}))
    store.close()


@pytest.fixture
def box(tmp_path: Path, appliance: StartAppliance) -> Iterator[Box]:
    running = Box(appliance, tmp_path)
    yield running
    running.close()


def nothing(box: Box) -> None:
    box.connect()


def one_byte(box: Box) -> None:
    box.connect().send(b"G")


def half_a_head(box: Box) -> None:
    box.connect().send(f"GET /login HTTP/1.1\r\n{HOST}Accept: ".encode())


def head_without_body(box: Box) -> None:
    box.connect().send(f"POST /login HTTP/1.1\r\n{HOST}Content-Length: 1000\r\n\r\n".encode())


def half_a_body(box: Box) -> None:
    head = f"POST /login HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n".encode()
    box.connect().send(head + b"ff\r\nname=a")


def half_an_upload(box: Box) -> None:
    head = f"PUT /sync/v1/images/{len(box.open):064x} HTTP/1.1\r\n{HOST}Authorization: Bearer {box.studio.token}\r\n"
    box.connect().sendall(f"{head}Content-Length: 400000\r\n\r\n".encode() + bytes(100_000))


def refused_and_still_sending(box: Box) -> None:
    head = f"POST /login HTTP/1.1\r\n{HOST}Content-Length: 400000\r\n\r\n"
    box.connect().sendall(head.encode() + bytes(1000))


def expecting(box: Box) -> None:
    box.connect().send(f"POST /login HTTP/1.1\r\n{HOST}Expect: 100-continue\r\nContent-Length: 9\r\n\r\n".encode())


def handshake_begun(box: Box) -> None:
    box.connect().send(HELLO)


def handshake_and_nothing(box: Box) -> None:
    box.connect(is_tls=True)


def kept_alive(box: Box) -> None:
    sock = box.connect()
    sock.send(f"GET /health/alive HTTP/1.1\r\n{HOST}\r\n".encode())
    sock.recv(10)


def download_never_read(box: Box) -> None:
    box.connect(receives=2048).send(f"GET /d/token/0 HTTP/1.1\r\n{HOST}\r\n".encode())


def zip_never_read(box: Box) -> None:
    box.connect(receives=2048).send(f"GET /d/token/all.zip HTTP/1.1\r\n{HOST}\r\n".encode())


def pages_never_read(box: Box) -> None:
    """A few dozen answers of some ten kilobytes, into a window of two."""
    box.connect(receives=2048).send(f"GET /sync/v1/openapi.json HTTP/1.1\r\n{HOST}\r\n".encode() * 30)


SLOW = (
    *(nothing, one_byte, half_a_head, head_without_body, half_a_body, half_an_upload, refused_and_still_sending),
    *(expecting, handshake_begun, handshake_and_nothing, kept_alive),
    *(download_never_read, zip_never_read, pages_never_read),
)


@pytest.mark.parametrize("slow", SLOW, ids=[one.__name__ for one in SLOW])
def test_whoever_is_slow_holds_nobody_else_up(box: Box, slow: Callable[[Box], None]) -> None:
    box.is_working()
    for _ in range(MANY):
        with contextlib.suppress(ConnectionError):  # one that had to go for a newcomer
            slow(box)
    box.is_working()


# -- deadlines ----------------------------------------------------------------------------------------------------


def ends(sock: socket.socket, drip: bytes = b"") -> bool:
    """Whether the other side has closed; looks without waiting, and sends a byte first where that is wanted."""
    sock.setblocking(False)
    try:
        if drip:
            sock.send(drip)
        while sock.recv(65536):
            pass
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    return True


@pytest.mark.parametrize("slow", SLOW, ids=[one.__name__ for one in SLOW])
def test_whoever_is_slow_is_cut_off_after_a_while(
    tmp_path: Path, appliance: StartAppliance, slow: Callable[[Box], None]
) -> None:
    if slow in (download_never_read, zip_never_read, pages_never_read):
        pytest.skip("looking whether it was closed would be reading; see the next test")
    box = Box(appliance, tmp_path, PRINTROOM_SLOW_CLIENT_S="1")
    slow(box)
    until(lambda: ends(box.open[-1]), "it is cut off")
    box.close()


def test_an_answer_that_is_not_taken_is_cut_off(tmp_path: Path, appliance: StartAppliance) -> None:
    box = Box(appliance, tmp_path, PRINTROOM_SLOW_CLIENT_S="1")
    box.is_working()
    before = box.descriptors
    for slow in (download_never_read, zip_never_read, pages_never_read):
        slow(box)
    until(lambda: box.descriptors > before + 3, "they are being answered")
    until(lambda: box.descriptors <= before + 1, "they are cut off, and their files closed")
    box.close()


@pytest.mark.parametrize(
    "begins",
    [
        f"GET /login HTTP/1.1\r\n{HOST}Accept: ",
        f"POST /login HTTP/1.1\r\n{HOST}Content-Length: 60000\r\n\r\n",
        f"POST /login HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\nffff\r\n",
        f"POST /login HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n6;",  # an extension without end
        f"POST /login HTTP/1.1\r\n{HOST}Content-Length: 40000000\r\n\r\n",  # refused, and drained for a while only
    ],
    ids=["head", "body", "chunk", "chunk extension", "refused"],
)
def test_a_byte_now_and_then_is_not_enough(tmp_path: Path, appliance: StartAppliance, begins: str) -> None:
    box = Box(appliance, tmp_path, PRINTROOM_SLOW_CLIENT_S="1")
    sock = box.connect()
    sock.send(begins.encode())
    until(lambda: ends(sock, drip=b"a"), "it is cut off")
    box.close()


# -- uploads ------------------------------------------------------------------------------------------------------

PICTURE = os.urandom(300_000)
DIGEST = hashlib.sha256(PICTURE).hexdigest()


def upload_head(box: Box, size: int, *more: str) -> bytes:
    head = [f"PUT /sync/v1/images/{DIGEST} HTTP/1.1", HOST.strip(), f"Authorization: Bearer {box.studio.token}"]
    length = f"Content-Length: {size}" if size else "Transfer-Encoding: chunked"
    return "\r\n".join([*head, length, *more, "", ""]).encode()


def offset_of(box: Box) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", box.port, PATIENCE_S)
    connection.request("HEAD", f"/sync/v1/images/{DIGEST}", headers={"Authorization": f"Bearer {box.studio.token}"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return -1 if answer.status == 200 else int(answer.headers["Upload-Offset"])


def close_it(sock: socket.socket) -> None:
    sock.close()


def reset_it(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def leave_it(sock: socket.socket) -> None:
    """As a radio link does that is gone without a word."""


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("is_tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("how", [close_it, reset_it, leave_it])
def test_what_came_of_an_upload_that_broke_off_is_kept(
    tmp_path: Path, appliance: StartAppliance, how: Callable[[socket.socket], None], is_tls: bool, is_chunked: bool
) -> None:
    box = Box(appliance, tmp_path, PRINTROOM_SLOW_CLIENT_S="2")
    sock = box.connect(is_tls=is_tls)
    sock.sendall(upload_head(box, 0 if is_chunked else len(PICTURE)))
    sent = 200_000
    sock.sendall((f"{sent:x}\r\n".encode() if is_chunked else b"") + PICTURE[:sent])
    time_to_arrive = box.connect()  # what was sent before it on the same host is there when this is answered
    time_to_arrive.send(f"GET /health/alive HTTP/1.1\r\n{HOST}\r\n".encode())
    time_to_arrive.recv(10)
    how(sock)
    there = until(lambda: offset_of(box), "what came is there")
    assert 65_536 < there <= sent
    rest = box.connect(is_tls=is_tls)
    span = f"Content-Range: bytes {there}-{len(PICTURE) - 1}/{len(PICTURE)}"
    rest.sendall(upload_head(box, len(PICTURE) - there, span) + PICTURE[there:])
    assert rest.recv(1000).startswith(b"HTTP/1.1 201")
    assert offset_of(box) == -1
    box.close()


def test_large_uploads_lie_neither_in_memory_nor_in_the_data_folder_for_long(box: Box) -> None:
    box.is_working()
    before, size = box.memory_mb, 60_000_000
    socks = [box.connect() for _ in range(4)]
    for number, sock in enumerate(socks):
        head = upload_head(box, size).replace(DIGEST.encode(), f"{number:064x}".encode())
        sock.sendall(head)
    piece = bytes(1_000_000)
    for _ in range(size // len(piece)):
        for sock in socks:
            sock.sendall(piece)
    answers = [sock.recv(1000) for sock in socks]
    assert all(b"digest-mismatch" in answer for answer in answers)
    assert box.memory_mb < before + 40
    folder = box.studio.data
    assert not [path for path in folder.iterdir() if path.name.startswith("body-")]
    assert not [path for path in (folder / "incoming").iterdir() if path.stat().st_size]


# -- refusals reach those who are still sending -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("PUT", f"/sync/v1/images/{DIGEST}", {"Authorization": "Bearer wrong"}, 401),
        ("POST", "/sync/v1/statuses", {"Authorization": "Bearer wrong"}, 401),
        ("POST", "/sync/v1/pair", {}, 413),
        ("POST", "/login", {"Content-Type": "application/x-www-form-urlencoded"}, 413),
        ("POST", "/logout", {"Content-Type": "application/x-www-form-urlencoded"}, 302),
        ("POST", "/nowhere", {}, 404),
    ],
)
@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
def test_who_sends_forty_megabytes_unasked_hears_why_they_are_not_taken(
    box: Box, method: str, path: str, headers: dict[str, str], status: int, is_chunked: bool
) -> None:
    before = box.memory_mb
    for _ in range(5):
        connection = http.client.HTTPConnection("127.0.0.1", box.port, PATIENCE_S)
        body = iter([bytes(1_000_000)] * 40) if is_chunked else bytes(40_000_000)
        connection.request(method, path, body, headers, encode_chunked=is_chunked)
        answer = connection.getresponse()
        assert answer.status == status and answer.headers["Connection"] == "close"
        answer.read()
        connection.close()
    assert box.memory_mb < before + 20


def test_who_asks_before_sending_is_told_to_go_on_or_why_not(box: Box) -> None:
    sock = box.connect()
    sock.send(upload_head(box, len(PICTURE), "Expect: 100-continue"))
    assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    sock.sendall(PICTURE)
    assert sock.recv(1000).startswith(b"HTTP/1.1 201")
    stranger = box.connect()
    stranger.send(upload_head(box, len(PICTURE), "Expect: 100-continue").replace(b"Bearer", b"Nobody"))
    told = b"".join(iter(lambda: stranger.recv(1000), b""))
    assert told.startswith(b"HTTP/1.1 401") and b"Connection: close" in told


# -- HTTP ---------------------------------------------------------------------------------------------------------

GET = f"GET /login HTTP/1.1\r\n{HOST}"
POST = f"POST /login HTTP/1.1\r\n{HOST}"
BEHIND = f"GET /health/alive HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n"  # must not be seen after what is refused
REFUSED: dict[str, tuple[str, int]] = {
    "both lengths": (f"{POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (f"{POST}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    "a length with a sign": (f"{POST}Content-Length: +3\r\n\r\nabc", 400),
    "a length below nothing": (f"{POST}Content-Length: -3\r\n\r\n", 400),
    "a length beyond counting": (f"{POST}Content-Length: {'9' * 30}\r\n\r\n", 400),
    "chunked twice": (f"{POST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    "a coding beside chunked": (f"{POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "another coding": (f"{POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "chunked in HTTP/1.0": (f"POST /login HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a chunk beyond counting": (f"{POST}Transfer-Encoding: chunked\r\n\r\n{'f' * 17}\r\n", 400),
    "a chunk without a size": (f"{POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "a chunk that is longer": (f"{POST}Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", 400),
    "no host": ("GET /login HTTP/1.1\r\n\r\n", 400),
    "two hosts": (f"{GET}Host: b\r\n\r\n", 400),
    "a host of one long label": (f"GET /login HTTP/1.1\r\nHost: {'a' * 64}\r\n\r\n", 400),
    "a host that is half an address": ("GET /login HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
    "a bare line feed": ("GET /login HTTP/1.1\nHost: b\n\n", 400),
    "a folded header": (f"{GET}X: a\r\n b\r\n\r\n", 400),
    "a blank before the colon": (f"{GET}X : a\r\n\r\n", 400),
    "a zero byte": (f"{GET}X: a\0b\r\n\r\n", 400),
    "an address that is none": ("GET login HTTP/1.1\r\nHost: b\r\n\r\n", 400),
    "an address with a raw letter": ("GET /ä HTTP/1.1\r\nHost: b\r\n\r\n", 400),
    "an expectation": (f"{POST}Expect: the best\r\nContent-Length: 3\r\n\r\nabc", 417),
    "a long address": (f"GET /{'a' * 20_000} HTTP/1.1\r\n{HOST}\r\n", 414),
    "a long header": (f"{GET}X: {'a' * 20_000}\r\n\r\n", 431),
    "a thousand headers": (GET + "X: a\r\n" * 1000 + "\r\n", 431),
    "a thousand trailers": (f"{POST}Transfer-Encoding: chunked\r\n\r\n0\r\n" + "X: a\r\n" * 1000 + "\r\n", 431),
    "a proxy": (f"CONNECT b:443 HTTP/1.1\r\n{HOST}\r\n", 405),
    "HTTP/2": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "anything": ("\x01\x02\x03" * 50 + "\r\n\r\n", 400),
}


@pytest.fixture(scope="module")
def one_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """For what leaves no trace."""
    started: list[Appliance] = []

    def start(data: Path, **environment: str) -> Appliance:
        started.append(Appliance(data, **environment))
        return started[-1]

    running = Box(start, tmp_path_factory.mktemp("box"))
    yield running
    running.close()
    started[0].stop()
    assert "Traceback" not in started[0].log()


@pytest.mark.parametrize("pieces", [1, 2], ids=["at once", "in two"])
@pytest.mark.parametrize("what", REFUSED)
def test_what_could_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_read(
    one_box: Box, what: str, pieces: int
) -> None:
    text, status = REFUSED[what]
    raw = text.encode() + BEHIND.encode()
    sock = one_box.connect()
    sock.sendall(raw[: len(text) // 2] if pieces == 2 else b"")
    with contextlib.suppress(ConnectionError):  # refused before all was sent
        until(lambda: pieces == 1 or not _unread(sock), "the first half is there")
        sock.sendall(raw[len(text) // 2 if pieces == 2 else 0 :])
    told = b"".join(iter(lambda: sock.recv(65536), b""))
    assert told.split(b"\r\n")[0].split(b" ")[1] == str(status).encode(), told
    assert told.count(b"HTTP/1.") == 1 and b"healthy" not in told


def _unread(sock: socket.socket) -> int:
    """Bytes that the other side has not acknowledged (SIOCOUTQ)."""
    return int.from_bytes(fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0\0\0\0"), "little")


@pytest.mark.parametrize("is_tls", [False, True], ids=["http", "https"])
def test_a_hundred_requests_in_one_breath_are_answered_in_their_order(one_box: Box, is_tls: bool) -> None:
    paths = [f"/nowhere/{number}" if number % 3 else "/login" for number in range(100)]
    sock = one_box.connect(is_tls=is_tls)
    last = f"GET /health/alive HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n"
    sock.sendall("".join(f"GET {path} HTTP/1.1\r\n{HOST}\r\n" for path in paths).encode() + last.encode())
    told = b"".join(iter(lambda: sock.recv(65536), b""))
    assert [int(line.split()[1]) for line in re.findall(rb"HTTP/1.1 \d+", told)] == [
        *(404 if number % 3 else 200 for number in range(100)),
        200,
    ]


@pytest.mark.parametrize("times", [1, 3])
def test_who_has_said_all_and_closes_that_side_is_answered(one_box: Box, times: int) -> None:
    sock = one_box.connect()
    sock.sendall(f"{GET}\r\n".encode() * times)
    sock.shutdown(socket.SHUT_WR)
    told = b"".join(iter(lambda: sock.recv(65536), b""))
    assert told.count(b"HTTP/1.1 200") == times and told.rstrip().endswith(b"</html>")


def test_requests_of_http_1_0_and_without_anything(one_box: Box) -> None:
    for head, kept in (("", False), ("Connection: keep-alive\r\n", True)):
        sock = one_box.connect()
        sock.send(f"GET /health/alive HTTP/1.0\r\n{head}\r\n".encode())
        told = sock.recv(65536)
        assert told.startswith(b"HTTP/1.0 200") and (b"keep-alive" in told) == kept
        sock.send(f"GET /health/alive HTTP/1.0\r\n{head}\r\n".encode() if kept else b"")
        assert (sock.recv(100) != b"") == kept
    sock = one_box.connect()
    both = f"POST /logout HTTP/1.1\r\n{HOST}Content-Length: 0\r\n\r\nHEAD /health/alive HTTP/1.1\r\n{HOST}"
    sock.send(f"{both}Connection: close\r\n\r\n".encode())
    told = b"".join(iter(lambda: sock.recv(65536), b""))
    assert told.count(b"HTTP/1.1 ") == 2 and told.endswith(b"\r\n\r\n") and b"Content-Length: 49" in told


def test_large_answers_arrive_whole_over_tls_and_without(box: Box) -> None:
    expected = (box.studio.data / "output" / "large.jpg").read_bytes()
    for is_tls in (False, True):
        sock = box.connect(is_tls=is_tls)
        sock.sendall(f"GET /d/token/0 HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n".encode())
        told = b"".join(iter(lambda: sock.recv(1 << 20), b""))  # noqa: B023  (used at once)
        assert told.partition(b"\r\n\r\n")[2] == expected


# -- descriptors and memory ---------------------------------------------------------------------------------------


def test_without_descriptors_others_are_still_served_and_the_log_says_so_once(box: Box) -> None:
    box.is_working()
    pid, (_, hard) = box.appliance.worker_pid(), resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (box.descriptors + 40, hard))
    for slow in (nothing, half_a_head, head_without_body, half_an_upload):
        for _ in range(100):
            with contextlib.suppress(ConnectionError):
                slow(box)
        box.is_working()
    assert box.appliance.log().count("event=listener.cannot_accept") == 1
    assert box.appliance.worker_pid() == pid
    box.close()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (4096, hard))
    box.is_working()


def test_connections_that_are_reset_at_any_step_leave_nothing(box: Box) -> None:
    body = json.dumps({"records": []})
    head = f"POST /sync/v1/statuses HTTP/1.1\r\n{HOST}Authorization: Bearer {box.studio.token}\r\n"
    whole = f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    box.is_working()
    before, memory = box.descriptors, box.memory_mb
    for _ in range(3):
        for end in range(0, len(whole) + 1, 3):
            for is_tls in (False, True):
                sock = box.connect(is_tls=is_tls)
                sock.sendall(whole[:end])
                reset_it(sock)
        for end in range(len(HELLO) + 1):
            sock = box.connect()
            sock.send(HELLO[:end])
            reset_it(sock)
        for slow in SLOW:
            slow(box)
            reset_it(box.open[-1])
        box.open.clear()
    until(lambda: box.descriptors <= before + 2, "all are closed")
    assert box.memory_mb < memory + 25
    assert "Traceback" not in box.appliance.log()
    box.is_working()


def test_ten_thousand_connections_leave_nothing(box: Box) -> None:
    def some(count: int) -> None:
        for number in range(count):
            sock = box.connect(f"127.0.1.{number % 200 + 1}", is_tls=number % 10 == 0)
            sock.sendall(
                f"{GET if number % 3 else POST}Connection: close\r\n\r\n".encode()[: None if number % 7 else 9]
            )
            if number % 7 and number % 5:
                assert b"200" in sock.recv(20) or number % 3 == 0
            sock.close()
        box.open.clear()

    some(2_000)
    before, memory = box.descriptors, box.memory_mb
    some(8_000)
    until(lambda: box.descriptors <= before + 2, "all are closed")
    assert box.memory_mb < memory + 10


# -- stopping -----------------------------------------------------------------------------------------------------


def test_whoever_is_slow_does_not_keep_the_box_from_stopping(box: Box) -> None:
    for slow in SLOW:
        for _ in range(5):
            slow(box)
    assert box.appliance.stop() == 0
    assert "event=process.stopped" in box.appliance.log() and "Traceback" not in box.appliance.log()


def test_a_request_that_is_under_way_is_answered_when_the_box_stops(box: Box) -> None:
    sock = box.connect()
    head = f"GET /sync/v1/changes?wait_s=60 HTTP/1.1\r\n{HOST}Authorization: Bearer {box.studio.token}\r\n\r\n"
    sock.send(head.encode())
    until(lambda: not _unread(sock), "it is there")
    box.is_working()
    threading.Timer(0.1, box.appliance.process.terminate).start()
    told = b"".join(iter(lambda: sock.recv(65536), b""))
    assert told.startswith(b"HTTP/1.1 200") and b'"changes":[]' in told.replace(b" ", b"")
