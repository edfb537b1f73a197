"""Pairing: the panel shows six digits, a desktop client trades them for a token. And which box this is."""

from __future__ import annotations

import hmac
import secrets
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from flask import Response, request
from pydantic import ValidationError

from store.records import Scope
from web import services
from web.clients import new_client
from web.errors import Problem, problems_of
from web.sync import models
from web.sync.door import answer, pages
from web.sync.models import MAX_BATCH, Paired, PairRequest

log = structlog.get_logger("sync")

GOOD_FOR_S = 600
MAX_CODES = 5  # at the same time
# A million codes, five of them good for ten minutes: sixty guesses hit one in 3,000 times, and then all codes end.
TRIES_OF_ONE, TRIES_OF_ALL = 6, 60


@dataclass(frozen=True)
class Code:
    """What the panel shows."""

    digits: str
    name: str  # of the client to be
    scopes: tuple[Scope, ...]
    ends: float  # on the monotonic clock

    @property
    def left_s(self) -> int:
        """How long it is still good."""
        return max(0, round(self.ends - time.monotonic()))


class PairingCodes:
    """The codes that are good now. In memory only: a restart ends them, and so none is ever good twice."""

    def __init__(self) -> None:
        self._codes: list[Code] = []
        self._wrong: list[tuple[float, str]] = []
        self._lock = threading.Lock()

    def offer(self, name: str, scopes: Sequence[Scope]) -> Code:
        """A new code for a client of that name."""
        with self._lock:
            good = self._good()
            taken = {code.digits for code in good}
            while (digits := f"{secrets.randbelow(10**6):06d}") in taken:
                pass
            code = Code(digits, name, tuple(scopes), time.monotonic() + GOOD_FOR_S)
            self._codes = [*good, code][-MAX_CODES:]
            return code

    def waiting(self) -> list[Code]:
        """The codes that nobody has used yet."""
        with self._lock:
            return self._good()

    def redeem(self, digits: str, address: str) -> Code:
        """Use a code up.

        Raises:
            Problem: 403 it is not good (any more); 429 too many were wrong.
        """
        with self._lock:
            now = time.monotonic()
            self._wrong = [(at, who) for at, who in self._wrong if now - at < GOOD_FOR_S]
            if len(self._wrong) >= TRIES_OF_ALL or sum(who == address for _, who in self._wrong) >= TRIES_OF_ONE:
                raise Problem(429, "too-many-tries", "too many wrong codes", "code", "wait ten minutes, then try again")
            # All are compared, so that the time it takes tells nothing.
            found = [code for code in self._good() if hmac.compare_digest(code.digits, digits)]
            if not found:
                self._wrong.append((now, address))
                if len(self._wrong) >= TRIES_OF_ALL:
                    self._codes = []
                raise Problem(
                    403,
                    "wrong-code",
                    "this code is not good",
                    "code",
                    "get a new one on the panel's Desktop clients page",
                )
            self._codes = [code for code in self._good() if code is not found[0]]
            return found[0]

    def _good(self) -> list[Code]:
        return [code for code in self._codes if code.left_s > 0]


def this_box() -> models.Box:
    """Which box this is, and what it takes."""
    parts = services()
    return models.Box(
        name=socket.gethostname(),
        version=parts.version,
        api="v1",
        fingerprint=parts.fingerprint,
        max_batch=MAX_BATCH,
        max_body_bytes=parts.max_body_bytes,
        max_image_bytes=parts.max_image_bytes,
        max_wait_s=parts.max_wait_s,
        requests_per_s=parts.sync_rates.per_s,
    )


@pages.get("/box")
def box() -> Response:
    """Which box this is; without a token."""
    return answer(this_box())


@pages.post("/pair")
def pair() -> Response:
    """Trade a code for a token; without a token."""
    parts = services()
    try:
        said = PairRequest.model_validate_json(request.get_data(cache=False))
    except ValidationError as error:
        problem = problems_of(error)[0]
        raise Problem(
            400, "invalid", problem["message"], problem["field"] or "code", 'send {"code": "123456"}'
        ) from error
    address = request.remote_addr or "?"
    code = parts.pairing.redeem(said.code, address)
    client, token = new_client(parts.store, code.name, code.scopes)
    log.info("client.paired", name=client.name, address=address, tls=request.is_secure)
    return answer(Paired(token=token, client=client.name, scopes=client.scopes, box=this_box()), 201)
