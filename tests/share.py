"""A share whose server can go away: bindfs shows one folder as another, and a stopped process answers nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from tests.lab import find_program, until


class Share:
    """A mounted folder that hangs when it is told to, as a network share without its server does."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        """
        Args:
            folder: where the mount, and what lies on its server, are made.
            arguments: more of bindfs's, such as --rename-deny.
        """
        self.mount, self.server = folder / "share", folder / "server"
        for path in (self.mount, self.server):
            path.mkdir(parents=True)
        # Nothing is remembered by the kernel: each look asks the server.
        options = "attr_timeout=0,entry_timeout=0,negative_timeout=0"
        command = [find_program("bindfs"), "-f", "-o", options, *arguments, self.server, self.mount]
        self._process = subprocess.Popen(command)
        until(lambda: os.path.ismount(self.mount), "the mount")

    def hang(self) -> None:
        """Whoever asks now waits."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """The server is back: whoever waited has its answer."""
        self._process.send_signal(signal.SIGCONT)

    def vanish(self) -> None:
        """The server ends: whoever asks gets an error."""
        self._process.send_signal(signal.SIGCONT)
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.go_on()
        subprocess.run(["umount", "-l", self.mount], check=False)
        self._process.terminate()
        self._process.wait()
