"""Schema versions, and the ordered steps from each to the next.

The store copies its files aside before the first step and writes the result as a new generation, so an upgrade that
is cut off starts again from the files as they were. There is no way back but that copy: a newer schema is refused.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from store.database import Tables

log = structlog.get_logger("store")

SCHEMA = 2  # what this program writes

# From version N to N + 1; each changes the documents in place and may rely on all before it. Never edit one that was
# released: add the next.
STEPS: dict[int, Callable[[Tables], None]] = {1: lambda tables: _name_backgrounds(tables)}


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


def _name_backgrounds(tables: Tables) -> None:
    """A sheet's plan calls what lies under its pictures `background`; it was `border_colour`."""
    for sheet in tables.get("sheets", {}).values():
        if "border_colour" in sheet.get("plan", {}):
            sheet["plan"]["background"] = sheet["plan"].pop("border_colour")
