"""IPP's names and numbers, and our values in IPP's terms. The only place that knows 1/100 mm.

Sources: RFC 8011, PWG 5100.1 (finishings), 5100.7 (job extensions), 5100.13 (driver replacement), 5101.1 (media).
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from enum import IntEnum

from ipp.codec import Attribute, Collection, Content, Range, Resolution, Tag, Value
from ipp.syntax import SYNTAX
from store.records import PrinterState
from store.sizes import PrintSize

UM_PER_HUNDREDTH_MM = 10


class Operation(IntEnum):
    """Operation ids (RFC 8011 §5.4.15, RFC 3380, 3995, 3996, 3998, PWG 5100.5, 5100.11, 5100.13)."""

    PRINT_JOB = 0x0002
    PRINT_URI = 0x0003
    VALIDATE_JOB = 0x0004
    CREATE_JOB = 0x0005
    SEND_DOCUMENT = 0x0006
    SEND_URI = 0x0007
    CANCEL_JOB = 0x0008
    GET_JOB_ATTRIBUTES = 0x0009
    GET_JOBS = 0x000A
    GET_PRINTER_ATTRIBUTES = 0x000B
    HOLD_JOB = 0x000C
    RELEASE_JOB = 0x000D
    RESTART_JOB = 0x000E
    PAUSE_PRINTER = 0x0010
    RESUME_PRINTER = 0x0011
    PURGE_JOBS = 0x0012
    SET_PRINTER_ATTRIBUTES = 0x0013
    SET_JOB_ATTRIBUTES = 0x0014
    GET_PRINTER_SUPPORTED_VALUES = 0x0015
    CREATE_PRINTER_SUBSCRIPTIONS = 0x0016
    CREATE_JOB_SUBSCRIPTIONS = 0x0017
    GET_SUBSCRIPTION_ATTRIBUTES = 0x0018
    GET_SUBSCRIPTIONS = 0x0019
    RENEW_SUBSCRIPTION = 0x001A
    CANCEL_SUBSCRIPTION = 0x001B
    GET_NOTIFICATIONS = 0x001C
    ENABLE_PRINTER = 0x0022
    DISABLE_PRINTER = 0x0023
    PAUSE_PRINTER_AFTER_CURRENT_JOB = 0x0024
    HOLD_NEW_JOBS = 0x0025
    RELEASE_HELD_NEW_JOBS = 0x0026
    RESTART_PRINTER = 0x0029
    SHUTDOWN_PRINTER = 0x002A
    STARTUP_PRINTER = 0x002B
    REPROCESS_JOB = 0x002C
    CANCEL_CURRENT_JOB = 0x002D
    SUSPEND_CURRENT_JOB = 0x002E
    RESUME_JOB = 0x002F
    PROMOTE_JOB = 0x0030
    SCHEDULE_JOB_AFTER = 0x0031
    CANCEL_DOCUMENT = 0x0033
    GET_DOCUMENT_ATTRIBUTES = 0x0034
    GET_DOCUMENTS = 0x0035
    SET_DOCUMENT_ATTRIBUTES = 0x0037
    CANCEL_JOBS = 0x0038
    CANCEL_MY_JOBS = 0x0039
    RESUBMIT_JOB = 0x003A
    CLOSE_JOB = 0x003B
    IDENTIFY_PRINTER = 0x003C


class Status(IntEnum):
    """Status codes (RFC 8011 Appendix B)."""

    OK = 0x0000
    OK_IGNORED_OR_SUBSTITUTED = 0x0001
    OK_CONFLICTING = 0x0002
    OK_IGNORED_SUBSCRIPTIONS = 0x0003
    OK_EVENTS_COMPLETE = 0x0007
    BAD_REQUEST = 0x0400
    FORBIDDEN = 0x0401
    NOT_AUTHENTICATED = 0x0402
    NOT_AUTHORIZED = 0x0403
    NOT_POSSIBLE = 0x0404
    TIMEOUT = 0x0405
    NOT_FOUND = 0x0406
    GONE = 0x0407
    REQUEST_ENTITY_TOO_LARGE = 0x0408
    REQUEST_VALUE_TOO_LONG = 0x0409
    DOCUMENT_FORMAT_NOT_SUPPORTED = 0x040A
    ATTRIBUTES_OR_VALUES_NOT_SUPPORTED = 0x040B
    URI_SCHEME_NOT_SUPPORTED = 0x040C
    CHARSET_NOT_SUPPORTED = 0x040D
    CONFLICTING_ATTRIBUTES = 0x040E
    COMPRESSION_NOT_SUPPORTED = 0x040F
    COMPRESSION_ERROR = 0x0410
    DOCUMENT_FORMAT_ERROR = 0x0411
    DOCUMENT_ACCESS_ERROR = 0x0412
    ATTRIBUTES_NOT_SETTABLE = 0x0413
    IGNORED_ALL_SUBSCRIPTIONS = 0x0414
    TOO_MANY_SUBSCRIPTIONS = 0x0415
    INTERNAL_ERROR = 0x0500
    OPERATION_NOT_SUPPORTED = 0x0501
    SERVICE_UNAVAILABLE = 0x0502
    VERSION_NOT_SUPPORTED = 0x0503
    DEVICE_ERROR = 0x0504
    TEMPORARY_ERROR = 0x0505
    NOT_ACCEPTING_JOBS = 0x0506
    BUSY = 0x0507
    JOB_CANCELED = 0x0508
    MULTIPLE_DOCUMENT_JOBS_NOT_SUPPORTED = 0x0509
    TOO_MANY_JOBS = 0x050B


class JobState(IntEnum):
    """RFC 8011 §5.3.7."""

    PENDING = 3
    PENDING_HELD = 4
    PROCESSING = 5
    PROCESSING_STOPPED = 6
    CANCELED = 7
    ABORTED = 8
    COMPLETED = 9


ENDED_JOBS = frozenset({JobState.CANCELED, JobState.ABORTED, JobState.COMPLETED})

PRINTER_STATES = {3: PrinterState.IDLE, 4: PrinterState.PROCESSING, 5: PrinterState.STOPPED}

# What a printer is asked each time; media-col-ready and its like are only given when asked for by name.
PRINTER_ATTRIBUTES = (
    "printer-uuid",
    "printer-name",
    # by which two devices are told apart that say they have one UUID
    "printer-info",
    "printer-dns-sd-name",
    "printer-device-id",
    "printer-serial-number",
    "printer-up-time",
    "printer-make-and-model",
    "printer-state",
    "printer-state-reasons",
    "printer-state-message",
    "printer-is-accepting-jobs",
    "queued-job-count",
    "document-format-supported",
    "operations-supported",
    "media-ready",
    "media-col-ready",
    "media-type-supported",
    "media-source-supported",
    "media-col-supported",
    "output-bin-supported",
    "printer-impressions-completed",
    "printer-pages-completed",
    "copies-supported",
    "print-quality-supported",
    "print-color-mode-supported",
    "print-scaling-supported",
    "printer-resolution-supported",
    "orientation-requested-supported",
    "sides-supported",
    "pwg-raster-document-type-supported",
    "urf-supported",
    "job-hold-until-supported",
    "printer-supply",
    "printer-supply-description",
    "cups-version",
)

JOB_ATTRIBUTES = (
    "job-id",
    "job-name",
    "job-state",
    "job-state-reasons",
    "job-state-message",
    "job-impressions-completed",
    # what it is known by where its name does not do, whether it has its document, and whether it moves
    "job-uuid",
    "time-at-creation",
    "job-printer-up-time",
    "number-of-documents",
    "job-k-octets",
    "job-k-octets-processed",
)


def attribute(name: str, *contents: Content | datetime) -> Attribute:
    """An attribute with the tag that its name calls for.

    Raises:
        KeyError: the name is not in SYNTAX; nothing is ever sent with a guessed tag.
    """
    return Attribute(name, tuple(Value(SYNTAX[name], _content(content)) for content in contents))


def no_value(name: str, tag: Tag = Tag.NO_VALUE) -> Attribute:
    """An attribute that has no value (RFC 8010 §3.5.2), or another out-of-band one."""
    return Attribute(name, (Value(tag, None),))


def only(item: Attribute) -> Attribute:
    """An attribute for the unsupported group when it was not known at all, or too long (RFC 8011 §4.1.7)."""
    return Attribute(item.name, (Value(Tag.UNSUPPORTED, None),))


def _content(content: Content | datetime) -> Content:
    return encoded_time(content) if isinstance(content, datetime) else content


def encoded_time(moment: datetime) -> bytes:
    """A moment as RFC 2579's DateAndTime, in UTC."""
    utc = moment.astimezone(UTC)
    date = struct.pack(
        ">HBBBBBB", utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond // 100_000
    )
    return date + b"+\x00\x00"


