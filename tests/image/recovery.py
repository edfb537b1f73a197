"""What happens when it goes wrong for good: damaged data, a forgotten password, a box that is to be as it came."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.error
from pathlib import Path
from typing import Any

from appliance.desktop_client import SyncError
from tests.image.site import NAME, Panel, Site

NEW_PASSWORD = "another wedding"


def run(site: Site) -> dict[str, Any]:
    """The running box goes through all of it; afterwards it is as it came."""
    figures: dict[str, Any] = {}
    site.push("before-the-damage")

    figures["password_reset"] = _forgotten_password(site)
    print(f"forgotten password: {figures['password_reset']}", flush=True)
    figures["safe_mode"] = _safe_mode(site)
    print(f"safe mode: {figures['safe_mode']}", flush=True)

    site.pull_the_plug()
    _damage_the_store(site)
    figures["damaged_store"] = _recovered(site, is_disk=False)
    print(f"a damaged store: {figures['damaged_store']}", flush=True)

    site.pull_the_plug()
    _damage_the_partition(site)
    figures["damaged_partition"] = _recovered(site, is_disk=True)
    print(f"a damaged partition: {figures['damaged_partition']}", flush=True)

    figures["factory_reset"] = _factory_reset(site)
    print(f"factory reset: {figures['factory_reset']}", flush=True)
    return figures


def goals(figures: dict[str, Any]) -> dict[str, bool]:
    """What recovery has to show."""
    return {
        "a_forgotten_password_is_set_from_the_console": figures["password_reset"],
        "safe_mode_takes_records_and_prints_nothing": figures["safe_mode"],
        "a_damaged_store_is_mended_from_the_recovery_page": figures["damaged_store"] == "mended, nothing missing",
        "a_damaged_partition_too": figures["damaged_partition"] == "mended, nothing missing",
        "a_factory_reset_begins_anew": figures["factory_reset"],
    }


def _forgotten_password(site: Site) -> bool:
    before = len(site.box.console())
    site.box.type("p")
    now = time.monotonic() - site.box.began
    site.box.wait(lambda: "Code: " in site.box.console()[before:], "the console shows a code", now + 90)
    code = re.search(r"Code: (\d{8})", site.box.console()[before:])
    assert code
    page = Panel(site.box.url).post("/reset-password", code=code[1], name=NAME, password=NEW_PASSWORD)
    site.box.type(" ")
    return "Log out" in page and "Log out" in site.panel(NEW_PASSWORD).get("/")


def _safe_mode(site: Site) -> bool:
    panel = site.panel(NEW_PASSWORD)
    panel.post("/box/safe-mode", on="yes")
    time.sleep(5)
    site.takes_again()
    site.push("S-safe", status="Sold")
    time.sleep(5)
    panel = site.panel(NEW_PASSWORD)
    is_marked = (
        "Safe mode:" in panel.get("/") and site.desktop.record("session", "S-safe")["record"]["status"] == "Sold"
    )
    panel.post("/box/safe-mode")
    time.sleep(5)
    site.takes_again()
    return is_marked and "Safe mode:" not in site.panel(NEW_PASSWORD).get("/")


def _recovered(site: Site, is_disk: bool) -> str:
    """The recovery page, used as somebody would."""
    site.start(is_healthy=False)
    site.box.wait(lambda: "Recovery code: " in site.box.console(), "the console shows a recovery code")
    found = re.search(r"Recovery code: (\d{8})", site.box.console())
    assert found
    panel = Panel(site.box.url)
    if "cannot open its data" not in panel.get("/"):
        return "no recovery page"
    try:
        Panel(site.box.url).post("/repair")
        return "repaired without a code"
    except urllib.error.HTTPError as error:
        error.close()
    panel.post("/enter", code=found[1])
    checked = panel.post("/check")
    repaired = panel.post("/repair")
    for text in (checked, repaired):
        report = re.search(r"<pre[^>]*>(.*?)</pre>", text, re.S)
        print("   ", " | ".join((report[1] if report else "no report").splitlines()[-4:]), flush=True)
    panel.post("/restart")
    if is_disk:
        site.box.wait(lambda: not site.alive(), "it goes down", time.monotonic() - site.box.began + 120)
    site.takes_again()
    try:
        kept = site.desktop.record("session", "before-the-damage")["record"]["number"]
    except SyncError as error:
        return f"mended, but: {error}"
    return "mended, nothing missing" if kept == "before-the-damage" else "mended, and wrong"


def _factory_reset(site: Site) -> bool:
    before = len(site.box.console())
    site.box.type("f")
    now = time.monotonic() - site.box.began
    site.box.wait(lambda: "Type yes" in site.box.console()[before:], "it asks whether that is sure", now + 60)
    site.box.type("yes\r")
    now = time.monotonic() - site.box.began

    def after_the_restart() -> str:
        return site.box.console()[before:].partition("BdsDxe: starting")[2]

    site.box.wait(lambda: "First-run code" in after_the_restart(), "it begins anew", now + 500)
    return "Welcome to Printroom" in Panel(site.box.url).get("/first-run")


def _data_partition(disk: Path) -> int:
    """Where it begins, in bytes."""
    told = subprocess.run(["sfdisk", "-d", str(disk)], capture_output=True, text=True, check=True).stdout
    line = next(line for line in told.splitlines() if "printroom-data" in line)
    start = re.search(r"start=\s*(\d+)", line)
    assert start
    return int(start[1]) * 512


def _damage_the_store(site: Site) -> None:
    """Both snapshots lose their middle: no way to a complete state, so that somebody has to decide."""
    where = f"{site.disk_file}?offset={_data_partition(site.disk_file)}"
    subprocess.run(["e2fsck", "-p", where], capture_output=True, check=False)
    folder = "/lib/printroom/store"
    listing = _debugfs(where, f"ls -p {folder}")
    snapshots = re.findall(r"/(snapshot-[0-9]+\.\w+)/", listing)
    assert snapshots, listing
    for name in snapshots:
        local = site.folder / name
        _debugfs(where, f"dump {folder}/{name} {local}")
        content = bytearray(local.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 8] = bytes(8 * [0xAA])
        local.write_bytes(content)
        status = _debugfs(where, f"stat {folder}/{name}")
        owner = re.search(r"User:\s+(\d+)\s+Group:\s+(\d+)", status)
        assert owner
        _debugfs(where, f"rm {folder}/{name}", writes=True)
        _debugfs(where, f"cd {folder}", f"write {local} {name}", writes=True)
        for field, value in (("uid", owner[1]), ("gid", owner[2]), ("mode", "0100600")):
            _debugfs(where, f"set_inode_field {folder}/{name} {field} {value}", writes=True)


def _damage_the_partition(site: Site) -> None:
    """A block of a folder is overwritten, as by a dying card: more than `e2fsck -p` mends by itself."""
    start = _data_partition(site.disk_file)
    where = f"{site.disk_file}?offset={start}"
    subprocess.run(["e2fsck", "-p", where], capture_output=True, check=False)
    blocks = re.findall(r"\d+", _debugfs(where, "blocks /log/journal").partition("\n")[2])
    block_size = re.search(r"Block size:\s+(\d+)", _debugfs(where, "stats -h"))
    assert blocks and block_size
    with site.disk_file.open("r+b") as disk:
        disk.seek(start + int(blocks[0]) * int(block_size[1]))
        disk.write(b"\xaa" * int(block_size[1]))
    _debugfs(where, "set_super_value state 2", writes=True)  # as the kernel does when it comes across it


def _debugfs(where: str, *commands: str, writes: bool = False) -> str:
    script = "\n".join(commands) + "\n"
    options = ["-w"] if writes else []
    done = subprocess.run(
        ["debugfs", *options, "-f", "-", where], input=script, capture_output=True, text=True, check=False
    )
    return done.stdout
