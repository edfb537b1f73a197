"""Finding boxes: they announce themselves as _printroom._tcp, with their certificate's fingerprint."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from zeroconf import InterfaceChoice, IPVersion, ServiceBrowser, ServiceListener, Zeroconf

SERVICE = "_printroom._tcp.local."


@dataclass(frozen=True)
class Found:
    """A box that announced itself. Anybody may: only its certificate proves who it is."""

    name: str
    url: str
    fingerprint: str


class _Listener(ServiceListener):
    def __init__(self) -> None:
        self.found: dict[str, Found] = {}
        self.something = threading.Condition()

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        info = zc.get_service_info(type_, name, 2000)
        addresses = info.parsed_addresses(IPVersion.V4Only) if info else []
        if info is None or not addresses:
            return
        told = info.decoded_properties.get("fp") or ""
        with self.something:
            url = f"https://{addresses[0]}:{info.port}"
            self.found[name] = Found(name.removesuffix(f".{SERVICE}"), url, told)
            self.something.notify_all()

    def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        self.add_service(zc, type_, name)

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        del zc, type_
        with self.something:
            self.found.pop(name, None)


def boxes(wait_s: float = 3, fingerprint: str = "", interfaces: Sequence[str] = ()) -> list[Found]:
    """The boxes on this network.

    Args:
        wait_s: how long to listen.
        fingerprint: stop as soon as this one was heard, and answer with it alone.
        interfaces: IP addresses on which to listen; empty for all.
    """
    listener = _Listener()
    ends = time.monotonic() + wait_s
    zeroconf = Zeroconf(interfaces=list(interfaces) or InterfaceChoice.All, ip_version=IPVersion.V4Only)
    try:
        browser = ServiceBrowser(zeroconf, SERVICE, listener)
        with listener.something:
            while (left := ends - time.monotonic()) > 0:
                right = [one for one in listener.found.values() if one.fingerprint == fingerprint]
                if fingerprint and right:
                    return right
                listener.something.wait(left)
        browser.cancel()
        found = list(listener.found.values())
        return [one for one in found if not fingerprint or one.fingerprint == fingerprint]
    finally:
        zeroconf.close()


def address_of(fingerprint: str) -> str | None:
    """Where the box with this certificate is now."""
    found = boxes(3, fingerprint)
    return found[0].url if found else None