def collection(**members: Content) -> Collection:
    """A collection from members; underscores stand for hyphens."""
    return tuple(attribute(name.replace("_", "-"), content) for name, content in members.items())


def member(content: Content, *path: str) -> Content:
    """The first value at a path of member names in a collection, or None."""
    for name in path:
        if not isinstance(content, tuple):
            return None
        found = next((attribute for attribute in content if attribute.name == name), None)
        content = found.values[0].content if found and found.values else None
    return content


# -- media ------------------------------------------------------------------------------------------------------


def hundredths(length_um: int) -> int:
    """Micrometres as IPP's 1/100 mm, rounded."""
    return round(length_um / UM_PER_HUNDREDTH_MM)


def media_size(size: PrintSize) -> Collection:
    """IPP describes paper upright: the short side is x."""
    short_um, long_um = sorted((size.width_um, size.height_um))
    return collection(x_dimension=hundredths(short_um), y_dimension=hundredths(long_um))


def borderless_media_col(size: PrintSize, media_type: str = "", source: str = "") -> Collection:
    """A media-col for a print to the edges (PWG 5100.7 §6.3), of a type and from a tray where they are named."""
    margins = ("media-top-margin", "media-bottom-margin", "media-left-margin", "media-right-margin")
    parts = (attribute("media-size", media_size(size)), *(attribute(name, 0) for name in margins))
    named = {"media-type": media_type, "media-source": source}
    return (*parts, *(attribute(name, keyword) for name, keyword in named.items() if keyword))


