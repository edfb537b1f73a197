"""Render profiles: how prints are produced."""

from __future__ import annotations

import re
from collections.abc import Mapping

from flask import Blueprint, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from render.names import FIELDS
from render.ready_made import READY_MADE
from store.profiles import RenderProfile
from store.records import AssetKind
from web import forms, profile_form, rehearsals, services

pages = Blueprint("profiles", __name__, url_prefix="/profiles")


@pages.get("/")
def index() -> str:
    """All profiles."""
    store = services().store
    return render_template(
        "profiles.html",
        profiles=store.render_profiles.all(),
        pools={pool.id: pool.name for pool in store.printer_pools.all()},
        printers={printer.id: printer.name for printer in store.printers.all()},
    )


@pages.route("/new", methods=["GET", "POST"], defaults={"profile_id": 0})
@pages.route("/<int:profile_id>", methods=["GET", "POST"])
def edit(profile_id: int) -> str | AnyResponse | tuple[str, int]:
    """Make or change a profile."""
    store = services().store
    known = store.render_profiles.get(profile_id) if profile_id else None
    if request.method == "GET":
        return _form(profile_form.typed(known, store.assets.all()) if known else {}, {}, known)
    profile, errors = _parsed(profile_id)
    if profile is None:
        return _form(request.form, errors, known), 422
    if known:
        store.render_profiles.put(profile)
    else:
        store.render_profiles.add(profile)
    return redirect(url_for("profiles.index"))


@pages.post("/<int:profile_id>/remove")
def remove(profile_id: int) -> AnyResponse | tuple[str, int]:
    """Take a profile away, unless a render job uses it."""
    store = services().store
    profile = store.render_profiles.get(profile_id)
    users = [job.name for job in store.render_jobs.all() if profile_id in job.profile_ids]
    if users:
        error = f"The render jobs {', '.join(users)} use this profile. Take it out of them first."
        return _form(profile_form.typed(profile, store.assets.all()), {"": error}, profile), 409
    store.render_profiles.remove(profile_id)
    return redirect(url_for("profiles.index"))


@pages.post("/rehearse")
def rehearse() -> AnyResponse | tuple[AnyResponse, int]:
    """What the profile in the form, stored or not, would make of a record or of sample photos: sheets with previews,
    paper, failures. Nothing is written or printed."""
    profile, errors = _parsed(forms.number_or_none(request.form.get("profile_id", "")) or 0, "New profile")
    if profile is None:
        return jsonify(errors=errors), 422
    return jsonify(rehearsals.as_json(rehearsals.of_record(request.form.get("record", ""), [profile])))


@pages.get("/layouts")
def layouts() -> str:
    """The ready-made layouts, as pictures."""
    return render_template("layouts.html", layouts=READY_MADE.values(), picture_of=picture_of)


def picture_of(layout: str) -> str:
    """The static file with the picture of a ready-made layout."""
    return f"layouts/{re.sub(r'[^a-z0-9]+', '-', layout.lower())}.jpg"


def _parsed(profile_id: int, name: str = "") -> tuple[RenderProfile | None, forms.Errors]:
    store = services().store
    known = store.render_profiles.find(profile_id) if profile_id else None
    form = request.form if request.form.get("name", "").strip() or not name else {**request.form, "name": name}
    return profile_form.parse(form, profile_id, known.layout if known else None, store.assets.all())


def _form(form: Mapping[str, str], errors: forms.Errors, known: RenderProfile | None) -> str:
    store = services().store
    assets = store.assets.all()
    layouts = dict.fromkeys([*READY_MADE, *([known.layout.name] if known and known.layout else [])])
    return render_template(
        "profile_form.html",
        form={**profile_form.typed(RenderProfile(name="-"), assets), "name": "", **form},
        errors=errors,
        known=known,
        choices={
            **profile_form.CHOICES,
            "colour_profile": profile_form.asset_choices(assets, AssetKind.COLOUR_PROFILE, "sRGB"),
            "overlay": profile_form.asset_choices(assets, AssetKind.OVERLAY, "None"),
            "layout": [("", "One picture on a sheet"), *((name, name) for name in layouts)],
            "destination": [
                ("", "Do not print, only write files"),
                *((f"pool:{pool.id}", f"Pool {pool.name}") for pool in store.printer_pools.all()),
                *((f"printer:{printer.id}", f"Printer {printer.name}") for printer in store.printers.all()),
            ],
            "record": rehearsals.record_choices(),
        },
        fields=FIELDS,
    )
