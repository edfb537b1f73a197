"""Folder and file names from templates such as "{kind}s/{number}/{image}_{size}".

A name made here cannot leave its folder: values lose everything that means something to a file system, and the
template's own parts may not be '..' or absolute.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping

from render.errors import SheetImpossible

FIELDS = {
    "kind": "session, invoice or order",
    "number": "the record's number",
    "client": "the client's name",
    "location": "the record's location",
    "image": "the picture's name without its ending",
    "item": "the ordered line's id",
    "product": "the ordered line's product",
    "size": "the trim size, such as 8x10",
    "quantity": "how many prints",
    "profile": "the render profile's name",
    "ticket": "the ticket's number",
    "sheet": "the sheet's number within the profile, 001 and so on",
    "date": "the day the ticket opened, YYYY-MM-DD",
}

# What Windows, macOS or Linux would not take in a name, and what upload services are known to stumble over.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*@#$&%{}]+')
_MAX_NAME_BYTES = 180
_RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)$", re.IGNORECASE)


def check_fields(template: str) -> None:
    """Refuse a template with fields that there are not.

    Raises:
        SheetImpossible: names the field that does not exist, and those that do.
    """
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise SheetImpossible(f"'{template}': {error}; fields are written {{number}}") from None
    for _, field, spec, conversion in parts:
        if field is not None and (field not in FIELDS or spec or conversion):
            raise SheetImpossible(f"'{template}': there is no field {{{field}}}; there are: {', '.join(FIELDS)}")


def check_template(template: str) -> None:
    """Refuse a folder or file-name template that could not be filled.

    Raises:
        SheetImpossible: names the field that does not exist, or says how it leaves the folder.
    """
    check_fields(template)
    if template.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", template):
        raise SheetImpossible(f"'{template}' leaves the output folder: write a folder below it, without '..'")


def fill(template: str, values: Mapping[str, str]) -> str:
    """A relative path ('/' between folders) from a template and values.

    >>> fill("{number}/{image}_{size}", {"number": "../77", "image": "a/b", "size": "8x10"})
    '_77/a_b_8x10'

    Raises:
        SheetImpossible: the template is wrong, or nothing is left of the name.
    """
    check_template(template)
    filled = template.format_map({field: _UNSAFE.sub("_", values.get(field, "")) for field in FIELDS})
    parts = [clean(part) for part in re.split(r"[/\\]+", filled)]
    path = "/".join(part for part in parts if part)
    if not path and template:
        raise SheetImpossible(f"'{template}' gave an empty name for this picture: add {{number}} or {{image}}")
    return path


def text(template: str, values: Mapping[str, str]) -> str:
    """A line of text for a sheet; nothing is taken out of the values but line breaks.

    >>> text("{client}: {image}", {"client": "Ann & Bo", "image": "0042"})
    'Ann & Bo: 0042'

    Raises:
        SheetImpossible: the template is wrong.
    """
    check_fields(template)
    filled = template.format_map({field: values.get(field, "") for field in FIELDS})
    return " ".join(filled.split())


def clean(name: str) -> str:
    """One folder or file name that every file system takes; empty when nothing is left."""
    name = re.sub(r"\s+", " ", _UNSAFE.sub("_", name)).strip(" .")
    name = name.encode()[:_MAX_NAME_BYTES].decode(errors="ignore").strip(" .")
    return f"_{name}" if _RESERVED.match(name) else name
