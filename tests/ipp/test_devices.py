"""Devices that share a UUID, that were exchanged, or that have two addresses: told as what they are, asked once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipp.browse import Found, keep_found
from ipp.devices import Signature, are_two
from ipp.watch import Watch
from store import printer_identity
from store.errors import Conflict
from store.records import Outcome, Printer, PrinterPool, PrinterState
from store.states import TicketState
from store.tables import Store
from tests.ipp.test_habits import copies_by_sheet
from tests.ipp.test_sender import StartVirtual, add_printer, drawn_ticket, ends_as, pool, room
from tests.lab import until

__all__ = ["pool"]  # the fixture

pytestmark = pytest.mark.unannounced
UUID = "6f1c8a1e-0000-4000-8000-000000000001"


def known(serial: str = "", began_s: float | None = None, *names: str) -> Signature:
    return Signature(serial, began_s, names or ("", "", "", ""))


@pytest.mark.parametrize(
    ("one", "other", "two"),
    [
        (known("A1", 5), known("A2", 5), True),
        (known("A1", 5), known("A1", 500), False),
        (known("", 5), known("", 500), True),
        (known("", 5), known("", 9), False),
        (known(), known(), False),
        (known("", 5, "DNP left", "a", "b", "c"), known("", 5, "DNP right", "a", "b", "c"), True),
        (known("", 5, "DNP", "a", "b", "c"), known("", 5, "", "a", "b", "c"), False),
    ],
)
def test_two_devices_are_two_when_something_says_so(one: Signature, other: Signature, two: bool) -> None:
    assert are_two(one, other) is two


def test_two_devices_with_one_uuid_print_each_sheet_once_and_are_told(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual
) -> None:
    """Both are announced again and again, as if the one moved to the other's address."""
    left, right = quiet_printer("Left"), quiet_printer("Right")
    for printer in (left, right):
        printer.pull(uuid=UUID)
    entry = store.printers.add(Printer(name="Left", uuid=UUID, uri=left.uri, pool_id=pool.id))
    drawn_ticket(store, pool, [1] * 12)
    with room(store) as running:
        until(lambda: store.printer_status.find(entry.id), "the first has answered")

        def announced() -> bool:
            for printer in (left, right):
                found = Found(name=printer.name, uuid=UUID, uri=printer.uri)
                compare = running._watch.compare
                running._loop.call_soon_threadsafe(keep_found, store, found, compare)
            return store.tickets.get(1).state is TicketState.FINISHED

        until(announced, "all is printed", 60)
        until(lambda: store.printers.get(entry.id).twin, "the other one is told")
        assert store.printers.get(entry.id).uri == left.uri
        other = printer_identity.tell_apart(store, entry.id)
        until(lambda: store.printer_status.find(other.id), "it is a printer of its own")
    assert copies_by_sheet(left, right) == {str(number): 1 for number in range(1, 13)}
    assert not [change for change in store.changes.all() if change.outcome is Outcome.HELD]
    assert (other.name, other.uri, other.pool_id) == ("Right", right.uri, pool.id)
    assert store.printers.get(entry.id).device != other.device


def test_two_entries_of_devices_with_one_uuid_are_told_apart_with_a_click(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual
) -> None:
    printers = [quiet_printer("Left"), quiet_printer("Right")]
    for printer in printers:
        printer.pull(uuid=UUID)
        add_printer(store, pool, printer.uri, printer.name)
    drawn_ticket(store, pool, [1] * 6)
    with room(store):
        ends_as(store, TicketState.FINISHED)
        told = until(lambda: [one for one in store.printers.all() if one.twin], "they are told")
        printer_identity.tell_apart(store, told[0].id)
    assert copies_by_sheet(*printers) == {str(number): 1 for number in range(1, 7)}
    assert all(printer.is_known_by_address for printer in store.printers.all()) and len(store.printers) == 2


def test_one_device_with_two_addresses_stays_one(store: Store, pool: PrinterPool, quiet_printer: StartVirtual) -> None:
    """Entered once for each connection, as by Wi-Fi and cable: nothing is asked."""
    printer = quiet_printer("Both")
    add_printer(store, pool, printer.uri, "By cable")
    add_printer(store, pool, printer.uri.replace("127.0.0.1", "localhost"), "By Wi-Fi")
    drawn_ticket(store, pool, [1] * 4)
    with room(store):
        ends_as(store, TicketState.FINISHED)
    assert not [one for one in store.printers.all() if one.twin]
    assert len({one.device for one in store.printers.all()}) == 1


