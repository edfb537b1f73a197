"""Print-Jobs of 100 KB accepted a second: the box (durable before it answers), cupsd and ippeveprinter, in one run.

The box's queue holds its jobs, as cupsd's device is /dev/null: what is measured is taking jobs, not printing them.
A second figure shows it while it prints what it takes.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from ipp import codec
from ipp.attributes import attribute
from ipp.codec import Group, GroupTag, Message
from render.samples import sample_photo
from store.queue_setup import offer
from store.tables import Store
from tests.appliance.conftest import Appliance, Studio
from tests.conformance.__main__ import cups_raw, ippeveprinter
from tests.lab import CupsServer, Network, VirtualPrinterProcess
from tests.studio import NOW

SIZE = 100_000
_numbers = itertools.count(1)


def document() -> bytes:
    """A JPEG of 100,000 bytes."""
    photo = sample_photo(1, 340, 510)
    assert len(photo) < SIZE, len(photo)
    return photo + bytes(SIZE - len(photo))


def request(uri: str) -> bytes:
    head = [
        attribute("attributes-charset", "utf-8"),
        attribute("attributes-natural-language", "en"),
        attribute("printer-uri", uri),
        attribute("requesting-user-name", "bench"),
        attribute("job-name", "photo"),
        attribute("document-format", "image/jpeg"),
    ]
    return codec.encode(Message(0x0002, next(_numbers), [Group(GroupTag.OPERATION, head)]))


async def load(uri: str, connections: int, jobs: int) -> tuple[float, int]:
    """(jobs a second, busy answers) of so many jobs over so many connections."""
    url, photo = uri.replace("ipp:", "http:", 1), document()
    left, busy = iter(range(jobs)), 0
    headers = {"Content-Type": "application/ipp"}

    async def one(http: aiohttp.ClientSession) -> None:
        nonlocal busy
        for _ in left:
            while True:
                async with http.post(url, data=request(uri) + photo, headers=headers) as answer:
                    code = codec.decode(await answer.read())[0].code
                if code != 0x0507:
                    break
                busy += 1
                await asyncio.sleep(0.002)
            assert code < 0x0100, hex(code)

    limits = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=limits) as http:
        await asyncio.gather(*(one(http) for _ in range(min(2, connections))))  # never more than there is
        left = iter(range(jobs))
        began = time.monotonic()
        await asyncio.gather(*(one(http) for _ in range(connections)))
        return jobs / (time.monotonic() - began), busy


@contextmanager
def box(folder: Path, holds: bool) -> Iterator[tuple[str, Appliance]]:
    printer = VirtualPrinterProcess(folder, f"Tray{next(_numbers)}", "--seconds-per-sheet", "0.01")
    data = folder / f"box{next(_numbers)}"
    Studio(data, {"Tray": printer.uri})
    store = Store(data)
    queue = offer(store, "Lab", NOW, pool_id=1)
    store.print_queues.put(queue.with_(holds_new_jobs=holds))
    store.close()
    appliance = Appliance(data, PRINTROOM_IPP_REQUESTS_PER_S="1000000")
    try:
        yield f"ipp://127.0.0.1:{appliance.ipp_port}/ipp/print/lab", appliance
    finally:
        appliance.stop()
        printer.stop()


def memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1000


@contextmanager
def durable_cups() -> Iterator[str]:
    server = CupsServer()
    for name, before, after in (("cups.conf", "DirtyCleanInterval 1", "DirtyCleanInterval 0"),):
        path = server.folder / name
        path.write_text(path.read_text().replace(before, after))
    files = server.folder / "files.conf"
    files.write_text(files.read_text() + "FileDevice Yes\n")
    server.stop()
    server.start()
    try:
        yield server.add_queue("raw", "file:///dev/null", is_raw=True)
    finally:
        server.remove()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="lab-bench-"))
    network = Network(Path(tempfile.mkdtemp(prefix="lab-")))
    rates: dict[str, dict[int, list[float]]] = {}

    def note(name: str, connections: int, rate: float, busy: int) -> None:
        rates.setdefault(name, {}).setdefault(connections, []).append(rate)
        print(f"  {name:28} {connections} connections: {rate:7.0f} jobs/s" + f", {busy} busy" * bool(busy), flush=True)

    memory: list[float] = []
    try:
        for _ in range(options.rounds):
            for connections in (1, 8):
                with box(root, holds=True) as (uri, _):
                    note("box", connections, *asyncio.run(load(uri, connections, options.jobs)))
                with durable_cups() as uri:
                    note("cupsd, durable", connections, *asyncio.run(load(uri, connections, options.jobs // 2)))
                with cups_raw() as uri:
                    note("cupsd, as it comes", connections, *asyncio.run(load(uri, connections, options.jobs)))
                folder = root / f"eve{next(_numbers)}"
                folder.mkdir()
                with ippeveprinter(folder, network, seconds=0) as uri:
                    note("ippeveprinter", connections, *asyncio.run(load(uri, connections, options.jobs // 4)))
        with box(root, holds=False) as (uri, _):
            note("box, printing meanwhile", 8, *asyncio.run(load(uri, 8, options.jobs)))
        with box(root, holds=True) as (uri, appliance):
            for _ in range(10):
                asyncio.run(load(uri, 8, 1000))
                memory.append(round(memory_mb(appliance.worker_pid()), 1))
            print(f"  memory of the box after each 1,000 of 10,000 jobs: {memory} MB", flush=True)
    finally:
        network.stop()
    medians = {name: {n: round(statistics.median(found)) for n, found in of.items()} for name, of in rates.items()}
    print(f"\n{'jobs/s, median':28}{'1':>10}{'8 connections':>16}")
    for name, of in medians.items():
        print(f"{name:28}{of.get(1, ''):>10}{of.get(8, ''):>16}")
    ratio = round(medians["box"][8] / medians["cupsd, durable"][8], 2)
    growth = round(memory[-1] - memory[1], 1)
    goals = {"twice_durable_cupsd_with_8_connections": ratio >= 2, "memory_flat_over_10000_jobs": growth < 40}
    result = {
        "jobs_per_s": medians,
        "box_over_durable_cupsd_8": ratio,
        "memory_mb": memory,
        "memory_growth_mb_from_2000_to_10000_jobs": growth,
        "goals": goals,
        "met": all(goals.values()),
    }
    print(json.dumps(result))
    return 0 if result["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
