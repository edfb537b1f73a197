"""Across a network: a printer on a host of its own (a network namespace) that gets another address."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ipp.room import IppRoom
from store import decisions
from store.records import Printer, PrinterPool
from store.states import TicketState
from store.tables import Store
from tests.ipp.test_habits import copies_by_sheet
from tests.ipp.test_sender import drawn_ticket, pool
from tests.lab import REPOSITORY, VirtualPrinterProcess, find_program, until
from tests.studio import NOW

pytestmark = pytest.mark.networked

__all__ = ["pool"]  # the fixture

BOX = "10.213.7.1"


class Host:
    """Another machine on the network: a namespace behind a virtual cable."""

    def __init__(self) -> None:
        self.name = f"prn{os.getpid()}"
        near, far = f"v{os.getpid()}a", f"v{os.getpid()}b"
        self._far = far
        try:
            self._ip("netns", "add", self.name)
            self._ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", self.name)
            self._ip("address", "add", f"{BOX}/24", "dev", near)
            self._ip("link", "set", near, "up")
            for device in ("lo", far):
                self._ip("-n", self.name, "link", "set", device, "up")
        except subprocess.CalledProcessError as error:
            with contextlib.suppress(subprocess.CalledProcessError):
                self.remove()
            pytest.skip(f"this machine allows no network namespaces: {error.stderr.decode().strip()}")

    def _ip(self, *arguments: str) -> None:
        subprocess.run([find_program("ip"), *arguments], check=True, capture_output=True)

    def has_address(self, address: str) -> None:
        """Take this address, and no other."""
        self._ip("-n", self.name, "address", "flush", "dev", self._far)
        self._ip("-n", self.name, "address", "add", f"{address}/24", "dev", self._far)

    def remove(self) -> None:
        self._ip("netns", "delete", self.name)  # and the cable with it


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.remove()


class DistantPrinter:
    """A virtual printer on another host."""

    printed = VirtualPrinterProcess.printed

    def __init__(self, folder: Path, host: Host, address: str) -> None:
        self.tray = folder / "Distant"
        self._log = (folder / "distant.log").open("ab")
        command = [sys.executable, "-m", "appliance", "virtual-printer", "Distant", "--tray", str(self.tray)]
        self.process = subprocess.Popen(
            [find_program("ip"), "netns", "exec", host.name, *command, "--interface", address, "--port", "8631"],
            stdout=self._log, stderr=self._log, cwd=REPOSITORY,
        )  # fmt: skip

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self._log.close()


def test_a_printer_that_comes_back_with_another_address_is_found_again_and_gets_its_sheets(
    store: Store, pool: PrinterPool, host: Host, tmp_path: Path
) -> None:

    def found() -> list[Printer]:
        """Others may be announced on this machine at the same time."""
        return [one for one in store.printers.all() if one.name == "Distant"]

    room = IppRoom(store, interfaces=(BOX,), unreachable_limit=timedelta(hours=1))
    room.start()
    host.has_address("10.213.7.20")
    printer = DistantPrinter(tmp_path, host, "10.213.7.20")
    try:
        until(found, "it is found", within_s=40)
        store.printers.put(found()[0].with_(pool_id=pool.id))
        drawn_ticket(store, pool, [1] * 8)
        until(lambda: len(printer.printed()) >= 2, "it prints", within_s=40)
        printer.stop()
        host.has_address("10.213.7.99")
        printer = DistantPrinter(tmp_path, host, "10.213.7.99")
        # What was in its memory when the power went is asked about; a person looks at its tray.
        until(lambda: store.tickets.get(1).state in (TicketState.HELD, TicketState.FINISHED), "it goes on", within_s=60)

        def answered() -> bool:
            for sheet in store.sheets.by("ticket_state", (1, "unsure")):
                decisions.answer_unsure(store, sheet.id, copies_by_sheet(printer).get(str(sheet.id), 0), NOW)  # type: ignore[arg-type]
            return store.tickets.get(1).state is TicketState.FINISHED

        until(answered, "all is printed", within_s=60)
        assert ["10.213.7.99" in one.uri for one in found()] == [True]
        assert copies_by_sheet(printer) == {str(number): 1 for number in range(1, 9)}  # type: ignore[arg-type]
    finally:
        printer.stop()
        room.stop()
