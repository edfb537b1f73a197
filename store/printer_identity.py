"""Which device a printer's entry means, when devices and addresses change: what a person decides."""

from __future__ import annotations

from store.errors import Conflict
from store.records import OtherDevice, Printer
from store.states import PrintJobState
from store.tables import Store


def take_its_place(store: Store, printer_id: int) -> Printer:
    """The device that answers at a printer's address now stands for it: it was exchanged, or set to its defaults.

    Raises:
        Conflict: none does any more.
    """
    with store.transaction():
        printer = store.printers.get(printer_id)
        stranger = _stranger(printer)
        for found in store.printers.by("uuid", stranger.uuid):  # found on the network meanwhile, and used for nothing
            if found.pool_id is None and not any(
                store.print_jobs.by("printer_state", (found.id, state.value)) for state in PrintJobState
            ):
                store.printers.remove(found.id)
        printer = printer.with_(uuid=stranger.uuid, stranger=None, fingerprint="")
        store.printers.put(printer)
        return printer


def add_as_another(store: Store, printer_id: int) -> Printer:
    """The device at a printer's address is another printer; the old one waits until it is found elsewhere.

    Returns:
        the new entry.

    Raises:
        Conflict: none answers there any more.
    """
    with store.transaction():
        printer = store.printers.get(printer_id)
        stranger = _stranger(printer)
        store.printers.put(printer.with_(uri="", stranger=None, added_by_hand=False))
        known = store.printers.by("uuid", stranger.uuid)
        if known:  # found on the network meanwhile
            return known[0]
        return store.printers.add(Printer(name=_free_name(store, stranger), uuid=stranger.uuid, uri=stranger.uri))


def tell_apart(store: Store, printer_id: int) -> Printer:
    """Two devices have one UUID: from now on each is known by its address.

    Returns:
        the entry of the other one.

    Raises:
        Conflict: the other does not answer any more.
    """
    with store.transaction():
        printer = store.printers.get(printer_id)
        twin = _twin(printer)
        store.printers.put(printer.with_(is_known_by_address=True, twin=None))
        known = next((one for one in store.printers.all() if one.uri == twin.uri), None)
        if known is not None:
            known = known.with_(is_known_by_address=True, twin=None)
            store.printers.put(known)
            return known
        fields = {"uuid": twin.uuid, "uri": twin.uri, "is_known_by_address": True, "pool_id": printer.pool_id}
        return store.printers.add(Printer(name=_free_name(store, twin), **fields))


def is_one_device(store: Store, printer_id: int) -> Printer:
    """What answers at another address is the same device, on another connection.

    Raises:
        Conflict: it does not answer there any more.
    """
    with store.transaction():
        printer = store.printers.get(printer_id)
        twin = _twin(printer)
        printer = printer.with_(twin=None, one_device_at=(*printer.one_device_at, twin.uri))
        store.printers.put(printer)
        return printer


def _stranger(printer: Printer) -> OtherDevice:
    if printer.stranger is None:
        raise Conflict("no other device answers at this printer's address any more: look at it again")
    return printer.stranger


def _twin(printer: Printer) -> OtherDevice:
    if printer.twin is None:
        raise Conflict("no other device has this printer's identity any more: look at it again")
    return printer.twin


def _free_name(store: Store, device: OtherDevice) -> str:
    """The device's own, with a count behind it where another printer is called so."""
    taken, wanted = {printer.name for printer in store.printers.all()}, device.name or "Printer"
    return next(name for name in (wanted, *(f"{wanted} {n}" for n in range(2, 1000))) if name not in taken)
