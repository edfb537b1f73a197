"""Live pages: a stream that says when something changed; the page then fetches what it shows anew."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from flask import Blueprint, Response

from web import services
from web.errors import Problem

pages = Blueprint("events", __name__)

KEEP_ALIVE_S = 10.0
AT_MOST_EVERY_S = 0.4  # a busy print room commits hundreds of times a second; eyes do not
STREAM_LIFE_S = 600.0  # the browser comes back by itself; a forgotten tab does not hold a thread for ever

_count = 0
_count_lock = threading.Lock()


@pages.get("/events")
def events() -> Response:
    """Server-sent events: `changed` with the store's version."""
    global _count
    parts = services()
    with _count_lock:
        if _count >= parts.max_streams:
            raise Problem(503, "too-many-streams", "too many pages are open: this one is not live, reload it by hand")
        _count += 1

    def stream() -> Iterator[str]:
        global _count
        try:
            version = parts.store.version
            yield f"retry: 3000\nevent: changed\ndata: {version}\n\n"
            ends = time.monotonic() + STREAM_LIFE_S
            told = time.monotonic()
            while time.monotonic() < ends and not parts.is_stopping():
                now = parts.store.wait(version, 0.5)
                if now != version:
                    version, told = now, time.monotonic()
                    yield f"event: changed\ndata: {version}\n\n"
                    time.sleep(AT_MOST_EVERY_S)
                elif time.monotonic() - told > KEEP_ALIVE_S:
                    told = time.monotonic()
                    yield ": still here\n\n"
        finally:
            with _count_lock:
                _count -= 1

    response = Response(stream(), mimetype="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    return response
