"""ipptool's suites against the box, CUPS's ippeveprinter and cupsd, in one run: `make conformance`.

ipptool ends a suite without a word when a document is missing, so a run counts only with all of its tests.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import plistlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from ipp.attributes import ENDED_JOBS
from ipp.client import Connection
from store.queue_setup import offer
from store.queues import OperatorAccess
from store.records import PrinterPool
from store.tables import Store
from tests.appliance.conftest import Appliance, Studio
from tests.conformance.documents import write_all
from tests.lab import CupsServer, EvePrinter, Network, VirtualPrinterProcess, find_program
from tests.studio import NOW

SUITES = Path("/usr/share/cups/ipptool")
# (name, version, suite, document, tests that it has with those that it includes)
RUNS = (
    ("ipp-1.1", "1.1", "ipp-1.1.test", "color.jpg", 66),
    ("ipp-2.0", "2.0", "ipp-2.0.test", "color.jpg", 67),
    ("ipp-2.1", "2.1", "ipp-2.1.test", "color.jpg", 68),
    ("ipp-2.2", "2.2", "ipp-2.2.test", "color.jpg", 69),
    ("everywhere, JPEG", "2.0", "ipp-everywhere.test", "color.jpg", 500),
    ("everywhere, PDF", "2.0", "ipp-everywhere.test", "document-letter.pdf", 500),
    (
        "everywhere, PWG raster", "2.0", "ipp-everywhere.test",
        "pwg-raster-samples-300dpi/srgb-8/color.jpg-4x6-srgb-8-300dpi.pwg", 500,
    ),
)  # fmt: skip
LIMIT_S = 240


@dataclass
class Score:
    """What became of a suite's tests, by name (with its position, for names come twice)."""

    passed: set[str] = field(default_factory=set)
    failed: dict[str, list[str]] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    seconds: float = 0.0

    @property
    def count(self) -> int:
        return len(self.passed) + len(self.failed) + len(self.skipped)


