"""The share for image folders (SMB): three folders below the data folder, for one user with one password. Off until it
is switched on; what was switched on stays so over restarts."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

USER = "studio"
SWITCH = Path("/var/lib/printroom-box/share-is-on")  # smbd's unit starts only where this is


def state() -> dict[str, Any]:
    """Whether it is on, and who may come in."""
    return {"on": SWITCH.exists(), "user": USER}


def switch(on: bool, password: str = "") -> dict[str, Any]:
    """Switch it on or off.

    Raises:
        subprocess.CalledProcessError: Samba refused.
    """
    if on:
        twice = f"{password}\n{password}\n".encode()
        command = ["smbpasswd", "-s", "-a", USER]
        subprocess.run(command, input=twice, capture_output=True, timeout=60, check=True)
        SWITCH.touch(mode=0o600)
        _systemctl("restart")
    else:
        SWITCH.unlink(missing_ok=True)
        _systemctl("stop")
    return state()


def _systemctl(what: str) -> None:
    subprocess.run(["systemctl", what, "smbd.service"], capture_output=True, timeout=60, check=True)
