"""Layouts: several pictures on one sheet. The ready-made ones, the studio's own, and the editor for these."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request, url_for
from pydantic import ValidationError
from werkzeug.wrappers import Response as AnyResponse

from render.errors import SheetImpossible
from render.names import FIELDS, check_fields
from render.ready_made import READY_MADE
from store.profiles import Align, Fit, LayoutTemplate, RenderProfile, Selection, StudioLayout
from store.records import AssetKind
from web import forms, layout_form, rehearsals, services
from web.errors import problems_of

pages = Blueprint("layouts", __name__, url_prefix="/layouts")


def known_layouts(profile: RenderProfile | None = None) -> dict[str, LayoutTemplate]:
    """By name: the ready-made ones, the studio's own, and the one that a profile has already."""
    own = {one.template.name: one.template for one in services().store.studio_layouts.all()}
    kept = {profile.layout.name: profile.layout} if profile and profile.layout else {}
    return {**READY_MADE, **kept, **own}


@pages.get("/")
def index() -> str:
    """The ready-made layouts, as pictures, and the studio's own."""
    return _page("")


@pages.get("/<name>.json")
def file(name: str) -> AnyResponse:
    """A layout as a file, for another box."""
    template = known_layouts().get(name)
    if template is None:
        abort(404, "there is no layout of this name")
    text = json.dumps(template.model_dump(mode="json", exclude_defaults=True), indent=2, ensure_ascii=False)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}.json"}
    return Response(text, mimetype="application/json", headers=headers)


@pages.post("/")
def upload() -> AnyResponse | tuple[str, int]:
    """Take a layout from a file; one of the same name that the studio made is replaced in what is rendered later."""
    file = request.files.get("file")
    try:
        template = LayoutTemplate.model_validate_json(file.stream.read() if file else b"")
    except ValidationError as error:
        problems = problems_of(error)
        return _page("; ".join(f"{one['field'] or 'the file'}: {one['message']}" for one in problems[:3])), 422
    problem = _problem(template)
    if problem:
        return _page(problem), 422
    store = services().store
    with store.transaction():
        known = next((one for one in store.studio_layouts.all() if one.template.name == template.name), None)
        if known:
            store.studio_layouts.put(known.with_(template=template))
        else:
            store.studio_layouts.add(StudioLayout(template=template))
    return redirect(url_for("layouts.index"))


@pages.route("/new", methods=["GET", "POST"], defaults={"layout_id": 0})
@pages.route("/<int:layout_id>", methods=["GET", "POST"])
def edit(layout_id: int) -> str | AnyResponse | tuple[str, int]:
    """The editor. Without JavaScript it is a form of numbers whose buttons add rows and show the sheet."""
    store = services().store
    units = store.settings.units
    known = store.studio_layouts.get(layout_id) if layout_id else None
    if request.method == "GET":
        begin = known.template if known else known_layouts().get(request.args.get("like", ""))
        form = layout_form.typed(begin, units) if begin else layout_form.empty(units)
        if begin and not known:
            form["name"] = _free_name(begin.name)
        return _editor(form, {}, known)
    form = layout_form.rows_kept(request.form)
    what = request.form.get("what", "save")
    if what in layout_form.ROWS:
        return _editor(layout_form.with_row(form, what, units), {}, known)
    template, errors = _parsed(form, known)
    if template is None or errors:
        return _editor(form, errors, known), 422
    if what == "preview":
        sheet, problems = _preview(template)
        return _editor(form, problems, known, sheet)
    kept, errors = forms.keep(store.studio_layouts, StudioLayout(id=layout_id, template=template), request.form)
    if kept is None:
        return _editor(form, errors, store.studio_layouts.find(layout_id)), 409
    return redirect(url_for("layouts.index"))