def run_suite(uri: str, version: str, suite: str, document: str, folder: Path) -> Score:
    report = folder / f"report-{uuid4().hex}.plist"
    how = ("-I", "-t", "-P", str(report), "-V", version, "-T", "30", "-f", document)
    command = [find_program("ipptool"), *how, uri, suite]
    began = time.monotonic()
    try:
        subprocess.run(command, cwd=folder, capture_output=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        print(f"    {suite} took longer than {LIMIT_S} s", flush=True)
    score = Score(seconds=time.monotonic() - began)
    for position, test in enumerate(_tests(report.read_text(errors="replace") if report.exists() else "")):
        name = f"{position + 1} {test.get('Name', '?')}"
        if test.get("Skipped"):
            score.skipped.add(name)
        elif test.get("Successful"):
            score.passed.add(name)
        else:
            score.failed[name] = [*map(str, test.get("Errors", [])[:6]), test.get("StatusCode", "")]
    return score


def settle(uri: str) -> str:
    """Wait until the box has printed all that the suite sent; what came of it, in words."""

    async def ends() -> Counter[str]:
        async with Connection(uri) as client:
            while True:
                jobs = await client.jobs()
                if all(job.state in ENDED_JOBS for job in jobs):
                    return Counter(job.state.name.lower() if job.state else "?" for job in jobs)
                await asyncio.sleep(0.5)

    counts = asyncio.run(asyncio.wait_for(ends(), 300))
    return f"(its jobs: {', '.join(f'{count} {state}' for state, count in counts.items())}) "


def _tests(text: str) -> Iterator[dict[str, Any]]:
    """The tests in ipptool's report, which is a property list for each file that a suite includes, one in another."""
    depth, block = 0, []
    for line in text.splitlines():
        if depth == 0 and line == "<key>Name</key>" and block == ["<dict>"]:
            depth = 1
        if depth == 0:
            block = [line] if line == "<dict>" else []
        if depth:
            block.append(line)
            depth += line.count("<dict>") - line.count("</dict>")
            if depth == 0:
                yield plistlib.loads("\n".join(['<plist version="1.0">', *block, "</plist>"]).encode())
                block = []


# -- the servers --------------------------------------------------------------------------------------------------


@contextmanager
def box(folder: Path) -> Iterator[str]:
    """The box, with a pool of two printers that print fast."""
    trays = [VirtualPrinterProcess(folder, name, "--seconds-per-sheet", "0.01") for name in ("One", "Two")]
    papers = {"4x6": 10**6, "5x7": 10**6, "8x10": 10**6, "210x297mm": 10**6, "8.5x11": 10**6}
    for tray in trays:
        tray.pull(paper=papers)
    data = folder / "box"
    studio = Studio(data, {tray.name: tray.uri for tray in trays})
    store = Store(studio.data)
    (pool,) = store.printer_pools.all()
    assert isinstance(pool, PrinterPool)
    queue = offer(store, "Lab", NOW, pool_id=pool.id)
    store.print_queues.put(queue.with_(operators=OperatorAccess.EVERYBODY))
    store.close()
    appliance = Appliance(data)
    try:
        yield f"ipp://127.0.0.1:{appliance.ipp_port}/ipp/print/{queue.path}"
    finally:
        appliance.stop()
        for tray in trays:
            tray.stop()


@contextmanager
def ippeveprinter(folder: Path, network: Network, seconds: float = 0.05) -> Iterator[str]:
    formats = "application/pdf,image/jpeg,image/pwg-raster,image/urf"
    eve = EvePrinter(folder, network.bus, "Eve", seconds=seconds, formats=formats)
    try:
        yield eve.uri
    finally:
        eve.stop()


@contextmanager
def cups_raw() -> Iterator[str]:
    server = CupsServer("LimitRequestBody 0")
    (server.folder / "files.conf").write_text((server.folder / "files.conf").read_text() + "FileDevice Yes\n")
    server.stop()
    server.start()
    try:
        yield server.add_queue("raw", "file:///dev/null", is_raw=True)
    finally:
        server.remove()


@contextmanager
def cups_everywhere(folder: Path, network: Network) -> Iterator[str]:
    with ippeveprinter(folder, network) as uri:
        server = CupsServer()
        try:
            yield server.add_queue("everywhere", uri)
        finally:
            server.remove()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="one server: box, ippeveprinter, cupsd raw, cupsd everywhere")
    parser.add_argument("--suite", default="", help="only runs whose name begins so")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="lab-conformance-"))
    root.chmod(0o755)
    print("making the documents", flush=True)
    for suite in SUITES.glob("*.test"):
        shutil.copy(suite, root)
    write_all(root)
    network = Network(Path(tempfile.mkdtemp(prefix="lab-")))
    numbers = iter(range(1000))

    def fresh() -> Path:
        folder = root / f"servers-{next(numbers)}"
        folder.mkdir()
        return folder

    servers: dict[str, Callable[[], object]] = {
        "box": lambda: box(fresh()),
        "ippeveprinter": lambda: ippeveprinter(fresh(), network),
        "cupsd raw": cups_raw,
        "cupsd everywhere": lambda: cups_everywhere(fresh(), network),
    }
    scores: dict[str, dict[str, Score]] = {}
    runs = [run for run in RUNS if run[0].startswith(options.suite)]
    try:
        for server, started in servers.items():
            if options.only and server != options.only:
                continue
            scores[server] = {}

            def one(run: tuple[str, str, str, str, int], server: str = server, started: Any = started) -> None:
                name, version, suite, document, _ = run
                with started() as uri:  # fresh: orphans of one suite spoil the next
                    scores[server][name] = score = run_suite(uri, version, suite, document, root)
                    settled = settle(uri) if server == "box" else ""
                line = f"{settled}{len(score.passed)} passed, {len(score.failed)} failed, {len(score.skipped)} skipped"
                print(f"  {server:18} {name:24} {line}, {score.seconds:.0f} s", flush=True)
                if server == "box":
                    for test, why in score.failed.items():
                        print(f"      FAILED {test}: {'; '.join(why)}", flush=True)

            # References wait for themselves most of the time: theirs run side by side.
            with ThreadPoolExecutor(1 if server == "box" else len(runs)) as pool:
                list(pool.map(one, runs))
    finally:
        network.stop()
        shutil.rmtree(root, ignore_errors=True)
    return report(scores, runs)


def report(scores: dict[str, dict[str, Score]], runs: list[tuple[str, str, str, str, int]]) -> int:
    print(f"\n{'suite':26}" + "".join(f"{server:>22}" for server in scores))
    for name, *_ in runs:
        cells = [scores[server][name] for server in scores]
        print(f"{name:26}" + "".join(f"{f'{len(c.passed)}/{len(c.failed)}/{len(c.skipped)}':>22}" for c in cells))
    print("passed/failed/skipped\n")
    others = [server for server in scores if server != "box"]
    ours = scores.get("box", {})
    totals = {server: sum(len(score.passed) for score in of.values()) for server, of in scores.items()}
    missing: list[str] = []
    if ours and others:
        for name, *_ in runs:
            best = max(others, key=lambda server: len(scores[server][name].passed))
            missing += [f"{name}: {test}" for test in scores[best][name].passed - ours[name].passed]
    counts = {name: (ours[name].count, least) for name, *_, least in runs if ours}
    short = [f"{name}: {count} of {least} tests" for name, (count, least) in counts.items() if count < least]
    goals = {
        "every_test_that_the_best_reference_passes": not missing,
        "more_in_total": bool(others) and totals.get("box", 0) > max(totals[server] for server in others),
        "suites_complete": not short,
    }
    for line in [*missing, *short]:
        print(f"missing: {line}")
    result = {
        "passed": {server: {name: len(score.passed) for name, score in of.items()} for server, of in scores.items()},
        "failed": {server: {name: len(score.failed) for name, score in of.items()} for server, of in scores.items()},
        "totals": totals,
        "missing": missing,
        "goals": goals,
        "met": all(goals.values()),
    }
    print(json.dumps(result))
    return 0 if result["met"] else 1


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
