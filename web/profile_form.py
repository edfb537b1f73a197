"""The form of a render profile: from what a person typed to the model and back. Lengths and sizes are typed in the
studio's units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from render.errors import SheetImpossible
from render.names import check_fields, check_template
from store.profiles import (
    AssetRef,
    Chroma,
    Fit,
    IfExists,
    Intent,
    LayoutTemplate,
    LowResolution,
    OutputColour,
    OutputFormat,
    PrintQuality,
    RenderProfile,
    Selection,
    Sharpening,
    Sizing,
    Untagged,
    Watermark,
)
from store.pushed import Colorization
from store.records import Asset, AssetKind
from store.settings import Units
from store.sizes import PrintSize
from web import forms
from web.units import read_length, read_size, read_sizes, typed_length, typed_size

Choices = list[tuple[str, str]]


def _named(kind: type[StrEnum], **texts: str) -> Choices:
    """Every value of an enum with what people read for it; its own words where nothing else is said."""
    return [(member.value, texts.get(member.name, member.value[:1].upper() + member.value[1:])) for member in kind]


_YES_NO: Choices = [("yes", "Yes"), ("no", "No")]
CHOICES: dict[str, Choices] = {
    "selection": _named(Selection, ITEMS="Ordered items", ALL_IMAGES="All images of the record"),
    "sizing": _named(
        Sizing,
        PRINT="A print size",
        LONGEST_EDGE="A longest edge in pixels, for screens",
        ORIGINAL="As many pixels as the picture has",
    ),
    "fit": _named(
        Fit,
        FILL="Fill the print, cutting away what is too much",
        FIT="Show all of it, with borders",
        EXACT="The studio’s crop exactly; refuse one of another shape",
    ),
    "auto_rotate": [
        ("yes", "Turn the print to the way of the picture"),
        ("no", "Keep the print as its size is written"),
    ],
    "low_resolution": _named(LowResolution, WARN="Say so on the ticket", HOLD="Hold the print until a person decides"),
    "output_format": _named(OutputFormat, JPEG="JPEG", TIFF="TIFF", PNG="PNG"),
    "chroma": _named(Chroma, FULL="4:4:4, for prints", HALF="4:2:2", QUARTER="4:2:0, smallest files"),
    "if_exists": _named(
        IfExists,
        NUMBER="Keep both: the new one gets a number",
        REPLACE="Replace the old one",
        FAIL="Touch nothing: the item fails",
    ),
    "print_quality": _named(PrintQuality),
    "colorization": [("", "As ordered"), *_named(Colorization, TINT="A tint of its own")],
    "colour_intent": _named(Intent),
    "colour_untagged": _named(
        Untagged, SRGB="Take it for sRGB", ADOBE_RGB="Take it for Adobe RGB", REFUSE="Refuse it: the item fails"
    ),
    **dict.fromkeys(("colour_black_point_compensation", "colour_embed", "crop_marks"), _YES_NO),
    **dict.fromkeys(("header_sheet", "separator_sheets"), _YES_NO),
}
_LENGTHS = {"bleed_um": "bleed", "gang_gap_um": "gang_gap"}
_SIZES = ("size", "gang_paper", "paper")
_PARTS: dict[str, type[BaseModel]] = {"colour": OutputColour, "sharpening": Sharpening, "watermark": Watermark}
_OF_THEIR_OWN = {"id", "layout", "overlay", "pool_id", "printer_id", "only_sizes", "only_products"}
_TEMPLATES = {
    "folder": check_template,
    "file_name": check_template,
    "slug": check_fields,
    "watermark_text": check_fields,
}


def parse(
    form: Mapping[str, str],
    profile_id: int,
    layouts: Mapping[str, LayoutTemplate],
    assets: Sequence[Asset],
    units: Units = Units.INCHES,
) -> tuple[RenderProfile | None, forms.Errors]:
    """A profile from a form, or what is wrong, by field. What the form lacks is as in a new profile.

    Args:
        form: as posted.
        profile_id: of the profile that is changed, or 0.
        layouts: by name, those that may be chosen.
        assets: the studio's colour profiles and overlays.
        units: the studio's.
    """
    errors: forms.Errors = {}
    destination, _, number = form.get("destination", "").partition(":")
    values: dict[str, Any] = {
        "id": profile_id,
        "layout": layouts.get(form.get("layout", "")),
        "overlay": _asset(form.get("overlay", ""), assets),
        "pool_id": forms.number_or_none(number) if destination == "pool" else None,
        "printer_id": forms.number_or_none(number) if destination == "printer" else None,
        "only_products": tuple(part.strip() for part in form.get("only_products", "").split(",") if part.strip()),
        **_plain(RenderProfile, form, "", errors, units),
    }
    try:
        values["only_sizes"] = read_sizes(form.get("only_sizes", ""), units)
    except ValueError as error:
        errors["only_sizes"] = f"{error}."
    for part, model in _PARTS.items():
        values[part] = _plain(model, form, f"{part}_", errors, units)
    values["colour"]["profile"] = _asset(form.get("colour_profile", ""), assets)
    for field, check in _TEMPLATES.items():
        try:
            check(form.get(field, "").strip())
        except SheetImpossible as error:
            errors[field] = f"{error}."
    profile, found = forms.build(RenderProfile, values)
    errors = {**found, **errors}
    return (None if errors else profile), errors


def check_profile(profile: RenderProfile) -> None:
    """Refuse names and texts with fields that there are not.

    Raises:
        SheetImpossible: names the field.
    """
    for check, text in (
        (check_template, profile.folder),
        (check_template, profile.file_name),
        (check_fields, profile.slug),
        (check_fields, profile.watermark.text),
        *((check_fields, cell.caption) for cell in (profile.layout.cells if profile.layout else ())),
        *((check_fields, field.text) for field in (profile.layout.texts if profile.layout else ())),
    ):
        check(text)


def typed(profile: RenderProfile, assets: Sequence[Asset], units: Units = Units.INCHES) -> dict[str, str]:
    """A profile as a person would have typed it."""
    destination = f"pool:{profile.pool_id}" if profile.pool_id else f"printer:{profile.printer_id}"
    form = {
        "layout": profile.layout.name if profile.layout else "",
        "overlay": _asset_id(profile.overlay, assets),
        "destination": destination if profile.prints else "",
        "only_sizes": ", ".join(typed_size(size, units) for size in profile.only_sizes),
        "only_products": ", ".join(profile.only_products),
        "colour_profile": _asset_id(profile.colour.profile, assets),
    }
    for prefix, model in (("", profile), *((f"{part}_", getattr(profile, part)) for part in _PARTS)):
        for field, value in model:
            if prefix or (field not in _OF_THEIR_OWN and field not in _PARTS):
                form.setdefault(_LENGTHS.get(field, prefix + field), _text(field, value, units))
    return form


def _plain(
    model: type[BaseModel], form: Mapping[str, str], prefix: str, errors: forms.Errors, units: Units
) -> dict[str, Any]:
    """The fields of a model that are one input each."""
    values: dict[str, Any] = {}
    for field, info in model.model_fields.items():
        if not prefix and (field in _OF_THEIR_OWN or field in _PARTS):
            continue
        text = form.get(_LENGTHS.get(field, prefix + field), "").strip()
        if field in _LENGTHS:
            try:
                values[field] = read_length(text, units) if text else info.default
            except ValueError as error:
                errors[field] = f"{str(error).capitalize()}."
        elif text and not prefix and field in _SIZES:
            try:
                values[field] = read_size(text, units)
            except ValueError as error:
                errors[field] = f"{error}."
        elif text:
            values[field] = text == "yes" if isinstance(info.default, bool) else text
        elif field == "folder" and field in form:
            values[field] = ""  # the output folder itself
        elif info.is_required():
            values[field] = text
    return values


def _text(field: str, value: Any, units: Units) -> str:
    if value is None:
        return ""
    if field in _LENGTHS:
        return typed_length(value, units)
    if isinstance(value, PrintSize):
        return typed_size(value, units)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, StrEnum):
        return value.value
    return f"{value:g}" if isinstance(value, float) else str(value)


def _asset(text: str, assets: Sequence[Asset]) -> AssetRef | None:
    found = next((asset for asset in assets if str(asset.id) == text), None)
    return AssetRef(name=found.name, sha256=found.sha256) if found else None


def _asset_id(reference: AssetRef | None, assets: Sequence[Asset]) -> str:
    found = next((asset for asset in assets if reference and asset.sha256 == reference.sha256), None)
    return str(found.id) if found else ""


def asset_choices(assets: Sequence[Asset], kind: AssetKind, none: str) -> Choices:
    """What a person can choose among, with a word for none of them."""
    return [("", none), *((str(asset.id), asset.name) for asset in assets if asset.kind is kind)]
