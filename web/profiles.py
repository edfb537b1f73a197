"""Render profiles: how prints are produced."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from urllib.parse import quote

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request, url_for
from pydantic import ValidationError
from werkzeug.wrappers import Response as AnyResponse

from render.errors import SheetImpossible
from render.names import FIELDS, check_fields
from render.ready_made import READY_MADE
from store.profiles import LayoutTemplate, RenderProfile, StudioLayout
from store.records import AssetKind
from store.settings import Units
from web import forms, profile_form, rehearsals, services
from web.errors import problems_of

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
        return _form(profile_form.typed(known, store.assets.all(), _units()) if known else {}, {}, known)
    profile, errors = _parsed(profile_id)
    if profile is None:
        return _form(request.form, errors, known), 422
    kept, errors = forms.keep(store.render_profiles, profile, request.form)
    if kept is None:
        return _form(request.form, errors, store.render_profiles.find(profile_id)), 409
    return redirect(url_for("profiles.index"))


@pages.post("/<int:profile_id>/remove")
def remove(profile_id: int) -> AnyResponse | tuple[str, int]:
    """Take a profile away, unless a render job uses it."""
    store = services().store
    profile = store.render_profiles.get(profile_id)
    users = [job.name for job in store.render_jobs.all() if profile_id in job.profile_ids]
    if users:
        error = f"The render jobs {', '.join(users)} use this profile. Take it out of them first."
        return _form(profile_form.typed(profile, store.assets.all(), _units()), {"": error}, profile), 409
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
    """The ready-made layouts, as pictures, and the studio's own."""
    return _layouts_page("")


@pages.get("/layouts/<name>.json")
def layout_file(name: str) -> AnyResponse:
    """A layout as a file: to keep, or to change and upload under another name."""
    template = _layouts().get(name)
    if template is None:
        abort(404, "there is no layout of this name")
    text = json.dumps(template.model_dump(mode="json", exclude_defaults=True), indent=2, ensure_ascii=False)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}.json"}
    return Response(text, mimetype="application/json", headers=headers)


@pages.post("/layouts")
def add_layout() -> AnyResponse | tuple[str, int]:
    """Take a layout from a file; one of the same name that the studio made is replaced in what is rendered later."""
    store = services().store
    file = request.files.get("file")
    try:
        template = LayoutTemplate.model_validate_json(file.stream.read() if file else b"")
    except ValidationError as error:
        problems = problems_of(error)
        return _layouts_page("; ".join(f"{one['field'] or 'the file'}: {one['message']}" for one in problems[:3])), 422
    try:
        for text in [*(cell.caption for cell in template.cells), *(field.text for field in template.texts)]:
            check_fields(text)
    except SheetImpossible as error:
        return _layouts_page(f"{error}."), 422
    if template.name in READY_MADE:
        return _layouts_page(f"“{template.name}” is a ready-made layout: give yours another name."), 422
    with store.transaction():
        known = next((one for one in store.studio_layouts.all() if one.template.name == template.name), None)
        if known:
            store.studio_layouts.put(known.with_(template=template))
        else:
            store.studio_layouts.add(StudioLayout(template=template))
    return redirect(url_for("profiles.layouts"))


@pages.post("/layouts/<int:layout_id>/remove")
def remove_layout(layout_id: int) -> AnyResponse:
    """Take one of the studio's own off the list; profiles that have it keep it."""
    services().store.studio_layouts.remove(services().store.studio_layouts.get(layout_id).id)
    return redirect(url_for("profiles.layouts"))


def _layouts_page(error: str) -> str:
    own = services().store.studio_layouts.all()
    return render_template(
        "layouts.html", layouts=READY_MADE.values(), own=own, picture_of=picture_of, error=error, fields=FIELDS
    )


def _layouts(profile: RenderProfile | None = None) -> dict[str, LayoutTemplate]:
    """By name: the ready-made ones, the studio's own, and the one that a profile has already."""
    own = {one.template.name: one.template for one in services().store.studio_layouts.all()}
    kept = {profile.layout.name: profile.layout} if profile and profile.layout else {}
    return {**READY_MADE, **kept, **own}


def picture_of(layout: str) -> str:
    """The static file with the picture of a ready-made layout."""
    return f"layouts/{re.sub(r'[^a-z0-9]+', '-', layout.lower())}.jpg"


def _parsed(profile_id: int, name: str = "") -> tuple[RenderProfile | None, forms.Errors]:
    store = services().store
    known = store.render_profiles.find(profile_id) if profile_id else None
    form = request.form if request.form.get("name", "").strip() or not name else {**request.form, "name": name}
    return profile_form.parse(form, profile_id, _layouts(known), store.assets.all(), _units())


def _units() -> Units:
    return services().store.settings.units


def _form(form: Mapping[str, str], errors: forms.Errors, known: RenderProfile | None) -> str:
    store = services().store
    assets = store.assets.all()
    return render_template(
        "profile_form.html",
        form={**profile_form.typed(RenderProfile(name="-"), assets, _units()), "name": "", **form},
        errors=errors,
        known=known,
        choices={
            **profile_form.CHOICES,
            "colour_profile": profile_form.asset_choices(assets, AssetKind.COLOUR_PROFILE, "sRGB"),
            "overlay": profile_form.asset_choices(assets, AssetKind.OVERLAY, "None"),
            "layout": [("", "One picture on a sheet"), *((name, name) for name in _layouts(known))],
            "destination": [
                ("", "Do not print, only write files"),
                *((f"pool:{pool.id}", f"Pool {pool.name}") for pool in store.printer_pools.all()),
                *((f"printer:{printer.id}", f"Printer {printer.name}") for printer in store.printers.all()),
            ],
            "record": rehearsals.record_choices(),
        },
        fields=FIELDS,
    )
