"""Updates: refused ones, a good one, one that does not work, ones whose power is cut, and going back."""

from __future__ import annotations

import http.client
import random
import re
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from appliance.desktop_client import SyncError
from tests.image.site import Panel, Site
from tests.image.variants import Built, variant


def run(site: Site, built: Built, cuts: int, seed: int) -> dict[str, Any]:
    """The running box goes through all of it."""
    folder = site.folder
    good = variant(built, folder, "0.2.0", newer_schema=True)
    lame = variant(built, folder, "0.3.0", newer_schema=True, is_lame=True)
    figures: dict[str, Any] = {"refusals": _refusals(site, built, good)}
    print(f"refused: {figures['refusals']}", flush=True)

    pushes = Pushes(site)
    site.push("before-update")
    figures["update_install_s"] = _install(site, good)
    began = time.monotonic()
    _restart(site)
    figures["update"] = site.takes_again()
    figures["update_boot_s"] = round(time.monotonic() - began, 1)
    figures["schema_went_up"] = "Lindqvist III" in site.panel().get("/settings/box")
    print(f"update: {figures['update']} after {figures['update_install_s']} + {figures['update_boot_s']} s", flush=True)
    site.print_session("S-after-update")

    began = time.monotonic()
    _install(site, lame)
    boots = site.box.console().count("BdsDxe: starting")
    _restart(site)
    figures["after_a_bad_update"] = site.takes_again(900)
    figures["bad_update_boots"] = site.box.console().count("BdsDxe: starting") - boots
    figures["fall_back_s"] = round(time.monotonic() - began, 1)
    print(f"a bad update: back on {figures['after_a_bad_update']} after {figures['bad_update_boots']} boots, "
          f"{figures['fall_back_s']} s", flush=True)  # fmt: skip

    figures |= _cut_updates(site, built, cuts, seed, figures["update_install_s"])

    site.push("before-going-back")
    site.panel().post("/box/do/go-back")
    _wait_until_gone(site)
    figures["went_back_to"] = site.takes_again()
    missing = pushes.missing()
    figures["pushes_acknowledged"], figures["pushes_missing"] = pushes.count, len(missing)
    print(f"went back to {figures['went_back_to']}; {pushes.count} pushes acknowledged all the while, "
          f"{len(missing)} missing", flush=True)  # fmt: skip
    return figures


def _cut_updates(site: Site, built: Built, cuts: int, seed: int, install_s: float) -> dict[str, Any]:
    """Each is cut off somewhere, and installed as a whole afterwards. The first has the number of the one that was
    given up."""
    coin = random.Random(seed)
    versions = ["0.2.0"]
    after_cuts: list[str] = []
    went_through: list[str] = []
    lost: list[int] = []
    for cut in range(cuts):
        wanted = f"0.{3 + cut}.0"
        bundle = variant(built, site.folder, wanted, newer_schema=True)
        panel = site.panel()
        _upload(site, panel, bundle)
        panel.post("/box/install")
        time.sleep(coin.uniform(0.1, 1) * install_s)
        site.disk.cut_at_the_next_flush(seed + cut)
        site.disk.was_cut.wait(15)
        site.pull_the_plug(seed + cut)
        lost.append(site.disk.counts["lost"])
        site.start()
        after_cuts.append(site.takes_again())
        if after_cuts[-1] != wanted:
            _install(site, bundle)
            _restart(site)
        went_through.append(site.takes_again())
        print(f"update cut {cut + 1}: up on {after_cuts[-1]}, {lost[-1]} sectors lost; then {went_through[-1]}",
              flush=True)  # fmt: skip
        if went_through[-1] != wanted:
            print(site.box.console()[-6000:], flush=True)
        versions.append(wanted)
        bundle.unlink()
    return {
        "update_cuts": cuts,
        "versions_cut": versions[1:],
        "versions_after_cuts": after_cuts,
        "updates_after_cuts": went_through,
        "sectors_lost": lost,
        "is_the_old_or_the_new": all(
            found in (before, wanted) for found, before, wanted in zip(after_cuts, versions, versions[1:], strict=False)
        ),
        "before_the_last": versions[-2],
    }


