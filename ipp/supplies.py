"""What a printer has left, and whether it is enough for what waits. Pure.

Sources: printer-supply and printer-supply-description (PWG 5100.13 §5.6), printer-input-tray (§5.6.20).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ipp.codec import Content
from store.records import PrinterStatus, Supply

LOW_PERCENT = 10
_SHEET_UNITS = ("impressions", "sheets")
_FIELD = re.compile(r"(\w+)=([^;]*)")


def supplies_of(values: Sequence[Content], descriptions: Sequence[str]) -> tuple[Supply, ...]:
    """The supplies in printer-supply's values; what cannot be read is left out.

    >>> supplies_of([b"type=ribbon;class=supplyThatIsConsumed;unit=impressions;maxcapacity=400;level=38;"], ["Ribbon"])
    (Supply(name='Ribbon', percent=10, sheets_left=38),)
    """
    found: list[Supply] = []
    for position, value in enumerate(values):
        fields = _fields(value)
        if fields.get("class", "supplyThatIsConsumed") != "supplyThatIsConsumed":
            continue  # a waste tank fills: it says nothing of how many sheets are left
        level, most = _number(fields.get("level", "")), _number(fields.get("maxcapacity", ""))
        name = descriptions[position] if position < len(descriptions) else fields.get("type", "supply")
        in_sheets = fields.get("unit", "") in _SHEET_UNITS
        found.append(
            Supply(
                name=name,
                percent=round(100 * level / most) if level is not None and most else None,
                sheets_left=level if in_sheets else None,
            )
        )
    return tuple(found)


def forecast(
    needed: Mapping[int, int], statuses: Mapping[int, PrinterStatus], names: Mapping[int, str]
) -> Iterable[str]:
    """Sentences about what runs out before the work is done.

    Args:
        needed: by printer: copies that it will print, of what is in hand and what waits.
        statuses: by printer.
        names: of the printers.
    """
    for printer_id, copies in needed.items():
        status = statuses.get(printer_id)
        for supply in status.supplies if status else ():
            name = f"{names.get(printer_id, 'a printer')}: {supply.name}"
            if supply.sheets_left is not None and supply.sheets_left < copies:
                yield f"{name} ends in {supply.sheets_left} sheets, and {copies} wait: have a new one ready"
            elif supply.sheets_left is None and supply.percent is not None and copies and supply.percent <= LOW_PERCENT:
                yield f"{name} is at {supply.percent} %, and {copies} sheets wait: have a new one ready"


def _fields(value: Content) -> dict[str, str]:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return {name.lower(): content for name, content in _FIELD.findall(text)}


def _number(text: str) -> int | None:
    """A level; negative ones are RFC 3805's "unknown" and "some"."""
    return int(text) if text.isdecimal() else None
