"""A box in QEMU: UEFI firmware, software emulation, its network forwarded to this machine's loopback."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import find_program, free_port

MEMORY_MB = 1024
HOST = "10.0.2.2"  # this machine's loopback, as the box sees it


@dataclass(frozen=True)
class Machine:
    """What is emulated."""

    program: str
    options: tuple[str, ...]
    firmware: Path
    variables: Path  # of the firmware, as they come


_X86, _ARM = Path("/usr/share/OVMF"), Path("/usr/share/AAVMF")
MACHINES: Mapping[str, Machine] = {  # by architecture, as Debian calls it
    "amd64": Machine(
        "qemu-system-x86_64",
        ("-machine", "q35", "-cpu", "max"),
        _X86 / "OVMF_CODE_4M.fd",
        _X86 / "OVMF_VARS_4M.fd",
    ),
    "arm64": Machine(
        "qemu-system-aarch64",
        ("-machine", "virt", "-cpu", "cortex-a72"),
        _ARM / "AAVMF_CODE.fd",
        _ARM / "AAVMF_VARS.fd",
    ),
}


@dataclass(frozen=True)
class Ports:
    """Of this machine, forwarded to a box's."""

    http: int = field(default_factory=free_port)
    https: int = field(default_factory=free_port)
    ipp: int = field(default_factory=free_port)
    smb: int = field(default_factory=free_port)

    def forwards(self, box: str = "") -> str:
        """For QEMU's router; by default to the first box that it gives an address to."""
        pairs = ((self.http, 80), (self.https, 443), (self.ipp, 631), (self.smb, 445))
        return ",".join(f"hostfwd=tcp:127.0.0.1:{here}-{box}:{there}" for here, there in pairs)


class Vm:
    """One box. Its disk outlives it; so do its firmware's variables."""

    def __init__(
        self,
        disk: Path,
        folder: Path,
        served_at: str = "",
        ports: Ports | None = None,
        network: Sequence[str] = (),
        architecture: str = "amd64",
    ) -> None:
        """
        Args:
            disk: a raw image, as long as the disk is large.
            folder: for its console and its firmware's variables.
            served_at: where the disk is served over NBD, in place of the file.
            ports: of this machine; others at each start by default.
            network: options of QEMU, in place of a network of its own.
            architecture: one of MACHINES.
        """
        self.folder, self.disk = folder, disk
        self.ports = ports or Ports()
        self.url = f"http://127.0.0.1:{self.ports.http}"
        self._console, self._keyboard = folder / "console.log", folder / "keyboard"
        self._console.unlink(missing_ok=True)  # of the boot before
        variables = folder / "variables.fd"
        machine = MACHINES[architecture]
        if not variables.exists():
            shutil.copy(machine.variables, variables)
        alone = ("-netdev", f"user,id=net,{self.ports.forwards()}", "-device", "virtio-net-pci,netdev=net,romfile=")
        self._command = [
            *("setpriv", "--pdeathsig", "KILL"),  # a run that is killed leaves no emulator behind
            find_program(machine.program),
            *("-accel", "tcg,thread=multi,tb-size=256", *machine.options),
            *("-m", str(MEMORY_MB), "-smp", "2", "-nodefaults", "-no-user-config", "-display", "none"),
            *("-chardev", f"socket,id=console,path={self._keyboard},server=on,wait=off,logfile={self._console}"),
            *("-serial", "chardev:console", "-device", "virtio-rng-pci", "-device", "i6300esb"),
            *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={machine.firmware}"),
            *("-drive", f"if=pflash,format=raw,unit=1,file={variables}"),
            *("-drive", f"file={served_at or disk},format=raw,if=none,id=disk,cache=writeback"),
            *("-device", "virtio-blk-pci,drive=disk,bootindex=1"),
            *(network or alone),
        ]
        self._plugged_in: socket.socket | None = None
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
        """As the console shows it, in a moment."""
        self.wait(lambda: "First-run code" in self.console(), "the console shows the first-run code")
        found = re.search(r"First-run code: (\d{8})", self.console())
        assert found, self.console()[-1500:]
        return found[1]

    def type(self, keys: str) -> None:
        """As somebody at its console would, one key after the other."""
        if self._plugged_in is None:  # and it stays so: unplugging hangs the line up
            self._plugged_in = socket.socket(socket.AF_UNIX)
            self._plugged_in.connect(str(self._keyboard))
            # What it shows there has to be read, or the box waits for the line to be free.
            threading.Thread(target=_drain, args=(self._plugged_in,), daemon=True).start()
        for key in keys:
            self._plugged_in.sendall(key.encode())
            time.sleep(0.3)

    def pull_the_plug(self) -> None:
        """End it at once."""
        if self._plugged_in is not None:
            self._plugged_in.close()
        self.process.kill()
        self.process.wait()


def _drain(line: socket.socket) -> None:
    with suppress(OSError):
        while line.recv(65536):
            pass
