"""Two boxes, out of two cartons, on one network with a DHCP server: each has a name and a key of its own."""

from __future__ import annotations

import re
import time
import urllib.error
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.image.site import NAME, PASSWORD, Panel, unpacked
from tests.image.variants import Built
from tests.image.vm import Ports, Vm
from tests.lab import free_port, until

ADDRESSES = ("10.0.2.15", "10.0.2.16")  # as QEMU's router gives them, in the order of asking


def run(built: Built, folder: Path) -> dict[str, Any]:
    """What two boxes say of themselves: after their first start, and after a power cut of the whole studio."""
    folders = [folder / name for name in ("one", "other")]
    for one in folders:
        one.mkdir()
        unpacked(built.image, one / "disk.raw")
    boxes: list[Vm] = []
    try:
        boxes = _switched_on(folders)
        for box in boxes:
            box.wait_until_healthy()
        codes = [box.first_run_code() for box in boxes]
        panels = [_first_run(box.url, codes) for box in boxes]
        figures: dict[str, Any] = {"neighbours": _told(panels)}
        figures["fingerprints"] = sorted(_shown(box, r"fingerprint begins with ([0-9a-f ]{19})") for box in boxes)
        figures["hosts"] = sorted(_shown(box, r"http://(printroom-\w+)\.local") for box in boxes)
        _unplug(boxes)
        boxes = _switched_on(folders)
        for box in boxes:
            box.wait_until_healthy()
        panels = [Panel(box.url) for box in boxes]
        for panel in panels:
            panel.post("/login", name=NAME, password=PASSWORD)
        figures["neighbours_again"] = _told(panels)
    finally:
        _unplug(boxes)
    print(f"two boxes: {figures}", flush=True)
    return figures


def goals(figures: dict[str, Any]) -> dict[str, bool]:
    """What two boxes have to show."""
    names = ["printroom-2.local", "printroom.local"]
    return {
        "two_boxes_have_names_of_their_own": figures["neighbours"] == names and len(set(figures["hosts"])) == 2,
        "also_when_they_start_at_once": figures["neighbours_again"] == names,
        "and_keys_of_their_own": len(set(figures["fingerprints"])) == 2,
    }


def _switched_on(folders: Sequence[Path]) -> list[Vm]:
    """Both, at the same moment. The first one's emulator has the router in it."""
    ports, wire = [Ports(), Ports()], free_port()
    forwards = ",".join(one.forwards(address) for one, address in zip(ports, ADDRESSES, strict=True))
    ends = (
        f"user,id=router,{forwards}",
        f"socket,id=wire,listen=127.0.0.1:{wire}",
        *(f"hubport,id=port-{end},hubid=0,netdev={end}" for end in ("router", "wire")),
        "hubport,id=net,hubid=0",
    )
    first = [word for end in ends for word in ("-netdev", end)]
    second = ["-netdev", f"socket,id=net,connect=127.0.0.1:{wire}"]
    boxes = []
    for place, network, last in zip(folders, (first, second), ("56", "57"), strict=True):
        if boxes:
            until(lambda: _is_listened_at(wire), "the first one's emulator waits for the second's")
        card = ["-device", f"virtio-net-pci,netdev=net,romfile=,mac=52:54:00:12:34:{last}"]
        boxes.append(Vm(place / "disk.raw", place, ports=ports[len(boxes)], network=[*network, *card]))
    return boxes


def _is_listened_at(port: int) -> bool:
    """Looked up, for a connection to try it would be taken for the second box."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(local.endswith(f":{port:04X}") and state == "0A" for _, local, _, state, *_ in rows)


def _unplug(boxes: Sequence[Vm]) -> None:
    for box in boxes:
        box.pull_the_plug()


def _first_run(url: str, codes: Sequence[str]) -> Panel:
    """Which of the two has which address is for chance to decide: the other one refuses the code."""
    panel = Panel(url)
    for code in codes:
        with suppress(urllib.error.HTTPError):
            panel.post("/first-run", code=code, name=NAME, password=PASSWORD)
            return panel
    raise AssertionError(f"{url} takes none of the codes that the consoles show")


def _told(panels: Sequence[Panel]) -> list[str]:
    """The names below .local that the two have, after the minute in which they may settle who is who."""
    time.sleep(60)
    pages = [panel.get("/health/") for panel in panels]
    return sorted(found[1] for page in pages if (found := re.search(r"(printroom[\w-]*\.local)", page)))


def _shown(box: Vm, pattern: str) -> str:
    found = re.search(pattern, box.console())
    assert found, box.console()[-1500:]
    return found[1].strip()
