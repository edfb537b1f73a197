"""Addresses that misbehave: what a box's webhooks and mails may meet."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

Manner = Callable[[socket.socket, threading.Event], None]


class RudeServer:
    """Takes connections and treats each as it likes."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.calls = 0
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.calls += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._manner(connection, self._over)

    def stop(self) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)


@contextlib.contextmanager
def rude(manner: Manner) -> Iterator[RudeServer]:
    server = RudeServer(manner)
    try:
        yield server
    finally:
        server.stop()


def says(*parts: bytes) -> Manner:
    """Hears the beginning of what is asked, answers, and closes."""

    def manner(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(65536)
        for part in parts:
            connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):  # what is unread at the end would reset what was said
            pass

    return manner


def never_ends(first: bytes, again: bytes) -> Manner:
    def manner(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(first)
        while not over.is_set():
            connection.sendall(again)

    return manner


def drips(text: bytes, each_s: float) -> Manner:
    """One byte after the other, and then nothing."""

    def manner(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        for byte in itertools.chain(text):
            connection.sendall(bytes([byte]))
            if over.wait(each_s):
                return
        over.wait()

    return manner


def is_silent(_: socket.socket, over: threading.Event) -> None:
    over.wait()


def closes(connection: socket.socket, _: threading.Event) -> None:
    """At once."""


def over_tls(folder: Path, manner: Manner) -> Manner:
    """The same behind TLS, with a certificate that nobody knows."""
    from appliance.certificate import tls_context

    context: ssl.SSLContext = tls_context(folder, ["localhost"])

    def wrapped(connection: socket.socket, over: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as inner:
            manner(inner, over)

    return wrapped
