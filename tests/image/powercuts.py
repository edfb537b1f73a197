"""`make trial-power`: the box's power is cut while desktops push and computers print; what was acknowledged is there
when it comes back, and comes out of the printer once. CUTS, SEED.

Every second cut comes at the moment when the guest's disk was asked to make its writes safe. The last line is one JSON
object with the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
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

from appliance.desktop_client import SyncError
from ipp.client import Connection, JobRequest
from ipp.errors import PrinterError
from render.samples import sample_photo
from store.sizes import parse_size
from tests.image.site import Site

WRITERS = 3
FIRST_BOOT_CUTS_S = (20, 28, 38)


class Trial:
    """One box over many cuts."""

    def __init__(self, site: Site, seed: int) -> None:
        self._site, self._random = site, random.Random(seed)
        self._pushed: list[str] = []  # acknowledged, by number
        self._jobs: list[str] = []  # acknowledged print jobs, by name
        self._photo = site.folder / "photo.jpg"
        self._photo.write_bytes(sample_photo(1, 300, 200))
        self._lost_sectors = 0

    def run(self, cuts: int) -> dict[str, Any]:
        """Cut so often, and look each time; then wait until everything is out."""
        for cut, after_s in enumerate(FIRST_BOOT_CUTS_S):
            # It grows the disk and makes identities and keys: it may be cut off anywhere, and begins again.
            self._site.start(is_healthy=False)
            time.sleep(after_s)
            self._cut(cut)
            print(f"first boot cut off after {after_s} s", flush=True)
        boots = [self._site.start()]
        self._site.set_up()
        checked = 0
        missing: list[str] = []
        for cut in range(cuts):
            self._work_until_the_cut(cut)
            boots.append(self._site.start())
            missing += self._missing(self._pushed[checked:])
            checked = len(self._pushed)
            print(f"cut {cut + 1}: back after {boots[-1]} s; {checked} pushes and {len(self._jobs)} print jobs "
                  f"acknowledged, {len(missing)} missing", flush=True)  # fmt: skip
        missing = sorted({*missing, *self._missing(self._pushed)})  # what was there once is there still
        return self._figures(boots, missing)

    def _cut(self, seed: int) -> None:
        self._site.pull_the_plug(seed)
        self._lost_sectors += self._site.disk.counts["lost"]

    def _work_until_the_cut(self, cut: int) -> None:
        ending = threading.Event()
        work = [threading.Thread(target=self._push, args=(cut, one, ending)) for one in range(WRITERS)]
        work.append(threading.Thread(target=self._print, args=(cut, ending)))
        for thread in work:
            thread.start()
        time.sleep(self._random.uniform(5, 12))
        if cut % 2:
            self._site.disk.cut_at_the_next_flush(cut)
            self._site.disk.was_cut.wait(20)
        ending.set()
        self._cut(cut)
        for thread in work:
            thread.join(120)

    def _push(self, cut: int, writer: int, ending: threading.Event) -> None:
        count = 0
        while not ending.is_set():
            number, count = f"S-{cut}-{writer}-{count}", count + 1
            try:
                self._site.push(number)
            except (OSError, SyncError, http.client.HTTPException):
                return
            self._pushed.append(number)

    def _print(self, cut: int, ending: threading.Event) -> None:
        async def one(name: str) -> None:
            async with Connection(f"ipp://127.0.0.1:{self._site.box.ports.ipp}/ipp/print/lab") as client:
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

    def _missing(self, pushed: list[str]) -> list[str]:
        desktop = self._site.desktop
        gone = []
        for number in pushed:
            try:
                desktop.record("session", number)
            except (SyncError, urllib.error.HTTPError):
                gone.append(number)
        return gone

    def _figures(self, boots: list[float], missing: list[str]) -> dict[str, Any]:
        """Wait until the box has nothing left to do but what it asks people."""
        panel = self._site.panel()
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            page = panel.get("/queues/1")
            done, asked = page.count("· completed"), panel.get("/").count(">held<")
            if done + asked >= len(self._jobs):
                break
            time.sleep(3)
        printed = Counter(str(page["job_name"]) for page in self._site.printer.printed())
        return {
            "cuts": len(boots) - 1,
            "first_boot_cuts": len(FIRST_BOOT_CUTS_S),
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
    site = Site(options.image, folder)
    try:
        figures = Trial(site, options.seed).run(options.cuts)
    finally:
        site.stop()
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
