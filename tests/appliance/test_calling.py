"""Addresses that answer anything, or nothing: each call ends in time, with a reason, and reads no more than needed."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from appliance import calling
from appliance.calling import Unanswered, post
from tests import rude
from tests.lab import free_port
from tests.rude import Manner, drips, never_ends, says

OK = b"HTTP/1.1 200 OK\r\n"

MANNERS: dict[str, tuple[Manner, str]] = {
    "garbage": (says(b"\x00\xff\xfeSSH-2.0\r\n\r\n"), "does not answer as a web server does"),
    "a mail server": (says(b"220 mail.studio.example ESMTP\r\n"), "does not answer as a web server does"),
    "a garbled status": (says(b"HTTP/1.1 abc OK\r\n\r\n"), "does not answer as a web server does"),
    "a status too large": (says(b"HTTP/1.1 99999 OK\r\n\r\n"), "does not answer as a web server does"),
    "half a status": (says(b"HTTP/1.1 2"), "does not answer as a web server does"),
    "half a head": (says(OK, b"Content-Le"), "in the middle of its answer"),
    "a head without its end": (says(OK, b"Content-Length: 0\r\n"), "in the middle of its answer"),
    "nothing": (says(), "closed the connection without an answer"),
    "closes at once": (rude.closes, "(closed the connection without an answer|cannot be reached)"),
    "silence": (rude.is_silent, "did not answer in time"),
    "one byte after the other": (drips(OK, 0.2), "did not answer in time"),
    "a head that drips for ever": (drips(OK + b"X-A: b\r\n" * 1000, 0.05), "did not answer in time"),
    "a status line without an end": (never_ends(b"HTTP/1.1 200 ", b"O" * 4096), "without an end"),
    "a head line without an end": (never_ends(OK + b"X: ", b"y" * 4096), "without an end"),
    "a head without an end": (
        never_ends(OK, b"X-A: " + b"b" * 1000 + b"\r\n"),
        "without an end",
    ),
    "continue for ever": (never_ends(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "answers without an end"),
    "letters that are none": (says(OK, "X-Näme: ü\r\n".encode("latin-1")), "in the middle of its answer"),
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "ANSWER_LIMIT_S", 1.0)


@pytest.mark.parametrize("case", MANNERS)
def test_whoever_answers_so_has_not_taken_it(case: str) -> None:
    manner, told = MANNERS[case]
    with rude.rude(manner) as server, pytest.raises(Unanswered, match=told):
        post(f"http://127.0.0.1:{server.port}/hook", {"Content-Type": "application/json"}, b"{}")


@pytest.mark.parametrize(
    ("manner", "status"),
    [
        (says(OK + b"Content-Length: 5\r\n\r\n"), 200),  # what follows the head is not waited for
        (never_ends(OK + b"\r\n", b"x" * 65536), 200),
        (drips(b"HTTP/1.1 204 \r\n\r\n", 0.01), 204),
        (says(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n"), 202),
        (says(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n"), 302),
        (says(b"HTTP/1.0 500 No\r\n\r\n"), 500),
    ],
)
def test_a_whole_head_is_an_answer(manner: Manner, status: int) -> None:
    with rude.rude(manner) as server:
        assert post(f"http://127.0.0.1:{server.port}/hook", {}, b"{}") == status


def test_an_answer_without_an_end_takes_no_memory() -> None:
    tracemalloc.start()
    with rude.rude(never_ends(OK, b"X-A: " + b"b" * 60_000 + b"\r\n")) as server, pytest.raises(Unanswered):
        post(f"http://127.0.0.1:{server.port}/hook", {}, b"{}")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 3_000_000


def test_a_large_body_that_nobody_reads_is_given_up() -> None:
    with rude.rude(rude.is_silent) as server, pytest.raises(Unanswered, match="did not answer in time"):
        post(f"http://127.0.0.1:{server.port}/hook", {}, b"x" * 50_000_000)


def test_tls_that_is_not_there_or_not_to_be_trusted_is_told(tmp_path: Path) -> None:
    with rude.rude(says(OK, b"\r\n")) as plain, pytest.raises(Unanswered, match="does not speak TLS"):
        post(f"https://127.0.0.1:{plain.port}/", {}, b"{}")
    with (
        rude.rude(rude.over_tls(tmp_path, says(OK, b"\r\n"))) as unknown,
        pytest.raises(Unanswered, match="certificate that is not good"),
    ):
        post(f"https://localhost:{unknown.port}/", {}, b"{}")
    with rude.rude(rude.is_silent) as silent, pytest.raises(Unanswered, match=r"did not answer|cannot be reached"):
        post(f"https://localhost:{silent.port}/", {}, b"{}")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://no-such-name.invalid/", "cannot be found"),
        (f"http://{'x' * 64}.example/", "cannot be used"),
        ("http://127.0.0.1:99999/", "cannot be used"),
        ("http://127.0.0.1:port/", "cannot be used"),
        ("http://[::1/", "cannot be used"),
        ("http://./", "cannot be (used|found)"),
        ("http://\u2603.example/", "cannot be (used|found)"),
        ("http://", "cannot be used"),
        ("http://a b/", "cannot be (used|found)"),
        ("http://user:password@127.0.0.1:1/", "cannot be reached"),
    ],
)
def test_an_address_that_is_none_is_told(url: str, told: str) -> None:
    with pytest.raises(Unanswered, match=told):
        post(url, {}, b"{}")


def test_any_path_is_asked_for() -> None:
    heard: list[bytes] = []
    answer = says(OK, b"\r\n")

    def manner(connection: rude.socket.socket, over: rude.threading.Event) -> None:
        heard.append(connection.recv(65536, rude.socket.MSG_PEEK).split(b"\r\n")[0])
        answer(connection, over)

    with rude.rude(manner) as server:
        assert post(f"http://127.0.0.1:{server.port}/hök/a%20b?x=ü&y=1", {}, b"{}") == 200
    assert heard == [b"POST /h%C3%B6k/a%20b?x=%C3%BC&y=1 HTTP/1.1"]


def test_nobody_there_is_told() -> None:
    with pytest.raises(Unanswered, match=r"cannot be reached \(Connection refused\)"):
        post(f"http://127.0.0.1:{free_port()}/", {}, b"{}")
