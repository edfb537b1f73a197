"""A code with which somebody who stands before the box sets a new password. Its digest is a file in the data folder,
good for ten minutes and once. Minutes of the machine's monotonic clock: another process makes the code, and the wall
clock may be set meanwhile."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from pathlib import Path

from store.clock import MachineTime

NAME = "reset-code"
GOOD_FOR_S = 600.0


def make(root: Path, machine: MachineTime | None = None) -> str:
    """A new code of eight digits; the one before is void. Good until the machine is started anew, at the latest."""
    machine = machine or MachineTime()
    code = f"{secrets.randbelow(10**8):08d}"
    partial = root / f"{NAME}.part"
    partial.touch(mode=0o600)
    partial.write_text(json.dumps({"sha256": _digest(code), "made_s": machine.monotonic(), "boot": _boot()}))
    partial.rename(root / NAME)
    return code


def is_good(root: Path, code: str, machine: MachineTime | None = None) -> bool:
    """Whether this is the code."""
    try:
        known = json.loads((root / NAME).read_text())
        age_s = (machine or MachineTime()).monotonic() - known["made_s"]
        is_late = known["boot"] != _boot() or not 0 <= age_s <= GOOD_FOR_S
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return not is_late and hmac.compare_digest(_digest(code), known["sha256"])


def use_up(root: Path) -> None:
    """It has been used."""
    (root / NAME).unlink(missing_ok=True)


def _boot() -> str:
    """Which start of the machine this is: its monotonic clock begins anew with each."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
