"""Render profiles: how prints are produced."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from render.errors import SheetImpossible
from render.names import FIELDS, check_template
from render.ready_made import READY_MADE
from store.profiles import Fit, LayoutTemplate, OutputFormat, RenderProfile, Selection, Sharpening, Sizing
from store.pushed import Colorization
from web import forms, services

pages = Blueprint("profiles", __name__, url_prefix="/profiles")

# What people read for each value, in the order in which they are offered.
_CHOICES = {
    "selection": [
        (Selection.ITEMS.value, "Ordered items"),
        (Selection.ALL_IMAGES.value, "All images of the record"),
    ],
    "sizing": [
        (Sizing.PRINT.value, "A print size"),
        (Sizing.LONGEST_EDGE.value, "A longest edge in pixels, for screens"),
        (Sizing.ORIGINAL.value, "As many pixels as the picture has"),
    ],
    "fit": [
        (Fit.FILL.value, "Fill the print, cutting away what is too much"),
        (Fit.FIT.value, "Show all of it, with borders"),
    ],
    "output_format": [
        (OutputFormat.JPEG.value, "JPEG"),
        (OutputFormat.TIFF.value, "TIFF"),
        (OutputFormat.PNG.value, "PNG"),
    ],
    "colorization": [
        ("", "As ordered"),
        (Colorization.COLOUR.value, "Colour"),
        (Colorization.BLACK_AND_WHITE.value, "Black & white"),
        (Colorization.SEPIA.value, "Sepia"),
        (Colorization.TINT.value, "A tint of its own"),
    ],
}


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
        return _form(_typed(known) if known else {}, {}, known)
    profile, errors = _from_form(request.form, profile_id)
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
        return _form(_typed(profile), {"": error}, profile), 409
    store.render_profiles.remove(profile_id)
    return redirect(url_for("profiles.index"))


def _from_form(form: Mapping[str, str], profile_id: int) -> tuple[RenderProfile | None, forms.Errors]:
    errors: forms.Errors = {}
    destination, _, number = form.get("destination", "").partition(":")
    values: dict[str, Any] = {
        "id": profile_id,
        "name": form.get("name", ""),
        "selection": form.get("selection", ""),
        "size": form.get("size", "").strip() or None,
        "dpi": form.get("dpi", ""),
        "jpeg_quality": form.get("jpeg_quality", "") or 95,
        "folder": form.get("folder", "").strip(),
        "file_name": form.get("file_name", "").strip(),
        "pool_id": forms.number_or_none(number) if destination == "pool" else None,
        "printer_id": forms.number_or_none(number) if destination == "printer" else None,
        "media_type": form.get("media_type", "").strip(),
        "sizing": form.get("sizing") or Sizing.PRINT,
        "longest_edge_px": form.get("longest_edge_px") or 1200,
        "layout": _layout(form.get("layout", ""), profile_id),
        "fit": form.get("fit") or Fit.FILL,
        "border_colour": form.get("border_colour") or "#ffffff",
        "output_format": form.get("output_format") or OutputFormat.JPEG,
        "colorization": form.get("colorization") or None,
        "tint": form.get("tint") or "#b09070",
        "sharpening": {
            name: form.get(f"sharpening_{name}") or default.default for name, default in Sharpening.model_fields.items()
        },
    }
    try:
        values["bleed_um"] = int(Decimal(form.get("bleed_mm", "").replace(",", ".") or "0") * 1000)
    except (InvalidOperation, ValueError):
        errors["bleed_um"] = "Write the bleed in millimetres, such as 3 or 3.175."
    for field in ("folder", "file_name"):
        try:
            check_template(values[field])
        except SheetImpossible as error:
            errors[field] = f"{error}."
    profile, found = forms.build(RenderProfile, values)
    errors = {**found, **errors}
    return (None if errors else profile), errors


def _layout(name: str, profile_id: int) -> LayoutTemplate | None:
    """The ready-made template of that name, or the one that the profile has already."""
    known = services().store.render_profiles.find(profile_id) if profile_id else None
    if known is not None and known.layout is not None and known.layout.name == name:
        return known.layout
    return READY_MADE.get(name)


def _typed(profile: RenderProfile) -> dict[str, str]:
    """A profile as a person would have typed it."""
    destination = f"pool:{profile.pool_id}" if profile.pool_id else f"printer:{profile.printer_id}"
    return {
        "name": profile.name,
        "selection": profile.selection.value,
        "size": str(profile.size) if profile.size else "",
        "dpi": str(profile.dpi),
        "bleed_mm": f"{profile.bleed_um / 1000:g}",
        "jpeg_quality": str(profile.jpeg_quality),
        "folder": profile.folder,
        "file_name": profile.file_name,
        "destination": destination if profile.prints else "",
        "media_type": profile.media_type,
        "sizing": profile.sizing.value,
        "longest_edge_px": str(profile.longest_edge_px),
        "layout": profile.layout.name if profile.layout else "",
        "fit": profile.fit.value,
        "border_colour": profile.border_colour,
        "output_format": profile.output_format.value,
        "colorization": profile.colorization.value if profile.colorization else "",
        "tint": profile.tint,
        **{f"sharpening_{name}": f"{value:g}" for name, value in profile.sharpening},
    }


def _form(form: Mapping[str, str], errors: forms.Errors, known: RenderProfile | None) -> str:
    store = services().store
    defaults = RenderProfile(name="-")
    return render_template(
        "profile_form.html",
        form={**_typed(defaults), "name": "", **form},
        errors=errors,
        known=known,
        choices=_CHOICES,
        layouts=["", *dict.fromkeys([*READY_MADE, *([known.layout.name] if known and known.layout else [])])],
        pools=store.printer_pools.all(),
        printers=store.printers.all(),
        fields=FIELDS,
    )
