"""The two versions of a box: what lies in which slot, and what starts next. Pure over names; `agent` does the rest.

systemd-boot starts the newest version whose file on the ESP does not say that it has no tries left
(UAPI.2 Boot Loader Specification, "Boot counting"): printroom_1.2.0+3.efi has three, printroom_1.2.0+0-3.efi had them,
printroom_1.2.0.efi has shown that it works.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from appliance.box.bundle import Manifest, number

TRIES = 3
_KERNEL = re.compile(r"^printroom_(?P<version>\d+\.\d+\.\d+)(?:\+(?P<left>\d+)(?:-(?P<done>\d+))?)?\.efi$")
_LABEL = re.compile(r"^printroom_(?P<version>\d+\.\d+\.\d+)$")


@dataclass(frozen=True)
class Slot:
    """One version that is on the disk, root and kernel."""

    version: str
    kernel: str  # its file's name on the ESP
    tries_left: int | None  # None: it has shown that it works; 0: it is not started any more
    is_running: bool
    has_failed: bool = False  # it was tried until no try was left; not one that somebody went back from


def slots(labels: Iterable[str], kernels: Iterable[str], running: str) -> list[Slot]:
    """The versions of which both parts are there, newest first.

    >>> [(one.version, one.tries_left) for one in slots(
    ...     ["esp", "printroom_1.0.0", "printroom_1.1.0"], ["printroom_1.0.0.efi", "printroom_1.1.0+2-1.efi"], "1.0.0")]
    [('1.1.0', 2), ('1.0.0', None)]
    """
    roots = {found["version"] for label in labels if (found := _LABEL.match(label))}
    whole = [found for name in kernels if (found := _KERNEL.match(name)) and found["version"] in roots]
    found_slots = [
        Slot(
            version=one["version"],
            kernel=one.string,
            tries_left=None if one["left"] is None else int(one["left"]),
            is_running=one["version"] == running,
            has_failed=one["left"] == "0" and int(one["done"] or 0) > 0,
        )
        for one in whole
    ]
    return sorted(found_slots, key=lambda slot: number(slot.version), reverse=True)


def refusal(manifest: Manifest, architecture: str, running: str, slot_bytes: int, free_bytes: int) -> str:
    """Why an update is not installed; empty when it may be.

    Args:
        manifest: of the update.
        architecture: of this box.
        running: the version that runs.
        slot_bytes: what fits into the idle slot.
        free_bytes: on the data partition, where the files lie until they are written.
    """
    if manifest.architecture != architecture:
        return f"this update is for {manifest.architecture}, this box is {architecture}: take the other file"
    if number(manifest.version) <= number(running):
        return f"this update is version {manifest.version}; {running} runs already. To go back, use the button for it"
    root_bytes = manifest.files["root.squashfs"].size_bytes
    if root_bytes > slot_bytes:
        return f"version {manifest.version} needs a slot of {root_bytes >> 20} MB, this disk's have {slot_bytes >> 20}"
    if manifest.size_bytes + (50 << 20) > free_bytes:
        return (
            f"the update needs {(manifest.size_bytes >> 20) + 50} MB for a moment, {free_bytes >> 20} MB are free: "
            "delete old files from the output folder"
        )
    return ""


def turned_back(slots_now: Iterable[Slot]) -> tuple[Slot, str, Slot, str]:
    """What is renamed so that the other version starts: (this one, its new name, the other one, its new name).

    Raises:
        ValueError: there is no other version.
    """
    known = list(slots_now)
    here = next((slot for slot in known if slot.is_running), None)
    other = next((slot for slot in known if not slot.is_running), None)
    if here is None or other is None:
        raise ValueError("there is no other version on this disk")
    if number(other.version) > number(here.version):  # it was given up; it has to show again that it works
        return here, f"printroom_{here.version}.efi", other, f"printroom_{other.version}+{TRIES}.efi"
    return here, f"printroom_{here.version}+0.efi", other, f"printroom_{other.version}.efi"
