"""Announcing the box to desktop clients, and its print queues to computers, with DNS-SD (RFC 6763).

Print queues as Bonjour Printing and IPP Everywhere (PWG 5100.14 §4.2) want it.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

import ifaddr
import structlog
from zeroconf import (  # type: ignore[attr-defined]  # AddressResolverIPv4 is public, and missing in __all__
    AddressResolverIPv4,
    DNSOutgoing,
    DNSQuestion,
    InterfaceChoice,
    IPVersion,
    NonUniqueNameException,
    ServiceInfo,
)
from zeroconf.asyncio import AsyncZeroconf

from ipp.box_names import box_names
from ipp.queue_attributes import DPI, FORMATS
from store.queues import PrintQueue, QueueAccess
from store.tables import Store

log = structlog.get_logger("announce")

LOOK_EVERY_S = 5.0
ASK_EVERY_S = 60.0  # whether somebody else has the name of this box
SERVICES = ("_ipp._tcp.local.", "_ipps._tcp.local.")
SUBTYPES = ("_print", "_universal")
BOX_SERVICE = "_printroom._tcp.local."
PANEL_SERVICE = "_http._tcp.local."
QUERY, TYPE_A, CLASS_IN = 0, 1, 1  # RFC 1035 §4.1.1, §3.2
PROBE_MS = 750  # RFC 6762 §8.1: three questions, 250 ms apart


@dataclass(frozen=True)
class Recipe:
    """What is announced of one service."""

    service: str
    name: str
    port: int
    texts: tuple[tuple[str, str], ...]
    subtypes: tuple[str, ...] = ()
    server: str = ""  # the host's name; empty: as for every service


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
        local_name: str = "",
    ) -> None:
        """
        Args:
            store: the open store.
            port: of the print queues.
            interfaces: IP addresses on which to announce; empty for all.
            panel_port: of the panel and the sync API.
            has_tls: whether the print queues speak TLS.
            fingerprint: of the box's certificate; by it desktop clients know the box again.
            local_name: below .local, for browsers; a number is added when another box has it. Empty: none.
        """
        self._store, self._port, self._interfaces = store, port, interfaces
        self._panel_port, self._has_tls, self._fingerprint = panel_port, has_tls, fingerprint
        self._local_name, self.name_taken = local_name, ""
        self._asked_at = -ASK_EVERY_S

    async def run(self) -> None:
        """Announce for ever; ends by cancellation. Begins anew when the addresses of the box change."""
        while True:
            where = addresses(self._interfaces)
            networks = await self._networks(where)
            announced: dict[tuple[int, str], tuple[Recipe, list[tuple[AsyncZeroconf, ServiceInfo]]]] = {}
            self.name_taken = ""  # on this network somebody else may have it
            try:
                while addresses(self._interfaces) == where:
                    await self._keep_own_name(networks[""], where)
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

    async def _keep_own_name(self, network: AsyncZeroconf, where: Sequence[str]) -> None:
        """Have a name below .local that nobody else on the network has.

        Of two boxes that took the same one at the same moment, the one with the higher address takes another. What they
        said then may have been lost, or two networks have become one since: so it is asked for again and again.
        """
        if not self._local_name:
            return
        if self.name_taken:
            if time.monotonic() - self._asked_at >= ASK_EVERY_S:  # the next look sees what is answered
                self._asked_at = time.monotonic()
                question = DNSOutgoing(QUERY)
                question.add_question(DNSQuestion(f"{self.name_taken}.local.", TYPE_A, CLASS_IN))
                network.zeroconf.async_send(question)
            others = await self._who_has(network, self.name_taken, where, 0)
            if not others or min(where, key=_as_number) < min(others, key=_as_number):
                return
            log.warning("announce.local_name_lost", name=self.name_taken, to=sorted(others))
        self.name_taken = ""
        for name in box_names(self._local_name):
            if not await self._who_has(network, name, where, PROBE_MS):
                self.name_taken = name
                break
        log.info("announce.local_name", name=f"{self.name_taken}.local")

    async def _who_has(self, network: AsyncZeroconf, name: str, where: Sequence[str], ask_ms: int) -> set[str]:
        """The addresses of others under a name, as far as they have told; asks for them for so long."""
        resolver = AddressResolverIPv4(f"{name}.local.")
        if ask_ms:
            await resolver.async_request(network.zeroconf, ask_ms)
        else:
            resolver.load_from_cache(network.zeroconf)
        return set(resolver.parsed_addresses(IPVersion.V4Only)) - set(where)

    def _wanted(self, where: Sequence[str]) -> dict[tuple[int, str], Recipe]:
        """By queue (0: the box itself) and service."""
        host = socket.gethostname().split(".")[0]
        about = (("txtvers", "1"), ("path", "/sync/v1"), ("fp", self._fingerprint))
        found = {(0, BOX_SERVICE): Recipe(BOX_SERVICE, f"Printroom {host}"[:60], self._panel_port, about)}
        if self.name_taken:
            server = f"{self.name_taken}.local."
            texts_of_it = (("path", "/"),)
            recipe = Recipe(PANEL_SERVICE, f"Printroom {host}"[:60], self._panel_port, texts_of_it, (), server)
            found[0, PANEL_SERVICE] = recipe
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
            server=recipe.server or self._server(),
        )

    def _server(self) -> str:
        """The host's name. On a machine that is not only Printroom's, another program may answer for its own."""
        host = socket.gethostname().split(".")[0]
        return f"{host}.local." if self._local_name else f"{host}-printroom.local."


def _as_number(address: str) -> int:
    return int(IPv4Address(address))
