"""`make image-test`: the image boots, sets itself up, prints, and keeps everything over a second boot.

The last line is one JSON object with the figures.
"""

from __future__ import annotations

import argparse
import http.cookiejar
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from appliance.desktop_client import DesktopClient, pair
from render.samples import sample_photo
from tests.image.vm import HOST, Vm
from tests.image.volatile_disk import VolatileDisk
from tests.lab import VirtualPrinterProcess, until

NAME, PASSWORD = "kim", "wedding prints"
DISK_BYTES = 4 * 1024**3
IDLE_S = 120


class Panel:
    """Somebody at the panel, without a browser."""

    def __init__(self, url: str) -> None:
        self._url = url
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(jar)

    def get(self, path: str) -> str:
        with self._opener.open(self._url + path, timeout=60) as answer:
            return str(answer.read().decode())

    def post(self, path: str, **fields: object) -> str:
        body = urllib.parse.urlencode(fields, doseq=True).encode()
        with self._opener.open(urllib.request.Request(self._url + path, body), timeout=120) as answer:
            return str(answer.read().decode())


def session(desktop: DesktopClient, folder: Path, number: str) -> None:
    """Two photos, three prints."""
    images, items = [], []
    for seed, quantity in ((1, 1), (2, 2)):
        path = folder / f"{seed:04d}.jpg"
        path.write_bytes(sample_photo(seed, 1800, 1200))
        images.append({"name": path.name, "sha256": desktop.upload(path)})
        items.append({"id": str(seed), "image": path.name, "size": "4x6", "quantity": quantity})
    record = {"kind": "session", "number": number, "revision": 1, "status": "Sold", "client_name": "Avery Lindqvist"}
    (answer,) = desktop.push({**record, "images": images, "items": items})
    assert answer["answer"] == "accepted", answer


def wait_for_change(desktop: DesktopClient, number: str) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        return next((one for one in desktop.changes(wait_s=5) if one["number"] == number), None)

    change = until(found, f"the change of {number} arrives", 300)
    assert change is not None
    return change


def set_up(box: Vm, printer: VirtualPrinterProcess) -> str:
    """What the set-up asks, answered; returns the token of the paired desktop."""
    panel = Panel(box.url)
    panel.post("/first-run", code=box.first_run_code(), name=NAME, password=PASSWORD)
    panel.post("/setup/studio", studio_name="Lindqvist", units="inches", time_zone="America/Chicago")
    panel.post("/setup/folders", skip="yes")
    panel.post("/printers/add", uri=printer.uri.replace("127.0.0.1", HOST))
    panel.post("/setup/printers")
    panel.post("/setup/pool", name="Lab", printers=["1"])
    panel.post("/setup/profile", ready_made="Lab prints", pool_id="1")
    statuses = {"select_status": "Sold", "finish_status": "Printed", "error_status": "Trouble"}
    panel.post("/setup/render-job", name="Print sessions", kind="session", profile_id="1", **statuses)
    panel.post("/setup/client/code", name="Front desk")
    digits = re.search(r'<code class="token code">([\d ]+)</code>', panel.get("/setup/client"))
    assert digits
    return pair(box.url, digits[1]).token


def unpacked(image: Path, disk: Path) -> None:
    """The image on an SSD of its own size."""
    subprocess.run(["zstd", "-q", "-d", "-f", str(image), "-o", str(disk)], check=True)
    with disk.open("r+b") as file:
        file.truncate(DISK_BYTES)


def run(image: Path, folder: Path) -> dict[str, Any]:
    disk = folder / "disk.raw"
    unpacked(image, disk)
    printer = VirtualPrinterProcess(folder, "Lab One")
    figures: dict[str, Any] = {"image_mb": round(image.stat().st_size / 1e6)}
    box = Vm(disk, folder)
    try:
        figures["first_boot_s"] = round(box.wait_until_healthy(), 1)
        print(f"first boot: healthy after {figures['first_boot_s']} s", flush=True)
        box.wait(lambda: "First-run code" in box.console(), "the console shows the first-run code")
        token = set_up(box, printer)
        desktop = DesktopClient(box.url, token)
        session(desktop, folder, "S-1")
        change = wait_for_change(desktop, "S-1")
        desktop.acknowledge(change["seq"])
        figures["printed"] = len(printer.printed())
        print(f"a pushed session: {change['status']}, {figures['printed']} prints", flush=True)
        page = Panel(box.url)
        page.post("/login", name=NAME, password=PASSWORD)
        health = page.get("/health/")
        disk_line = re.search(r"([\d.]+) of ([\d.]+) GB", health)
        assert disk_line
        figures["data_gb"] = float(disk_line[2])
        box.pull_the_plug()

        counted = VolatileDisk(disk, folder / "nbd")
        box = Vm(disk, folder, f"nbd:unix:{folder / 'nbd'}")
        figures["second_boot_s"] = round(box.wait_until_healthy(), 1)
        print(f"second boot, after the plug was pulled: healthy after {figures['second_boot_s']} s", flush=True)
        desktop = DesktopClient(box.url, token)
        figures["kept"] = desktop.ticket(1)["state"] == "finished"
        with urllib.request.urlopen(f"{box.url}/health/alive", timeout=30) as answer:
            figures["healthy"] = json.loads(answer.read())["healthy"]
        session(desktop, folder, "S-2")
        figures["prints_again"] = wait_for_change(desktop, "S-2")["status"] == "Printed"
        page = Panel(box.url)
        page.post("/login", name=NAME, password=PASSWORD)
        free = re.search(r"([\d.]+) of ([\d.]+) GB", page.get("/health/").partition("Memory free")[2])
        assert free
        figures["idle_memory_mb"] = round(1000 * (float(free[2]) - float(free[1])))
        time.sleep(IDLE_S / 2)  # what the day left is written
        before = counted.counts["bytes"]
        time.sleep(IDLE_S)
        figures["idle_writes_mb_an_hour"] = round((counted.counts["bytes"] - before) / 1e6 * 3600 / IDLE_S, 1)
    finally:
        box.pull_the_plug()
        printer.stop()
    goals = {
        "boots": figures["healthy"],
        "a_session_is_printed_once": figures["printed"] == 3,
        "the_data_partition_grew": figures["data_gb"] > 1.5,
        "the_second_boot_keeps_it": figures["kept"],
        "and_prints": figures["prints_again"],
    }
    return {**figures, "goals": goals, "met": all(goals.values())}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("image", type=Path)
    image = parser.parse_args().image
    folder = Path(tempfile.mkdtemp(prefix="lab-image-"))
    try:
        figures = run(image, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for name, value in figures.items():
        if name not in ("goals", "met"):
            print(f"  {name:20} {value}")
    print(json.dumps(figures))
    return 0 if figures["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
