"""How things are shown to people."""

from __future__ import annotations

from datetime import datetime

from flask import Flask, g, request

from store.records import PrinterState
from store.sizes import PrintSize
from store.states import SheetState, TicketState
from web import forms, now, roles, services, units
from web.help import page_for
from web.settings import ROOMS

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
    SheetState.CANCELED: "quiet",
    PrinterState.IDLE: "good",
    PrinterState.PROCESSING: "busy",
    PrinterState.STOPPED: "alarm",
    PrinterState.UNREACHABLE: "bad",
    PrinterState.UNKNOWN: "quiet",
}

# Parts of the panel that are reached from the page Settings.
UNDER_SETTINGS = frozenset(endpoint.split(".")[0] for endpoint, _, _ in ROOMS)


def tone(state: TicketState | SheetState | PrinterState) -> str:
    """The tone in which a state is shown."""
    return TONES[state]


def ago(moment: datetime) -> str:
    """How long ago, as people say it."""
    seconds = max(0, (now() - moment).total_seconds())
    if seconds < 60:
        return f"{seconds:.0f} s ago"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min ago"
    if seconds < 86_400:
        return f"{seconds / 3600:.0f} h ago"
    return local(moment)


def duration(seconds: float) -> str:
    """A length of time, about.

    >>> [duration(seconds) for seconds in (4, 70, 4000)]
    ['1 min', '2 min', '1 h 7 min']
    """
    minutes = max(1, -(-int(seconds) // 60))
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def local(moment: datetime) -> str:
    """A time in the box's time zone."""
    return services().store.local(moment).strftime("%Y-%m-%d %H:%M:%S")


def size(value: PrintSize) -> str:
    """A size in the studio's units."""
    return units.shown_size(value, services().store.settings.units)


def length(value_um: int) -> str:
    """A short length in the studio's units."""
    studios = services().store.settings.units
    return f"{units.typed_length(value_um, studios)} {units.unit_of_lengths(studios)}"


def add(app: Flask) -> None:
    """Make these known to the templates, of any application over them."""
    filters = (tone, ago, duration, local, size)
    app.jinja_env.filters.update({one.__name__: one for one in filters}, length_um=length, seen=forms.seen)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True


def install(app: Flask) -> None:
    """Make these, and what every page shows, known to the panel's templates."""
    add(app)

    @app.context_processor
    def common() -> dict[str, object]:
        person = getattr(g, "person", None)

        def may_look(endpoint: str) -> bool:
            return person is not None and roles.may(person.role, endpoint, changes=False)

        settings = services().store.settings
        return {
            "person": person,
            "version": services().version,
            "may_look": may_look,
            "studio": settings,
            "unit": units.unit_of_lengths(settings.units),
            "help_page": page_for(request.endpoint or ""),
            "under_settings": UNDER_SETTINGS,
            "is_safe": services().is_safe,
            "is_tried": services().store.is_on_trial,
        }
