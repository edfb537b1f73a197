"""Printing: a dead member of a pool, a ticket of 5,000 sheets, and the way from a drawn sheet to its first byte.

    make bench-printing

Printers are virtual ones in processes of their own. The sender, the store and the panel run here, as in the appliance.
"""

from __future__ import annotations

import json
import logging
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import structlog

from ipp import sender
from ipp.room import IppRoom
from render.loop import RenderLoop
from render.rehearse import Rehearser
from render.sources import ImageFolders
from render.workers import Workers
from store import intake
from store.records import Person, Printer, PrinterPool
from store.states import ENDED_TICKETS, PrintJobState, SheetState
from store.tables import Store
from tests.ipp.test_sender import drawn_ticket
from tests.lab import VirtualPrinterProcess, free_port, until
from tests.studio import NOW, add_render_job, photo, push
from tests.web.conftest import PASSWORD, PASSWORD_HASH
from web import Services, create_app

SHEETS_OF_A_POOL, SECONDS_PER_SHEET = 60, 0.5
MANY = 5000


@contextmanager
def studio(folder: Path) -> Iterator[Store]:
    store = Store(folder / "data")
    store.printer_pools.add(PrinterPool(name="Lab", separator_slips=False))
    try:
        yield store
    finally:
        store.close()


@contextmanager
def printing(store: Store) -> Iterator[IppRoom]:
    room = IppRoom(store, discovers=False, unreachable_limit=timedelta(hours=4))
    room.start()
    try:
        yield room
    finally:
        room.stop()


def virtual(folder: Path, name: str, seconds: float) -> VirtualPrinterProcess:
    return VirtualPrinterProcess(folder, name, "--seconds-per-sheet", str(seconds), "--paper", "4x6=1000000")


def add(store: Store, name: str, uri: str) -> None:
    store.printers.add(Printer(name=name, uri=uri, pool_id=1, added_by_hand=True))


def seconds_for_a_pool(healthy: int, dead: int) -> float:
    """From the first look at the printers to the last sheet."""
    with tempfile.TemporaryDirectory(prefix="bench-printing-") as name:
        folder = Path(name)
        printers = [virtual(folder, f"P{number}", SECONDS_PER_SHEET) for number in range(healthy)]
        with studio(folder) as store:
            for number in range(dead):
                add(store, f"Dead {number}", f"ipp://127.0.0.1:{free_port()}/ipp/print")
            for printer in printers:
                add(store, printer.name, printer.uri)
            drawn_ticket(store, store.printer_pools.get(1), [1] * SHEETS_OF_A_POOL)
            began = time.perf_counter()
            with printing(store):
                until(lambda: store.tickets.get(1).state in ENDED_TICKETS, "the ticket ends", within_s=300)
            took_s = time.perf_counter() - began
        assert sum(len(printer.printed()) for printer in printers) == SHEETS_OF_A_POOL
        for printer in printers:
            printer.stop()
    return took_s


def rss_mb() -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024


def five_thousand() -> dict[str, float]:
    """One ticket of 5,000 sheets over four printers, while somebody looks at the panel."""
    sender.FOLLOW_EVERY_S = 0.1  # printers that print in no time, so that the sender is what is measured
    with tempfile.TemporaryDirectory(prefix="bench-printing-") as name:
        folder = Path(name)
        printers = [virtual(folder, f"P{number}", 0.001) for number in range(4)]
        with studio(folder) as store:
            for printer in printers:
                add(store, printer.name, printer.uri)
            store.people.add(Person(name="kim", password_hash=PASSWORD_HASH))
            drawn_ticket(store, store.printer_pools.get(1), [1] * MANY)
            commits, began = store.version, time.perf_counter()
            memory, answers = [], []
            with printing(store) as room:
                rehearser = Rehearser(store.folder, ImageFolders(), 10**8, store.reach)
                client = create_app(Services(store=store, room=room, rehearser=rehearser), b"k" * 32).test_client()
                client.post("/login", data={"name": "kim", "password": PASSWORD})
                while store.tickets.get(1).state not in ENDED_TICKETS:
                    asked = time.perf_counter()
                    assert client.get("/").status_code == 200
                    answers.append(time.perf_counter() - asked)
                    memory.append(rss_mb())
                    time.sleep(0.5)
            took_s = time.perf_counter() - began
            commits = store.version - commits
        printed = sum(len(printer.printed()) for printer in printers)
        for printer in printers:
            printer.stop()
    assert printed == MANY
    third = len(memory) // 3
    return {
        "sheets_per_s": round(MANY / took_s, 1),
        "commits_per_sheet": round(commits / MANY, 2),
        "memory_mb_first_third": round(statistics.median(memory[:third])),
        "memory_mb_last_third": round(statistics.median(memory[-third:])),
        "panel_median_ms": round(1000 * statistics.median(answers), 1),
        "panel_p95_ms": round(1000 * statistics.quantiles(answers, n=20)[-1], 1),
    }


def drawn_to_first_byte() -> list[float]:
    """Seconds between the commit that says a sheet is drawn and the one before its document's first byte."""
    found = []
    for _ in range(10):
        with tempfile.TemporaryDirectory(prefix="bench-printing-") as name:
            folder = Path(name)
            printer = virtual(folder, "Idle", 0.05)
            with studio(folder) as store:
                add(store, printer.name, printer.uri)
                add_render_job(store, pool_id=1, dpi=100)
                loop, stopping = RenderLoop(store, Workers(1), ImageFolders(), 10**8), threading.Event()
                thread = threading.Thread(target=loop.run, args=(stopping,))
                with printing(store):
                    until(lambda: store.printer_status.find(1) is not None, "the printer is known")
                    thread.start()
                    intake.accept(store, push(photo(store, 1, 900, 600)), NOW)
                    drawn_at = 0.0
                    while True:
                        now = time.perf_counter()
                        if not drawn_at and not store.sheets.count("ticket_state", (1, SheetState.PLANNED.value)):
                            drawn_at = now if len(store.sheets) else 0.0
                        if any(job.state not in _BEFORE for job in store.print_jobs.all()):
                            break
                        time.sleep(0.001)
                    found.append(now - drawn_at)
                    until(lambda: store.tickets.get(1).state in ENDED_TICKETS, "it is printed")
                    stopping.set()
                    thread.join()
            printer.stop()
    return found


_BEFORE = (PrintJobState.INTENDED, PrintJobState.CREATED)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    first_byte = drawn_to_first_byte()
    two = seconds_for_a_pool(2, 0)
    three = seconds_for_a_pool(2, 1)
    many = five_thousand()
    figures = {
        "first_byte_s_median": round(statistics.median(first_byte), 3),
        "first_byte_s_worst": round(max(first_byte), 3),
        "pool_of_two_s": round(two, 2),
        "pool_of_three_one_dead_s": round(three, 2),
        "dead_member_ratio": round(three / two, 3),
        **many,
    }
    for name, value in figures.items():
        print(f"{name:28} {value}")
    goals = {
        "first_byte_within_0.5_s": figures["first_byte_s_worst"] <= 0.5,
        "dead_member_within_10_percent": figures["dead_member_ratio"] <= 1.10,
        "memory_flat": many["memory_mb_last_third"] <= 1.1 * many["memory_mb_first_third"],
        "commits_bounded": many["commits_per_sheet"] <= 12,
        "panel_answers_p95_within_300_ms": many["panel_p95_ms"] <= 300,
    }
    print(json.dumps({"figures": figures, "goals": goals, "met": all(goals.values())}))


if __name__ == "__main__":
    main()
