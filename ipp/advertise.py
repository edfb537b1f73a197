"""Announcing the print queues with DNS-SD, as Bonjour Printing and IPP Everywhere (PWG 5100.14 §4.2) want it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence

import ifaddr
import structlog
from zeroconf import InterfaceChoice, IPVersion, NonUniqueNameException, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from ipp.queue_attributes import DPI, FORMATS
from store.queues import PrintQueue, QueueAccess
from store.tables import Store

log = structlog.get_logger("announce")

LOOK_EVERY_S = 5.0
SERVICES = ("_ipp._tcp.local.", "_ipps._tcp.local.")
SUBTYPES = ("_print", "_universal")


def addresses(interfaces: Sequence[str]) -> tuple[str, ...]:
    """The IPv4 addresses under which others find this box: those of the settings, or all that it has."""
    if interfaces:
        return tuple(interfaces)
    own = {ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str)}
    return tuple(sorted(one for one in own if not one.startswith("127."))) or ("127.0.0.1",)


def texts(queue: PrintQueue, address: str, panel_port: int, has_tls: bool) -> dict[str, str]:
    """The TXT record (Bonjour Printing 1.2.1 §9)."""
    needs_password = queue.access is QueueAccess.PASSWORD
    return {
        "txtvers": "1",
        "qtotal": "1",
        "rp": f"ipp/print/{queue.path}",
        "ty": "Printroom Print Queue",
        "product": "(Printroom Print Queue)",
        "adminurl": f"http://{address}:{panel_port}/",
        "note": queue.location,
        "priority": "10",
        "pdl": ",".join(FORMATS),
        "URF": f"V1.4,CP1,W8,SRGB24,ADOBERGB24,RS{DPI},PQ3-4-5,IS1,MT1-8-11",
        "UUID": queue.uuid,
        "Color": "T",
        "Duplex": "F",
        "Copies": "T",
        "Scan": "F",
        "Fax": "F",
        "kind": "document,photo",
        "PaperMax": "legal-A4",
        **({"TLS": "1.2"} if has_tls else {}),
        **({"air": "username,password"} if needs_password else {"air": "none"}),
    }


class Advertiser:
    """Keeps the announcements as the store and the network are."""

    def __init__(
        self, store: Store, port: int, interfaces: Sequence[str], panel_port: int, has_tls: bool = True
    ) -> None:
        self._store, self._port, self._interfaces = store, port, interfaces
        self._panel_port, self._has_tls = panel_port, has_tls

    async def run(self) -> None:
        """Announce for ever; ends by cancellation. Begins anew when the addresses of the box change."""
        while True:
            where = addresses(self._interfaces)
            networks = await self._networks(where)
            announced: dict[tuple[int, str], tuple[object, list[tuple[AsyncZeroconf, ServiceInfo]]]] = {}
            try:
                while addresses(self._interfaces) == where:
                    wanted = self._wanted(where)
                    for key in [key for key in announced if announced[key][0] != wanted.get(key)]:
                        for network, info in announced.pop(key)[1]:
                            await network.async_unregister_service(info)
                    for key, recipe in wanted.items():
                        if key not in announced:
                            announced[key] = (recipe, await self._register(networks, recipe))
                    await asyncio.sleep(LOOK_EVERY_S)
                log.info("queues.addresses_changed", before=where, now=addresses(self._interfaces))
            finally:
                for network in networks.values():
                    await network.async_unregister_all_services()
                    await network.async_close()

    async def _networks(self, where: Sequence[str]) -> dict[str, AsyncZeroconf]:
        """One for plain names and one for each subtype: zeroconf refuses a name twice in one instance."""
        chosen = list(where) if self._interfaces else InterfaceChoice.All
        kinds = ("", *SUBTYPES)
        return {kind: AsyncZeroconf(interfaces=chosen, ip_version=IPVersion.V4Only) for kind in kinds}

    def _wanted(self, where: Sequence[str]) -> dict[tuple[int, str], tuple[str, str, tuple[tuple[str, str], ...]]]:
        """By queue and service: (service, name, texts)."""
        found = {}
        for queue in self._store.print_queues.all():
            if queue.access is QueueAccess.OFF or queue.is_shut_down:
                continue
            told = texts(queue, where[0], self._panel_port, self._has_tls)
            for service in SERVICES if self._has_tls else SERVICES[:1]:
                if service == SERVICES[0] and queue.access is QueueAccess.PASSWORD and self._has_tls:
                    continue  # a password is not asked for in the clear
                found[queue.id, service] = (service, queue.name[:60], tuple(told.items()))
        return found

    async def _register(
        self, networks: Mapping[str, AsyncZeroconf], recipe: tuple[str, str, tuple[tuple[str, str], ...]]
    ) -> list[tuple[AsyncZeroconf, ServiceInfo]]:
        service, name, told = recipe
        done: list[tuple[AsyncZeroconf, ServiceInfo]] = []
        for kind, network in networks.items():
            info = self._info(f"{kind}._sub.{service}" if kind else service, service, name, dict(told))
            try:
                is_plain = not kind
                await network.async_register_service(
                    info, allow_name_change=is_plain, cooperating_responders=not is_plain
                )
            except NonUniqueNameException as error:
                log.warning("queue.name_taken", name=name, error=repr(error))
                continue
            done.append((network, info))
            name = info.name.removesuffix(f".{service}") if not kind else name  # it may have got a number
        log.info("queue.announced", name=name, service=service)
        return done

    def _info(self, kind: str, service: str, name: str, told: dict[str, str]) -> ServiceInfo:
        return ServiceInfo(
            kind,
            f"{name}.{service}",
            port=self._port,
            parsed_addresses=list(addresses(self._interfaces)),
            properties=told,
            server=f"{socket.gethostname().split('.')[0]}-printroom.local.",
        )