def test_a_printer_that_moves_is_followed_when_its_old_address_is_silent(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual, tmp_path: Path
) -> None:
    printer = quiet_printer("Moves")
    printer.pull(uuid=UUID)
    entry = store.printers.add(Printer(name="Moves", uuid=UUID, uri=printer.uri, pool_id=pool.id))
    with room(store) as running:
        until(lambda: store.printer_status.find(entry.id), "it has answered")
        printer.stop()
        again = quiet_printer("Moves again")
        again.pull(uuid=UUID)
        found = Found(name="Moves", uuid=UUID, uri=again.uri)
        running._loop.call_soon_threadsafe(keep_found, store, found, running._watch.compare)
        until(lambda: store.printers.get(entry.id).uri == again.uri, "it is followed")
    assert store.printers.get(entry.id).twin is None


def test_another_device_at_a_printers_address_gets_nothing_until_a_person_says_what_it_is(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual
) -> None:
    old = quiet_printer("Old")
    entry = add_printer(store, pool, old.uri, "Lab One")
    with room(store):
        until(lambda: store.printers.get(entry.id).uuid, "it is known")
        old.stop()
        new = quiet_printer("New", port=old.port)
        until(lambda: store.printers.get(entry.id).stranger, "the other device is seen")
        drawn_ticket(store, pool, [1])
        status = store.printer_status.get(entry.id)
        assert status.state is PrinterState.UNREACHABLE and "another device answers at its address" in status.message
        assert "network cable" not in status.message
        assert new.printed() == []
        printer_identity.take_its_place(store, entry.id)
        ends_as(store, TicketState.FINISHED)
    assert copies_by_sheet(new) == {"1": 1}
    with pytest.raises(Conflict):
        printer_identity.take_its_place(store, entry.id)


def test_or_it_becomes_a_printer_of_its_own(store: Store, pool: PrinterPool, quiet_printer: StartVirtual) -> None:
    old = quiet_printer("Old")
    entry = add_printer(store, pool, old.uri, "Lab One")
    with room(store):
        until(lambda: store.printers.get(entry.id).uuid, "it is known")
        old.stop()
        quiet_printer("New", port=old.port)
        until(lambda: store.printers.get(entry.id).stranger, "the other device is seen")
        added = printer_identity.add_as_another(store, entry.id)
        until(lambda: store.printer_status.find(added.id), "it answers as itself")
    assert added.name == "New" and store.printers.get(entry.id).uri == ""


def test_one_that_was_found_meanwhile_is_not_there_twice(store: Store) -> None:
    from store.records import OtherDevice

    device = OtherDevice(uri="ipp://192.0.2.7/ipp/print", uuid="u-2", name="DS620")
    entry = store.printers.add(Printer(name="Lab One", uuid="u-1", uri=device.uri, pool_id=1, stranger=device))
    keep_found(store, Found(name="DS620", uuid="u-2", uri=device.uri))
    assert len(store.printers) == 2
    printer_identity.take_its_place(store, entry.id)
    assert [(printer.name, printer.uuid, printer.pool_id) for printer in store.printers.all()] == [
        ("Lab One", "u-2", 1)
    ]


def test_a_printer_whose_answer_we_stumble_over_harms_no_other(
    store: Store, pool: PrinterPool, quiet_printer: StartVirtual, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, well = quiet_printer("Odd"), quiet_printer("Well")
    for printer in (odd, well):
        add_printer(store, pool, printer.uri, printer.name)
    own = Watch._poll

    async def poll(self: Watch, printer: Printer) -> None:
        if printer.name == "Odd":
            raise KeyError("a fault of ours")
        await own(self, printer)

    monkeypatch.setattr(Watch, "_poll", poll)
    drawn_ticket(store, pool, [1, 1])
    with room(store):
        ends_as(store, TicketState.FINISHED)
        until(lambda: store.printer_status.find(1), "it is told")
    assert "its answer is not understood" in store.printer_status.get(1).message and len(well.printed()) == 2
