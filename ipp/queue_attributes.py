"""A print queue as an IPP Everywhere and AirPrint printer: what it says of itself, and what jobs may ask. Pure.

Sources: RFC 8011 §5, PWG 5100.12 (IPP 2.x), 5100.13, 5100.14 (IPP Everywhere), Bonjour Printing 1.2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ipp.attributes import (
    Operation,
    attribute,
    borderless_media_col,
    member,
    no_value,
    only,
    resolution,
    size_of_media_col,
    size_of_media_name,
    supports,
)
from ipp.codec import Attribute, Collection, Content, Group, Range, Tag
from ipp.job_answers import WHICH_JOBS
from ipp.media import USUAL, distinct, name_of, upright
from ipp.pool import BLOCKING_REASONS, bare_reasons, why_not_ready
from ipp.subscriptions import DEFAULT_LEASE_S, EVENT_LIFE_S, EVENTS, MAX_EVENTS, MAX_LEASE_S
from store.queues import PrintQueue, QueueAccess
from store.records import Printer, PrinterState, PrinterStatus
from store.sizes import PrintSize

FORMATS = ("image/jpeg", "image/png", "application/pdf", "image/pwg-raster", "image/urf")
MEDIA_TYPES = (
    "auto", "photographic", "photographic-glossy", "photographic-high-gloss", "photographic-matte",
    "photographic-satin", "photographic-semi-gloss", "stationery",
)  # fmt: skip
RASTER_DPI = (150, 180, 300, 360, 600, 720)
RASTER_TYPES = ("black_1", "sgray_8", "srgb_8", "adobe-rgb_8", "srgb_16", "cmyk_8")
NUMBERS_UP = (1, 2, 4, 6, 9)
DPI = 300
MOST_COPIES = 999
MULTIPLE_OPERATION_LIMIT_S = 60
MARGINS = ("media-bottom-margin", "media-left-margin", "media-right-margin", "media-top-margin")
# Not Print-URI and Send-URI: the box fetches nothing for others from anywhere.
OPERATIONS = tuple(one for one in Operation if one not in (Operation.PRINT_URI, Operation.SEND_URI))
SETTABLE_PRINTER = ("printer-info", "printer-location", "printer-message-from-operator")
_OVERRIDES = (
    "document-number",
    "document-numbers",
    "pages",
    "media",
    "media-col",
    "orientation-requested",
    "print-color-mode",
)


@dataclass(frozen=True)
class View:
    """What a queue's description is made from."""

    queue: PrintQueue
    printers: Sequence[Printer]  # active members of the pool
    statuses: Sequence[PrinterStatus | None]
    open_jobs: int = 0
    is_printing: bool = False
    panel: str = ""  # http://box:8080
    base: str = ""  # http://box:8631, of the icons
    default_size: PrintSize | None = None  # the render profile's
    changed_s: int = 1  # printer-up-time when its settings, and
    state_changed_s: int = 1  # its state, changed
    now: datetime = field(default_factory=datetime.now)


def sizes(view: View) -> list[PrintSize]:
    """The papers that a job may ask for: what the printers may print, or what is usual where they may print all."""
    allowed = [size for printer in view.printers for size in printer.allowable_print_sizes]
    if any(not printer.allowable_print_sizes for printer in view.printers) or not view.printers:
        allowed += [*loaded(view), *USUAL]
    first = [view.default_size] if view.default_size else []
    return distinct([*first, *allowed])


def loaded(view: View) -> list[PrintSize]:
    """The papers that are loaded somewhere, as far as the printers say."""
    return distinct([size for status in view.statuses if status for size in status.media_ready or ()])


def default_paper(view: View) -> PrintSize:
    """What a job gets that asks for none: the render profile's, or what is loaded, or what may be printed."""
    if view.default_size:
        return upright(view.default_size)
    offered = sizes(view)
    ready = [one for one in loaded(view) if any(one.is_same_paper(size) for size in offered)]
    return (ready or offered)[0]


