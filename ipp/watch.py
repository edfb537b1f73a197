"""Supervision: one poller per printer; everybody else reads what it wrote into the store."""

from __future__ import annotations

import asyncio
from datetime import datetime

import aiohttp
import structlog

from ipp.access import Access, fingerprint_of
from ipp.client import PrinterClient
from ipp.codec import Group
from ipp.errors import PrinterError, PrinterUnreachable, PrinterWantsTls
from ipp.shuns import Shuns
from store import states
from store.records import Printer, PrinterState, PrinterStatus
from store.tables import Store

log = structlog.get_logger("printers")

BUSY_EVERY_S = 2.0  # while it has our print jobs
IDLE_EVERY_S = 10.0  # gentle enough for a printer that wants to sleep
GONE_EVERY_S = 4.0
SILENT_POLLS = 2  # a link that breaks once is not a printer that is gone


class Watch:
    """Asks every printer how it is, and keeps its full description for those who send to it."""

    def __init__(self, store: Store, http: aiohttp.ClientSession) -> None:
        self._store, self._http = store, http
        self._descriptions: dict[int, Group] = {}
        self._due: dict[int, float] = {}
        self._asked_at: dict[int, str] = {}  # the URI of the last poll: a printer that moved is asked at once
        self._polling: dict[int, asyncio.Task[None]] = {}
        self._silent: dict[int, int] = {}
        self.shuns = Shuns(store.clock.monotonic)

    async def run(self) -> None:
        """Poll for ever; ends by cancellation."""
        clock = asyncio.get_running_loop().time
        while True:
            printers = {printer.id: printer for printer in self._store.printers.all() if printer.uri}
            for gone in self._due.keys() - printers.keys():
                del self._due[gone]
            for printer in printers.values():
                task = self._polling.get(printer.id)
                has_moved = self._asked_at.get(printer.id) != printer.uri
                if (task is None or task.done()) and (has_moved or clock() >= self._due.get(printer.id, 0)):
                    self._asked_at[printer.id] = printer.uri
                    self._due[printer.id] = clock() + self._interval_s(printer)
                    self._polling[printer.id] = asyncio.create_task(self.poll(printer))
            await asyncio.sleep(0.2)

    def soon(self, printer_id: int) -> None:
        """Ask this printer again at the next opportunity."""
        self._due[printer_id] = 0

    def _interval_s(self, printer: Printer) -> float:
        status = self._store.printer_status.find(printer.id)
        if status is None or status.state is PrinterState.UNREACHABLE:
            return GONE_EVERY_S
        has_work = any(
            self._store.print_jobs.by("printer_state", (printer.id, state.value)) for state in states.OPEN_PRINT_JOBS
        )
        return BUSY_EVERY_S if has_work or status.state is not PrinterState.IDLE else IDLE_EVERY_S

    async def poll(self, printer: Printer) -> None:
        """Ask once and keep the answer."""
        try:
            if printer.uri.startswith("ipps:") and not printer.fingerprint:
                printer = await self._pinned(printer)
            description = await PrinterClient(printer.uri, self._http, Access.of(printer)).describe(
                self._store.clock.now()
            )
        except PrinterWantsTls:
            with self._store.transaction():
                known = self._store.printers.get(printer.id)
                self._store.printers.put(known.with_(uri=known.uri.replace("ipp:", "ipps:", 1)))
            log.info("printer.wants_tls", id=printer.id, name=printer.name)
            return  # its address changed, so it is asked again at once
        except PrinterError as error:
            self._note_failure(printer, error)
            return
        self._silent[printer.id] = 0
        current = self._store.printers.find(printer.id)
        if current is None or current.uri != printer.uri:
            return  # changed while we asked
        if current.uuid and description.uuid and current.uuid != description.uuid:
            text = f"another printer answers at {printer.uri}: correct the address, or remove this entry"
            self._keep(printer, _unreachable(text, self._store.clock.now()))
            return
        if not current.uuid and description.uuid:
            self._store.printers.put(current.with_(uuid=description.uuid))
        self._descriptions[printer.id] = description.attributes
        self._keep(printer, description.status)

    async def _pinned(self, printer: Printer) -> Printer:
        """Trust on first use: the certificate that it shows now is the one that it must show from now on."""
        fingerprint = await fingerprint_of(printer.uri)
        with self._store.transaction():
            current = self._store.printers.get(printer.id).with_(fingerprint=fingerprint)
            self._store.printers.put(current)
        log.info("printer.pinned", id=printer.id, name=printer.name, fingerprint=fingerprint)
        return current

    async def description(self, printer: Printer) -> Group:
        """What a printer last said of itself, asking it when it never did.

        Raises:
            PrinterError: it does not answer.
        """
        if printer.id not in self._descriptions:
            answer = await PrinterClient(printer.uri, self._http, Access.of(printer)).describe(self._store.clock.now())
            self._descriptions[printer.id] = answer.attributes
        return self._descriptions[printer.id]

    def note_unreachable(self, printer: Printer, error: PrinterUnreachable) -> None:
        """Take over what a sender found out, without waiting for the next poll."""
        self._keep(printer, _unreachable(str(error), self._store.clock.now()))
        self._due[printer.id] = asyncio.get_running_loop().time() + GONE_EVERY_S

    def _note_failure(self, printer: Printer, error: PrinterError) -> None:
        self._silent[printer.id] = self._silent.get(printer.id, 0) + 1
        if isinstance(error, PrinterUnreachable) or self._silent[printer.id] >= SILENT_POLLS:
            self._keep(printer, _unreachable(str(error), self._store.clock.now()))
        else:
            self.soon(printer.id)

    def _keep(self, printer: Printer, status: PrinterStatus) -> None:
        """Write a status when it says something new; `since` tells how long it has been so."""
        old = self._store.printer_status.find(printer.id)
        new = status.with_(id=printer.id)
        if old is not None and old.with_(since=new.since) == new:
            return
        if old is not None and old.state is new.state:
            new = new.with_(since=old.since)
        self._store.printer_status.put(new)
        if old is None or (old.state, old.media_ready) != (new.state, new.media_ready):
            self.shuns.forget(printer.id)  # what it refused, it may take now
        if old is None or (old.state, old.state_reasons) != (new.state, new.state_reasons):
            reasons = ",".join(new.state_reasons) or "none"
            log.info("printer.state", id=printer.id, name=printer.name, state=new.state.value, reasons=reasons)


def _unreachable(message: str, now: datetime) -> PrinterStatus:
    return PrinterStatus(state=PrinterState.UNREACHABLE, message=message, since=now)
