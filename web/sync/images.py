"""Pictures by content: asked for, streamed to the disk, checked against their digest, gone on with after a break."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from flask import Response, request

from store.folder import DataFolder
from store.records import Scope
from web import services
from web.errors import Problem
from web.sync.door import answer, current_client, needs, pages, require_room
from web.sync.models import ImageState

log = structlog.get_logger("sync")

_CHUNK_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")
_uploads: set[Path] = set()
_uploads_lock = threading.Lock()


@pages.route("/images/<sha256>", methods=["HEAD", "GET"])
@needs(Scope.PUSH)
def has_image(sha256: str) -> Response:
    """Whether the box has a picture, and how much of it this client has sent; its bytes are not handed out."""
    folder = services().store.folder
    path = folder.image(_checked_digest(sha256))
    try:
        size = path.stat().st_size
        os.utime(path)  # its record comes any moment: it is not old
    except FileNotFoundError:
        partial = _partial(folder, sha256)
        offset = partial.stat().st_size if partial.is_file() else 0
        problem = Problem(404, "not-found", "the box does not have this picture", "sha256", "PUT it here")
        problem.headers["Upload-Offset"] = str(offset)
        raise problem from None
    return answer(ImageState(sha256=sha256, stored=True, offset=size))


@pages.put("/images/<sha256>")
@needs(Scope.PUSH)
def put_image(sha256: str) -> Response:
    """Take a picture, or a part of it; it appears whole or not at all."""
    require_room()
    parts = services()
    folder, most = parts.store.folder, parts.max_image_bytes
    target = folder.image(_checked_digest(sha256))
    if target.is_file():
        os.utime(target)
        return answer(ImageState(sha256=sha256, stored=True, offset=target.stat().st_size))
    first, total = _asked_range(most)
    partial = _partial(folder, sha256)
    try:
        with _alone(partial):
            size = _receive(partial, first, total, most)
            if total is not None and size < total:
                return answer(ImageState(sha256=sha256, stored=False, offset=size), 202)
            _keep(folder, partial, sha256)
    except OSError as error:
        raise Problem(503, "disk", f"the picture could not be kept ({error.strerror})", "body", "try later") from error
    log.info("image.stored", sha256=sha256, client=current_client().name, bytes=size)
    return answer(ImageState(sha256=sha256, stored=True, offset=size), 201)


def _checked_digest(sha256: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise Problem(400, "invalid", "not a SHA-256 digest", "sha256", "64 lower-case hexadecimal digits")
    return sha256


def _partial(folder: DataFolder, sha256: str) -> Path:
    """What a client has sent so far. One for each client, so that nobody writes into another's."""
    return folder.incoming / f"{current_client().id}-{sha256}"


def _asked_range(most: int) -> tuple[int, int | None]:
    """(first byte, whole size) of a Content-Range (RFC 9110 §14.4); (0, None) without one."""
    header = request.headers.get("Content-Range", "")
    if not header:
        return 0, None
    match = _RANGE.fullmatch(header)
    first, last, total = (int(number) for number in match.groups()) if match else (1, 0, 0)
    if not first <= last < total:
        raise Problem(
            400, "invalid", f"'{header[:60]}' is not a range of bytes", "Content-Range", "such as: bytes 0-999/5000"
        )
    if total > most:
        raise Problem(413, "too-large", f"more than {most} bytes", "Content-Range", "send a smaller file")
    if request.content_length is not None and request.content_length != last - first + 1:
        raise Problem(
            400, "invalid", "the body is not as long as its range", "Content-Range", "send exactly the bytes it names"
        )
    return first, total


@contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """Two uploads of one client into one file would garble it."""
    with _uploads_lock:
        if partial in _uploads:
            raise Problem(409, "in-progress", "this picture is being sent already", "sha256", "ask again in a moment")
        _uploads.add(partial)
    try:
        yield
    finally:
        with _uploads_lock:
            _uploads.remove(partial)


def _receive(partial: Path, first: int, total: int | None, most: int) -> int:
    """Write the body behind the first `first` bytes that are there; returns how many there are then.

    What is there already behind it stays, until a whole picture has come: a connection that broke off may end after the
    one that went on from it. They send the same bytes, or the digest tells.
    """
    there = partial.stat().st_size if partial.is_file() else 0
    if first > there:
        problem = Problem(409, "wrong-offset", f"{there} bytes are here", "Content-Range", f"go on from byte {there}")
        problem.headers["Upload-Offset"] = str(there)
        raise problem
    with partial.open("r+b" if there else "wb") as file:
        file.seek(first)
        size = first
        while chunk := request.stream.read(_CHUNK_BYTES):
            size += len(chunk)
            if size > (total if total is not None else most):
                file.truncate(first)
                raise Problem(413, "too-large", f"more than {most} bytes", "body", "send a smaller file")
            file.write(chunk)
        if total is None:
            file.truncate(size)
        file.flush()
        os.fsync(file.fileno())
    if request.content_length is not None and size - first < request.content_length:
        raise Problem(
            400, "incomplete", f"the body ended after {size - first} bytes", "body", f"go on from byte {size}"
        )
    return size if total is None else max(size, there)


def _keep(folder: DataFolder, partial: Path, sha256: str) -> None:
    with partial.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != sha256:
        partial.unlink()
        raise Problem(422, "digest-mismatch", f"the body has the digest {digest}", "sha256", "send the file again")
    folder.keep_image(partial, sha256)
