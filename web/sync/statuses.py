"""Pushing: batches of records, each answered on its own and kept safe before the answer; and reading them back."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from flask import Response, request
from pydantic import ValidationError
from pydantic_core import from_json

from render.looking import Look
from store import intake
from store.pushed import DesktopPush, ImageRef, RecordKind, RecordPush
from store.records import KeptAnswer, Scope
from web import services
from web.errors import Problem, problems_of
from web.sync import models
from web.sync.door import answer, current_client, needs, pages, require_room
from web.sync.models import MAX_BATCH, PushResult, PushResults, RecordAnswer, TicketAnswer

MAX_KEY_LENGTH = 200


class _OnlyRehearsed(Exception):
    """Takes everything back that a dry run did."""

    def __init__(self, results: PushResults) -> None:
        self.results = results
        super().__init__()


@pages.post("/statuses")
@needs(Scope.PUSH)
def push_statuses() -> Response:
    """Take a batch of records."""
    require_room()
    raw = request.get_data(cache=False)
    is_dry_run = _flag("dry_run")
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > MAX_KEY_LENGTH:
        raise Problem(400, "invalid", "the key is too long", "Idempotency-Key", f"at most {MAX_KEY_LENGTH} characters")
    checked = _checked(_records(raw))
    if not key or is_dry_run:
        return answer(_accept(checked, is_dry_run))
    store, client_id = services().store, current_client().id
    digest = hashlib.sha256(raw).hexdigest()
    with store.transaction():  # the same request, sent twice at once, waits here for its twin
        known = next(iter(store.kept_answers.by("key", (client_id, key))), None)
        if known is None:
            text = _accept(checked, is_dry_run=False).model_dump_json()
            now = store.clock.now()
            kept = KeptAnswer(client_id=client_id, key=key, request_sha256=digest, answer=text, at=now)
            store.kept_answers.add(kept)
    if known is None:
        return Response(text, mimetype="application/json")
    if known.request_sha256 != digest:
        raise Problem(
            422,
            "key-reused",
            "this key came with another request before",
            "Idempotency-Key",
            "take a new key for each new request, and the same one only to repeat it",
        )
    return Response(known.answer, mimetype="application/json", headers={"Idempotency-Replayed": "true"})


def _records(raw: bytes) -> list[Any]:
    try:
        body = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise Problem(400, "invalid", f"the body is not JSON ({error})", "records", 'send {"records": […]}') from error
    records = body.get("records") if isinstance(body, dict) else None
    if not isinstance(records, list):
        raise Problem(400, "invalid", 'the body must be JSON: {"records": […]}', "records", "send a list")
    unknown = sorted(str(name) for name in body if name != "records")
    if unknown:
        raise Problem(
            400, "invalid", f"unknown field '{unknown[0][:80]}' beside records", unknown[0][:80], "leave it out"
        )
    if len(records) > MAX_BATCH:
        raise Problem(413, "too-many", f"{len(records)} records in one batch", "records", f"send at most {MAX_BATCH}")
    return records


def _checked(records: list[Any]) -> list[tuple[RecordPush, tuple[str, ...]] | PushResult]:
    """Each record with the names of its images that are not here yet; or its rejection."""
    parsed = [_parsed(one, f"records[{position}].") for position, one in enumerate(records)]
    pushes = [one for one in parsed if isinstance(one, RecordPush)]
    absent = _absent(path for push in pushes for image in push.images if (path := image.path) is not None)
    folder = services().store.folder
    return [
        one
        if isinstance(one, PushResult)
        else (
            one,
            tuple(
                image.name
                for image in one.images
                if (image.path in absent if image.sha256 is None else not folder.image(image.sha256).is_file())
            ),
        )
        for one in parsed
    ]


def _parsed(raw: Any, prefix: str) -> RecordPush | PushResult:
    try:
        push = DesktopPush.model_validate(raw).record()
    except ValidationError as error:
        errors: Iterable[dict[str, str]] = problems_of(error, prefix)
        return _rejected(raw, errors)
    if services().image_folders:
        return push
    hint = "upload the picture and send its sha256, or give the box image folders"
    hopeless = [
        {
            "code": "no-image-folders",
            "message": f"{image.name}: the box has no image folders; set PRINTROOM_IMAGE_ROOTS or upload it",
            "field": f"{prefix}images[{position}].path",
            "hint": hint,
        }
        for position, image in enumerate(push.images)
        if image.path is not None
    ]
    return _rejected(raw, hopeless) if hopeless else push


def _absent(paths: Iterable[str]) -> set[str]:
    """The paths that lead to no picture, as far as is known after a moment: a folder that does not answer holds nobody
    up. Their tickets wait for them."""
    parts = services()
    images = [ImageRef.model_construct(name=path, path=path) for path in dict.fromkeys(paths)]
    looked = Look(images, parts.store.folder, parts.image_folders, parts.store.reach).wait()
    return {*looked.missing, *looked.unknown}


def _rejected(raw: Any, errors: Iterable[dict[str, str]]) -> PushResult:
    told = raw if isinstance(raw, dict) else {}
    kind, number = ((said[:200] if isinstance(said := told.get(name), str) else None) for name in ("kind", "number"))
    problems = tuple(models.Problem(**error) for error in itertools.islice(errors, 100))
    return PushResult(kind=kind, number=number, answer="rejected", errors=problems)


def _accept(checked: list[tuple[RecordPush, tuple[str, ...]] | PushResult], is_dry_run: bool) -> PushResults:
    """Keep what may be kept, in one transaction; a dry run takes everything back."""
    store = services().store
    now = store.clock.now()
    try:
        with store.transaction():
            results = PushResults.model_construct(
                results=tuple(one if isinstance(one, PushResult) else _taken(*one, now, is_dry_run) for one in checked)
            )
            if is_dry_run:
                raise _OnlyRehearsed(results)
    except _OnlyRehearsed as rehearsed:
        return rehearsed.results
    return results


def _taken(push: RecordPush, missing: tuple[str, ...], now: datetime, is_dry_run: bool) -> PushResult:
    receipt = intake.accept(services().store, push, now)
    return PushResult.model_construct(
        kind=push.kind.value,
        number=push.number,
        answer=receipt.answer,
        revision=receipt.record.revision,
        status=receipt.record.status,
        tickets=() if is_dry_run else receipt.tickets,
        render_jobs=tuple(ticket.render_job_name for ticket in receipt.opened),
        missing=missing,
        errors=(),
    )


def _flag(name: str) -> bool:
    text = request.args.get(name, "false") if request.query_string else "false"
    if text not in ("true", "false"):
        raise Problem(400, "invalid", f"'{text[:40]}' is neither true nor false", name, "send true or false")
    return text == "true"


# -- reading ----------------------------------------------------------------------------------------------------


@pages.get("/records/<kind>/<path:number>")
@needs(Scope.PUSH)
def record(kind: str, number: str) -> Response:
    """A record as the box has it: for a client whose push was stale."""
    kinds = [one.value for one in RecordKind]
    store = services().store
    found = intake.find_record(store, RecordKind(kind), number) if kind in kinds else None
    if found is None:
        raise Problem(404, "not-found", "the box has no such record", "number", "push it first")
    tickets = tuple(ticket.id for ticket in store.tickets.by("record", found.id))
    return answer(RecordAnswer(record=found.pushed(), pushed_status=found.pushed_status, tickets=tickets))


@pages.get("/tickets/<int:ticket_id>")
def ticket(ticket_id: int) -> Response:
    """A ticket's state, reason and trace."""
    found = services().store.tickets.find(ticket_id)
    if found is None:
        raise Problem(404, "not-found", "there is no such ticket", "ticket_id", "it may be in the archive by now")
    fields = {name: getattr(found, name) for name in TicketAnswer.model_fields if name != "render_job"}
    return answer(TicketAnswer(**{**fields, "render_job": found.render_job_name}))
