"""Drawn sheets on their way to the output folder, and into the store as drawn."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime

import structlog

from render.care import Care
from render.output import Drawing, Publication, Publisher
from store import progress
from store.profiles import IfExists
from store.reach import OutOfReach
from store.records import Sheet
from store.states import SheetState, TicketState
from store.tables import Store

log = structlog.get_logger("render")


class Publishing:
    """What is drawn, and not yet where it belongs."""

    def __init__(self, store: Store, care: Care) -> None:
        """
        Args:
            store: the open store.
            care: of the tickets.
        """
        self._store, self._care = store, care
        self._publisher = Publisher(store.reach, store.folder.output)
        self._publications: list[Publication] = []
        self._has_resumed = False

    @property
    def sheet_ids(self) -> set[int]:
        """The sheets that are on their way."""
        return {drawing.sheet_id for publication in self._publications for drawing in publication.drawings}

    @property
    def futures(self) -> list[Future[None]]:
        """Whose end is news."""
        return [publication.future for publication in self._publications]

    def begin(self, ticket_id: int, drawn: Sequence[tuple[Sheet, tuple[int, int]]]) -> None:
        """Begin to put drawn sheets of a ticket, with their sizes in pixels, where they belong.

        Raises:
            OutOfReach: the output folder does not answer.
        """
        drawings = tuple(
            Drawing(
                sheet.id,
                self._store.folder.sheet(sheet.id),
                sheet.plan["file"],
                IfExists(sheet.plan.get("if_exists", IfExists.NUMBER)),
                size_px,
                sheet.file,
            )
            for sheet, size_px in drawn
        )
        publication = Publication(ticket_id, drawings)
        self._publisher.begin(publication)
        self._publications.append(publication)

    def step(self, now: datetime) -> bool:
        """Take them a step further; returns whether there was anything to do."""
        if not self._has_resumed:
            self._resume()
        self._tell_of_silence(now)
        done = [publication for publication in self._publications if publication.future.done()]
        for publication in done:
            self._publications.remove(publication)
            with self._care.of(publication.ticket_id, now):
                try:
                    self._go_on(publication, now)
                except BaseException:
                    if not publication.is_placing:
                        self._publisher.end(publication)
                    raise
        return bool(done)

    def forget(self) -> None:
        """Begin anew from what the store says."""
        for publication in self._publications:
            self._publisher.end(publication)
        self._publications.clear()
        self._has_resumed = False

    def _resume(self) -> None:
        """Names that were chosen before a crash are taken."""
        rendering = self._store.tickets.by("state", TicketState.RENDERING.value)
        planned = [self._store.sheets.by("ticket_state", (one.id, SheetState.PLANNED.value)) for one in rendering]
        self._publisher.take(sheet.file for sheets in planned for sheet in sheets if sheet.file)
        self._has_resumed = True

    def _tell_of_silence(self, now: datetime) -> None:
        """Where the folder does not answer, what is under way there goes on when it does."""
        output = self._store.folder.output
        if self._publications and self._store.reach.is_silent(output):
            for ticket_id in {publication.ticket_id for publication in self._publications}:
                if self._care.patience.may(ticket_id):
                    with self._care.of(ticket_id, now):
                        raise OutOfReach(output)

    def _go_on(self, publication: Publication, now: datetime) -> None:
        publication.future.result()
        if not publication.is_placing:
            self._reserve(publication)
        if any(not drawing.is_placed and not drawing.error for drawing in publication.drawings):
            self._publisher.begin(publication)
            self._publications.append(publication)
        else:
            self._record(publication, now)

    def _reserve(self, publication: Publication) -> None:
        """Write the names down before the files appear."""
        with self._store.transaction():
            for drawing in publication.drawings:
                sheet = self._store.sheets.get(drawing.sheet_id)
                if drawing.file and sheet.state is SheetState.PLANNED:
                    width_px, height_px = drawing.size_px
                    self._store.sheets.put(sheet.with_(file=drawing.file, width_px=width_px, height_px=height_px))

    def _record(self, publication: Publication, now: datetime) -> None:
        ticket_id = publication.ticket_id
        with self._store.transaction():
            for drawing in publication.drawings:
                sheet = self._store.sheets.get(drawing.sheet_id)
                if sheet.state is not SheetState.PLANNED:
                    continue  # canceled meanwhile
                if drawing.error is not None:
                    progress.move_sheet(self._store, sheet, "fail", reason=str(drawing.error), file="")
                else:
                    progress.move_sheet(self._store, sheet, "draw")
            self._care.explain(ticket_id, "")
            move_on(self._store, ticket_id, now)
        self._publisher.end(publication)
        self._care.patience.forget(ticket_id)


def record_failure(store: Store, ticket_id: int, sheets: Sequence[Sheet], reason: str, now: datetime) -> None:
    """Sheets cannot be drawn."""
    with store.transaction():
        for known in sheets:
            sheet = store.sheets.get(known.id)
            if sheet.state is SheetState.PLANNED:
                progress.move_sheet(store, sheet, "fail", reason=reason)
        move_on(store, ticket_id, now)
    log.warning("sheets.failed", ticket=ticket_id, sheets=len(sheets), reason=reason)


def move_on(store: Store, ticket_id: int, now: datetime) -> bool:
    """Let a ticket go on of which nothing is left to be drawn; returns whether it did."""
    with store.transaction():
        ticket = store.tickets.get(ticket_id)
        planned = store.sheets.count("ticket_state", (ticket_id, SheetState.PLANNED.value))
        if planned or ticket.state is not TicketState.RENDERING:
            return False
        progress.move_ticket(store, ticket, "drawn", now)
        progress.review_ticket(store, ticket_id, now)
        return True
