"""Operations on a printer, and on subscriptions to it: an exchange in, groups of the answer out."""

from __future__ import annotations

from ipp.attributes import Operation, Status, attribute, no_value
from ipp.codec import Attribute, Group, GroupTag, Tag
from ipp.exchange import COMPRESSIONS, Exchange
from ipp.served import Refusal
from ipp.subscriptions import Subscriptions

# -- the printer --------------------------------------------------------------------------------------------------


def get_printer_attributes(exchange: Exchange) -> list[Group]:
    """Get-Printer-Attributes (RFC 8011 §4.2.5)."""
    queue = exchange.queue
    security = "tls" if exchange.uri.startswith("ipps:") else "none"
    own = [
        attribute("printer-uri-supported", exchange.uri),
        attribute("uri-security-supported", security),
        attribute("uri-authentication-supported", "requesting-user-name"),
        attribute("charset-configured", "utf-8"),
        attribute("charset-supported", "utf-8", "us-ascii"),
        attribute("natural-language-configured", "en"),
        attribute("generated-natural-language-supported", "en"),
        attribute("ipp-versions-supported", "1.1", "2.0", "2.1", "2.2"),
        attribute("operations-supported", *queue.operations()),
        attribute("compression-supported", *COMPRESSIONS),
        attribute("pdl-override-supported", "attempted"),
        attribute("multiple-operation-time-out", 60),
        attribute("printer-up-time", queue.up_s()),
        attribute("printer-current-time", queue.now()),
    ]
    told = {item.name: item for item in [*own, *queue.attributes()]}
    everything = Group(GroupTag.PRINTER, list(told.values()))
    wanted = exchange.operation.texts("requested-attributes")
    return [_requested_of_printer(everything, wanted)]


def _requested_of_printer(printer: Group, names: list[str]) -> Group:
    """Only what was asked for, by name or by group; media-col-database only by name (PWG 5100.7)."""
    if not names or "all" in names:
        return Group(printer.tag, [a for a in printer.attributes if a.name != "media-col-database" or a.name in names])

    def is_wanted(item: Attribute) -> bool:
        if item.name in names:
            return True
        if item.name == "media-col-database":
            return False
        group = "job-template" if _is_job_template(item.name) else "printer-description"
        return group in names or ("subscription-template" in names and item.name.startswith("notify-"))

    return Group(printer.tag, [item for item in printer.attributes if is_wanted(item)])


_TEMPLATES = [
    "copies",
    "finishings",
    "job-hold-until",
    "job-priority",
    "job-sheets",
    "media",
    "media-col",
    "multiple-document-handling",
    "number-up",
    "orientation-requested",
    "output-bin",
    "overrides",
    "page-ranges",
    "print-color-mode",
    "print-content-optimize",
    "print-quality",
    "print-rendering-intent",
    "print-scaling",
    "printer-resolution",
    "sides",
    "media-type",
    "media-source",
    "media-size",
    "feed-orientation",
    "media-bottom-margin",
    "media-left-margin",
    "media-right-margin",
    "media-top-margin",
]


def _is_job_template(name: str) -> bool:
    return any(name in (f"{one}-default", f"{one}-supported", f"{one}-ready") for one in _TEMPLATES)


def supported_values(exchange: Exchange) -> list[Group]:
    """Get-Printer-Supported-Values (RFC 3380 §4.3): what Set-Printer-Attributes would take."""
    settable = next((a for a in exchange.queue.attributes() if a.name == "printer-settable-attributes-supported"), None)
    names = [str(value.content) for value in settable.values] if settable else []
    wanted = exchange.operation.texts("requested-attributes")
    told = [
        no_value(name, Tag.NO_VALUE)
        for name in names
        if name != "none" and (not wanted or name in wanted or "all" in wanted)
    ]
    return [Group(GroupTag.PRINTER, told)]


def set_printer(exchange: Exchange) -> list[Group]:
    """Set-Printer-Attributes (RFC 3380 §4.1)."""
    changes = exchange.request.group(GroupTag.PRINTER)
    if not changes.attributes:
        raise Refusal(Status.BAD_REQUEST, "name the attributes to set in a printer-attributes group")
    exchange.queue.set_printer(changes)
    return []


def act(exchange: Exchange) -> list[Group]:
    """An operation on the whole queue."""
    exchange.queue.act(exchange.request.code, None, exchange.operation)
    return []


# -- subscriptions ------------------------------------------------------------------------------------------------


def _subscriptions(exchange: Exchange) -> Subscriptions:
    if exchange.subscriptions is None:
        raise Refusal(Status.OPERATION_NOT_SUPPORTED, "there are no subscriptions here")
    return exchange.subscriptions


def create_subscriptions(exchange: Exchange) -> list[Group]:
    """Create-Printer-Subscriptions and Create-Job-Subscriptions (RFC 3995 §11.1)."""
    wanted = exchange.request.all_groups(GroupTag.SUBSCRIPTION)
    if not wanted:
        raise Refusal(Status.BAD_REQUEST, "a subscription-attributes group is missing")
    job_id = None
    if exchange.request.code == Operation.CREATE_JOB_SUBSCRIPTIONS:
        number = exchange.operation.number("notify-job-id")
        job = exchange.queue.job(number) if number is not None else exchange.job()
        if job is None:
            raise Refusal(Status.NOT_FOUND, f"there is no job {number} here")
        job_id = job.id
    groups = _subscriptions(exchange).create(wanted, exchange.asker.user, job_id)
    if not any(group.number("notify-subscription-id") for group in groups):
        exchange.status = Status.IGNORED_ALL_SUBSCRIPTIONS
    elif any(group.number("notify-status-code") is not None for group in groups):
        exchange.status = Status.OK_IGNORED_SUBSCRIPTIONS
    return groups


def get_subscriptions(exchange: Exchange) -> list[Group]:
    """Get-Subscriptions (RFC 3995 §11.2.5)."""
    return _subscriptions(exchange).listed(exchange.operation, exchange.asker.user, exchange.uri)


def get_subscription_attributes(exchange: Exchange) -> list[Group]:
    """Get-Subscription-Attributes (RFC 3995 §11.2.4)."""
    return [_subscriptions(exchange).described(exchange.operation, exchange.uri)]


def renew_subscription(exchange: Exchange) -> list[Group]:
    """Renew-Subscription (RFC 3995 §11.2.6)."""
    lease = exchange.request.group(GroupTag.SUBSCRIPTION).number("notify-lease-duration")
    if lease is None:
        lease = exchange.operation.number("notify-lease-duration")
    return [_subscriptions(exchange).renew(exchange.operation, exchange.asker, lease)]


def cancel_subscription(exchange: Exchange) -> list[Group]:
    """Cancel-Subscription (RFC 3995 §11.2.7)."""
    _subscriptions(exchange).cancel(exchange.operation, exchange.asker)
    return []


def get_notifications(exchange: Exchange) -> list[Group]:
    """Get-Notifications (RFC 3996 §5)."""
    head, events, is_over = _subscriptions(exchange).notifications(exchange.operation, exchange.queue.up_s())
    if is_over:
        exchange.status = Status.OK_EVENTS_COMPLETE
    return [head, *events]
