"""The one asyncio loop, in one thread, in which everything of ipp/ lives; and the door to it for other threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import structlog
import uvloop

from ipp.access import Access
from ipp.browse import Browser, keep_found
from ipp.client import Connection, Description, session
from ipp.codec import Message
from ipp.errors import PrinterError
from ipp.front_end import FrontEnd, FrontEndSettings
from ipp.local_printers import LocalPrinters
from ipp.sender import Sender
from ipp.sheet_documents import Convert
from ipp.watch import Watch
from store.pulse import LoopState, Pulse
from store.records import Printer
from store.tables import Store

log = structlog.get_logger("ipp")

R = TypeVar("R")
STEADY_AFTER_S = 5.0  # a part that has run for so long since its start works


class IppRoom:
    """Discovery, supervision and sending, running until stopped."""

    def __init__(
        self,
        store: Store,
        interfaces: Sequence[str] = (),
        discovers: bool = True,
        unreachable_limit: timedelta = timedelta(hours=4),
        convert: Convert | None = None,
        front_end: FrontEndSettings | None = None,
        local_printers: Path | None = None,
    ) -> None:
        """
        Args:
            store: the open store.
            interfaces: IP addresses of the interfaces on which printers are looked for; empty for all.
            discovers: whether to look for printers at all.
            unreachable_limit: see Sender.
            convert: see Sender.
            front_end: how other computers reach the print queues; None: not at all.
            local_printers: the file that lists those on USB; None: there is none.
        """
        self._convert, self._local_printers = convert, local_printers
        self._store, self._interfaces, self._discovers = store, interfaces, discovers
        self._unreachable_limit = unreachable_limit
        self._front_end = FrontEnd(store, front_end, self._identify_quietly) if front_end else None
        self._loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._stopping = asyncio.Event()
        self._pulses: list[Pulse] = []
        self._watch: Watch
        self._thread = threading.Thread(target=self._run, name="ipp", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End everything and wait for it. Print jobs under way are found again by the ledger."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def states(self) -> list[LoopState]:
        """How each of its parts is."""
        return [pulse.state(self.is_alive) for pulse in self._pulses]

    def describe(self, uri: str, access: Access | None = None) -> Description:
        """Ask the printer at a URI what it is; for any thread.

        Raises:
            PrinterError: it does not answer, or is not a printer.
        """
        return self._call(_describe(uri, access))

    def everything(self, printer: Printer) -> Message:
        """All that a printer says of itself; for any thread.

        Raises:
            PrinterError: it does not answer.
        """
        return self._call(_everything(printer))

    def identify(self, printer: Printer) -> None:
        """Let a printer show which one it is; for any thread.

        Raises:
            PrinterError: it does not answer, or cannot.
        """
        self._call(_identify(printer))

    def _identify_quietly(self, printer: Printer) -> None:
        try:
            self.identify(printer)
        except (PrinterError, TimeoutError) as error:
            log.info("printer.not_identified", name=printer.name, error=str(error))

    @property
    def front_end_port(self) -> int:
        """The port on which the front end listens; 0 where there is none."""
        return self._front_end.port if self._front_end else 0

    @property
    def local_name(self) -> str:
        """The name below .local that this box has on the network; '' where it has none."""
        return self._front_end.local_name if self._front_end else ""

    def _call(self, coroutine: Coroutine[Any, Any, R]) -> R:
        if not self.is_alive:
            coroutine.close()
            raise PrinterError("printing is off: the box is in safe mode")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=60)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._live())
        finally:
            self._loop.close()

    async def _live(self) -> None:
        http = session()
        watch = self._watch = Watch(self._store, http)
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "Printer watch": watch.run,
            "Printing": Sender(self._store, http, watch, self._unreachable_limit, self._convert).run,
        }
        if self._front_end is not None:
            parts["Print queue port"] = self._front_end.run
        if self._discovers:
            parts["Printer search"] = Browser(
                self._interfaces, lambda found: keep_found(self._store, found, watch.compare)
            ).run
        if self._local_printers is not None:
            parts["USB printers"] = LocalPrinters(
                self._local_printers, lambda found: keep_found(self._store, found)
            ).run
        tasks = [asyncio.create_task(self._keep_alive(name, part)) for name, part in parts.items()]
        await self._stopping.wait()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in {*tasks, *others}:
            task.cancel()
        await asyncio.gather(*tasks, *others, return_exceptions=True)
        await http.close()
        await asyncio.get_running_loop().shutdown_default_executor()

    async def _keep_alive(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        """A part that fails is logged, told and begun again: a fault in discovery must not stop printing."""
        pulse = Pulse(name, self._store.clock.monotonic)
        self._pulses.append(pulse)
        while True:
            recovery = asyncio.get_running_loop().call_later(STEADY_AFTER_S, pulse.recovered)
            try:
                await part()
            except Exception as error:
                wait_s = pulse.failed(error)
                log.exception("loop.failed", loop=name, error=repr(error), again_in_s=wait_s)
                await asyncio.sleep(wait_s)
            finally:
                recovery.cancel()


async def _identify(printer: Printer) -> None:
    async with Connection(printer.uri, Access.of(printer)) as client:
        await client.identify()


async def _everything(printer: Printer) -> Message:
    async with Connection(printer.uri, Access.of(printer)) as client:
        return await client.everything()


async def _describe(uri: str, access: Access | None) -> Description:
    async with Connection(uri, access) as client:
        return await client.describe()
