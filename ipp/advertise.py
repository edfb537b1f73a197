"""Announcing the box to desktop clients, and its print queues to computers, with DNS-SD (RFC 6763).

Print queues as Bonjour Printing and IPP Everywhere (PWG 5100.14 §4.2) want it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
BOX_SERVICE = "_printroom._tcp.local."


@dataclass(frozen=True)
class Recipe:
    """What is announced of one service."""

    service: str
    name: str
    port: int
    texts: tuple[tuple[str, str], ...]
    subtypes: tuple[str, ...] = ()


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
        self,
        store: Store,
        port: int,
        interfaces: Sequence[str],
        panel_port: int,
        has_tls: bool = True,
        fingerprint: str = "",
    ) -> None:
        """
        Args:
            store: the open store.
            port: of the print queues.
            interfaces: IP addresses on which to announce; empty for all.
            panel_port: of the panel and the sync API.
            has_tls: whether the print queues speak TLS.
            fingerprint: of the box's certificate; by it desktop clients know the box again.
        """
        self._store, self._port, self._interfaces = store, port, interfaces
        self._panel_port, self._has_tls, self._fingerprint = panel_port, has_tls, fingerprint

    async def run(self) -> None:
        """Announce for ever; ends by cancellation. Begins anew when the addresses of the box change."""
        while True:
            where = addresses(self._interfaces)
            networks = await self._networks(where)
            announced: dict[tuple[int, str], tuple[Recipe, list[tuple[AsyncZeroconf, ServiceInfo]]]] = {}
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

    def _wanted(self, where: Sequence[str]) -> dict[tuple[int, str], Recipe]:
        """By queue (0: the box itself) and service."""
        host = socket.gethostname().split(".")[0]
        about = (("txtvers", "1"), ("path", "/sync/v1"), ("fp", self._fingerprint))
        found = {(0, BOX_SERVICE): Recipe(BOX_SERVICE, f"Printroom {host}"[:60], self._panel_port, about)}
        for queue in self._store.print_queues.all():
            if queue.access is QueueAccess.OFF or queue.is_shut_down:
                continue
            told = texts(queue, where[0], self._panel_port, self._has_tls)
            for service in SERVICES if self._has_tls else SERVICES[:1]:
                if service == SERVICES[0] and queue.access is QueueAccess.PASSWORD and self._has_tls:
                    continue  # a password is not asked for in the clear
                found[queue.id, service] = Recipe(service, queue.name[:60], self._port, tuple(told.items()), SUBTYPES)
        return found

    async def _register(
        self, networks: Mapping[str, AsyncZeroconf], recipe: Recipe
    ) -> list[tuple[AsyncZeroconf, ServiceInfo]]:
        service, name = recipe.service, recipe.name
        done: list[tuple[AsyncZeroconf, ServiceInfo]] = []
        for kind in ("", *recipe.subtypes):
            network = networks[kind]
            info = self._info(f"{kind}._sub.{service}" if kind else service, name, recipe)
            try:
                is_plain = not kind
                await network.async_register_service(
                    info, allow_name_change=is_plain, cooperating_responders=not is_plain
                )
            except NonUniqueNameException as error:
                log.warning("announce.name_taken", name=name, error=repr(error))
                continue
            done.append((network, info))
            name = info.name.removesuffix(f".{service}") if not kind else name  # it may have got a number
        log.info("announced", name=name, service=service)
        return done

    def _info(self, kind: str, name: str, recipe: Recipe) -> ServiceInfo:
        return ServiceInfo(
            kind,
            f"{name}.{recipe.service}",
            port=recipe.port,
            parsed_addresses=list(addresses(self._interfaces)),
            properties=dict(recipe.texts),
            server=f"{socket.gethostname().split('.')[0]}-printroom.local.",
        )
