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
    record = services().store.records.get(int(record_id)).pushed() if record_id.isdecimal() else None
    return services().rehearser.rehearse(record, profiles, previews)


def as_json(rehearsal: Rehearsal) -> dict[str, Any]:
    """Sheets with previews as data URLs, paper by size, and failures."""
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
    }
