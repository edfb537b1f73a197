"""Schema versions, and the ordered steps from each to the next.

The store copies its files aside before the first step and writes the result as a new generation, so an upgrade that
is cut off starts again from the files as they were. A newer schema is refused;
the way back is `step_back`, by the newer program, before an older one starts.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from store.database import Document, Tables
from store.errors import StoreError

log = structlog.get_logger("store")

SCHEMA = 3  # what this program writes
FIRST_WITH_ENDS = 3  # the first whose files say where they end (store/journal)

# From version N to N + 1; each changes the documents in place and may rely on all before it. Never edit one that was
# released: add the next.
STEPS: dict[int, Callable[[Tables], None]] = {
    1: lambda tables: _second_schema(tables),
    2: lambda tables: _third_schema(tables),
}


# The same ways back, from version N + 1 to N: so that a studio that does not like a new version loses nothing that came
# in meanwhile. A step that cannot be taken back has none, and the panel says so before the update.
BACK: dict[int, Callable[[Tables], None]] = {
    1: lambda tables: _first_schema(tables),
    2: lambda tables: _second_schema_again(tables),
}


def step_back(found: int, to: int, tables: Tables) -> None:
    """Bring tables to an older schema, in place.

    Raises:
        StoreError: one of the steps has no way back.
    """
    for version in range(found - 1, to - 1, -1):
        if version not in BACK:
            raise StoreError(
                f"what schema {version + 1} keeps cannot be kept in schema {version}: there is no way back"
            )
        BACK[version](tables)
        log.info("store.step_back", before=version + 1, after=version)


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


def _first_schema(tables: Tables) -> None:
    """What the second schema added is left out; what it renamed has its old name."""
    for sheet in tables.get("sheets", {}).values():
        for name in ("prints", "copies_done"):
            sheet.pop(name, None)
        if "background" in sheet.get("plan", {}):
            sheet["plan"]["border_colour"] = sheet["plan"].pop("background")


_CANCELED = "canceled in the panel"  # as the second schema said it
_NEW_IN_3 = {
    "tickets": ("fault",),
    "instructions": ("orphans",),
    "print_jobs": ("withdrawal", "identity", "is_acknowledged", "stuck", "is_orphaned"),
    "changes": ("reason",),
    "printers": ("is_known_by_address", "stranger", "twin", "one_device_at"),
    "alerts": ("began_s", "told_by"),
}


def _third_schema(tables: Tables) -> None:
    """A sheet that a person canceled is canceled, and not failed. Alerts know by which ways they were told."""
    for alert in tables.get("alerts", {}).values():
        if alert.get("sent_at"):
            alert["told_by"] = ["webhook", "mail"]
    for sheet in tables.get("sheets", {}).values():
        if sheet.get("state") == "failed" and sheet.get("reason") == _CANCELED:
            sheet["state"] = "canceled"


def _second_schema_again(tables: Tables) -> None:
    """Desktops of then know no changes of tickets that did not end; what was canceled, failed."""
    for table, names in _NEW_IN_3.items():
        for document in tables.get(table, {}).values():
            for name in names:
                document.pop(name, None)
    for table in ("clock_marks", "archived_months", "hot_folder_notices"):
        tables.pop(table, None)
    for sheet in tables.get("sheets", {}).values():
        if sheet.get("state") == "canceled":
            sheet["state"] = "failed"
    for ticket in tables.get("tickets", {}).values():
        _without_canceled(ticket)
    changes = tables.get("changes", {})
    for number in [number for number, change in changes.items() if change.get("outcome") in ("canceled", "held")]:
        del changes[number]
    for change in changes.values():
        _without_canceled(change)


def _without_canceled(document: Document) -> None:
    for result in document.get("results", ()):
        if result.get("outcome") == "canceled":
            result["outcome"] = "failed"
