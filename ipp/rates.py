"""How often somebody may ask: token buckets, one for each."""

from __future__ import annotations

import time
from dataclasses import dataclass

MOST_BUCKETS = 10_000


@dataclass
class _Bucket:
    tokens: float
    at: float


class Rates:
    """A mean rate, and a store of twice as many for a burst."""

    def __init__(self, per_s: float) -> None:
        """
        Args:
            per_s: requests of one asker on average; twice as many at once.
        """
        self.per_s = per_s
        self._buckets: dict[object, _Bucket] = {}

    def may_ask(self, who: object) -> bool:
        """Whether somebody has not asked too often lately; counts this one."""
        now = time.monotonic()
        most = 2 * self.per_s
        bucket = self._buckets.setdefault(who, _Bucket(most, now))
        bucket.tokens = min(most, bucket.tokens + (now - bucket.at) * self.per_s)
        bucket.at = now
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets = {one: kept for one, kept in list(self._buckets.items()) if now - kept.at < 60}
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True
