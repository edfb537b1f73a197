"""The box comes out of its carton: first run, a session is printed, the plug is pulled, it goes on; then it does
nothing for a while, and is measured."""

from __future__ import annotations

import re
import subprocess
import time
from typing import Any

from render.samples import sample_photo
from tests.image.site import Site, wait_for_change
from tests.lab import find_program, until

IDLE_S = 300
SHARE_PASSWORD = "only for the share"


def run(site: Site) -> dict[str, Any]:
    """Figures of a first day. The box runs afterwards."""
    figures: dict[str, Any] = {"first_boot_s": site.start()}
    print(f"first boot: healthy after {figures['first_boot_s']} s", flush=True)
    site.set_up()
    status = site.print_session("S-1")
    figures["printed"] = len(site.printer.printed())
    print(f"a pushed session: {status}, {figures['printed']} prints", flush=True)
    disk_line = re.search(r"([\d.]+) of ([\d.]+) GB", site.panel().get("/health/"))
    assert disk_line
    figures["data_gb"] = float(disk_line[2])
    site.pull_the_plug()
    figures["second_boot_s"] = site.start()
    print(f"second boot, after the plug was pulled: healthy after {figures['second_boot_s']} s", flush=True)
    figures["kept"] = site.desktop.ticket(1)["state"] == "finished"
    figures["prints_again"] = site.print_session("S-2") == "Printed"
    figures["share"] = _share(site)
    print(f"the share: {figures['share']}", flush=True)
    figures["healthy"] = site.alive().get("healthy") is True
    return figures


def _share(site: Site) -> str:
    """Off until it is switched on; then a computer puts a picture there, and a record names it as that one does."""
    picture = site.folder / "shared.jpg"
    picture.write_bytes(sample_photo(5, 900, 600))
    if _smb(site, "images", f"put {picture} shared.jpg", "anything"):
        return "open before it was switched on"
    panel = site.panel()
    panel.post("/box/share", what="on", share_password=SHARE_PASSWORD)
    if _smb(site, "images", "ls", "a wrong password"):
        return "open with a wrong password"
    until(lambda: _smb(site, "images", f"put {picture} shared.jpg", SHARE_PASSWORD), "a picture is put there", 60)
    if _smb(site, "output", f"put {picture} shared.jpg", SHARE_PASSWORD):
        return "rendered files may be overwritten"
    record = {"kind": "session", "number": "S-shared", "revision": 1, "status": "Sold", "client_name": "Mara"}
    record["images"] = [{"name": "shared.jpg", "path": r"\\printroom\images\shared.jpg"}]
    record["items"] = [{"id": "1", "image": "shared.jpg", "size": "4x6"}]
    (answer,) = site.desktop.push(record)
    assert answer["answer"] == "accepted", answer
    change = wait_for_change(site.desktop, "S-shared")
    site.desktop.acknowledge(change["seq"])
    panel.post("/box/share", what="off")
    if _smb(site, "images", "ls", SHARE_PASSWORD):
        return "open after it was switched off"
    return "a picture from it is printed" if change["status"] == "Printed" else str(change)


def _smb(site: Site, share: str, command: str, password: str) -> bool:
    program = [find_program("smbclient"), f"//127.0.0.1/{share}", "-p", str(site.box.ports.smb)]
    done = subprocess.run([*program, "-U", f"studio%{password}", "-c", command], capture_output=True, check=False)
    return done.returncode == 0


def idle(site: Site) -> dict[str, Any]:
    """Memory and writes of a box that has nothing to do."""
    time.sleep(60)  # what the day left is written
    before = site.disk.counts["bytes"]
    time.sleep(IDLE_S)
    written = site.disk.counts["bytes"] - before
    free = re.search(r"([\d,]+) of ([\d,]+) MB", site.panel().get("/health/").partition("Memory free")[2])
    assert free
    left, of = (int(one.replace(",", "")) for one in free.groups())
    return {
        "idle_memory_mb": of - left,
        "idle_writes_mb_an_hour": round(written / 1e6 * 3600 / IDLE_S, 1),
    }


def goals(figures: dict[str, Any]) -> dict[str, bool]:
    """What a first day has to show."""
    return {
        "boots": figures["healthy"],
        "a_session_is_printed_once": figures["printed"] == 3,
        "the_data_partition_grew": figures["data_gb"] > 1.5,
        "the_second_boot_keeps_it": figures["kept"],
        "and_prints": figures["prints_again"],
        "the_share_is_off_and_then_works": figures["share"] == "a picture from it is printed",
    }
