"""Durable single-document commits: our store, TinyDB as it ships, SQLite (WAL, synchronous=FULL), side by side.

    make bench-store

Rounds of the peers alternate, so that a slow moment of the machine meets all of them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from tinydb import TinyDB
from tinydb.storages import JSONStorage

from store.tinydb_tables import Database

SIZES = (100, 1_000, 10_000, 100_000)
ROUNDS, COMMITS = 8, 150
DOCUMENT = {
    "record_id": 17,
    "kind": "session",
    "number": "2026-0417",
    "client_name": "Avery Lindqvist",
    "render_job_name": "Print finished sessions",
    "state": "printing",
    "reason": "load 8x10 paper in Printer 2",
    "opened_at": "2026-11-21T10:00:00Z",
    "changed_at": "2026-11-21T10:00:00Z",
    "trace": [{"at": "2026-11-21T10:00:00Z", "event": "open", "state": "waiting", "note": "status 'Sold'"}] * 3,
}

Commit = Callable[[int], None]
_counter = itertools.count(1)  # every commit changes something: SQLite does not write what is already there


def percentile(times_s: list[float], share: float) -> float:
    return sorted(times_s)[min(len(times_s) - 1, int(len(times_s) * share))] * 1e3


def timed(commit: Commit, count: int, size: int, start: int) -> list[float]:
    times = []
    for turn in range(count):
        number = (start + turn * 7919) % size + 1  # all over the table
        began = time.perf_counter()
        commit(number)
        times.append(time.perf_counter() - began)
    return times


def ours(folder: Path, size: int) -> tuple[Commit, Callable[[], None]]:
    database = Database(folder)
    with database.journal.transaction():
        for number in range(1, size + 1):
            database.journal.put("tickets", number, {**DOCUMENT, "n": number})
    database.journal.fold()

    def commit(number: int) -> None:
        database.journal.put("tickets", number, {**DOCUMENT, "n": -next(_counter)})

    return commit, database.close


def sqlite(folder: Path, size: int) -> tuple[Commit, Callable[[], None]]:
    connection = sqlite3.connect(folder / "peer.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE tickets (id INTEGER PRIMARY KEY, document TEXT)")
    rows = ((number, json.dumps({**DOCUMENT, "n": number})) for number in range(1, size + 1))
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO tickets VALUES (?, ?)", rows)
    connection.execute("COMMIT")

    def commit(number: int) -> None:
        text = json.dumps({**DOCUMENT, "n": -next(_counter)})
        connection.execute("UPDATE tickets SET document = ? WHERE id = ?", (text, number))

    return commit, connection.close


def tinydb(folder: Path, size: int) -> tuple[Commit, Callable[[], None]]:
    path = folder / "peer.json"
    path.write_text(json.dumps({"tickets": {str(n): {**DOCUMENT, "n": n} for n in range(1, size + 1)}}))
    database = TinyDB(path, storage=JSONStorage)
    table = database.table("tickets")

    def commit(number: int) -> None:
        table.update({"n": -next(_counter)}, doc_ids=[number])

    return commit, database.close


def latency(base: Path) -> dict[str, dict[str, dict[str, float]]]:
    """By peer and size: p50 and p99 in ms."""
    makers = {"ours": ours, "sqlite": sqlite, "tinydb": tinydb}
    commits: dict[tuple[str, int], Commit] = {}
    closers: list[Callable[[], None]] = []
    for size in SIZES:
        for name, make in makers.items():
            if name == "tinydb" and size > 10_000:
                continue  # takes seconds a change
            folder = base / f"{name}-{size}"
            folder.mkdir()
            commits[name, size], close = make(folder, size)
            closers.append(close)
    times: dict[tuple[str, int], list[float]] = {key: [] for key in commits}
    for turn in range(ROUNDS):
        for (name, size), commit in commits.items():
            # TinyDB rewrites its file each time: enough commits to know its p50, in bounded time.
            count = COMMITS if name != "tinydb" else max(2, 2000 // size)
            times[name, size] += timed(commit, count, size, turn * 131)
    for close in closers:
        close()
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in makers}
    for (name, size), measured in times.items():
        found[name][str(size)] = {
            "p50_ms": round(percentile(measured, 0.5), 4),
            "p99_ms": round(percentile(measured, 0.99), 4),
        }
    return found


def throughput(base: Path) -> dict[str, float]:
    """Commits per second of our store with 1 and with 16 threads, and of SQLite with 16 connections."""
    database = Database(base / "threads")

    def run(threads: int, each: int) -> float:
        def work(thread: int) -> None:
            for turn in range(each):
                database.journal.put("tickets", (thread * 613 + turn) % 1000 + 1, {**DOCUMENT, "n": turn})

        workers = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return threads * each / (time.perf_counter() - began)

    alone, together = [], []
    for _ in range(5):
        alone.append(run(1, 2000))
        together.append(run(16, 750))
    database.close()

    path = base / "threads.sqlite"
    sqlite3.connect(path).executescript(
        "PRAGMA journal_mode=WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, document TEXT);"
    )

    def connection(thread: int) -> None:
        peer = sqlite3.connect(path, isolation_level=None, timeout=60)
        peer.execute("PRAGMA synchronous=FULL")
        for turn in range(100):
            row = (thread * 613 + turn, json.dumps({**DOCUMENT, "n": turn}))
            peer.execute("INSERT OR REPLACE INTO t VALUES (?, ?)", row)
        peer.close()

    workers = [threading.Thread(target=connection, args=(thread,)) for thread in range(16)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return {
        "threads_1_per_s": round(statistics.median(alone)),
        "threads_16_per_s": round(statistics.median(together)),
        "sqlite_threads_16_per_s": round(1600 / (time.perf_counter() - began)),
    }


def folding(base: Path) -> dict[str, float]:
    """How long commits take while 100,000 documents are folded, beside as many without."""
    (base / "folding").mkdir()
    database = Database(base / "folding")
    with database.journal.transaction():
        for number in range(1, 100_001):
            database.journal.put("tickets", number, {**DOCUMENT, "n": number})
    while database.journal._folding is not None and database.journal._folding.is_alive():
        time.sleep(0.1)  # the bulk above has set one off

    def commit(number: int) -> None:
        database.journal.put("tickets", number, {**DOCUMENT, "n": -next(_counter)})

    quiet = timed(commit, 1500, 100_000, 0)
    times: list[float] = []
    folder = threading.Thread(target=database.journal.fold)
    folder.start()
    while folder.is_alive():
        times += timed(commit, 1, 100_000, len(times))
    database.close()
    return {
        "quiet_p99_ms": round(percentile(quiet, 0.99), 3),
        "folding_p50_ms": round(percentile(times, 0.5), 3),
        "folding_p99_ms": round(percentile(times, 0.99), 3),
        "folding_max_ms": round(max(times) * 1e3, 3),
        "folding_commits": len(times),
    }


_MEASURE = """
import json, sys, time
from pathlib import Path
def rss_mb():
    return int(next(l for l in open('/proc/self/status') if l.startswith('VmRSS')).split()[1]) / 1024
