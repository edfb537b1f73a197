"""Printers on USB, as the pools know printers: by an IPP address. Runs as root when one is plugged in.

Those that speak IPP themselves are served by ipp-usb. The others get a queue of the box's own cupsd, with Gutenprint
where it knows them. Both are on the loopback; what was found stands in a file that Printroom reads
(ipp/local_printers).
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOUND = Path("/run/printroom-box/printers.json")
CUPS = "/run/printroom-cups/cups.sock"
CUPS_PORT = 8632
DYE_SUB = "gutenprint53+usb"  # Gutenprint's backend for printers that have a protocol of their own
SCHEMES = ("usb", DYE_SUB)
IPP_USB_PORTS = range(60000, 60020)  # as in ipp-usb.conf


@dataclass(frozen=True)
class Device:
    """A printer that speaks no IPP."""

    uri: str
    model: str
    device_id: str = ""  # IEEE 1284: MFG:…;MDL:…;

    @property
    def serial(self) -> str:
        """As its address has it; '' where it has none."""
        found = re.search(r"[?&]serial=([^&]+)", self.uri) or re.match(rf"{re.escape(DYE_SUB)}://[^/]+/(.+)", self.uri)
        return found[1] if found else ""

    @property
    def queue(self) -> str:
        """The name of its queue: the same printer has the same one, wherever it is plugged in.

        >>> Device("usb://DNP/DS-RX1?serial=42", "Dai Nippon Printing DS-RX1").queue
        'Dai-Nippon-Printing-DS-RX1-42'
        """
        name = f"{self.model}-{self.serial}" if self.serial else self.model
        return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:120]


def devices(told: str) -> list[Device]:
    """The devices in the answer of `lpinfo -l -v`."""
    found: dict[str, Device] = {}
    for part in told.split("Device: ")[1:]:
        uri, model = re.search(r"uri = (\S+)", part), re.search(r"make-and-model = (.+)", part)
        device_id = re.search(r"device-id = (.+)", part)
        if uri and uri[1].partition(":")[0] in SCHEMES:
            name, told_id = model[1].strip() if model else "USB printer", device_id[1].strip() if device_id else ""
            device = Device(uri[1], name, told_id)
            # A dye-sub printer is listed twice; Gutenprint's own backend speaks its language in both directions.
            known = found.get(device.serial or device.uri)
            if known is None or device.uri.startswith(DYE_SUB):
                found[device.serial or device.uri] = device
    return list(found.values())


def driver(told: str) -> str:
    """The driver to use of those in an answer of `lpinfo -m`: Gutenprint's where it has one; '' for none."""
    names = [line.split(maxsplit=1)[0] for line in told.splitlines() if line.strip()]
    return next((name for name in names if name.startswith("gutenprint")), names[0] if names else "")


def set_up(device: Device) -> str:
    """Give a printer its queue; returns what is wrong, or ''."""
    by_id = ("--device-id", device.device_id) if device.device_id else ("--make-and-model", device.model)
    chosen = driver(_run("lpinfo", "-h", CUPS, *by_id, "-m"))
    chosen = chosen or driver(_run("lpinfo", "-h", CUPS, "--make-and-model", device.model, "-m"))
    if not chosen:
        return f"there is no driver for {device.model}: connect it by network, if it can"
    # A sheet that fails is told to the ledger, and not tried again behind its back.
    how = ("-o", "printer-error-policy=abort-job", "-D", device.model)
    _run("lpadmin", "-h", CUPS, "-p", device.queue, "-E", "-v", device.uri, "-m", chosen, *how)
    return ""


def _ipp_usb() -> Sequence[str]:
    found = []
    for port in IPP_USB_PORTS:
        with socket.socket() as link:
            link.settimeout(1)
            if link.connect_ex(("127.0.0.1", port)) == 0:
                found.append(f"ipp://127.0.0.1:{port}/ipp/print")
    return found


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout


def main() -> None:
    """Find them all, and say so."""
    printers = [{"uri": uri, "name": "", "problem": ""} for uri in _ipp_usb()]
    for device in devices(_run("lpinfo", "-h", CUPS, "--include-schemes", ",".join(SCHEMES), "-l", "-v")):
        problem = set_up(device)
        uri = "" if problem else f"ipp://127.0.0.1:{CUPS_PORT}/printers/{device.queue}"
        printers.append({"uri": uri, "name": device.model, "problem": problem})
    partial = FOUND.with_suffix(".part")
    partial.write_text(json.dumps(printers))
    partial.chmod(0o644)
    partial.rename(FOUND)


if __name__ == "__main__":
    main()
