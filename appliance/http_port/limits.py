"""How slow a client may be, how many there may be, and how much is kept in memory for one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SMALL_BODY_BYTES = 64 * 1024  # larger ones are for those whom the application knows, and lie in a file
PIECE_BYTES = 128 * 1024  # of an answer, made ahead of what the client has taken
SLOWEST_BYTES_PER_S = 2_000
DRAIN_S = 30.0  # a client that was refused may go on sending, so that it comes to hear why


@dataclass(frozen=True)
class Limits:
    """What can be set."""

    threads: int = 128
    connections: int = 1000  # open at the same time; one address has a quarter of them at most
    slow_client_s: float = 20.0  # for a TLS handshake and the head of a request; between two requests
    spool: Path | None = None  # folder for large bodies; None: the system's
    min_free_bytes: int = 0  # on the spool's disk

    @property
    def threads_of_one(self) -> int:
        """Requests of one address that are worked on at the same time: the rest is for others.

        More than streams (a quarter of the threads) and long polls (half of them) can take together.
        """
        return max(1, self.threads * 7 // 8)

    @property
    def least_in_time(self) -> int:
        """Bytes that must move in `slow_client_s`, either way."""
        return int(SLOWEST_BYTES_PER_S * self.slow_client_s)
