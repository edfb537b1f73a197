"""The layout editor's form: from what stands in it to the template and back. Lengths are in the studio's units.

Rows are numbered fields: `cells-0-left`, `texts-2-text`; a row counts when its number appears in any field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from store.profiles import Align, LayoutTemplate
from store.records import Asset
from store.settings import Units
from store.sizes import PrintSize
from web import forms
from web.units import read_length, read_size, typed_length, typed_size

BOX = ("left", "top", "width", "height")
# By kind of row: its fields beside the box, with what a new one begins with.
ROWS: dict[str, dict[str, str]] = {
    "cells": {"rotation_deg": "0", "border": "0", "border_colour": "#000000", "caption": "", "next_image": "on"},
    "texts": {
        "text": "{client}",
        "colour": "#000000",
        "align": Align.CENTRE.value,
        "bold": "",
        "rotation_deg": "0",
        "opacity_percent": "100",
    },
    "decorations": {"image": "", "is_behind": ""},
}
_TICKS = ("next_image", "bold", "is_behind")
_FIELD = re.compile(r"^(cells|texts|decorations)-(\d{1,4})-(\w+)$")
_WHOLE = ("name", "size", "fit", "background")


def numbers(form: Mapping[str, str], kind: str) -> list[int]:
    """The rows of a kind that a form has, in their order."""
    found = {int(match[2]) for name in form if (match := _FIELD.match(name)) and match[1] == kind}
    return sorted(found)


def rows_kept(form: Mapping[str, str]) -> dict[str, str]:
    """The form without the rows that are ticked to be removed."""
    gone = {f"{match[1]}-{match[2]}-" for name in form if (match := _FIELD.match(name)) and match[3] == "remove"}
    return {name: value for name, value in form.items() if not any(name.startswith(prefix) for prefix in gone)}


def with_row(form: dict[str, str], kind: str, units: Units) -> dict[str, str]:
    """The form with one row more, of a usual size in the upper left."""
    number = max(numbers(form, kind), default=-1) + 1
    inch = 25_400
    box = {"left": inch // 4, "top": inch // 4, "width": 2 * inch, "height": inch // 2 if kind == "texts" else 3 * inch}
    row = {**{side: typed_length(length_um, units) for side, length_um in box.items()}, **ROWS[kind]}
    return {
        **form,
        **{f"{kind}-{number}-{field}": value for field, value in row.items() if value or field == "caption"},
    }


def empty(units: Units) -> dict[str, str]:
    """A new layout: one cell on 8x10."""
    size = PrintSize(width_um=203_200, height_um=254_000)
    return with_row({"name": "", "size": typed_size(size, units), "fit": "fill", "turns": "on"}, "cells", units)


def typed(template: LayoutTemplate, units: Units) -> dict[str, str]:
    """A template as a person would have typed it."""
    form = {
        "name": template.name,
        "size": typed_size(template.size, units),
        "fit": template.fit.value,
        "background": template.background or "",
        "caption_height": typed_length(template.caption_um, units),
        **({"turns": "on"} if template.turns else {}),
        **({"crop_marks": "on"} if template.crop_marks else {}),
    }
    for kind, fields in ROWS.items():
        for number, row in enumerate(getattr(template, kind)):
            for side in BOX:
                form[f"{kind}-{number}-{side}"] = typed_length(getattr(row, f"{side}_um"), units)
            for field in fields:
                value = _row_value(row, field, units)
                if value or field not in _TICKS:
                    form[f"{kind}-{number}-{field}"] = value
    return form


def _row_value(row: Any, field: str, units: Units) -> str:
    if field == "border":
        return typed_length(row.border_um, units)
    if field == "image":
        return str(row.image.sha256)
    value = getattr(row, field)
    if isinstance(value, bool):
        return "on" if value else ""
    if isinstance(value, Align):
        return value.value
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def parse(form: Mapping[str, str], units: Units, assets: Sequence[Asset]) -> tuple[LayoutTemplate | None, forms.Errors]:
    """The template, or what is wrong, by field.

    Args:
        form: as posted.
        units: the studio's.
        assets: the studio's overlays among them may be decorations.
    """
    errors: forms.Errors = {}
    values: dict[str, Any] = {
        "name": form.get("name", ""),
        "fit": form.get("fit", ""),
        "turns": "turns" in form,
        "crop_marks": "crop_marks" in form,
        "background": form.get("background", "").strip() or None,
    }
    try:
        values["size"] = read_size(form.get("size", ""), units)
    except ValueError as error:
        errors["size"] = f"{error}."
    if form.get("caption_height", "").strip():
        values["caption_um"] = _length(form, "caption_height", units, errors)
    names = {asset.sha256: asset.name for asset in assets}
    for kind in ROWS:
        values[kind] = [_row(form, kind, number, units, errors, names) for number in numbers(form, kind)]
    if errors:
        return None, errors
    try:
        return LayoutTemplate.model_validate(values), {}
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            where, message = detail["loc"], detail["msg"].removeprefix("Value error, ")
            if len(where) > 2 and where[0] in ROWS:
                number = numbers(form, str(where[0]))[int(where[1])]
                field = f"{where[0]}-{number}-{str(where[2]).removesuffix('_um')}"
            else:
                field = str(where[0]) if where else ""
            errors.setdefault(field, f"{message[:1].upper()}{message[1:]}.")
        return None, errors


def _row(
    form: Mapping[str, str], kind: str, number: int, units: Units, errors: forms.Errors, images: Mapping[str, str]
) -> dict[str, Any]:
    row: dict[str, Any] = {f"{side}_um": _length(form, f"{kind}-{number}-{side}", units, errors) for side in BOX}
    for field, default in ROWS[kind].items():
        name = f"{kind}-{number}-{field}"
        text = form.get(name, "").strip()
        if field in _TICKS:
            row[field] = bool(text)
        elif field == "border":
            row["border_um"] = _length(form, name, units, errors) if text else 0
        elif field == "image":
            if text not in images:
                errors[name] = "Choose one of the studio’s overlays, or upload it there first."
            row["image"] = {"name": images.get(text, "-"), "sha256": text or "0" * 64}
        else:
            row[field] = text if text or field in ("caption", "text") else default
    return row


def _length(form: Mapping[str, str], name: str, units: Units, errors: forms.Errors) -> int:
    try:
        return read_length(form.get(name, ""), units)
    except ValueError as error:
        errors[name] = f"{str(error)[:1].upper()}{str(error)[1:]}."
        return 1


def drawing(form: Mapping[str, str], units: Units) -> dict[str, Any]:
    """What the drawing shows: the sheet's size and every row's box, in tenths of millimetres; of rows that cannot be
    read, nothing."""
    ignored: forms.Errors = {}
    try:
        size = read_size(form.get("size", ""), units)
    except ValueError:
        size = PrintSize(width_um=203_200, height_um=254_000)
    boxes = []
    for kind in ROWS:
        for number in numbers(form, kind):
            sides = [_length(form, f"{kind}-{number}-{side}", units, ignored) / 100 for side in BOX]
            text = form.get(f"{kind}-{number}-text", "")
            boxes.append({"kind": kind, "number": number, "box": sides, "text": text})
    return {"width": size.width_um / 100, "height": size.height_um / 100, "boxes": boxes}
