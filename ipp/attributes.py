"""IPP's names and numbers, and our values in IPP's terms. The only place that knows 1/100 mm.

Sources: RFC 8011, PWG 5100.1 (finishings), 5100.7 (job extensions), 5100.13 (driver replacement), 5101.1 (media).
"""

from __future__ import annotations

from enum import IntEnum

from ipp.codec import Attribute, Collection, Content, Range, Resolution, Tag, Value
from store.records import PrinterState
from store.sizes import PrintSize

UM_PER_HUNDREDTH_MM = 10


class Operation(IntEnum):
    """Operation ids (RFC 8011 §5.4.15, PWG 5100.11, 5100.13)."""

    PRINT_JOB = 0x0002
    VALIDATE_JOB = 0x0004
    CREATE_JOB = 0x0005
    SEND_DOCUMENT = 0x0006
    CANCEL_JOB = 0x0008
    GET_JOB_ATTRIBUTES = 0x0009
    GET_JOBS = 0x000A
    GET_PRINTER_ATTRIBUTES = 0x000B
    HOLD_JOB = 0x000C
    RELEASE_JOB = 0x000D
    IDENTIFY_PRINTER = 0x003C


class Status(IntEnum):
    """Status codes (RFC 8011 Appendix B)."""

    OK = 0x0000
    OK_IGNORED_OR_SUBSTITUTED = 0x0001
    OK_CONFLICTING = 0x0002
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
    CHARSET_NOT_SUPPORTED = 0x040D
    CONFLICTING_ATTRIBUTES = 0x040E
    DOCUMENT_FORMAT_ERROR = 0x0411
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


LATER = frozenset(
    {
        Status.SERVICE_UNAVAILABLE,
        Status.DEVICE_ERROR,
        Status.TEMPORARY_ERROR,
        Status.NOT_ACCEPTING_JOBS,
        Status.BUSY,
        Status.TOO_MANY_JOBS,
    }
)


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
)

# How the attributes that we send or serve are tagged.
SYNTAX: dict[str, Tag] = {
    **dict.fromkeys(
        (
            "copies",
            "copies-default",
            "job-id",
            "job-impressions",
            "job-impressions-completed",
            "job-k-octets",
            "limit",
            "media-bottom-margin",
            "media-left-margin",
            "media-right-margin",
            "media-top-margin",
            "multiple-operation-time-out",
            "number-of-documents",
            "printer-up-time",
            "queued-job-count",
            "time-at-completed",
            "time-at-creation",
            "time-at-processing",
            "job-printer-up-time",
            "x-dimension",
            "y-dimension",
        ),
        Tag.INTEGER,
    ),
    **dict.fromkeys(
        ("color-supported", "last-document", "my-jobs", "printer-is-accepting-jobs", "ipp-attribute-fidelity"),
        Tag.BOOLEAN,
    ),
    **dict.fromkeys(
        (
            "job-state",
            "operations-supported",
            "orientation-requested",
            "orientation-requested-default",
            "orientation-requested-supported",
            "print-quality",
            "print-quality-default",
            "print-quality-supported",
            "printer-state",
        ),
        Tag.ENUM,
    ),
    **dict.fromkeys(
        (
            "printer-resolution",
            "printer-resolution-default",
            "printer-resolution-supported",
            "pwg-raster-document-resolution-supported",
        ),
        Tag.RESOLUTION,
    ),
    **dict.fromkeys(("copies-supported",), Tag.RANGE),
    **dict.fromkeys(
        (
            "compression",
            "compression-supported",
            "ipp-versions-supported",
            "job-creation-attributes-supported",
            "job-state-reasons",
            "job-hold-until",
            "job-hold-until-supported",
            "media",
            "media-col-supported",
            "media-default",
            "media-ready",
            "media-source",
            "media-supported",
            "media-type",
            "media-type-supported",
            "media-source-supported",
            "output-bin",
            "output-bin-supported",
            "pdl-override-supported",
            "print-color-mode",
            "print-color-mode-default",
            "print-color-mode-supported",
            "print-scaling",
            "print-scaling-default",
            "print-scaling-supported",
            "pwg-raster-document-type-supported",
            "urf-supported",
            "printer-state-reasons",
            "requested-attributes",
            "sides",
            "sides-default",
            "sides-supported",
            "uri-authentication-supported",
            "uri-security-supported",
            "which-jobs",
        ),
        Tag.KEYWORD,
    ),
    **dict.fromkeys(
        ("document-name", "job-name", "job-originating-user-name", "printer-name", "requesting-user-name"), Tag.NAME
    ),
    **dict.fromkeys(
        (
            "job-state-message",
            "printer-info",
            "printer-location",
            "printer-make-and-model",
            "printer-state-message",
            "printer-supply-description",
            "status-message",
        ),
        Tag.TEXT,
    ),
    "printer-supply": Tag.OCTET_STRING,
    **dict.fromkeys(
        (
            "job-printer-uri",
            "job-uri",
            "job-uuid",
            "printer-more-info",
            "printer-uri",
            "printer-uri-supported",
            "printer-uuid",
        ),
        Tag.URI,
    ),
    **dict.fromkeys(("attributes-charset", "charset-configured", "charset-supported"), Tag.CHARSET),
    **dict.fromkeys(
        ("attributes-natural-language", "generated-natural-language-supported", "natural-language-configured"),
        Tag.NATURAL_LANGUAGE,
    ),
    **dict.fromkeys(("document-format", "document-format-default", "document-format-supported"), Tag.MIME_MEDIA_TYPE),
    **dict.fromkeys(
        (
            "media-col",
            "media-col-database",
            "media-col-default",
            "media-col-ready",
            "media-size",
            "media-size-supported",
        ),
        Tag.BEGIN_COLLECTION,
    ),
}


def attribute(name: str, *contents: Content) -> Attribute:
    """An attribute with the tag that its name calls for.

    Raises:
        KeyError: the name is not in SYNTAX; nothing is ever sent with a guessed tag.
    """
    return Attribute(name, tuple(Value(SYNTAX[name], content) for content in contents))


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
