"""Whether two addresses are one device: some devices share a UUID, and one device may have two addresses."""

from __future__ import annotations

from dataclasses import dataclass

from ipp.client import Description
from store.records import OtherDevice

UP_TIMES_AGREE_S = 10.0
_NAMES = ("printer-dns-sd-name", "printer-name", "printer-info", "printer-make-and-model")


@dataclass(frozen=True)
class Signature:
    """What tells devices apart that have one UUID."""

    serial: str
    began_s: float | None  # when it was switched on, on our monotonic clock
    names: tuple[str, ...]


def signature(description: Description, now_s: float) -> Signature:
    """Of a device.

    Args:
        description: as it was told just now.
        now_s: monotonic.
    """
    told = description.attributes
    up_s = told.number("printer-up-time")
    return Signature(
        serial=told.text("printer-serial-number")
        or _field(told.text("printer-device-id"), "SN", "SERN", "SERIALNUMBER"),
        began_s=now_s - up_s if up_s is not None else None,
        names=tuple(told.text(name) for name in _NAMES),
    )


def are_two(one: Signature, other: Signature) -> bool:
    """Whether two that answered with the same UUID are two devices, surely.

    Serial numbers decide where both have one. Else two that were switched on at different times are two; and so are two
    that are called differently.
    """
    if one.serial and other.serial:
        return one.serial != other.serial
    if one.began_s is not None and other.began_s is not None and abs(one.began_s - other.began_s) > UP_TIMES_AGREE_S:
        return True
    return any(mine != theirs for mine, theirs in zip(one.names, other.names, strict=True) if mine and theirs)


def other_device(description: Description, uri: str) -> OtherDevice:
    """A device as it is kept until a person has said what it is."""
    told = description.attributes
    names = (told.text(name) for name in ("printer-dns-sd-name", "printer-info", "printer-name"))
    model = told.text("printer-make-and-model")
    name = next((name for name in names if name), model) or uri
    return OtherDevice(uri=uri, uuid=description.uuid, name=name[:200], make_and_model=model)


def _field(device_id: str, *keys: str) -> str:
    """A field of an IEEE 1284 device ID.

    >>> _field("MFG:DNP;MDL:DS620;SN:D6A12345;", "SN")
    'D6A12345'
    """
    fields = dict(part.partition(":")[::2] for part in device_id.split(";") if ":" in part)
    known = {key.strip().upper(): value.strip() for key, value in fields.items()}
    return next((known[key] for key in keys if known.get(key)), "")
