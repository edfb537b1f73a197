"""Render jobs: which status of which kind of record starts which profiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from typing import Any

from flask import Blueprint, jsonify, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from store.pushed import AT_THE_BOX, RecordKind
from store.records import RenderJob, Timing
from web import forms, rehearsals, services

pages = Blueprint("render_jobs", __name__, url_prefix="/render-jobs")

REHEARSED_PICTURES = 10  # records of which a rehearsal shows the first sheet


@pages.get("/")
def index() -> str:
    """All render jobs."""
    store = services().store
    names = {profile.id: profile.name for profile in store.render_profiles.all()}
    render_jobs = store.render_jobs.all()
    seen = {
        (document["kind"], document[name])
        for _, document in store.records.documents()
        for name in ("pushed_status", "status")
    }
    return render_template(
        "render_jobs.html", render_jobs=render_jobs, profile_names=names, warnings=warnings(render_jobs, seen)
    )


def warnings(render_jobs: Sequence[RenderJob], seen: Container[tuple[str, str]]) -> dict[int, list[str]]:
    """By id, what somebody may not have meant.

    Args:
        render_jobs: all of them.
        seen: (kind, status) of every status that a desktop has sent.
    """
    active = [one for one in render_jobs if not one.inactive]
    found: dict[int, list[str]] = {one.id: [] for one in render_jobs}
    for one in active:
        for other in active:
            if other.id == one.id or other.kind is not one.kind:
                continue
            if other.select_status == one.select_status:
                found[one.id].append(f"“{other.name}” waits for the same status: both run, and the last one's ends it")
            for which, status in (("finish", one.finish_status), ("error", one.error_status)):
                back = (other.finish_status, other.error_status)
                if status == other.select_status and one.select_status in back:
                    found[one.id].append(
                        f"its {which} status is what “{other.name}” waits for, whose end is what this one waits for. "
                        "The box does not start itself, but a desktop that sends statuses back would print for ever"
                    )
        if (one.kind.value, one.select_status) not in seen:
            found[one.id].append(
                f"no desktop has ever sent a {one.kind.value} with the status “{one.select_status}”: "
                "is it spelt as in the studio's software?"
            )
    return found


@pages.route("/new", methods=["GET", "POST"], defaults={"render_job_id": 0})
@pages.route("/<int:render_job_id>", methods=["GET", "POST"])
def edit(render_job_id: int) -> str | AnyResponse | tuple[str, int]:
    """Make or change a render job. Tickets that are already open keep what they froze."""
    store = services().store
    known = store.render_jobs.get(render_job_id) if render_job_id else None
    if request.method == "GET":
        return _form(_typed(known) if known else MultiDict(), {}, known)
    form = request.form
    render_job, errors = _parsed(form, render_job_id)
    if render_job is None or errors:
        return _form(form, errors, known), 422
    kept, errors = forms.keep(store.render_jobs, render_job, form)
    if kept is None:
        return _form(form, errors, store.render_jobs.find(render_job_id)), 409
    return redirect(url_for("render_jobs.index"))


def _parsed(form: MultiDict[str, str], render_job_id: int) -> tuple[RenderJob | None, forms.Errors]:
    values: dict[str, Any] = {
        "id": render_job_id,
        **{name: form.get(name, "") for name in ("name", "kind", "select_status", "finish_status", "error_status")},
        "timing": form.get("timing", Timing.AT_ONCE.value),
        "start_time": form.get("start_time") or "20:00",
        "end_time": form.get("end_time") or "06:00",
        "profile_ids": [int(number) for number in form.getlist("profile_ids") if number.isdecimal()],
        "inactive": "inactive" in form,
    }
    render_job, errors = forms.build(RenderJob, values)
    if not values["profile_ids"]:
        errors["profile_ids"] = "Choose at least one render profile."
    return render_job, errors


@pages.post("/rehearse")
def rehearse_form() -> str | AnyResponse | tuple[str, int]:
    """What the render job in the form would have done, before it is saved."""
    known = services().store.render_jobs.find(forms.number_or_none(request.form.get("render_job_id", "")) or 0)
    render_job, errors = _parsed(request.form, known.id if known else 0)
    if render_job is None or errors:
        return _form(request.form, errors, known), 422
    return _rehearsal(render_job)


@pages.get("/<int:render_job_id>/rehearse")
def rehearse(render_job_id: int) -> str | AnyResponse:
    """What a render job would have done to the last records of its type. Nothing is written or printed."""
    return _rehearsal(services().store.render_jobs.get(render_job_id))


def _rehearsal(render_job: RenderJob) -> str | AnyResponse:
    store = services().store
    profiles = [profile for i in render_job.profile_ids if (profile := store.render_profiles.find(i))]
    count = min(200, forms.number_or_none(request.args.get("records", "")) or 10)
    records = [record for record in store.records.newest(20 * count) if record.kind is render_job.kind][:count]
    rows: list[dict[str, Any]] = []
    paper: Counter[str] = Counter()
    for number, record in enumerate(records):
        rehearsal = rehearsals.of_record(str(record.id), profiles, previews=1 if number < REHEARSED_PICTURES else 0)
        paper.update(rehearsal.paper)
        rows.append(
            {
                "number": record.number,
                "client_name": record.client_name,
                "status": record.status,
                "is_selected": record.pushed_status == render_job.select_status,
                **rehearsals.as_json(rehearsal),
            }
        )
    if request.args.get("format") == "json":
        return jsonify(records=rows, paper=paper)
    return render_template("rehearsal.html", render_job=render_job, rows=rows, paper=paper, count=count)


@pages.post("/<int:render_job_id>/remove")
def remove(render_job_id: int) -> AnyResponse:
    """Take a render job away; its open tickets go on with what they froze."""
    services().store.render_jobs.remove(services().store.render_jobs.get(render_job_id).id)
    return redirect(url_for("render_jobs.index"))


def _typed(render_job: RenderJob) -> MultiDict[str, str]:
    """A render job as a person would have typed it."""
    form: MultiDict[str, str] = MultiDict(
        {
            "name": render_job.name,
            "kind": render_job.kind.value,
            "select_status": render_job.select_status,
            "finish_status": render_job.finish_status,
            "error_status": render_job.error_status,
            "timing": render_job.timing.value,
            "start_time": f"{render_job.start_time:%H:%M}",
            "end_time": f"{render_job.end_time:%H:%M}",
        }
    )
    form.setlist("profile_ids", [str(number) for number in render_job.profile_ids])
    if render_job.inactive:
        form["inactive"] = "on"
    return form


def _form(form: Mapping[str, str], errors: forms.Errors, known: RenderJob | None) -> str:
    store = services().store
    seen = sorted({record.status for record in store.records.newest(500)})
    return render_template(
        "render_job_form.html",
        form=form,
        errors=errors,
        known=known,
        kinds=[kind for kind in RecordKind if kind not in AT_THE_BOX],
        timings=list(Timing),
        profiles=store.render_profiles.all(),
        statuses=seen,
    )
