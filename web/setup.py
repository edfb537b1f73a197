"""The set-up of a new box, step by step. It can be left at any step and gone on with; each step does what its ordinary
page does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import available_timezones

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from render.ready_made import PROFILES
from store.pushed import AT_THE_BOX, RecordKind
from store.queue_setup import offer
from store.records import DesktopClient, PrinterPool, RenderJob, Scope
from store.settings import SetupStep
from store.tables import Store
from web import forms, now, sample_studio, services, settings
from web.overview import printer_rows

pages = Blueprint("setup", __name__, url_prefix="/setup")

STEPS: dict[SetupStep, str] = {
    SetupStep.STUDIO: "The studio",
    SetupStep.FOLDERS: "Image folders",
    SetupStep.PRINTERS: "Printers",
    SetupStep.POOL: "A printer pool",
    SetupStep.PROFILE: "A render profile",
    SetupStep.RENDER_JOB: "A render job",
    SetupStep.CLIENT: "The studio’s software",
    SetupStep.DONE: "Done",
}
_ORDER = list(STEPS)


@pages.get("/")
def index() -> AnyResponse:
    """Where it was left."""
    return redirect(url_for("setup.step", name=services().store.settings.setup.value))


@pages.get("/<name>")
def step(name: str) -> str | AnyResponse:
    """One step."""
    if name not in {one.value for one in STEPS}:
        return redirect(url_for("setup.index"))
    return _page(SetupStep(name), _begun(SetupStep(name)), {})


@pages.post("/<name>")
def save(name: str) -> str | AnyResponse | tuple[str, int]:
    """Keep what was typed and go on; skip goes on without."""
    if name not in _SAVERS:
        return redirect(url_for("setup.index"))
    now = SetupStep(name)
    if "skip" not in request.form:
        errors = _SAVERS[now](request.form)
        if errors:
            return _page(now, request.form, errors), 422
    following = _ORDER[_ORDER.index(now) + 1]
    store = services().store
    if _ORDER.index(following) > _ORDER.index(store.settings.setup):
        store.set(setup=following)
    return redirect(url_for("setup.step", name=following.value))


@pages.post("/client/code")
def pair() -> str | AnyResponse | tuple[str, int]:
    """Show a pairing code, and stay."""
    errors = _offer_code(request.form)
    if errors:
        return _page(SetupStep.CLIENT, request.form, errors), 422
    return redirect(url_for("setup.step", name=SetupStep.CLIENT.value))


@pages.get("/printers/live")
def printers_live() -> str:
    """The part of the step Printers that changes."""
    return render_template("_setup_printers.html", printers=printer_rows())


@pages.post("/sample/<any(load, remove):what>")
def sample(what: str) -> AnyResponse:
    """The sample studio comes, or goes."""
    parts, now = services(), services().store.clock.now()
    if what == "load":
        sample_studio.load(parts.store, parts.rehearser.sample_photo, now)
        return redirect(url_for("tickets.today"))
    sample_studio.remove(parts.store, now)
    return redirect(url_for("setup.step", name=SetupStep.DONE.value))


def _begun(now: SetupStep) -> dict[str, str]:
    """What a step's form begins with."""
    store = services().store
    if now in (SetupStep.STUDIO, SetupStep.FOLDERS):
        return settings.typed(store.settings)
    if now is SetupStep.POOL:
        return {"name": "Lab"}
    if now is SetupStep.PROFILE:
        return {
            "ready_made": next(iter(PROFILES)),
            "pool_id": str(max((one.id for one in store.printer_pools.all()), default="")),
        }
    if now is SetupStep.RENDER_JOB:
        newest = store.render_profiles.newest(1)
        return {
            "name": "Print sessions",
            "kind": RecordKind.SESSION.value,
            "profile_id": str(newest[0].id) if newest else "",
        }
    return {"name": "Front desk"} if now is SetupStep.CLIENT else {}


# -- saving: each answers what is wrong, by field ------------------------------------------------------------------


def _save_settings(form: Mapping[str, str]) -> forms.Errors:
    store = services().store
    made, errors = settings.parse(store.settings, form)
    if made is not None:
        store.box_settings.put(made)
    return errors


def _save_printers(form: Mapping[str, str]) -> forms.Errors:
    del form
    if not len(services().store.printers):
        return {"": "No printer has been found yet. Switch one on, add it by its address, or skip this step."}
    return {}