def size_of_media_col(content: Content) -> PrintSize | None:
    """The paper of a media-col, or None for ranges, rolls and nonsense."""
    x, y = member(content, "media-size", "x-dimension"), member(content, "media-size", "y-dimension")
    if not isinstance(x, int) or not isinstance(y, int) or x < 100 or y < 100 or max(x, y) > 300_000:
        return None
    return PrintSize(width_um=x * UM_PER_HUNDREDTH_MM, height_um=y * UM_PER_HUNDREDTH_MM)


def size_of_media_name(name: str) -> PrintSize | None:
    """The paper of a self-describing name such as na_index-4x6_4x6in (PWG 5101.1 §5), or None."""
    _, _, dimensions = name.rpartition("_")
    unit = dimensions[-2:]
    per_unit_um = {"in": 25_400, "mm": 1_000}.get(unit)
    sides = dimensions[:-2].split("x")
    if per_unit_um is None or len(sides) != 2:
        return None
    try:
        width, height = (round(float(side) * per_unit_um) for side in sides)
        return PrintSize(width_um=width, height_um=height)
    except ValueError:
        return None


def media_name(size: PrintSize) -> str:
    """A self-describing name for a size, upright.

    >>> media_name(PrintSize(width_um=152_400, height_um=101_600))
    'custom_4x6in_4x6in'
    """
    short_um, long_um = sorted((size.width_um, size.height_um))
    upright = str(PrintSize(width_um=short_um, height_um=long_um))
    text = upright if upright.endswith("mm") else f"{upright}in"
    return f"custom_{text}_{text}"


def supports(contents: list[Content], wanted: Content) -> bool:
    """Whether a list of supported values (single ones or ranges) has a value."""
    return any(
        item == wanted or (isinstance(item, Range) and isinstance(wanted, int) and item.lower <= wanted <= item.upper)
        for item in contents
    )


def resolution(dpi: int) -> Resolution:
    """The same dots per inch both ways."""
    return Resolution(dpi, dpi)
