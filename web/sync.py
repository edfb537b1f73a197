"""The sync API (/sync/v1): desktop clients push records and pictures, and fetch what became of them."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from flask import Blueprint, Response, g, jsonify, request
from pydantic import ValidationError

from render.errors import PictureMissing
from render.sources import locate
from store import intake, outbox
from store.folder import DataFolder
from store.pushed import DesktopPush, RecordPush
from store.records import DesktopClient
from web import services
from web.errors import Problem, problems_of

pages = Blueprint("sync", __name__, url_prefix="/sync/v1")
log = structlog.get_logger("sync")

MAX_BATCH = 500
MAX_WAIT_S = 60.0
MAX_LONG_POLLS = 24  # each holds a thread
_polls = threading.BoundedSemaphore(MAX_LONG_POLLS)
_CHUNK_BYTES = 256 * 1024


@pages.before_request
def _authenticate() -> None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    digest = hashlib.sha256(token.strip().encode()).hexdigest()
    found = services().store.desktop_clients.by("token", digest) if scheme.lower() == "bearer" and token else []
    if not found:
        raise Problem(
            401,
            "unknown-token",
            "this token is not known here",
            field="Authorization",
            hint="send 'Authorization: Bearer <token>' with a token from the panel's Desktop clients page",
        )
    g.client = found[0]


def _require_room() -> None:
    """New work is refused at the door when the disk could not carry it to its end."""
    parts = services()
    if not parts.store.has_room(parts.min_free_bytes):
        raise Problem(
            503,
            "no-room",
            "the box's disk is full or failing: nothing was taken",
            hint="try again later; the panel says what to do about the disk",
        )


# -- pushing ----------------------------------------------------------------------------------------------------


@pages.post("/statuses")
def push_statuses() -> Response:
    """Take a batch of records; each is answered on its own, and kept safe before the answer."""
    _require_room()
    body = request.get_json(silent=True)
    records = body.get("records") if isinstance(body, dict) else None
    if not isinstance(records, list):
        raise Problem(400, "invalid", 'the body must be JSON: {"records": […]}', field="records", hint="send a list")
    if len(records) > MAX_BATCH:
        raise Problem(413, "too-many", f"{len(records)} records in one batch", "records", f"send at most {MAX_BATCH}")
    return jsonify(results=[_push(raw, f"records[{position}].") for position, raw in enumerate(records)])


def _push(raw: Any, prefix: str) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "kind": raw.get("kind") if isinstance(raw, dict) else None,
        "number": raw.get("number") if isinstance(raw, dict) else None,
    }
    try:
        record = RecordPush.model_validate(dict(DesktopPush.model_validate(raw)))
    except ValidationError as error:
        return {**answer, "answer": "rejected", "errors": problems_of(error, prefix)}
    missing = list(_missing_images(record, prefix))
    if missing:
        return {**answer, "answer": "rejected", "errors": missing}
    return intake.accept(services().store, record, datetime.now(UTC)).model_dump(mode="json")


def _missing_images(record: RecordPush, prefix: str) -> Iterator[dict[str, str]]:
    parts = services()
    for position, image in enumerate(record.images):
        try:
            locate(image, parts.store.folder, parts.image_roots)
        except PictureMissing as error:
            field = "sha256" if image.sha256 else "path"
            yield {
                "code": "image-missing",
                "message": str(error),
                "field": f"{prefix}images[{position}].{field}",
                "hint": f"PUT /sync/v1/images/{image.sha256}"
                if image.sha256
                else "check the path and the image folders",
            }


# -- images -----------------------------------------------------------------------------------------------------


def _checked_digest(sha256: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise Problem(400, "invalid", "not a SHA-256 digest", "sha256", "64 lower-case hexadecimal digits")
    return sha256


@pages.route("/images/<sha256>", methods=["HEAD", "GET"])
def has_image(sha256: str) -> Response:
    """Whether the box has a picture; its bytes are not handed out."""
    if not services().store.folder.image(_checked_digest(sha256)).is_file():
        raise Problem(404, "not-found", "no picture with this digest was uploaded", "sha256", "PUT it here")
    return jsonify(sha256=sha256)


@pages.put("/images/<sha256>")
def put_image(sha256: str) -> tuple[Response, int]:
    """Take a picture, streamed to disk and checked against its digest; it appears whole or not at all."""
    _require_room()
    parts = services()
    request.max_content_length = parts.max_image_bytes
    target = parts.store.folder.image(_checked_digest(sha256))
    if target.is_file():
        return jsonify(sha256=sha256, stored=False), 200
    with _received(parts.store.folder, parts.max_image_bytes) as (received, digest):
        if digest != sha256:
            raise Problem(422, "digest-mismatch", f"the body has the digest {digest}", "sha256", "send the file again")
        target.parent.mkdir(mode=0o700, exist_ok=True)
        received.rename(target)
        _sync_folder(target.parent)
    log.info("image.stored", sha256=sha256, client=_client().name)
    return jsonify(sha256=sha256, stored=True), 201


@contextmanager
def _received(folder: DataFolder, max_bytes: int) -> Iterator[tuple[Path, str]]:
    """The request's body in a file of its own, fsynced, with its digest; gone afterwards unless it was moved."""
    handle, name = tempfile.mkstemp(dir=folder.incoming)
    path = Path(name)
    digest, size = hashlib.sha256(), 0
    try:
        with os.fdopen(handle, "wb") as file:
            while chunk := request.stream.read(_CHUNK_BYTES):
                size += len(chunk)
                if size > max_bytes:
                    raise Problem(413, "too-large", f"more than {max_bytes} bytes", "body", "send a smaller file")
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        yield path, digest.hexdigest()
    except OSError as error:
        raise Problem(503, "disk", f"the picture could not be kept ({error.strerror})", "body", "try later") from error
    finally:
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# -- results ----------------------------------------------------------------------------------------------------