def _save_pool(form: Mapping[str, str]) -> forms.Errors:
    store = services().store
    pool, errors = forms.build(PrinterPool, {"name": form.get("name", "")})
    chosen = {int(number) for number in request.form.getlist("printers") if number.isdecimal()}
    if not chosen:
        errors["printers"] = "Choose at least one printer, or skip this step."
    if pool is None or errors:
        return errors
    with store.transaction():
        pool = store.printer_pools.add(pool)
        offer(store, pool.name, now(), pool_id=pool.id)
        for printer in store.printers.all():
            if printer.id in chosen:
                store.printers.put(printer.with_(pool_id=pool.id))
    return {}


def _save_profile(form: Mapping[str, str]) -> forms.Errors:
    store = services().store
    found = PROFILES.get(form.get("ready_made", ""))
    if found is None:
        return {"ready_made": "Choose one of these."}
    pool_id = forms.number_or_none(form.get("pool_id", ""))
    prints = pool_id is not None and found[1].sizing.value == "print size"
    store.render_profiles.add(found[1].with_(pool_id=pool_id if prints else None))
    return {}


def _save_render_job(form: Mapping[str, str]) -> forms.Errors:
    names = ("name", "kind", "select_status", "finish_status", "error_status")
    values: dict[str, Any] = {name: form.get(name, "") for name in names}
    profile_id = forms.number_or_none(form.get("profile_id", ""))
    render_job, errors = forms.build(RenderJob, {**values, "profile_ids": [profile_id] if profile_id else []})
    if "profile_ids" in errors:
        errors["profile_id"] = "Choose a render profile: go back one step to make one."
    if render_job is not None and not errors:
        services().store.render_jobs.add(render_job)
    return errors


def _offer_code(form: Mapping[str, str]) -> forms.Errors:
    probe = {"name": form.get("name", ""), "token_sha256": "0" * 64, "created_at": now()}
    checked, errors = forms.build(DesktopClient, probe)
    if checked is not None:
        services().pairing.offer(checked.name, tuple(Scope))
    return errors


_SAVERS: dict[str, Callable[[Mapping[str, str]], forms.Errors]] = {
    SetupStep.STUDIO: _save_settings,
    SetupStep.FOLDERS: _save_settings,
    SetupStep.PRINTERS: _save_printers,
    SetupStep.POOL: _save_pool,
    SetupStep.PROFILE: _save_profile,
    SetupStep.RENDER_JOB: _save_render_job,
    SetupStep.CLIENT: lambda _: {},
}


def is_done(store: Store, one: SetupStep) -> bool:
    """Whether the box has what a step makes."""
    return {
        SetupStep.STUDIO: bool(store.settings.studio_name),
        SetupStep.FOLDERS: bool(services().engine.get("image_roots") or store.settings.image_roots),
        SetupStep.PRINTERS: len(store.printers) > 0,
        SetupStep.POOL: len(store.printer_pools) > 0,
        SetupStep.PROFILE: len(store.render_profiles) > 0,
        SetupStep.RENDER_JOB: len(store.render_jobs) > 0,
        SetupStep.CLIENT: len(store.desktop_clients) > 0,
        SetupStep.DONE: store.settings.setup is SetupStep.DONE,
    }[one]


def _page(now: SetupStep, form: Mapping[str, Any], errors: forms.Errors) -> str:
    parts = services()
    store = parts.store
    return render_template(
        f"setup_{now.name.lower()}.html",
        steps=[(one.value, title, is_done(store, one)) for one, title in STEPS.items()],
        now=now.value,
        title=STEPS[now],
        form=form,
        errors=errors,
        fixed=parts.fixed,
        engine=parts.engine,
        unit_texts=settings.UNIT_TEXTS,
        zones=sorted(available_timezones()) if now is SetupStep.STUDIO else (),
        printers=printer_rows(),
        pools=store.printer_pools.all(),
        ready_made=[(name, what) for name, (what, _) in PROFILES.items()],
        profiles=store.render_profiles.all(),
        kinds=[kind for kind in RecordKind if kind not in AT_THE_BOX],
        statuses=sorted({record.status for record in store.records.newest(200)}),
        clients=store.desktop_clients.all(),
        codes=parts.pairing.waiting(),
        fingerprint=parts.fingerprint,
    )
