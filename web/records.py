"""Records: what desktops pushed, found again, and render jobs run on them by hand."""

from __future__ import annotations

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from render.errors import RenderError
from store import intake
from store.pushed import AT_THE_BOX
from store.records import Record
from web import forms, services
from web.errors import Problem

pages = Blueprint("records", __name__, url_prefix="/records")

LIMIT = 100
_HIDDEN = {kind.value for kind in AT_THE_BOX}


@pages.get("/")
def index() -> str:
    """Search by number, client or status; without a text, what changed last."""
    store = services().store
    text = request.args.get("q", "").strip()
    wanted = text.casefold()
    # As they are stored: tens of thousands are looked through in a moment, and only what is shown is read.
    found = [
        (document["changed_at"], record_id)
        for record_id, document in store.records.documents()
        if document["kind"] not in _HIDDEN
        and any(wanted in document.get(name, "").casefold() for name in ("number", "client_name", "status"))
    ]
    newest = sorted(found, reverse=True)[:LIMIT]
    rows = [record for _, record_id in newest if (record := store.records.find(record_id))]
    return render_template("records.html", records=rows, text=text, count=len(found), limit=LIMIT)


@pages.get("/<int:record_id>")
def show(record_id: int) -> str:
    """One record: pictures, ordered items, its tickets in the store and in the archive."""
    return _page(services().store.records.get(record_id), {})


def _page(record: Record, errors: forms.Errors) -> str:
    store = services().store
    tickets = store.tickets.by("record", record.id)
    known = {ticket.id for ticket in tickets}
    archived = [
        entry
        for entry in store.archive.search(record.number, LIMIT)
        if entry.number == record.number and entry.kind is record.kind and entry.ticket_id not in known
    ]
    render_jobs = [one for one in store.render_jobs.all() if one.kind is record.kind]
    return render_template(
        "record.html", record=record, tickets=tickets, archived=archived, render_jobs=render_jobs, errors=errors
    )


@pages.get("/<int:record_id>/pictures/<int:number>.jpg")
def picture(record_id: int, number: int) -> Response:
    """One of a record's pictures, small; counted from 0."""
    record = services().store.records.get(record_id)
    if number >= len(record.images):
        abort(404, "this record has fewer pictures")
    try:
        small = services().rehearser.thumbnail(record.images[number])
    except RenderError as error:
        abort(404, str(error))
    return Response(small, mimetype="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


@pages.post("/<int:record_id>/run")
def run(record_id: int) -> str | AnyResponse | tuple[str, int]:
    """Run a render job on a record now, with all of its pictures or some of them."""
    store, now = services().store, services().store.clock.now()
    chosen = set(request.form.getlist("images"))
    with store.transaction():
        record = store.records.get(record_id)
        render_job = store.render_jobs.find(forms.number_or_none(request.form.get("render_job_id", "")) or 0)
        if render_job is None or render_job.kind is not record.kind:
            raise Problem(422, "invalid", "choose a render job for this kind of record", "render_job_id")
        if record.images and chosen.isdisjoint(image.name for image in record.images):
            return _page(record, {"images": "Choose at least one picture."}), 422
        ticket = intake.run_by_hand(store, record, list(chosen), render_job, now, "run by hand in the panel")
    return redirect(url_for("tickets.show", ticket_id=ticket.id))
