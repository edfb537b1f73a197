"""What is said to the panel's port and what it answers: uploads, refusals, HTTP in all its forms."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import socket
from collections.abc import Callable

import pytest

from tests.appliance.http_box import GET, HOST, PATIENCE_S, POST, HttpBox, close_it, leave_it, reset_it, unacknowledged
from tests.lab import until

pytestmark = pytest.mark.unannounced

# -- uploads ------------------------------------------------------------------------------------------------------

SIZE = 300_000
DIGEST = "0" * 64  # of no picture


def upload_head(box: HttpBox, digest: str, size: int, *more: str) -> bytes:
    head = [f"PUT /sync/v1/images/{digest} HTTP/1.1", HOST.strip(), f"Authorization: Bearer {box.studio.token}"]
    length = f"Content-Length: {size}" if size else "Transfer-Encoding: chunked"
    return "\r\n".join([*head, length, *more, "", ""]).encode()


def offset_of(box: HttpBox, digest: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", box.port, PATIENCE_S)
    connection.request("HEAD", f"/sync/v1/images/{digest}", headers={"Authorization": f"Bearer {box.studio.token}"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return -1 if answer.status == 200 else int(answer.headers["Upload-Offset"])


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("is_tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("how", [close_it, reset_it, leave_it])
def test_what_came_of_an_upload_that_broke_off_is_kept(
    impatient_http_box: HttpBox, how: Callable[[socket.socket], None], is_tls: bool, is_chunked: bool
) -> None:
    box, picture, sent = impatient_http_box, os.urandom(SIZE), 200_000
    digest = hashlib.sha256(picture).hexdigest()
    sock = box.connect(is_tls=is_tls)
    sock.sendall(upload_head(box, digest, 0 if is_chunked else SIZE))
    sock.sendall((f"{sent:x}\r\n".encode() if is_chunked else b"") + picture[:sent])
    box.get("/health/alive", "127.0.0.1")  # what was sent before it on the same host is there when this is answered
    how(sock)
    there = until(lambda: offset_of(box, digest), "what came is there")
    assert 65_536 < there <= sent
    rest = box.connect(is_tls=is_tls)
    span = f"Content-Range: bytes {there}-{SIZE - 1}/{SIZE}"
    rest.sendall(upload_head(box, digest, SIZE - there, span) + picture[there:])
    assert rest.recv(1000).startswith(b"HTTP/1.1 201")
    assert offset_of(box, digest) == -1


def test_large_uploads_lie_neither_in_memory_nor_in_the_data_folder_for_long(http_box: HttpBox) -> None:
    http_box.is_working()
    before, size = http_box.memory_mb, 60_000_000
    socks = [http_box.connect() for _ in range(4)]
    for number, sock in enumerate(socks):
        sock.sendall(upload_head(http_box, f"{number:064x}", size))
    piece = bytes(1_000_000)
    for _ in range(size // len(piece)):
        for sock in socks:
            sock.sendall(piece)
    answers = [sock.recv(1000) for sock in socks]
    assert all(b"digest-mismatch" in answer for answer in answers)
    assert http_box.memory_mb < before + 40
    folder = http_box.studio.data
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
    one_http_box: HttpBox, method: str, path: str, headers: dict[str, str], status: int, is_chunked: bool
) -> None:
    box = one_http_box
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


def test_who_asks_before_sending_is_told_to_go_on_or_why_not(one_http_box: HttpBox) -> None:
    box, picture = one_http_box, os.urandom(SIZE)
    digest = hashlib.sha256(picture).hexdigest()
    sock = box.connect()
    sock.send(upload_head(box, digest, SIZE, "Expect: 100-continue"))
    assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    sock.sendall(picture)
    assert sock.recv(1000).startswith(b"HTTP/1.1 201")
    stranger = box.connect()
    stranger.send(upload_head(box, digest, SIZE, "Expect: 100-continue").replace(b"Bearer", b"Nobody"))
    told = b"".join(iter(lambda: stranger.recv(1000), b""))
    assert told.startswith(b"HTTP/1.1 401") and b"Connection: close" in told


# -- HTTP ---------------------------------------------------------------------------------------------------------

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


@pytest.mark.parametrize("pieces", [1, 2], ids=["at once", "in two"])
@pytest.mark.parametrize("what", REFUSED)
def test_what_could_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_read(
    one_http_box: HttpBox, what: str, pieces: int
) -> None:
    text, status = REFUSED[what]
    raw = text.encode() + BEHIND.encode()
    sock = one_http_box.connect()
    sock.sendall(raw[: len(text) // 2] if pieces == 2 else b"")
    with contextlib.suppress(ConnectionError):  # refused before all was sent
        until(lambda: pieces == 1 or not unacknowledged(sock), "the first half is there")
        sock.sendall(raw[len(text) // 2 if pieces == 2 else 0 :])
    told = b"".join(iter(lambda: sock.recv(65536), b""))
    assert told.split(b"\r\n")[0].split(b" ")[1] == str(status).encode(), told
    assert told.count(b"HTTP/1.") == 1 and b"healthy" not in told


@pytest.mark.parametrize("is_tls", [False, True], ids=["http", "https"])
def test_a_hundred_requests_in_one_breath_are_answered_in_their_order(one_http_box: HttpBox, is_tls: bool) -> None:
    paths = [f"/nowhere/{number}" if number % 3 else "/login" for number in range(100)]
    sock = one_http_box.connect(is_tls=is_tls)
    last = f"GET /health/alive HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n"
    sock.sendall("".join(f"GET {path} HTTP/1.1\r\n{HOST}\r\n" for path in paths).encode() + last.encode())
    told = b"".join(iter(lambda: sock.recv(65536), b""))
    assert [int(line.split()[1]) for line in re.findall(rb"HTTP/1.1 \d+", told)] == [
        *(404 if number % 3 else 200 for number in range(100)),
        200,
    ]


@pytest.mark.parametrize("times", [1, 3])
def test_who_has_said_all_and_closes_that_side_is_answered(one_http_box: HttpBox, times: int) -> None:
    sock = one_http_box.connect()
    sock.sendall(f"{GET}\r\n".encode() * times)
    sock.shutdown(socket.SHUT_WR)
    told = b"".join(iter(lambda: sock.recv(65536), b""))
    assert told.count(b"HTTP/1.1 200") == times and told.rstrip().endswith(b"</html>")


def test_requests_of_http_1_0_and_without_anything(one_http_box: HttpBox) -> None:
    for head, kept in (("", False), ("Connection: keep-alive\r\n", True)):
        sock = one_http_box.connect()
        sock.send(f"GET /health/alive HTTP/1.0\r\n{head}\r\n".encode())
        told = sock.recv(65536)
        assert told.startswith(b"HTTP/1.0 200") and (b"keep-alive" in told) == kept
        sock.send(f"GET /health/alive HTTP/1.0\r\n{head}\r\n".encode() if kept else b"")
        assert (sock.recv(100) != b"") == kept
    sock = one_http_box.connect()
    both = f"POST /logout HTTP/1.1\r\n{HOST}Content-Length: 0\r\n\r\nHEAD /health/alive HTTP/1.1\r\n{HOST}"
    sock.send(f"{both}Connection: close\r\n\r\n".encode())
    told = b"".join(iter(lambda: sock.recv(65536), b""))
    assert told.count(b"HTTP/1.1 ") == 2 and told.endswith(b"\r\n\r\n") and b"Content-Length: 49" in told


def test_large_answers_arrive_whole_over_tls_and_without(http_box: HttpBox) -> None:
    expected = (http_box.studio.data / "output" / "large.jpg").read_bytes()
    for is_tls in (False, True):
        sock = http_box.connect(is_tls=is_tls)
        sock.sendall(f"GET /d/token/0 HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n".encode())
        told = b"".join(iter(lambda: sock.recv(1 << 20), b""))  # noqa: B023  (used at once)
        assert told.partition(b"\r\n\r\n")[2] == expected
