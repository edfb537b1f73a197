"""What the sync API takes and answers. These models check what comes, shape what goes, and are its OpenAPI schemas."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from store.intake import Answer
from store.model import Sha256
from store.pushed import MAX_REVISION, DesktopPush, RecordPush
from store.records import ItemResult, Moment, Outcome, Scope
from store.states import TicketState

MAX_BATCH = 500


class Wire(BaseModel):
    """Something that travels: checked strictly where it comes in."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Problem(Wire):
    """What was wrong, where, and what would be right."""

    code: str = Field(description="for programs: stays the same while texts improve")
    message: str = Field(description="for people")
    field: str = Field(description="the field, header or parameter that it is about; empty for none")
    hint: str = Field(description="what would be right, or what to do next; empty for none")


class Error(Wire):
    """The one shape of every answer that is not a success."""

    error: Problem


class Box(Wire):
    """Which box this is."""

    name: str = Field(description="host name of the box")
    version: str = Field(description="of Printroom")
    api: Literal["v1"] = Field(description="the version of this API, as in its path")
    fingerprint: str = Field(description="SHA-256 of the box's TLS certificate, 64 hex digits; compare and remember it")
    max_batch: int = Field(description="most records in one push")
    max_body_bytes: int = Field(description="largest body of a push")
    max_image_bytes: int = Field(description="largest picture")
    max_wait_s: int = Field(description="longest wait for changes, in seconds")
    requests_per_s: float = Field(description="requests of one client on average; twice as many at once")


class PairRequest(Wire):
    """A code from the panel, to be traded for a token."""

    code: str = Field(pattern=r"^[0-9]{6}$", description="the six digits that the panel shows; good once, for minutes")


class Paired(Wire):
    """What a paired client keeps."""

    token: str = Field(description="send it as `Authorization: Bearer TOKEN`; it is not shown again")
    client: str = Field(description="the client's name in the panel")
    scopes: tuple[Scope, ...] = Field(description="what it may do")
    box: Box


class Push(Wire):
    """A batch of records, each the whole of it."""

    records: tuple[DesktopPush, ...] = Field(max_length=MAX_BATCH)


class PushResult(Wire):
    """What became of one record of a batch."""

    kind: str | None = Field(description="as it was sent, where that could be read")
    number: str | None = Field(description="as it was sent, where that could be read")
    answer: Answer | Literal["rejected"] = Field(
        description="accepted: kept. unchanged: the box already has this revision. stale: the box has a later "
        "revision, or this one with other content. elsewhere: the record's location belongs to another "
        "of the studio's boxes; nothing of it was kept. rejected: see errors; nothing of this record was kept"
    )
    revision: int | None = Field(None, description="that the box has now")
    status: str | None = Field(None, description="that the record has at the box now")
    tickets: tuple[int, ...] = Field((), description="that this push opened")
    render_jobs: tuple[str, ...] = Field((), description="names of the render jobs that they run, in the same order")
    missing: tuple[str, ...] = Field(
        (), description="names of images that are not at the box yet; a ticket waits for them, for a while"
    )
    errors: tuple[Problem, ...] = Field((), description="every field that was wrong")


class PushResults(Wire):
    """One result for each record, in their order."""

    results: tuple[PushResult, ...]


class ImageState(Wire):
    """Whether the box has a picture."""

    sha256: Sha256
    stored: bool = Field(description="whether the whole picture is there")
    offset: int = Field(ge=0, description="bytes that are there; go on from here")


class Change(Wire):
    """What became of a ticket: a status that the box gave to a record, or word that it was canceled or is held."""

    seq: int = Field(ge=1, description="grows; acknowledge the last one that was taken over")
    ticket_id: int
    kind: str
    number: str
    status: str = Field(
        description="the record's: the finish or error status of the render job; where the ticket was canceled or is "
        "held, the one that it had"
    )
    previous_status: str
    outcome: Outcome = Field(
        description="done, partly or failed: the ticket has ended. canceled: a person stopped it. held: it waits for a "
        "person, and another change follows when it has ended"
    )
    reason: str = Field(description="why it failed, was canceled or is held, for people; empty when all came out")
    results: tuple[ItemResult, ...]
    download: str = Field(description="path of the page on this box where the files can be downloaded; empty for none")
    at: datetime


class Changes(Wire):
    """Changes behind a cursor, oldest first."""

    changes: tuple[Change, ...]
    next: int = Field(ge=0, description="send this as `after` next time")


class Acknowledgement(Wire):
    """Every change up to this one was taken over."""

    seq: int = Field(ge=0, le=MAX_REVISION, strict=True)


class Acknowledged(Wire):
    """The client's place in the changes."""

    acknowledged: int


class TicketAnswer(Wire):
    """A ticket's way from the status to paper."""

    id: int
    kind: str
    number: str
    client_name: str
    render_job: str
    state: TicketState
    reason: str = Field(description="why it waits, is held or failed, and what to do")
    is_paused: bool
    opened_at: datetime
    changed_at: datetime
    trace: tuple[Moment, ...]
    results: tuple[ItemResult, ...]


class RecordAnswer(Wire):
    """A record as the box has it."""

    record: RecordPush = Field(description="as it was pushed; its status is the one that it has at the box now")
    pushed_status: str = Field(description="the status that the desktops are known to show")
    tickets: tuple[int, ...]


def example_push() -> dict[str, Any]:
    """A push for people to start from."""
    return {
        "records": [
            {
                "kind": "session",
                "number": "2026-1183",
                "revision": 7,
                "status": "Ready to print",
                "client_name": "Avery Lindqvist",
                "images": [{"name": "0042.jpg", "path": "\\\\server\\images\\2026-1183\\0042.jpg"}],
                "items": [{"id": "1", "image": "0042.jpg", "size": "8x10", "quantity": 2}],
            }
        ]
    }