def template(view: View) -> list[Attribute]:
    """The -default, -supported and -ready attributes of the job template."""
    offered, default = sizes(view), default_paper(view)
    ready = [one for one in loaded(view) if any(one.is_same_paper(size) for size in offered)] or offered
    return [
        attribute("copies-default", 1),
        attribute("copies-supported", Range(1, MOST_COPIES)),
        attribute("finishings-default", 3),
        attribute("finishings-supported", 3),
        attribute("job-hold-until-default", "indefinite" if view.queue.holds_new_jobs else "no-hold"),
        attribute("job-hold-until-supported", "no-hold", "indefinite"),
        attribute("job-priority-default", 50),
        attribute("job-priority-supported", 100),
        attribute("job-sheets-default", "none"),
        attribute("job-sheets-supported", "none", "standard"),
        attribute("media-default", name_of(default)),
        attribute("media-supported", *map(name_of, offered)),
        attribute("media-ready", *map(name_of, ready)),
        attribute("media-col-default", media_col(default)),
        attribute("media-col-supported", *MARGINS, "media-size", "media-size-name", "media-source", "media-type"),
        attribute("media-col-ready", *map(media_col, ready)),
        attribute("media-col-database", *map(media_col, offered)),
        attribute("media-size-supported", *(member(media_col(size), "media-size") for size in offered)),
        attribute("media-source-supported", "auto"),
        attribute("media-type-supported", *MEDIA_TYPES),
        *(attribute(f"{margin}-supported", 0) for margin in MARGINS),
        attribute("multiple-document-handling-default", "separate-documents-uncollated-copies"),
        attribute(
            "multiple-document-handling-supported",
            "separate-documents-uncollated-copies",
            "separate-documents-collated-copies",
        ),
        attribute("number-up-default", 1),
        attribute("number-up-supported", *NUMBERS_UP),
        no_value("orientation-requested-default", Tag.NO_VALUE),
        attribute("orientation-requested-supported", 3, 4, 5, 6, 7),
        attribute("output-bin-default", "face-down"),
        attribute("output-bin-supported", "face-down"),  # with face-up CUPS sends the last page first
        attribute("overrides-supported", *_OVERRIDES),
        attribute("page-ranges-supported", True),
        attribute("print-color-mode-default", "auto"),
        attribute("print-color-mode-supported", "auto", "color", "monochrome"),
        attribute("print-content-optimize-default", "photo"),
        attribute("print-content-optimize-supported", "auto", "photo"),
        attribute("print-quality-default", 5),
        attribute("print-quality-supported", 3, 4, 5),
        attribute("print-rendering-intent-default", "auto"),
        attribute("print-rendering-intent-supported", "auto", "perceptual", "relative", "relative-bpc"),
        attribute("print-scaling-default", "auto"),
        attribute("print-scaling-supported", "auto", "auto-fit", "fill", "fit", "none"),
        attribute("printer-resolution-default", resolution(DPI)),
        attribute("printer-resolution-supported", resolution(DPI)),
        attribute("sides-default", "one-sided"),
        attribute("sides-supported", "one-sided"),
    ]


def media_col(size: PrintSize) -> Collection:
    """A paper as the queue names it."""
    return (*borderless_media_col(size), attribute("media-size-name", name_of(size)))


_CREATION = (
    "copies", "finishings", "job-hold-until", "job-priority", "job-sheets", "media", "media-col",
    "multiple-document-handling", "number-up", "orientation-requested", "output-bin", "overrides", "page-ranges",
    "print-color-mode", "print-content-optimize", "print-quality", "print-rendering-intent", "print-scaling",
    "printer-resolution", "proof-print", "sides",
)  # fmt: skip


