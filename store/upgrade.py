"""Schema versions, and the ordered steps from each to the next.

The store copies its files aside before the first step and writes the result as a new generation, so an upgrade that
is cut off starts again from the files as they were. There is no way back but that copy: a newer schema is refused.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from store.database import Document, Tables

log = structlog.get_logger("store")

SCHEMA = 2  # what this program writes

# From version N to N + 1; each changes the documents in place and may rely on all before it. Never edit one that was
# released: add the next.
STEPS: dict[int, Callable[[Tables], None]] = {1: lambda tables: _second_schema(tables)}


def upgrade(
    found: int, tables: Tables, steps: dict[int, Callable[[Tables], None]] | None = None, to: int = SCHEMA
) -> None:
    """Bring tables of an older schema to this one, step by step.

    Raises:
        KeyError: a step is missing, which is a fault of this program.
    """
    for version in range(found, to):
        (STEPS if steps is None else steps)[version](tables)
        log.info("store.upgrade_step", before=version, after=version + 1)


def _second_schema(tables: Tables) -> None:
    """A sheet's plan calls what lies under its pictures `background`; it was `border_colour`. A sheet knows whether it
    is printed, and how many copies have been."""
    for sheet in tables.get("sheets", {}).values():
        frozen = tables.get("instructions", {}).get(sheet.get("ticket_id", 0), {})
        profiles: dict[int, Document] = {profile.get("id", 0): profile for profile in frozen.get("profiles", ())}
        profile = profiles.get(sheet.get("profile_id", 0), {})
        if profile.get("pool_id") is not None or profile.get("printer_id") is not None:
            sheet["prints"] = True
            if sheet.get("state") == "printed":
                sheet["copies_done"] = sheet["quantity"]
        if "border_colour" in sheet.get("plan", {}):
            sheet["plan"]["background"] = sheet["plan"].pop("border_colour")
