"""Rehearsals for the panel: which record, and what people and scripts read of the outcome."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from render.rehearse import PREVIEWS, Rehearsal
from store.profiles import RenderProfile
from store.pushed import RecordKind
from store.sizes import parse_size
from web import services
from web.units import shown_size

RECENT = 50
NAMED = 3  # things that have the same reason


def record_choices() -> list[tuple[str, str]]:
    """The records that came last, the studio's own before sample photos."""
    newest = [record for record in services().store.records.newest(RECENT) if record.kind is not RecordKind.TEST_PAGE]
    return [
        *((str(record.id), f"{record.kind.value} {record.number} {record.client_name}") for record in newest),
        ("", "Sample photos"),
    ]


def of_record(record_id: str, profiles: Sequence[RenderProfile], previews: int = PREVIEWS) -> Rehearsal:
    """Rehearse a record, or with an empty id the sample.

    Raises:
        NotFound: there is no such record.
    """
    store = services().store
    record = store.records.get(int(record_id)).pushed() if record_id.isdecimal() else None
    return services().rehearser.rehearse(record, profiles, store.local(store.clock.now()), previews)


def as_json(rehearsal: Rehearsal) -> dict[str, Any]:
    """Sheets with previews as data URLs, paper by size, and what cannot be made and why: also in lines to read."""
    units = services().store.settings.units

    def shown(size: str) -> str:
        return shown_size(parse_size(size), units)

    return {
        "sheets": [
            {
                **sheet.model_dump(mode="json", exclude={"preview"}),
                "size": shown(sheet.size),
                "preview": f"data:image/jpeg;base64,{base64.b64encode(sheet.preview).decode()}"
                if sheet.preview
                else "",
            }
            for sheet in rehearsal.sheets
        ],
        "paper": {shown(size): count for size, count in rehearsal.paper.items()},
        "failures": [failure.model_dump(mode="json") for failure in rehearsal.failures],
        "problems": _told([(one.reason, one.image or one.profile) for one in rehearsal.failures]),
        "undrawable": _told([(one.problem, one.file) for one in rehearsal.sheets if one.problem]),
    }


def _told(problems: Sequence[tuple[str, str]]) -> list[str]:
    """Each reason once, behind the names of what has it."""
    named: dict[str, dict[str, None]] = {}
    for reason, name in problems:
        named.setdefault(reason, {})[name] = None
    return [_line(list(filter(None, names)), reason) for reason, names in named.items()]


def _line(names: list[str], reason: str) -> str:
    if not names or (len(names) == 1 and reason.startswith(names[0])):
        return reason  # which begins with the only name
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}: {reason}"