def description(view: View) -> list[Attribute]:
    """Everything that a queue says of itself."""
    queue = view.queue
    state, reasons, message = state_of(view)
    supplies = [supply for status in view.statuses if status for supply in status.supplies]
    alerts = [reason for reason in reasons if reason != "none"] or ["none"]
    config = dict.fromkeys(("printer-config-change-date-time",), view.queue.changed_at)
    make = "Printroom Print Queue"
    return [
        *template(view),
        attribute("printer-name", queue.path),
        attribute("printer-info", queue.name[:127]),
        attribute("printer-dns-sd-name", queue.name[:63]),
        attribute("printer-location", queue.location),
        no_value("printer-geo-location", Tag.UNKNOWN),
        attribute("printer-organization", ""),
        attribute("printer-organizational-unit", ""),
        attribute("printer-make-and-model", make),
        attribute("printer-device-id", f"MFG:Printroom;MDL:Print Queue;CMD:{_LANGUAGES};"),
        attribute("printer-uuid", f"urn:uuid:{queue.uuid}"),
        attribute("printer-more-info", f"{view.panel}/"),
        attribute("printer-supply-info-uri", f"{view.panel}/printers/"),
        attribute("printer-icons", *(f"{view.base}/icons/{px}.png" for px in (48, 128, 512))),
        attribute("printer-kind", "photo", "document"),
        attribute("printer-state", state),
        attribute("printer-state-reasons", *reasons),
        attribute("printer-state-message", message[:1023]),
        attribute("printer-state-change-time", view.state_changed_s),
        attribute("printer-state-change-date-time", queue.state_changed_at),
        attribute("printer-config-change-time", view.changed_s),
        *(attribute(name, moment) for name, moment in config.items()),
        attribute("printer-is-accepting-jobs", queue.is_accepting and not queue.is_shut_down),
        attribute("printer-message-from-operator", queue.message),
        attribute(
            "printer-alert", *(f"code=unknown;severity=other;group=other;location={one}".encode() for one in alerts)
        ),
        attribute("printer-alert-description", *alerts),
        attribute("queued-job-count", view.open_jobs),
        attribute("pages-per-minute", 10),
        attribute("pages-per-minute-color", 10),
        attribute("color-supported", True),
        attribute("document-format-default", "application/octet-stream"),
        attribute("document-format-supported", "application/octet-stream", *FORMATS),
        attribute(
            "urf-supported", "V1.4", "CP1", "W8", "SRGB24", "ADOBERGB24", f"RS{DPI}", "PQ3-4-5", "IS1", "MT1-8-11"
        ),
        attribute("pwg-raster-document-resolution-supported", *map(resolution, RASTER_DPI)),
        attribute("pwg-raster-document-sheet-back", "normal"),
        attribute("pwg-raster-document-type-supported", *RASTER_TYPES),
        attribute("identify-actions-default", "flash"),
        attribute("identify-actions-supported", "flash"),
        attribute("ipp-features-supported", "ipp-everywhere", "airprint-1.8", "document-object", "subscription-object"),
        attribute("job-creation-attributes-supported", *_CREATION),
        attribute("job-settable-attributes-supported", "job-name", *_CREATION),
        attribute("printer-settable-attributes-supported", *SETTABLE_PRINTER),
        attribute("job-ids-supported", True),
        attribute("job-password-supported", 64),
        attribute("job-password-encryption-supported", "none"),
        attribute("job-impressions-supported", Range(0, 1_000_000)),
        attribute("job-k-octets-supported", Range(0, 2**31 - 1)),
        attribute("job-media-sheets-supported", Range(0, 1_000_000)),
        attribute("multiple-document-jobs-supported", True),
        attribute("multiple-operation-time-out", MULTIPLE_OPERATION_LIMIT_S),
        attribute("multiple-operation-time-out-action", "abort-job"),
        attribute("preferred-attributes-supported", False),
        attribute("printer-get-attributes-supported", "document-format"),
        attribute("which-jobs-supported", *WHICH_JOBS),
        attribute("notify-events-default", "job-completed"),
        attribute("notify-events-supported", *EVENTS),
        attribute("notify-lease-duration-default", DEFAULT_LEASE_S),
        attribute("notify-lease-duration-supported", Range(0, MAX_LEASE_S)),
        attribute("notify-max-events-supported", MAX_EVENTS),
        attribute("notify-pull-method-supported", "ippget"),
        attribute("ippget-event-life", EVENT_LIFE_S),
        attribute(
            "uri-authentication-supported",
            "basic" if queue.access is QueueAccess.PASSWORD else "requesting-user-name",
        ),
        attribute("printer-supply", *([_supply(s.percent) for s in supplies] or [_supply(None)])),
        attribute("printer-supply-description", *([s.name for s in supplies] or ["not told by the printers"])),
    ]


_LANGUAGES = "JPEG,PNG,PDF,PWGRaster,AppleRaster"


def _supply(percent: int | None) -> bytes:
    """PWG 5100.13 §5.6.29; a level of -2 is unknown."""
    level = -2 if percent is None else percent
    kind = "type=other;unit=percent;maxcapacity=100;class=supplyThatIsConsumed;colorantname=none"
    return f"{kind};level={level};".encode()


