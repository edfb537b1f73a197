"""Finding printers with DNS-SD. What is found is kept by UUID; an address that changes is followed.

A goodbye or an expired record is no news here: sleeping printers say goodbye too. Whether a printer is there is
what its poller finds out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from zeroconf import InterfaceChoice, IPVersion, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from store.records import Printer, PrinterState
from store.tables import Store

log = structlog.get_logger("discovery")

SERVICE = "_ipp._tcp.local."
RESOLVE_LIMIT_MS = 3_000


@dataclass(frozen=True)
class Found:
    """A printer as DNS-SD announces it."""

    name: str
    uuid: str  # lower case, without urn:uuid:
    uri: str


class Browser:
    """Watches the network for printers and reports each, again whenever something about it changes."""

    def __init__(self, interfaces: Sequence[str], report: Callable[[Found], None]) -> None:
        """
        Args:
            interfaces: IP addresses of the interfaces to listen on; empty for all.
            report: called on the event loop; must be quick and take repetitions.
        """
        self._interfaces, self._report = list(interfaces), report
        self._resolving: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Browse for ever; ends by cancellation."""
        network = AsyncZeroconf(interfaces=self._interfaces or InterfaceChoice.All, ip_version=IPVersion.V4Only)
        browser = AsyncServiceBrowser(network.zeroconf, [SERVICE], handlers=[self._on_change])
        try:
            await asyncio.Event().wait()
        finally:
            await browser.async_cancel()
            await network.async_close()

    def _on_change(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is ServiceStateChange.Removed:
            log.info("printer.goodbye", name=name)
            return
        task = asyncio.ensure_future(self._resolve(zeroconf, service_type, name))
        self._resolving.add(task)
        task.add_done_callback(self._resolving.discard)

    async def _resolve(self, zeroconf: Zeroconf, service_type: str, name: str) -> None:
        info = AsyncServiceInfo(service_type, name)
        if not await info.async_request(zeroconf, RESOLVE_LIMIT_MS):
            return
        found = found_in(info)
        if found is not None:
            self._report(found)


def found_in(info: AsyncServiceInfo) -> Found | None:
    """The printer in a DNS-SD answer; None where it lacks an address or a UUID to know it by."""
    texts = {
        key.decode("utf-8", "replace").lower(): (value or b"").decode("utf-8", "replace")
        for key, value in info.properties.items()
    }
    addresses = info.parsed_addresses(IPVersion.V4Only)
    uuid = texts.get("uuid", "").removeprefix("urn:uuid:").lower()
    if not addresses or not uuid or not info.port:
        return None
    path = texts.get("rp", "ipp/print").lstrip("/")
    name = info.name.removesuffix(f".{info.type}")
    # While a printer moves, the old address stays listed behind the new one for a moment.
    return Found(name=name, uuid=uuid, uri=f"ipp://{addresses[0]}:{info.port}/{path}")


def keep_found(store: Store, found: Found, compare: Callable[[Printer, str], None] | None = None) -> None:
    """Put a found printer into the store: a new one as it is, a known one with its new address.

    Args:
        store: the open store.
        found: the printer.
        compare: is given a known printer that still answers elsewhere, and the address at which it was found.
    """
    if any(queue.uuid == found.uuid for queue in store.print_queues.all()):
        return  # one of the box's own print queues: it must not print to itself
    with store.transaction():
        # An entry that has not answered yet is known by its address alone.
        known = [one for one in store.printers.all() if _is_known_as(one, found)]
        if not known:
            added = store.printers.add(Printer(name=found.name, uuid=found.uuid, uri=found.uri))
            log.info("printer.found", id=added.id, name=found.name, uri=found.uri)
        for printer in known:
            # One that wanted TLS is spoken to that way wherever it is.
            uri = found.uri.replace("ipp:", "ipps:", 1) if printer.uri.startswith("ipps:") else found.uri
            moved = printer.uri != uri and not printer.added_by_hand and not printer.is_known_by_address
            if moved and compare is not None and _answers(store, printer):
                compare(printer, uri)
                continue
            if moved or not printer.uuid:
                store.printers.put(printer.with_(uuid=found.uuid, uri=uri if moved else printer.uri))
            if moved:
                log.info("printer.moved", id=printer.id, name=printer.name, **{"from": printer.uri}, to=uri)


def _is_known_as(printer: Printer, found: Found) -> bool:
    is_by_uuid = bool(printer.uuid) and not printer.is_known_by_address
    return printer.uuid == found.uuid if is_by_uuid else _is_at(printer, found)


def _answers(store: Store, printer: Printer) -> bool:
    """Whether a printer answered at its own address when it was last asked."""
    status = store.printer_status.find(printer.id)
    return status is not None and status.state is not PrinterState.UNREACHABLE


def _is_at(printer: Printer, found: Found) -> bool:
    """Whether both are one address; over ipp or ipps, it is the same printer."""
    return printer.uri.partition("://")[2] == found.uri.partition("://")[2]
