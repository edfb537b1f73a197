"""How things are shown to people."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask, g

from store.records import PrinterState
from store.sizes import PrintSize
from store.states import SheetState, TicketState
from web import forms, roles, services

# The tone (the style sheet's) in which each state is shown; a state that two machines share means the same in both.
TONES: dict[str, str] = {
    TicketState.WAITING: "quiet",
    TicketState.RENDERING: "busy",
    TicketState.RENDERED: "busy",
    TicketState.PRINTING: "busy",
    TicketState.HELD: "alarm",
    TicketState.FINISHED: "good",
    TicketState.FAILED: "bad",
    TicketState.CANCELED: "quiet",
    SheetState.PLANNED: "quiet",
    SheetState.DRAWN: "busy",
    SheetState.ASSIGNED: "busy",
    SheetState.PRINTED: "good",
    SheetState.UNSURE: "alarm",
    PrinterState.IDLE: "good",
    PrinterState.PROCESSING: "busy",
    PrinterState.STOPPED: "alarm",
    PrinterState.UNREACHABLE: "bad",
    PrinterState.UNKNOWN: "quiet",
}


def tone(state: TicketState | SheetState | PrinterState) -> str:
    """The tone in which a state is shown."""
    return TONES[state]


def ago(moment: datetime) -> str:
    """How long ago, as people say it."""
    seconds = max(0, (datetime.now(UTC) - moment).total_seconds())
    if seconds < 60:
        return f"{seconds:.0f} s ago"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min ago"
    if seconds < 86_400:
        return f"{seconds / 3600:.0f} h ago"
    return local(moment)


def local(moment: datetime) -> str:
    """A time in the box's time zone."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def upright(size: PrintSize) -> PrintSize:
    """Paper as people name it: the short side first."""
    return size.turned() if size.width_um > size.height_um else size


def install(app: Flask) -> None:
    """Make these known to the templates."""
    app.jinja_env.filters.update(tone=tone, ago=ago, local=local, upright=upright, seen=forms.seen)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    @app.context_processor
    def common() -> dict[str, object]:
        person = getattr(g, "person", None)

        def may_look(endpoint: str) -> bool:
            return person is not None and roles.may(person.role, endpoint, changes=False)

        return {"person": person, "version": services().version, "may_look": may_look}
