"""Print queues: what other computers print to, and the jobs that they sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from flask import Blueprint, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from store import decisions, queue_jobs
from store.queue_setup import path_of
from store.queues import OperatorAccess, PrintQueue, QueueAccess
from store.states import ENDED_QUEUE_JOBS, QueueJobState
from web import forms, now, services
from web.auth import hash_password
from web.errors import Problem

pages = Blueprint("queues", __name__, url_prefix="/queues")

SHOWN_JOBS = 100


@pages.get("/")
def index() -> str:
    """Every print queue, with its address."""
    store = services().store
    pools = {pool.id: pool.name for pool in store.printer_pools.all()}
    profiles = {profile.id: profile.name for profile in store.render_profiles.all()}
    rows = [
        {
            "queue": queue,
            "target": pools.get(queue.pool_id or 0) or profiles.get(queue.profile_id or 0, "something removed"),
            "open": sum(
                store.queue_jobs.count("queue_state", (queue.id, state.value))
                for state in QueueJobState
                if state not in ENDED_QUEUE_JOBS
            ),
            "held": store.queue_jobs.count("queue_state", (queue.id, QueueJobState.HELD.value)),
        }
        for queue in store.print_queues.all()
    ]
    return render_template("queues.html", rows=rows, host=_host(), port=services().room.front_end_port)


def _host() -> str:
    return request.host.rpartition(":")[0] or request.host


@pages.route("/new", methods=["GET", "POST"], defaults={"queue_id": 0})
@pages.route("/<int:queue_id>", methods=["GET", "POST"])
def edit(queue_id: int) -> str | AnyResponse | tuple[str, int]:
    """A queue's name, target and access."""
    store = services().store
    known = store.print_queues.get(queue_id) if queue_id else None
    if request.method == "GET":
        form = _typed(known) if known else {"access": QueueAccess.OPEN.value}
        return _form(form, {}, known)
    form = dict(request.form)
    now = services().store.clock.now()
    kind, _, number = form.get("target", "").partition(":")
    password = form.get("password", "")
    values: dict[str, Any] = {
        **(dict(known) if known else {}),
        "id": queue_id,
        "name": form.get("name", ""),
        "path": known.path if known else path_of(form.get("name", ""), {one.path for one in store.print_queues.all()}),
        "uuid": known.uuid if known else str(uuid4()),
        "pool_id": forms.number_or_none(number) if kind == "pool" else None,
        "profile_id": forms.number_or_none(number) if kind == "profile" else None,
        "location": form.get("location", "").strip(),
        "access": form.get("access", ""),
        "username": form.get("username", "").strip(),
        # Never shown, so an empty field keeps what is there.
        "password_hash": hash_password(password) if password else (known.password_hash if known else ""),
        "operators": form.get("operators", OperatorAccess.PEOPLE.value),
        "holds_new_jobs": "holds_new_jobs" in form,
        "changed_at": now,
        "state_changed_at": known.state_changed_at if known else now,
    }
    queue, errors = forms.build(PrintQueue, values)
    if queue is None:
        return _form(form, errors, known), 422
    kept, errors = forms.keep(store.print_queues, queue, form)
    if kept is None:
        return _form(form, errors, store.print_queues.find(queue_id)), 409
    return redirect(url_for("queues.index"))


def _typed(queue: PrintQueue) -> dict[str, str]:
    return {
        "name": queue.name,
        "target": f"pool:{queue.pool_id}" if queue.pool_id else f"profile:{queue.profile_id}",
        "location": queue.location,
        "access": queue.access.value,
        "username": queue.username,
        "operators": queue.operators.value,
        **({"holds_new_jobs": "on"} if queue.holds_new_jobs else {}),
    }


def _form(form: Mapping[str, str], errors: forms.Errors, known: PrintQueue | None) -> str:
    store = services().store
    targets = [("", "Choose")]
    targets += [(f"pool:{pool.id}", f"Pool {pool.name}") for pool in store.printer_pools.all()]
    printing = [profile for profile in store.render_profiles.all() if profile.prints]
    targets += [(f"profile:{profile.id}", f"Render profile {profile.name}") for profile in printing]
    jobs = store.queue_jobs.by("queue", known.id)[-SHOWN_JOBS:][::-1] if known else []
    return render_template(
        "queue_form.html",
        form=form,
        errors=errors,
        known=known,
        targets=targets,
        accesses=list(QueueAccess),
        operators=list(OperatorAccess),
        jobs=jobs,
        ended=ENDED_QUEUE_JOBS,
        host=_host(),
        port=services().room.front_end_port,
    )


@pages.post("/<int:queue_id>/<any(pause, resume):what>")
def switch(queue_id: int, what: str) -> AnyResponse:
    """Stop beginning jobs, or go on."""
    store = services().store
    with store.transaction():
        queue = store.print_queues.get(queue_id)
        changed = {"is_paused": what == "pause", "is_shut_down": False, "state_changed_at": now()}
        store.print_queues.put(queue.with_(**changed))
        for job in store.queue_jobs.by("queue_state", (queue_id, QueueJobState.PRINTING.value)):
            queue_jobs.pause(store, job, what == "pause")
    return redirect(url_for("queues.edit", queue_id=queue_id))


@pages.post("/jobs/<int:job_id>/<any(release, cancel):what>")
def change_job(job_id: int, what: str) -> AnyResponse:
    """Let a held job print, or stop one."""
    store = services().store
    with store.transaction():
        job = store.queue_jobs.get(job_id)
        if job.state in ENDED_QUEUE_JOBS or (what == "release" and job.state is not QueueJobState.HELD):
            raise Problem(409, "not-possible-now", "this job has moved on: look at it again")
        if what == "cancel":
            decisions.cancel_queue_job(store, job_id, now(), g.person.name)
        else:
            queue_jobs.move(store, job, what, now())
    return redirect(url_for("queues.edit", queue_id=job.queue_id))


@pages.post("/<int:queue_id>/remove")
def remove(queue_id: int) -> AnyResponse | tuple[str, int]:
    """Take a queue away, unless it has work."""
    store = services().store
    queue = store.print_queues.get(queue_id)
    if any(
        store.queue_jobs.count("queue_state", (queue_id, state.value))
        for state in QueueJobState
        if state not in ENDED_QUEUE_JOBS
    ):
        error = "This print queue has jobs. Cancel them, or wait until they are printed."
        return _form(_typed(queue), {"": error}, queue), 409
    with store.transaction():
        for job in store.queue_jobs.by("queue", queue_id):
            store.queue_jobs.remove(job.id)
        store.print_queues.remove(queue_id)
    return redirect(url_for("queues.index"))