@pages.get("/changes")
def changes() -> Response:
    """Status changes behind a cursor; waits up to wait_s for the first one (long poll)."""
    parts = services()
    after = _number("after", default=_client().acknowledged, highest=2**53)
    wait_s = min(MAX_WAIT_S, _number("wait_s", default=0, highest=3600))
    found = outbox.changes_after(parts.store, after)
    if not found and wait_s:
        if not _polls.acquire(blocking=False):
            raise Problem(503, "too-many-polls", "too many clients wait at once", "wait_s", "ask again later")
        try:
            ends = time.monotonic() + wait_s
            while not found and time.monotonic() < ends and not parts.is_stopping():
                version = parts.store.version
                found = outbox.changes_after(parts.store, after)
                if not found:
                    parts.store.wait(version, min(0.5, ends - time.monotonic()))
        finally:
            _polls.release()
    listed = [{"seq": change.id, **change.model_dump(mode="json", exclude={"id", "record_id"})} for change in found]
    return jsonify(changes=listed, next=found[-1].id if found else after)


@pages.post("/changes/acknowledge")
def acknowledge() -> Response:
    """Tell the box that every change up to a seq was taken over."""
    body = request.get_json(silent=True)
    seq = body.get("seq") if isinstance(body, dict) else None
    if not isinstance(seq, int) or isinstance(seq, bool) or seq < 0:
        raise Problem(400, "invalid", 'the body must be JSON: {"seq": 12}', "seq", "the seq of the last change taken")
    client = outbox.acknowledge(services().store, _client(), seq)
    return jsonify(acknowledged=client.acknowledged)


@pages.get("/tickets/<int:ticket_id>")
def ticket(ticket_id: int) -> Response:
    """A ticket's state, reason and trace."""
    found = services().store.tickets.get(ticket_id)
    return jsonify(found.model_dump(mode="json", exclude={"record_id", "render_job_id"}))


def _client() -> DesktopClient:
    client = g.client
    assert isinstance(client, DesktopClient)  # noqa: S101  (set by _authenticate)
    return client


def _number(name: str, default: int, highest: int) -> int:
    text = request.args.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or len(text) > 16 or int(text) > highest:
        raise Problem(400, "invalid", f"'{text[:40]}' is not a number from 0 to {highest}", name, "send a whole number")
    return int(text)
