"""A box in QEMU: UEFI firmware, software emulation, its network forwarded to this machine's loopback."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.lab import find_program, free_port

FIRMWARE = Path("/usr/share/OVMF")
MEMORY_MB = 1024
HOST = "10.0.2.2"  # this machine's loopback, as the box sees it


class Vm:
    """One box. Its disk outlives it; so do its firmware's variables."""

    def __init__(self, disk: Path, folder: Path, served_at: str = "") -> None:
        """
        Args:
            disk: a raw image, as long as the disk is large.
            folder: for its console and its firmware's variables.
            served_at: where the disk is served over NBD, in place of the file.
        """
        self.folder, self.disk = folder, disk
        self.http_port, self.https_port, self.ipp_port = free_port(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self._console = folder / "console.log"
        self._console.unlink(missing_ok=True)  # of the boot before
        variables = folder / "variables.fd"
        if not variables.exists():
            shutil.copy(FIRMWARE / "OVMF_VARS_4M.fd", variables)
        forwarded = ((self.http_port, 80), (self.https_port, 443), (self.ipp_port, 631))
        forwards = ",".join(f"hostfwd=tcp:127.0.0.1:{here}-:{there}" for here, there in forwarded)
        self._command = [
            find_program("qemu-system-x86_64"),
            *("-accel", "tcg,thread=multi,tb-size=256", "-machine", "q35", "-cpu", "max"),
            *("-m", str(MEMORY_MB), "-smp", "2", "-nodefaults", "-no-user-config", "-display", "none"),
            *("-serial", f"file:{self._console}", "-device", "virtio-rng-pci", "-device", "i6300esb"),
            *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={FIRMWARE / 'OVMF_CODE_4M.fd'}"),
            *("-drive", f"if=pflash,format=raw,unit=1,file={variables}"),
            *("-drive", f"file={served_at or disk},format=raw,if=none,id=disk,cache=writeback"),
            *("-device", "virtio-blk-pci,drive=disk,bootindex=1"),
            *("-netdev", f"user,id=net,{forwards}", "-device", "virtio-net-pci,netdev=net,romfile="),
        ]
        self.began = time.monotonic()
        self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)

    def console(self) -> str:
        """Everything that stood on its serial console."""
        return self._console.read_text(errors="replace") if self._console.exists() else ""

    def wait(self, question: Callable[[], bool], what: str, within_s: float = 400) -> float:
        """Ask until it is so; returns seconds since the start."""
        while not question():
            ended = self.process.poll() is not None
            if ended or time.monotonic() - self.began > within_s:
                raise AssertionError(f"not within {within_s:g} s: {what}; the console ends:\n{self.console()[-2500:]}")
            time.sleep(0.3)
        return time.monotonic() - self.began

    def wait_until_healthy(self) -> float:
        """Until its own health check has passed; returns seconds since the start."""
        return self.wait(lambda: "printroom: healthy" in self.console(), "the box is healthy")

    def first_run_code(self) -> str:
        """As the console shows it."""
        found = re.search(r"First-run code: (\d{8})", self.console())
        assert found, self.console()[-1500:]
        return found[1]

    def pull_the_plug(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()
