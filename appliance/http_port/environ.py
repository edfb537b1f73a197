"""A request's head as a WSGI application gets it (PEP 3333)."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import IO, Any
from urllib.parse import unquote_to_bytes, urlsplit

from aiohttp import web

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\])(?::\d{{0,5}})?")
_TARGET = re.compile(r"[\x21-\x7e]+")  # RFC 9112 §3.2: all else is percent-encoded
_LONGEST_HOST = 255 + len(":65535")


class BadHead(Exception):
    """A head that no program sends that means well; the text says why."""


class FileBlocks:
    """wsgi.file_wrapper: a file in pieces."""

    BYTES = 64 * 1024

    def __init__(self, file: IO[bytes], _size: int = 0) -> None:
        self._file = file
        self.close = getattr(file, "close", lambda: None)
        self.seekable = getattr(file, "seekable", lambda: False)
        self.seek, self.tell = getattr(file, "seek", None), getattr(file, "tell", None)

    def __iter__(self) -> FileBlocks:
        return self

    def __next__(self) -> bytes:
        block = self._file.read(self.BYTES)
        if not block:
            raise StopIteration
        return block


def environ_of(request: web.BaseRequest, is_tls: bool, here: tuple[Any, ...], there: tuple[Any, ...]) -> dict[str, Any]:
    """The environ, but for wsgi.input.

    Args:
        request: whose head has come.
        is_tls: whether over TLS.
        here: address and port that were reached.
        there: address and port of the other side.

    Raises:
        BadHead: the target or the host is none.
    """
    environ: dict[str, Any] = {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https" if is_tls else "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.file_wrapper": FileBlocks,
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "SERVER_NAME": here[0],
        "SERVER_PORT": str(here[1]),
        "SERVER_PROTOCOL": f"HTTP/{request.version.major}.{request.version.minor}",
        "REMOTE_ADDR": there[0],
        "REMOTE_PORT": str(there[1]),
    }
    _add_headers(environ, request.headers.items())
    target = request.raw_path
    if not _TARGET.fullmatch(target):
        raise BadHead("the address has characters that must be percent-encoded")
    if not target.startswith("/") and target != "*":  # absolute form: its host is the one that counts (RFC 9112 §3.2.2)
        parts = urlsplit(target)
        environ["HTTP_HOST"] = parts.netloc
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    path, _, query = target.partition("#")[0].partition("?")
    coding = environ.get("HTTP_TRANSFER_ENCODING")
    if coding is not None and (coding.strip().lower() != "chunked" or request.version < (1, 1)):
        raise BadHead("chunked is the only transfer coding that is understood here")
    environ["RAW_URI"] = target
    environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1")
    environ["QUERY_STRING"] = query
    host = environ.get("HTTP_HOST", "")
    if not host:
        environ.pop("HTTP_HOST", None)
    elif len(host) > _LONGEST_HOST or not _HOST.fullmatch(host):
        raise BadHead("the header Host is not the name of a host")
    return environ


def _add_headers(environ: dict[str, Any], headers: Iterable[tuple[str, str]]) -> None:
    for name, value in headers:
        if "_" in name:  # would pass for the one with a hyphen
            continue
        if not value.isascii():  # WSGI's strings are bytes in latin-1
            value = value.encode("utf-8", "surrogateescape").decode("latin-1")
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        known = environ.get(key)
        environ[key] = value if known is None else f"{known}{';' if key == 'HTTP_COOKIE' else ','} {value}"