@pages.post("/preview")
def preview() -> AnyResponse | tuple[AnyResponse, int]:
    """The sheet of what stands in the editor, with sample photos; for the editor's script."""
    known = services().store.studio_layouts.find(forms.number_or_none(request.form.get("layout_id", "")) or 0)
    form = layout_form.rows_kept(request.form)
    form["name"] = form.get("name", "").strip() or "New layout"  # it is shown before it has one
    template, errors = _parsed(form, known)
    if template is None or errors:
        return jsonify(errors=errors), 422
    sheet, problems = _preview(template)
    return jsonify(preview=sheet, errors=problems)


@pages.post("/<int:layout_id>/remove")
def remove(layout_id: int) -> AnyResponse:
    """Take one of the studio's own off the list; profiles that have it keep it."""
    services().store.studio_layouts.remove(services().store.studio_layouts.get(layout_id).id)
    return redirect(url_for("layouts.index"))


def picture_of(layout: str) -> str:
    """The static file with the picture of a ready-made layout."""
    return f"layouts/{re.sub(r'[^a-z0-9]+', '-', layout.lower())}.jpg"


def _parsed(form: Mapping[str, str], known: StudioLayout | None) -> tuple[LayoutTemplate | None, forms.Errors]:
    store = services().store
    template, errors = layout_form.parse(form, store.settings.units, store.assets.all())
    if template is not None:
        if problem := _problem(template):
            errors["" if "field" in problem else "name"] = problem
        others = [one for one in store.studio_layouts.all() if known is None or one.id != known.id]
        if any(one.template.name == template.name for one in others):
            errors["name"] = "Another layout of yours has this name: choose one of its own."
    return template, errors


def _problem(template: LayoutTemplate) -> str:
    """Why a layout cannot be taken, beyond its numbers; '' when it can."""
    try:
        for text in [*(cell.caption for cell in template.cells), *(field.text for field in template.texts)]:
            check_fields(text)
    except SheetImpossible as error:
        return f"{error}."
    if template.name in READY_MADE:
        return f"“{template.name}” is a ready-made layout: give yours another name."
    return ""


def _free_name(name: str) -> str:
    taken, number = set(known_layouts()), 1
    while (candidate := f"{name} (own{f' {number}' if number > 1 else ''})") in taken:
        number += 1
    return candidate


def _preview(template: LayoutTemplate) -> tuple[str, forms.Errors]:
    """The first sheet as a data URL, '' where there is none, and then why."""
    profile = RenderProfile(name="-", selection=Selection.ALL_IMAGES, layout=template)
    answer = rehearsals.as_json(rehearsals.of_record("", [profile], previews=1))
    problems = answer["problems"] + answer["undrawable"]
    sheet = str(answer["sheets"][0]["preview"]) if answer["sheets"] else ""
    return sheet, {} if sheet or not problems else {"": f"{problems[0]}."}


def _editor(form: dict[str, str], errors: forms.Errors, known: StudioLayout | None, preview: str = "") -> str:
    store = services().store
    return render_template(
        "layout_editor.html",
        form=form,
        errors=errors,
        known=known,
        drawing=layout_form.drawing(form, store.settings.units),
        rows={kind: layout_form.numbers(form, kind) for kind in layout_form.ROWS},
        fits=[(Fit.FILL.value, "Fill the cell, cutting away what is too much"), (Fit.FIT.value, "Show all of it")],
        aligns=[(one.value, one.value.capitalize()) for one in Align],
        overlays=[(asset.sha256, asset.name) for asset in store.assets.all() if asset.kind is AssetKind.OVERLAY],
        fields=FIELDS,
        preview=preview,
    )


def _page(error: str) -> str:
    own: list[Any] = services().store.studio_layouts.all()
    profiles = services().store.render_profiles.all()
    users = {one.id: [p.name for p in profiles if p.layout and p.layout.name == one.template.name] for one in own}
    return render_template(
        "layouts.html", layouts=READY_MADE.values(), own=own, users=users, picture_of=picture_of, error=error
    )