from store.tables import Store
before = rss_mb()
began = time.perf_counter()
store = Store(Path(sys.argv[1]))
opened_s = time.perf_counter() - began
print(json.dumps({"opened_s": opened_s, "rss_mb": rss_mb() - before, "documents": sum(
    len(shelf) for shelf in (store.tickets, store.instructions, store.sheets, store.print_jobs))}))
store.close()
"""


def fill_with_tickets(root: Path, tickets: int) -> None:
    """Tickets as they are after a day: instructions, four sheets and four print jobs each: ten documents."""
    from store.states import PrintJobState, SheetState, TicketState
    from store.tables import Store

    sheet = {"profile_id": 1, "item": "1", "image": "0001.jpg", "size": {"width_um": 101600, "height_um": 152400}}
    sheet |= {"quantity": 1, "state": SheetState.PRINTED, "file": "sessions/2026-0417/0001_4x6.jpg", "width_px": 1200}
    sheet |= {"plan": {"dpi": 300, "width_px": 1200, "height_px": 1800, "source_box": [0.0, 0.0, 4000.0, 6000.0]}}
    record = {"kind": "session", "number": "2026-0417", "revision": 1, "status": "Sold", "images": [], "items": []}
    store = Store(root)
    journal = store._database.journal
    for first in range(0, tickets, 500):
        with store.transaction():
            for number in range(first + 1, min(first + 500, tickets) + 1):
                journal.put("tickets", number, {**DOCUMENT, "state": TicketState.FINISHED, "render_job_id": 1})
                journal.put("instructions", number, {"record": record, "render_job": {"name": "x"}, "profiles": []})
                for n in range(4):
                    key = number * 4 + n
                    journal.put("sheets", key, {**sheet, "ticket_id": number, "print_job_id": key})
                    job = {"sheet_id": key, "ticket_id": number, "printer_id": 1, "job_name": f"printroom-{key}"}
                    journal.put("print_jobs", key, {**job, "copies": 1, "state": PrintJobState.COMPLETED, "job_id": 7})
    journal.fold()
    store.close()


def sizes(base: Path) -> dict[str, float]:
    """Memory, start-up and bytes written."""
    fill_with_tickets(base / "filled", 10_000)
    measured = json.loads(
        subprocess.run(
            [sys.executable, "-c", _MEASURE, str(base / "filled")],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
        ).stdout.splitlines()[-1]
    )

    def written(commit: Commit) -> float:
        def so_far() -> int:
            return int(Path("/proc/self/io").read_text().split("\nwrite_bytes: ")[1].split("\n")[0])

        before = so_far()
        for number in range(1, 1001):
            commit(number % 100 + 1)
        return round((so_far() - before) / 1000)

    result: dict[str, float] = {}
    for name, make in (("ours", ours), ("sqlite", sqlite), ("tinydb", tinydb)):
        (base / f"written-{name}").mkdir()
        commit, close = make(base / f"written-{name}", 100)
        result[f"{name}_bytes_per_commit"] = written(commit)
        close()
    return {
        "documents": measured["documents"],
        "startup_s": round(measured["opened_s"], 2),
        "memory_mb_per_10000_tickets": round(measured["rss_mb"], 1),
        **result,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, default=None, help="a folder on the disk to be measured")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    parent = options.dir or Path("data")
    parent.mkdir(parents=True, exist_ok=True)
    base = Path(tempfile.mkdtemp(prefix="bench-store-", dir=parent))
    (base / "threads").mkdir()
    try:
        times, threads, fold, other = latency(base), throughput(base), folding(base), sizes(base)
    finally:
        shutil.rmtree(base)

    print(f"Durable commits of one document, ms (p50 / p99), on {os.uname().nodename}, {os.cpu_count()} cores")
    print(f"{'documents':>10} {'ours':>17} {'SQLite WAL FULL':>17} {'TinyDB JSON':>19} {'ours/SQLite p50':>16}")
    ratios = {}
    for size in map(str, SIZES):
        cells = {
            name: f"{row[size]['p50_ms']:.3f} / {row[size]['p99_ms']:.3f}" if size in row else "-"
            for name, row in times.items()
        }
        ratios[size] = round(times["ours"][size]["p50_ms"] / times["sqlite"][size]["p50_ms"], 3)
        print(f"{size:>10} {cells['ours']:>17} {cells['sqlite']:>17} {cells['tinydb']:>19} {ratios[size]:>16.2f}")
    p50s = [times["ours"][str(size)]["p50_ms"] for size in SIZES]
    spread = round(max(abs(p50 / p50s[0] - 1) for p50 in p50s), 3)
    speed_up = round(threads["threads_16_per_s"] / threads["threads_1_per_s"], 2)
    print(f"spread of our p50 from {SIZES[0]} documents on: {spread:.0%}")
    print(
        f"commits per second: 1 thread {threads['threads_1_per_s']}, 16 threads {threads['threads_16_per_s']} "
        f"({speed_up} x); SQLite with 16 connections {threads['sqlite_threads_16_per_s']}"
    )
    print(
        f"commits while 100,000 are folded: p50 {fold['folding_p50_ms']} ms, p99 {fold['folding_p99_ms']} ms, "
        f"longest {fold['folding_max_ms']} ms of {fold['folding_commits']:.0f} (else p99 {fold['quiet_p99_ms']} ms)"
    )
    print(
        f"start-up with {other['documents']} documents {other['startup_s']} s; memory for 10,000 tickets (all their "
        f"documents) {other['memory_mb_per_10000_tickets']} MB"
    )
    print(
        "bytes written to the disk per commit: "
        + ", ".join(f"{name} {other[f'{name}_bytes_per_commit']:.0f}" for name in ("ours", "sqlite", "tinydb"))
    )
    goals = {
        "p50_at_most_1.0_x_sqlite_at_every_size": all(ratio <= 1.0 for ratio in ratios.values()),
        "p50_flat_within_20_percent": spread <= 0.2,
        "16_threads_at_least_4_x_1_thread": speed_up >= 4,
    }
    figures = {"latency": times, "p50_ratio_to_sqlite": ratios, "spread": spread, "speed_up": speed_up}
    print(json.dumps({**figures, **threads, **fold, **other, "goals": goals, "met": all(goals.values())}))


if __name__ == "__main__":
    main()
