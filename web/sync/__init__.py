"""The sync API (/sync/v1): desktop clients push records and pictures, and hear what became of them."""

from __future__ import annotations

from web.sync import changes, contract, images, pairing, statuses  # noqa: F401  (their calls are on `pages`)
from web.sync.door import pages

__all__ = ["pages"]
