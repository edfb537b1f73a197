"""The panel's port against clients that are slow, silent or many, on a running appliance.

Nothing that is slow ends by itself in most of these tests (slow_client_s is 600), and there are eight threads: what is
answered is answered although all the others are still there, and because they hold none of them.
"""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import ssl
import threading
from collections.abc import Callable

import pytest

from tests.appliance.http_box import (
    GET,
    HELLO,
    HOST,
    POST,
    SILENT,
    SLOW,
    UNREAD,
    HttpBox,
    half_a_head,
    half_an_upload,
    head_without_body,
    nothing,
    reset_it,
    unacknowledged,
)
from tests.lab import until

pytestmark = pytest.mark.unannounced

MANY = 300


@pytest.mark.parametrize("slow", SLOW, ids=[one.__name__ for one in SLOW])
def test_whoever_is_slow_holds_nobody_else_up(http_box: HttpBox, slow: Callable[[HttpBox], None]) -> None:
    http_box.is_working()
    for _ in range(MANY):
        with contextlib.suppress(ConnectionError):  # one that had to go for a newcomer
            slow(http_box)
    http_box.is_working()


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


@pytest.mark.parametrize("slow", SILENT, ids=[one.__name__ for one in SILENT])
def test_whoever_is_slow_is_cut_off_after_a_while(impatient_http_box: HttpBox, slow: Callable[[HttpBox], None]) -> None:
    slow(impatient_http_box)
    until(lambda: ends(impatient_http_box.open[-1]), "it is cut off")


def test_an_answer_that_is_not_taken_is_cut_off(impatient_http_box: HttpBox) -> None:
    box = impatient_http_box
    box.is_working()
    until(lambda: not box.connections, "nobody is there")
    before = box.descriptors
    for slow in UNREAD:
        slow(box)
    until(lambda: box.descriptors > before + 3, "they are being answered")
    until(lambda: box.descriptors <= before + 1, "they are cut off, and their files closed")


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
def test_a_byte_now_and_then_is_not_enough(impatient_http_box: HttpBox, begins: str) -> None:
    sock = impatient_http_box.connect()
    sock.send(begins.encode())
    until(lambda: ends(sock, drip=b"a"), "it is cut off")


# -- descriptors and memory ---------------------------------------------------------------------------------------


def test_without_descriptors_others_are_still_served_and_the_log_says_so_once(http_box: HttpBox) -> None:
    http_box.is_working()
    pid, (_, hard) = http_box.appliance.worker_pid(), resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (http_box.descriptors + 40, hard))
    for slow in (nothing, half_a_head, head_without_body, half_an_upload):
        for _ in range(100):
            with contextlib.suppress(ConnectionError):
                slow(http_box)
        http_box.is_working()
    assert http_box.appliance.log().count("event=listener.cannot_accept") == 1
    assert http_box.appliance.worker_pid() == pid
    http_box.close()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (4096, hard))
    http_box.is_working()


def test_connections_that_are_reset_at_any_step_leave_nothing(http_box: HttpBox) -> None:
    body = json.dumps({"records": []})
    head = f"POST /sync/v1/statuses HTTP/1.1\r\n{HOST}Authorization: Bearer {http_box.studio.token}\r\n"
    whole = f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    http_box.is_working()
    before, memory = http_box.descriptors, http_box.memory_mb
    for _ in range(3):
        for end in range(0, len(whole) + 1, 3):
            for is_tls in (False, True):
                sock = http_box.connect(is_tls=is_tls)
                sock.sendall(whole[:end])
                reset_it(sock)
        for end in range(len(HELLO) + 1):
            sock = http_box.connect()
            sock.send(HELLO[:end])
            reset_it(sock)
        for slow in SLOW:
            slow(http_box)
            reset_it(http_box.open[-1])
        http_box.open.clear()
    until(lambda: http_box.descriptors <= before + 2, "all are closed")
    assert http_box.memory_mb < memory + 25
    assert "Traceback" not in http_box.appliance.log()
    http_box.is_working()


def test_ten_thousand_connections_leave_nothing(http_box: HttpBox) -> None:
    def some(count: int) -> None:
        for number in range(count):
            sock = http_box.connect(f"127.0.1.{number % 200 + 1}", is_tls=number % 10 == 0)
            sock.sendall(
                f"{GET if number % 3 else POST}Connection: close\r\n\r\n".encode()[: None if number % 7 else 9]
            )
            if number % 7 and number % 5:
                assert b"200" in sock.recv(20) or number % 3 == 0
            sock.close()
        http_box.open.clear()

    some(2_000)
    before, memory = http_box.descriptors, http_box.memory_mb
    some(8_000)
    until(lambda: http_box.descriptors <= before + 2, "all are closed")
    assert http_box.memory_mb < memory + 10


# -- stopping -----------------------------------------------------------------------------------------------------


def test_whoever_is_slow_does_not_keep_the_box_from_stopping(http_box: HttpBox) -> None:
    for slow in SLOW:
        for _ in range(5):
            slow(http_box)
    assert http_box.appliance.stop() == 0
    assert "event=process.stopped" in http_box.appliance.log() and "Traceback" not in http_box.appliance.log()


def test_a_request_that_is_under_way_is_answered_when_the_box_stops(http_box: HttpBox) -> None:
    sock = http_box.connect()
    head = f"GET /sync/v1/changes?wait_s=60 HTTP/1.1\r\n{HOST}Authorization: Bearer {http_box.studio.token}\r\n\r\n"
    sock.send(head.encode())
    until(lambda: not unacknowledged(sock), "it is there")
    http_box.is_working()
    threading.Timer(0.1, http_box.appliance.process.terminate).start()
    told = b"".join(iter(lambda: sock.recv(65536), b""))
    assert told.startswith(b"HTTP/1.1 200") and b'"changes":[]' in told.replace(b" ", b"")
