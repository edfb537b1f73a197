"""Durable pushes a second, beside an empty Flask route that gets the same requests.

The empty route runs under gunicorn's own gthread worker, on all cores, as most Flask applications do: that is what the
box is compared with. And it runs under the box's server, kept to one core like the box: what is left to be won there.
Rounds alternate, so that a slow moment of the machine hits all alike; ratios are of the medians.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

from appliance.desktop_client import DesktopClient
from store.pushed import RecordKind
from store.records import Record
from store.tables import Store
from tests.appliance.conftest import Appliance, Studio
from tests.benchmarks.http_load import Load, load, request
from tests.lab import free_port, until
from tests.web.conftest import PASSWORD
from web.clients import new_client

POLLS = 50
LARGE, IMAGES = 10_000, 20
_numbers = itertools.count(1)


def record() -> dict[str, object]:
    """A small order: one picture, one print."""
    image = {"name": "1.jpg", "sha256": "0" * 64}
    item = {"id": "1", "image": "1.jpg", "size": "8x10"}
    number = f"B-{next(_numbers)}"
    fields = {"kind": "session", "number": number, "revision": 1, "status": "Edited", "client_name": "Avery"}
    return {**fields, "images": [image], "items": [item]}


def pushes(token: str, path: str, batch: int = 1) -> Callable[[int], bytes]:
    """Requests that push `batch` new records each."""

    def make(_: int) -> bytes:
        body = json.dumps({"records": [record() for _ in range(batch)]}).encode()
        return request("POST", path, body, Authorization=f"Bearer {token}", Content_Type="application/json")

    return make


@contextmanager
def empty(folder: Path, *how: str) -> Iterator[int]:
    port = free_port()
    log = folder / f"empty-{port}.log"
    with log.open("wb") as out:
        arguments = [sys.executable, "-m", "tests.benchmarks.empty_route", str(folder / "none"), str(port), *how]
        server = subprocess.Popen(arguments, stdout=out, stderr=out)
    try:
        until(lambda: "ready" in log.read_text(), "the empty route is served")
        yield port
    finally:
        server.terminate()
        server.wait(20)


def start(data: Path, **environment: str) -> Appliance:
    return Appliance(data, PRINTROOM_SYNC_REQUESTS_PER_S="1000000", **environment)


def fill(data: Path) -> None:
    """10,000 records with 20 images each."""
    store = Store(data)
    for first in range(0, LARGE, 500):
        with store.transaction():
            for number in range(first, first + 500):
                images = [{"name": f"{n:04d}.jpg", "sha256": f"{number * IMAGES + n:064x}"} for n in range(IMAGES)]
                fields = {"kind": RecordKind.SESSION, "number": f"old-{number}", "revision": 1, "status": "Booked"}
                known = {"pushed_status": "Booked", "changed_at": datetime.now(UTC)}
                store.records.add(Record.model_validate({**fields, **known, "images": images}))
    store.close()


def panel_ms(box: Appliance, seconds: float) -> dict[str, float]:
    """How long the panel's first page takes, in milliseconds."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    login = urllib.parse.urlencode({"name": "kim", "password": PASSWORD}).encode()
    browser.open(f"{box.url}/login", login).close()
    took = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        began = time.perf_counter()
        with browser.open(f"{box.url}/") as page:
            assert b"Log out" in page.read()
        took.append((time.perf_counter() - began) * 1000)
    cuts = statistics.quantiles(took, n=20)
    return {"median": round(statistics.median(took), 2), "p95": round(cuts[-1], 2)}


@contextmanager
def polling(box: Appliance, tokens: list[str]) -> Iterator[None]:
    """So many clients wait for changes that do not come."""
    stopping = threading.Event()

    def wait(token: str) -> None:
        client = DesktopClient(box.url, token, seen=10**9, patience_s=0)
        while not stopping.is_set():
            client.changes(wait_s=5)

    threads = [threading.Thread(target=wait, args=(token,), daemon=True) for token in tokens]
    for thread in threads:
        thread.start()
    time.sleep(2)
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join(20)