def state_of(view: View) -> tuple[int, tuple[str, ...], str]:
    """printer-state, printer-state-reasons and printer-state-message: stopped when nothing of the pool can print."""
    queue = view.queue
    if queue.is_shut_down:
        return 5, ("shutdown",), "shut down by an operator: start it up again"
    if queue.is_paused:
        return 5, ("paused",), "paused by an operator: resume it"
    troubles: list[str] = []
    reasons: list[str] = []
    is_able = False
    for printer, status in zip(view.printers, view.statuses, strict=True):
        if status is None or status.state is PrinterState.UNKNOWN:
            troubles.append(f"{printer.name} has not answered yet")
            continue
        trouble = why_not_ready(printer, status)
        blocking = sorted(BLOCKING_REASONS & bare_reasons(status))
        if not trouble and not blocking:
            is_able = True
        troubles += [trouble] if trouble else []
        reasons += [f"{reason}-error" if trouble else f"{reason}-warning" for reason in blocking]
        if status.state is PrinterState.UNREACHABLE:
            reasons.append("connecting-to-device-warning")
        reasons += [f"{reason}-warning" for reason in bare_reasons(status) if reason.startswith("marker-supply")]
    kept = tuple(dict.fromkeys(reasons)) or ("none",)
    if not is_able:
        message = "; ".join(troubles) if view.printers else "the pool has no active printer: add one in the panel"
        return 5, kept if kept != ("none",) else ("other-error",), message
    return (4 if view.is_printing else 3), kept, ""


# -- what jobs ask ------------------------------------------------------------------------------------------------


def unsupported(ticket: Group, view: View) -> tuple[list[Attribute], Attribute | None]:
    """The attributes of a job that cannot be honoured, and its paper where there is none such."""
    known = Group(0, template(view))
    offered = sizes(view)
    wrong: list[Attribute] = []
    paper: Attribute | None = None
    for item in ticket.attributes:
        contents = [value.content for value in item.values]
        if item.name in ("media", "media-col"):
            problem, is_paper = _paper_problem(item, offered)
            if problem and is_paper:
                paper = problem
            elif problem:
                wrong.append(problem)
        elif item.name in ("job-name", "proof-print"):
            continue
        elif item.name == "page-ranges":
            if not _are_ranges(contents):
                wrong.append(item)
        elif item.name == "overrides":
            if not all(_is_override(one) for one in contents):
                wrong.append(item)
        elif item.name == "job-priority":
            if not (isinstance(contents[0], int) and 1 <= contents[0] <= 100):
                wrong.append(item)
        elif item.name in _CREATION:
            if not all(supports(known.all(f"{item.name}-supported"), content) for content in contents):
                wrong.append(item)
        elif item.name not in _HARMLESS:
            wrong.append(only(item))
    return wrong, paper


# Hints that change nothing on paper, or that are said elsewhere.
_HARMLESS = frozenset(
    {"job-k-octets", "job-impressions", "job-media-sheets", "ipp-attribute-fidelity", "job-cancel-after"}
)


def paper_of(ticket: Group) -> PrintSize | None:
    """The paper that a job asks for, or None."""
    if ticket.attribute("media-col") is not None:
        content = ticket.first("media-col")
        size = size_of_media_col(content)
        named = member(content, "media-size-name")
        return size or (size_of_media_name(named) if isinstance(named, str) else None)
    return size_of_media_name(ticket.text("media"))


def _paper_problem(item: Attribute, offered: Sequence[PrintSize]) -> tuple[Attribute | None, bool]:
    content = item.values[0].content
    if item.name == "media":
        size = size_of_media_name(str(content))
        return (None, False) if size and any(size.is_same_paper(one) for one in offered) else (item, True)
    if not isinstance(content, tuple):
        return item, True
    size = paper_of(Group(0, [item]))
    if size is None and (member(content, "media-size") is not None or member(content, "media-size-name") is not None):
        return item, True
    if size is not None and not any(size.is_same_paper(one) for one in offered):
        return item, True
    kind = member(content, "media-type")
    source = member(content, "media-source")
    if (kind is not None and kind not in MEDIA_TYPES) or source not in (None, "auto"):
        return item, False
    return None, False


def _are_ranges(contents: Sequence[Content]) -> bool:
    last = 0
    for one in contents:
        if not isinstance(one, Range) or one.lower <= last or one.upper < one.lower:
            return False
        last = one.upper
    return True


def _is_override(content: Content) -> bool:
    return isinstance(content, tuple) and {item.name for item in content} <= set(_OVERRIDES)
