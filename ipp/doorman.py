"""Who may speak to the front end, how much, and as whom."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from ipp.rates import Rates
from ipp.served import Asker, shown
from store.queues import OperatorAccess, PrintQueue, QueueAccess
from store.tables import Store

REMEMBERED_S = 300.0  # a password that was right: argon2 takes 50 ms, and clients send it with every request
TRIES, TRIES_WITHIN_S = 10, 60.0


class Doorman:
    """Counts and checks; used on one event loop, but for known(), which may take its time in a thread."""

    def __init__(
        self,
        store: Store,
        networks: Sequence[IPv4Network | IPv6Network],
        requests_per_s: float = 500.0,
    ) -> None:
        """
        Args:
            store: the open store.
            networks: from which anybody may speak to us.
            requests_per_s: from one host on average; twice as many at once.
        """
        self._store, self._networks = store, tuple(networks)
        self._rates = Rates(requests_per_s)
        self._right: dict[bytes, float] = {}
        self._wrong: dict[str, list[float]] = {}
        self._hasher = PasswordHasher()
        self._salt = secrets.token_bytes(16)

    def may_connect(self, host: str) -> bool:
        """Whether connections from a host are taken."""
        address = ip_address(host)
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in self._networks if network.version == mapped.version)

    def may_ask(self, host: str) -> bool:
        """Whether a host has not sent too many requests lately."""
        return self._rates.may_ask(host)

    def known(self, queue: PrintQueue, authorization: str, claimed: str, host: str) -> Asker | None:
        """Who asks; None when a queue wants a password and this is not it.

        Args:
            queue: what is spoken to.
            authorization: the HTTP header.
            claimed: requesting-user-name.
            host: the address.
        """
        login, claimed = _basic(authorization), shown(claimed)
        everybody = queue.operators is OperatorAccess.EVERYBODY
        if login is not None and not self._has_guessed(host):
            user, password = login
            if (
                queue.access is QueueAccess.PASSWORD
                and user == queue.username
                and self._is(password, queue.password_hash)
            ):
                return Asker(claimed or user, host, is_authenticated=True, is_operator=everybody)
            person = next(iter(self._store.people.by("name", user)), None)
            if person is not None and self._is(password, person.password_hash):
                return Asker(user, host, True, is_operator=queue.operators is not OperatorAccess.NOBODY)
            self._wrong.setdefault(host, []).append(time.monotonic())
        if queue.access is QueueAccess.PASSWORD:
            return None
        return Asker(claimed or "anonymous", host, is_operator=everybody)

    def _has_guessed(self, host: str) -> bool:
        now = time.monotonic()
        recent = [at for at in self._wrong.get(host, []) if now - at < TRIES_WITHIN_S]
        if recent:
            self._wrong[host] = recent
        else:
            self._wrong.pop(host, None)
        return len(recent) >= TRIES

    def _is(self, password: str, known_hash: str) -> bool:
        key = hmac.digest(self._salt, f"{known_hash}\0{password}".encode(), hashlib.sha256)
        now = time.monotonic()
        if self._right.get(key, 0) > now:
            return True
        try:
            self._hasher.verify(known_hash, password)
        except (VerificationError, ValueError):
            return False
        self._right = {one: until for one, until in self._right.items() if until > now}
        self._right[key] = now + REMEMBERED_S
        return True


def _basic(authorization: str) -> tuple[str, str] | None:
    """RFC 7617."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None
