"""How long the panel's pages take with the box idle, and with the render loop at full load."""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from http.cookiejar import CookieJar
from pathlib import Path

from render.samples import sample_photo
from store import intake
from store.tables import Store
from tests.appliance.conftest import Appliance, Studio
from tests.lab import until
from tests.studio import SELECT, push, upload
from tests.web.conftest import PASSWORD

PAGES = (
    "/",
    "/today/live",
    "/tickets/1",
    "/records/",
    "/records/1",
    "/history/",
    "/printers/",
    "/profiles/",
    "/render-jobs/",
)
TICKETS, PICTURES = 40, 30


def fill(data: Path, seconds: float) -> None:
    """Tickets of 24-megapixel photos, more than can be drawn in the time."""
    store = Store(data)
    digests = [upload(store, sample_photo(seed, 6000, 4000)) for seed in range(6)]
    tickets = max(TICKETS, int(seconds))
    for number in range(tickets):
        photos = [digests[(number + n) % len(digests)] for n in range(PICTURES)]
        items = [
            {"id": str(n), "image": f"{n:04d}.jpg", "size": size}
            for n, size in zip(range(1, PICTURES + 1), itertools.cycle(("8x10", "5x7", "11x14")), strict=False)
        ]
        # The first is drawn while the box is idle; the others wait for their status.
        status = SELECT if number == 0 else "Booked"
        intake.accept(store, push(photos, items, number=f"S-{number}", status=status), datetime.now(UTC))
    store.close()


def measure(box: Appliance, browser: urllib.request.OpenerDirector, seconds: float) -> dict[str, float]:
    """Ask for pages, one after the other, as a person who is in a hurry."""
    took = []
    ends = time.monotonic() + seconds
    for path in itertools.cycle(PAGES):
        if time.monotonic() > ends:
            break
        began = time.perf_counter()
        with browser.open(box.url + path) as page:
            page.read()
        took.append((time.perf_counter() - began) * 1000)
        time.sleep(0.02)
    cuts = statistics.quantiles(took, n=100)
    named = {"median_ms": statistics.median(took), "p95_ms": cuts[94], "p99_ms": cuts[98], "pages": len(took)}
    return {name: round(value, 1) for name, value in named.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="lab-bench-panel-"))
    studio = Studio(root / "data", {}, pool_id=None)
    fill(studio.data, options.seconds)
    box = Appliance(studio.data)
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    login = urllib.parse.urlencode({"name": "kim", "password": PASSWORD}).encode()
    try:
        browser.open(f"{box.url}/login", login).close()
        desktop = studio.desktop(box)
        until(lambda: desktop.ticket(1)["state"] == "finished", "the first ticket is drawn", 120)
        idle = measure(box, browser, options.seconds)
        print(f"  idle       {idle}", flush=True)
        for number in range(1, max(TICKETS, int(options.seconds))):
            record = desktop.record("session", f"S-{number}")["record"]
            desktop.push({**record, "revision": 2, "status": SELECT})
        drawn_before = sum(1 for _ in (studio.data / "sheets").glob("*.jpg"))
        loaded = measure(box, browser, options.seconds)
        drawn = sum(1 for _ in (studio.data / "sheets").glob("*.jpg")) - drawn_before
        still = sum(desktop.ticket(n)["state"] in ("waiting", "rendering") for n in range(2, 30))
        print(f"  full load  {loaded}, {drawn} files drawn meanwhile, tickets left: {still}", flush=True)
    finally:
        box.stop()
    goals = {
        "median_under_100_ms_at_full_load": loaded["median_ms"] < 100,
        "p95_under_300_ms_at_full_load": loaded["p95_ms"] < 300,
        "the_load_lasted": still > 0 and drawn > options.seconds,
    }
    result = {"idle": idle, "full_load": loaded, "files_drawn": drawn, "goals": goals, "met": all(goals.values())}
    print(json.dumps(result))
    return 0 if result["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
