"""An appliance that is spoken to by hand, and clients of every kind of slowness."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import socket
import ssl
import struct
import termios
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from store.records import Download
from store.tables import Store
from tests.appliance.conftest import Appliance, Studio

StartAppliance = Callable[..., Appliance]
PATIENCE_S = 30.0
LARGE_KB = 20_000
HOST = "Host: 127.0.0.1\r\n"
GET = f"GET /login HTTP/1.1\r\n{HOST}"
POST = f"POST /login HTTP/1.1\r\n{HOST}"
HELLO = b"\x16\x03\x01\x02\x00\x01"  # the beginning of a TLS ClientHello


class HttpBox:
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
    def descriptors(self) -> int:
        return len(list((self._process / "fd").iterdir()))

    @property
    def connections(self) -> int:
        """Open connections to the port, as the process has them."""
        ours = f":{self.port:04X}"
        lines = [line.split() for line in (self._process / "net" / "tcp").read_text().splitlines()[1:]]
        return sum(line[1].endswith(ours) and line[3] == "01" for line in lines)

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


@contextlib.contextmanager
def shared(folder: Path, **environment: str) -> Iterator[HttpBox]:
    """A box for many tests; nothing they do may leave an error in its log."""
    started: list[Appliance] = []

    def start(data: Path, **settings: str) -> Appliance:
        started.append(Appliance(data, **settings))
        return started[-1]

    running = HttpBox(start, folder, **environment)
    yield running
    running.close()
    started[0].stop()
    assert "Traceback" not in started[0].log()


def unacknowledged(sock: socket.socket) -> int:
    """Bytes that the other side has not acknowledged (SIOCOUTQ)."""
    return int.from_bytes(fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0\0\0\0"), "little")


def close_it(sock: socket.socket) -> None:
    sock.close()


def reset_it(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def leave_it(sock: socket.socket) -> None:
    """As a radio link does that is gone without a word."""


# -- slow clients ---------------------------------------------------------------------------------------------------


def nothing(box: HttpBox) -> None:
    box.connect()


def one_byte(box: HttpBox) -> None:
    box.connect().send(b"G")


def half_a_head(box: HttpBox) -> None:
    box.connect().send(f"GET /login HTTP/1.1\r\n{HOST}Accept: ".encode())


def head_without_body(box: HttpBox) -> None:
    box.connect().send(f"POST /login HTTP/1.1\r\n{HOST}Content-Length: 1000\r\n\r\n".encode())


def half_a_body(box: HttpBox) -> None:
    head = f"POST /login HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n".encode()
    box.connect().send(head + b"ff\r\nname=a")


def half_an_upload(box: HttpBox) -> None:
    head = f"PUT /sync/v1/images/{len(box.open):064x} HTTP/1.1\r\n{HOST}Authorization: Bearer {box.studio.token}\r\n"
    box.connect().sendall(f"{head}Content-Length: 400000\r\n\r\n".encode() + bytes(100_000))


def refused_and_still_sending(box: HttpBox) -> None:
    head = f"POST /login HTTP/1.1\r\n{HOST}Content-Length: 400000\r\n\r\n"
    box.connect().sendall(head.encode() + bytes(1000))


def expecting(box: HttpBox) -> None:
    box.connect().send(f"POST /login HTTP/1.1\r\n{HOST}Expect: 100-continue\r\nContent-Length: 9\r\n\r\n".encode())


def handshake_begun(box: HttpBox) -> None:
    box.connect().send(HELLO)


def handshake_and_nothing(box: HttpBox) -> None:
    box.connect(is_tls=True)


def kept_alive(box: HttpBox) -> None:
    sock = box.connect()
    sock.send(f"GET /health/alive HTTP/1.1\r\n{HOST}\r\n".encode())
    sock.recv(10)


def download_never_read(box: HttpBox) -> None:
    box.connect(receives=2048).send(f"GET /d/token/0 HTTP/1.1\r\n{HOST}\r\n".encode())


def zip_never_read(box: HttpBox) -> None:
    box.connect(receives=2048).send(f"GET /d/token/all.zip HTTP/1.1\r\n{HOST}\r\n".encode())


def pages_never_read(box: HttpBox) -> None:
    """A few dozen answers of some ten kilobytes, into a window of two."""
    box.connect(receives=2048).send(f"GET /sync/v1/openapi.json HTTP/1.1\r\n{HOST}\r\n".encode() * 30)


UNREAD = (download_never_read, zip_never_read, pages_never_read)
SILENT = (
    *(nothing, one_byte, half_a_head, head_without_body, half_a_body, half_an_upload, refused_and_still_sending),
    *(expecting, handshake_begun, handshake_and_nothing, kept_alive),
)
SLOW = (*SILENT, *UNREAD)