def median(loads: list[Load]) -> dict[str, float]:
    return {
        name: round(statistics.median(getattr(one, name) for one in loads), 2)
        for name in ("per_s", "p50_ms", "p95_ms", "p99_ms")
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="lab-bench-sync-"))
    studio = Studio(root / "small", {}, pool_id=None)
    large = Studio(root / "large", {}, pool_id=None)
    fill(large.data)
    store = Store(large.data)
    tokens = [new_client(store, f"Desktop {number}")[1] for number in range(POLLS)]
    store.close()
    found: dict[str, list[Load]] = {}
    path, seconds = "/sync/v1/statuses", options.seconds

    def note(name: str, one: Load) -> None:
        found.setdefault(name, []).append(one)
        print(f"  {name:44} {one.per_s:8.0f}/s   p50 {one.p50_ms:6.2f}   p99 {one.p99_ms:6.2f} ms", flush=True)

    for _ in range(options.rounds):
        for clients in (1, 16):
            with empty(root, "gthread") as port:
                note(f"empty route, {clients}", load(port, clients, seconds, pushes(studio.token, "/")))
            with empty(root, "one-core") as port:
                note(f"empty route, our server, {clients}", load(port, clients, seconds, pushes(studio.token, "/")))
            for name, one in (("box", studio), ("box with 10,000 records", large)):
                box = start(one.data)
                try:
                    note(f"{name}, {clients}", load(box.port, clients, seconds, pushes(one.token, path), b"accepted"))
                    if clients == 16:
                        batches = pushes(one.token, path, 100)
                        note(f"{name}, 16, batches of 100", load(box.port, 16, seconds, batches, b"accepted"))
                finally:
                    box.stop()
        box = start(studio.data, PRINTROOM_ONE_CORE="false")
        try:
            note("box on all cores, 16", load(box.port, 16, seconds, pushes(studio.token, path), b"accepted"))
        finally:
            box.stop()
    box = start(large.data)
    try:
        alone = panel_ms(box, 2 * seconds)
        with polling(box, tokens):
            polled = panel_ms(box, 2 * seconds)
            note("box with 50 waiting, 16", load(box.port, 16, seconds, pushes(large.token, path), b"accepted"))
    finally:
        box.stop()
    print(f"  the panel's first page: {alone} ms; with {POLLS} waiting: {polled} ms")
    figures: dict[str, Any] = {name: median(loads) for name, loads in found.items()}

    def rate(name: str) -> float:
        return float(figures[name]["per_s"])

    ratios = {
        "box_over_empty_16": rate("box, 16") / rate("empty route, 16"),
        "box_over_empty_on_our_server_16": rate("box, 16") / rate("empty route, our server, 16"),
        "box_over_box_on_all_cores_16": rate("box, 16") / rate("box on all cores, 16"),
        "box_over_empty_1": rate("box, 1") / rate("empty route, 1"),
        "p99_over_p50_16": figures["box, 16"]["p99_ms"] / figures["box, 16"]["p50_ms"],
        "large_over_small_1": rate("box with 10,000 records, 1") / rate("box, 1"),
        "large_over_small_16": rate("box with 10,000 records, 16") / rate("box, 16"),
        "large_over_small_batches": rate("box with 10,000 records, 16, batches of 100")
        / rate("box, 16, batches of 100"),
        "panel_with_polls_over_alone": polled["median"] / alone["median"],
        "panel_p95_with_polls_over_alone": polled["p95"] / alone["p95"],
    }
    ratios = {name: round(value, 2) for name, value in ratios.items()}
    goals = {
        "sixty_percent_of_the_empty_route_with_16": ratios["box_over_empty_16"] >= 0.6,
        "p99_under_ten_times_p50": ratios["p99_over_p50_16"] < 10,
        "fifty_polls_do_not_slow_the_panel": ratios["panel_with_polls_over_alone"] < 1.2,
        "ten_thousand_records_change_little": all(
            ratios[f"large_over_small_{name}"] >= 0.8 for name in ("1", "16", "batches")
        ),
    }
    for name, value in ratios.items():
        print(f"{name:40} {value}")
    boxes = ("box", "box with 10,000 records")
    records_per_s = {name: round(figures[f"{name}, 16, batches of 100"]["per_s"] * 100) for name in boxes}
    result = {
        "loads": figures,
        "records_per_s_in_batches_of_100": records_per_s,
        "panel_ms": {"alone": alone, "with_50_waiting": polled},
        "ratios": ratios,
        "goals": goals,
        "met": all(goals.values()),
    }
    print(json.dumps(result))
    return 0 if result["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
