"""Discovery on loopback: real announcements, known by UUID, followed to a new address."""

from __future__ import annotations

from collections.abc import Callable

from ipp.browse import Found, keep_found
from ipp.room import IppRoom
from store.records import Printer, PrinterState
from store.tables import Store
from tests.lab import EvePrinter, VirtualPrinterProcess, until


def test_printers_are_found_described_and_followed(
    store: Store,
    virtual_printer: Callable[..., VirtualPrinterProcess],
    eve_printer: Callable[..., EvePrinter],
) -> None:
    first = virtual_printer("Find me")
    eve_printer("Eve in the window", announced=True)
    room = IppRoom(store, ["127.0.0.1"])
    room.start()
    try:

        def found(name: str) -> Printer | None:
            return next((printer for printer in store.printers.all() if printer.name == name), None)

        printer = until(lambda: found("Find me"), "the virtual printer is found")
        until(lambda: found("Eve in the window"), "ippeveprinter is found")
        assert printer.uri == first.uri and len(printer.uuid) == 36

        def is_idle() -> bool:
            status = store.printer_status.find(printer.id)
            return status is not None and status.state is PrinterState.IDLE

        until(is_idle, "it has answered")
        first.stop()
        second = virtual_printer("Find me")  # another port: as a printer with another address
        until(lambda: store.printers.get(printer.id).uri == second.uri, "its new address is known")
        until(is_idle, "it answers there")
        assert [p.name for p in store.printers.all()].count("Find me") == 1
    finally:
        room.stop()


def test_a_printer_that_has_not_answered_yet_is_known_by_its_address(store: Store) -> None:
    typed = store.printers.add(Printer(name="By the window", uri="ipps://192.0.2.7:631/ipp/print", added_by_hand=True))
    keep_found(store, Found(name="DS-RX1", uuid="u-1", uri="ipp://192.0.2.7:631/ipp/print"))
    assert store.printers.all() == [typed.with_(uuid="u-1")]
    # From then on it is known by its UUID, and what comes to that address later is another printer.
    keep_found(store, Found(name="Another", uuid="u-2", uri="ipp://192.0.2.7:631/ipp/print"))
    assert [printer.uuid for printer in store.printers.all()] == ["u-1", "u-2"]