def goals(figures: dict[str, Any]) -> dict[str, bool]:
    """What updates have to show."""
    return {
        "bad_bundles_are_refused": figures["refusals"] == ["signed by nobody", "damaged", "not newer"],
        "an_update_goes_through": figures["update"] == "0.2.0" and figures["schema_went_up"],
        "a_bad_update_falls_back": figures["after_a_bad_update"] == "0.2.0" and figures["bad_update_boots"] == 4,
        "updates_are_really_cut": figures["update_cuts"] > 0 and sum(figures["sectors_lost"]) > 0,
        "cut_updates_leave_a_working_box": figures["is_the_old_or_the_new"],
        "and_go_through_afterwards": figures["updates_after_cuts"] == figures["versions_cut"],
        "going_back_keeps_everything": figures["went_back_to"] == figures["before_the_last"]
        and not figures["pushes_missing"],
    }


class Pushes:
    """A desktop that goes on pushing over all of it, and remembers what was acknowledged."""

    def __init__(self, site: Site) -> None:
        self._site, self._acknowledged = site, list[str]()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def count(self) -> int:
        return len(self._acknowledged)

    def missing(self) -> list[str]:
        """Ends it, and asks for each."""
        self._ending.set()
        self._thread.join(60)
        gone = []
        for number in self._acknowledged:
            try:
                self._site.desktop.record("session", number)
            except SyncError:
                gone.append(number)
        return gone

    def _run(self) -> None:
        count = 0
        while not self._ending.wait(0.5):
            count += 1
            try:
                self._site.push(f"all-the-while-{count}")
            except (OSError, SyncError, http.client.HTTPException, AssertionError):
                continue
            self._acknowledged.append(f"all-the-while-{count}")


def _refusals(site: Site, built: Built, good: Path) -> list[str]:
    """What is said of bundles that must not be installed."""
    found = []
    stranger = site.folder / "stranger.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(stranger)], check=True)
    foreign = variant(built, site.folder, "0.9.0", newer_schema=False, key=stranger)
    damaged = site.folder / "damaged.update"
    content = bytearray(good.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    same = variant(built, site.folder, built.version, newer_schema=False)
    words = {"signed by nobody": "nobody whom this box knows", "damaged": "is damaged", "not newer": "runs already"}
    for file, (name, text) in zip((foreign, damaged, same), words.items(), strict=True):
        panel = site.panel()
        panel.upload("/box/upload", file)
        page = _settled(site, panel)
        if text in page and "was not installed" in page:
            found.append(name)
        else:
            print(f"not refused as {name}: {_plain(page)[:600]}", flush=True)
        file.unlink()
    return found


def _install(site: Site, bundle: Path) -> float:
    """Returns the seconds between the button and its end."""
    panel = site.panel()
    _upload(site, panel, bundle)
    began = time.monotonic()
    panel.post("/box/install")
    page = _settled(site, panel)
    assert "is installed and starts with" in page, _plain(page)[:1500]
    return round(time.monotonic() - began, 1)


def _upload(site: Site, panel: Panel, bundle: Path) -> None:
    panel.upload("/box/upload", bundle)
    page = _settled(site, panel)
    assert "whole and signed by its publisher" in page, _plain(page)[:1500]


def _settled(site: Site, panel: Panel) -> str:
    """The page when nothing is under way any more."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        page = panel.get("/box/")
        if "looks again every two seconds" not in page:
            return page
        time.sleep(1)
    raise AssertionError(f"the update does not end: {_plain(page)[:500]}\n{site.box.console()[-1500:]}")


def _restart(site: Site) -> None:
    site.panel().post("/box/do/restart")
    _wait_until_gone(site)


def _wait_until_gone(site: Site) -> None:
    site.box.wait(lambda: not site.alive(), "the box goes down", time.monotonic() - site.box.began + 120)


def _plain(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<main")[2]).split())
