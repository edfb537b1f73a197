"""The sample studio's printers: processes of their own, while the sample studio is there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import structlog

from store.pulse import Items
from store.tables import Store

log = structlog.get_logger("sample")

LOOK_EVERY_S = 0.5
PAPER = "4x6=200,5x7=200,8x10=200,16x20=50"


class SamplePrinters:
    """Starts and ends them as the store says."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._items = Items("sample_printer", store.clock.monotonic)

    def stop(self) -> None:
        """End what was started."""
        for printer_id in list(self._running):
            self._end(printer_id)

    def step(self, now: datetime) -> float:  # noqa: ARG002  (every loop is told the time)
        """Bring the processes to what the store says."""
        sample = self._store.settings.sample
        wanted = set(sample.printers if sample else ())
        for printer_id, process in list(self._running.items()):
            if printer_id not in wanted or process.poll() is not None:
                with self._items.guard(printer_id, str(printer_id)):
                    self._end(printer_id)
        for printer_id in wanted - set(self._running):
            if self._items.may(printer_id):
                with self._items.guard(printer_id, str(printer_id)):
                    self._begin(printer_id)
        return LOOK_EVERY_S

    def _begin(self, printer_id: int) -> None:
        printer = self._store.printers.find(printer_id)
        if printer is None:
            return
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        tray = self._store.folder.root / "sample" / printer.name
        command = [sys.executable, "-m", "appliance", "virtual-printer", printer.name, "--tray", str(tray)]
        command += ["--port", str(port), "--seconds-per-sheet", "3", "--paper", PAPER, "--unannounced", "--with-parent"]
        self._running[printer_id] = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parent.parent,
            env={**os.environ},
        )
        with self._store.transaction():
            printer = self._store.printers.get(printer_id)
            self._store.printers.put(printer.with_(uri=f"ipp://127.0.0.1:{port}/ipp/print", added_by_hand=True))
        log.info("sample.printer_started", name=printer.name, port=port)

    def _end(self, printer_id: int) -> None:
        process = self._running.pop(printer_id)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
            return
        process.kill()
        process.wait()
