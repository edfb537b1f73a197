"""`make trial-power`: the box's power is cut while desktops push and computers print; what was acknowledged is there
when it comes back, and comes out of the printer once. CUTS, SEED.

Every second cut comes at the moment when the guest's disk was asked to make its writes safe. The last line is one JSON
object with the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import threading
import time
import urllib.error
from collections import Counter
from pathlib import Path
from typing import Any

from appliance.desktop_client import DesktopClient, SyncError
from ipp.client import Connection, JobRequest
from ipp.errors import PrinterError
from render.samples import sample_photo
from store.sizes import parse_size
from tests.image.__main__ import NAME, PASSWORD, Panel, set_up, unpacked
from tests.image.vm import Vm
from tests.image.volatile_disk import VolatileDisk
from tests.lab import VirtualPrinterProcess

WRITERS = 3


class Trial:
    """One box over many cuts."""

    def __init__(self, image: Path, folder: Path, seed: int) -> None:
        self._folder, self._disk, self._random = folder, folder / "disk.raw", random.Random(seed)
        self._printer = VirtualPrinterProcess(folder, "Lab One")
        self._pushed: dict[str, int] = {}  # acknowledged: number → revision
        self._jobs: list[str] = []  # acknowledged print jobs, by name
        self._photo = folder / "photo.jpg"
        self._photo.write_bytes(sample_photo(1, 300, 200))
        self._token = ""
        self._lost_sectors = 0
        unpacked(image, self._disk)

    def run(self, cuts: int) -> dict[str, Any]:
        """Cut so often, and look each time; then wait until everything is out."""
        boots: list[float] = []
        missing: list[str] = []
        for cut in range(cuts + 1):
            disk = VolatileDisk(self._disk, self._folder / "nbd")
            box = Vm(self._disk, self._folder, f"nbd:unix:{self._folder / 'nbd'}")
            try:
                boots.append(round(box.wait_until_healthy(), 1))
                if not self._token:
                    box.wait(lambda box=box: "First-run code" in box.console(), "the first-run code")
                    self._token = set_up(box, self._printer)
                missing += self._missing(box)
                print(f"boot {cut}: {boots[-1]} s, {len(self._pushed)} pushes and {len(self._jobs)} print jobs "
                      f"acknowledged, {len(missing)} missing", flush=True)  # fmt: skip
                if cut == cuts:
                    return self._figures(box, boots, missing)
                self._work_until_the_cut(box, disk, cut)
            finally:
                disk.cut(cut)
                self._lost_sectors += disk.counts["lost"]
                box.pull_the_plug()
        raise AssertionError

    def stop(self) -> None:
        self._printer.stop()

    def _work_until_the_cut(self, box: Vm, disk: VolatileDisk, cut: int) -> None:
        ending = threading.Event()
        work = [threading.Thread(target=self._push, args=(box, cut, one, ending)) for one in range(WRITERS)]
        work.append(threading.Thread(target=self._print, args=(box, cut, ending)))
        for thread in work:
            thread.start()
        time.sleep(self._random.uniform(5, 12))
        if cut % 2:
            disk.cut_at_the_next_flush(cut)
            disk.was_cut.wait(20)
        disk.cut(cut)
        ending.set()
        box.pull_the_plug()
        for thread in work:
            thread.join(120)

    def _push(self, box: Vm, cut: int, writer: int, ending: threading.Event) -> None:
        desktop = DesktopClient(box.url, self._token, patience_s=0)
        count = 0
        while not ending.is_set():
            number, count = f"S-{cut}-{writer}-{count}", count + 1
            record = {"kind": "session", "number": number, "revision": 1, "status": "New"}
            try:
                (answer,) = desktop.push(record)
            except (OSError, SyncError):
                return
            if answer["answer"] == "accepted":
                self._pushed[number] = 1

    def _print(self, box: Vm, cut: int, ending: threading.Event) -> None:
        async def one(name: str) -> None:
            async with Connection(f"ipp://127.0.0.1:{box.ipp_port}/ipp/print/lab") as client:
                description = await client.describe()
                request = JobRequest(name, 1, parse_size("4x6"), 300, has_bleed=False)
                created = await client.create_job(request, description.attributes)
                await client.send_document(created.job_id, self._photo, "image/jpeg")

        count = 0
        while not ending.is_set():
            name, count = f"job-{cut}-{count}", count + 1
            try:
                asyncio.run(asyncio.wait_for(one(name), 20))
            except (PrinterError, OSError, TimeoutError):
                return
            self._jobs.append(name)
            time.sleep(1.5)

    def _missing(self, box: Vm) -> list[str]:
        desktop = DesktopClient(box.url, self._token)
        gone = []
        for number in self._pushed:
            try:
                desktop.record("session", number)
            except (SyncError, urllib.error.HTTPError):
                gone.append(number)
        return gone

    def _figures(self, box: Vm, boots: list[float], missing: list[str]) -> dict[str, Any]:
        """Wait until the box has nothing left to do but what it asks people."""
        panel = Panel(box.url)
        panel.post("/login", name=NAME, password=PASSWORD)
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            page = panel.get("/queues/1")
            done, asked = page.count("· completed"), panel.get("/").count(">held<")
            if done + asked >= len(self._jobs):
                break
            time.sleep(3)
        printed = Counter(str(page["job_name"]) for page in self._printer.printed())
        return {
            "cuts": len(boots) - 1,
            "pushes_acknowledged": len(self._pushed),
            "print_jobs_acknowledged": len(self._jobs),
            "pushes_missing": len(missing),
            "print_jobs_done": done,
            "print_jobs_asked_about": asked,
            "printed_twice": sum(count > 1 for count in printed.values()),
            "sectors_lost_by_the_disk": self._lost_sectors,
            "boot_s": boots,
        }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("image", type=Path)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lab-power-"))
    trial = Trial(options.image, folder, options.seed)
    try:
        figures = trial.run(options.cuts)
    finally:
        trial.stop()
        shutil.rmtree(folder, ignore_errors=True)
    goals = {
        "no_acknowledged_push_is_missing": figures["pushes_missing"] == 0,
        "every_acknowledged_print_job_is_done_or_asked_about": figures["print_jobs_done"]
        + figures["print_jobs_asked_about"]
        >= figures["print_jobs_acknowledged"],
        "nothing_is_printed_twice": figures["printed_twice"] == 0,
        "the_disk_really_lost_something": figures["sectors_lost_by_the_disk"] > 0,
        "twenty_cuts": figures["cuts"] >= 20,
    }
    for name, value in figures.items():
        print(f"  {name:28} {value}")
    print(json.dumps({**figures, "goals": goals, "met": all(goals.values())}))
    return 0 if all(goals.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
