"""Supervision: one poller per printer; everybody else reads what it wrote into the store."""

from __future__ import annotations

import asyncio
from datetime import datetime

import aiohttp
import structlog

from ipp.access import Access, fingerprint_of
from ipp.client import PrinterClient
from ipp.codec import Group
from ipp.devices import Signature, are_two, other_device, signature
from ipp.errors import PrinterError, PrinterUnreachable, PrinterWantsTls
from ipp.shuns import Shuns
from store import states
from store.errors import StoreUnavailable
from store.records import OtherDevice, Printer, PrinterState, PrinterStatus
from store.tables import Store

log = structlog.get_logger("printers")

BUSY_EVERY_S = 2.0  # while it has our print jobs
IDLE_EVERY_S = 10.0  # gentle enough for a printer that wants to sleep
GONE_EVERY_S = 4.0
COMPARE_EVERY_S = 60.0  # two addresses of one UUID
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
        self._signatures: dict[int, Signature] = {}
        self._comparing: dict[tuple[int, str], asyncio.Future[None]] = {}
        self._compared_s: dict[tuple[int, str], float] = {}

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
        """Ask once and keep the answer; what one printer raises stays with it."""
        try:
            await self._poll(printer)
        except StoreUnavailable:  # it is asked again
            log.warning("printer.not_kept", id=printer.id, name=printer.name)
        except Exception as error:
            log.exception("printer.surprise", id=printer.id, name=printer.name, error=repr(error))
            self._note_failure(printer, PrinterError(f"its answer is not understood ({error!r})"))

    async def _poll(self, printer: Printer) -> None:
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
        is_it = current.is_known_by_address or not current.uuid or description.uuid in ("", current.uuid)
        stranger = None if is_it else other_device(description, printer.uri)
        uuid = description.uuid or current.uuid if is_it else current.uuid
        if (current.uuid, current.stranger) != (uuid, stranger):
            current = current.with_(uuid=uuid, stranger=stranger)
            self._store.printers.put(current)
        if stranger is not None:
            text = f"another device answers at its address ({stranger.name}): say on its page whether it took its place"
            self._keep(printer, _unreachable(text, self._store.clock.now()))
            return
        self._signatures[printer.id] = signature(description, self._store.clock.monotonic())
        self._look_for_twins(current)
        self._descriptions[printer.id] = description.attributes
        self._keep(printer, description.status)

    # -- devices and addresses ------------------------------------------------------------------------------------

    def _look_for_twins(self, printer: Printer) -> None:
        """Two entries with one UUID are one device that is entered twice, or two devices: that is not the same."""
        mine = self._signatures[printer.id]
        for other in self._store.printers.by("uuid", printer.uuid) if printer.uuid else ():
            theirs = self._signatures.get(other.id)
            is_apart = printer.is_known_by_address or other.is_known_by_address or other.uri in printer.one_device_at
            if other.id == printer.id or is_apart or theirs is None or other.uri == printer.uri:
                continue
            if are_two(mine, theirs):
                device = OtherDevice(uri=other.uri, uuid=other.uuid, name=other.name)
                self._keep_twin(printer, device)

    def compare(self, printer: Printer, uri: str) -> None:
        """A printer was announced at another address, and answers at its own: it moved, or it is not alone."""
        key = (printer.id, uri)
        running = self._comparing.get(key)
        if uri in printer.one_device_at or (running is not None and not running.done()):
            return
        if self._store.clock.monotonic() - self._compared_s.get(key, -COMPARE_EVERY_S) < COMPARE_EVERY_S:
            return
        self._compared_s[key] = self._store.clock.monotonic()
        self._comparing[key] = asyncio.ensure_future(self._compare(printer, uri))

    async def _compare(self, printer: Printer, uri: str) -> None:
        now = self._store.clock.now()
        try:
            here = await PrinterClient(printer.uri, self._http, Access.of(printer)).describe(now)
        except PrinterError:
            here = None
        if here is None or here.uuid != printer.uuid:
            with self._store.transaction():
                known = self._store.printers.find(printer.id)
                if known is not None and known.uri == printer.uri:
                    self._store.printers.put(known.with_(uri=uri, stranger=None))
                    log.info("printer.moved", id=printer.id, name=printer.name, **{"from": printer.uri}, to=uri)
            return
        mine = signature(here, self._store.clock.monotonic())
        try:
            there = await PrinterClient(uri, self._http, Access()).describe(now)
        except PrinterError:
            return
        if there.uuid == printer.uuid and are_two(mine, signature(there, self._store.clock.monotonic())):
            self._keep_twin(printer, other_device(there, uri))

    def _keep_twin(self, printer: Printer, twin: OtherDevice) -> None:
        with self._store.transaction():
            known = self._store.printers.find(printer.id)
            if known is not None and known.twin is None and not known.is_known_by_address:
                self._store.printers.put(known.with_(twin=twin))
                log.warning("printer.twin", id=printer.id, name=printer.name, at=twin.uri)

    # -- asking ---------------------------------------------------------------------------------------------------

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
