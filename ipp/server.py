"""The answering side of IPP: a request message in, a response message out. No sockets, no files, no HTTP.

Whoever carries the bytes (ipp/http_port) has already received the whole document and shows that it is whole; what a
queue does with it is behind served.Queue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from ipp.attributes import ENDED_JOBS, JobState, Operation, Status, attribute, no_value, only
from ipp.codec import Attribute, Group, GroupTag, Message, Tag
from ipp.job_answers import BRIEF, described, described_document, listed, up_time_s
from ipp.served import Asker, Queue, Received, Refusal, ServedJob
from ipp.subscriptions import Subscriptions

# Operations that are followed by a document.
WITH_DOCUMENT = frozenset({Operation.PRINT_JOB, Operation.SEND_DOCUMENT})
# What only an operator may do (RFC 8011 §4.2.7 to 4.2.9, RFC 3998).
FOR_OPERATORS = frozenset(
    {
        Operation.PAUSE_PRINTER,
        Operation.RESUME_PRINTER,
        Operation.PURGE_JOBS,
        Operation.SET_PRINTER_ATTRIBUTES,
        Operation.ENABLE_PRINTER,
        Operation.DISABLE_PRINTER,
        Operation.PAUSE_PRINTER_AFTER_CURRENT_JOB,
        Operation.HOLD_NEW_JOBS,
        Operation.RELEASE_HELD_NEW_JOBS,
        Operation.RESTART_PRINTER,
        Operation.SHUTDOWN_PRINTER,
        Operation.STARTUP_PRINTER,
        Operation.CANCEL_JOBS,
        Operation.PROMOTE_JOB,
        Operation.SCHEDULE_JOB_AFTER,
    }
)
# What only the one who sent a job, or an operator, may do with it.
_FOR_OWNERS = frozenset(
    {
        Operation.SEND_DOCUMENT,
        Operation.CLOSE_JOB,
        Operation.CANCEL_JOB,
        Operation.HOLD_JOB,
        Operation.RELEASE_JOB,
        Operation.RESTART_JOB,
        Operation.REPROCESS_JOB,
        Operation.RESUBMIT_JOB,
        Operation.RESUME_JOB,
        Operation.CANCEL_DOCUMENT,
        Operation.SET_DOCUMENT_ATTRIBUTES,
        Operation.SET_JOB_ATTRIBUTES,
        Operation.CANCEL_CURRENT_JOB,
        Operation.SUSPEND_CURRENT_JOB,
    }
)
COMPRESSIONS = ("none", "deflate", "gzip")
MAX_LENGTHS = {Tag.NAME: 255, Tag.KEYWORD: 255, Tag.TEXT: 1023, Tag.URI: 1023, Tag.MIME_MEDIA_TYPE: 255}
NOBODY = Asker("anonymous")


def respond(
    request: Message,
    queue: Queue,
    uri: str,
    document: Received | None = None,
    asker: Asker = NOBODY,
    subscriptions: Subscriptions | None = None,
) -> Message:
    """Answer one request.

    Args:
        request: as decoded.
        queue: what the request's target stands for.
        uri: the printer-uri that clients should use.
        document: the document that followed the request, whole; None where there was none.
        asker: who sent it.
        subscriptions: the queue's, where it offers them.
    """
    head = [attribute("attributes-charset", "utf-8"), attribute("attributes-natural-language", "en")]
    version = request.version if request.version[0] in (1, 2) else (2, 0)
    answer = Message(Status.OK, request.request_id, [Group(GroupTag.OPERATION, head)], version)
    try:
        check(request)
        exchange = Exchange(request, queue, uri, document, asker, subscriptions)
        _check_rights(exchange)
        handler = _HANDLERS.get(request.code)
        if handler is None or request.code not in queue.operations():
            raise Refusal(Status.OPERATION_NOT_SUPPORTED, f"operation 0x{request.code:04x} is not offered here")
        groups = handler(exchange)
        if exchange.ignored:  # RFC 8011 §4.1.7: taken all the same, and said so
            answer.code = Status.OK_IGNORED_OR_SUBSTITUTED
            answer.groups.append(Group(GroupTag.UNSUPPORTED, exchange.ignored))
        answer.groups.extend(groups)
        answer.code = exchange.status or answer.code
    except Refusal as refusal:
        answer.code = refusal.status
        answer.groups[0].attributes.append(attribute("status-message", refusal.message[:255]))
        if refusal.unsupported:
            answer.groups.append(Group(GroupTag.UNSUPPORTED, refusal.unsupported))
    return answer


@dataclass
class Exchange:
    """A request with all that it is answered from."""

    request: Message
    queue: Queue
    uri: str
    document: Received | None
    asker: Asker
    subscriptions: Subscriptions | None
    ignored: list[Attribute] = None  # type: ignore[assignment]
    status: int = 0  # other than successful-ok

    def __post_init__(self) -> None:
        self.ignored = []

    @property
    def operation(self) -> Group:
        """The operation attributes."""
        return self.request.group(GroupTag.OPERATION)

    @property
    def ticket(self) -> Group:
        """The job attributes."""
        return self.request.group(GroupTag.JOB)

    def job(self) -> ServedJob:
        """The job that the request names by job-id or job-uri."""
        job_id = self.operation.number("job-id")
        if job_id is None:
            tail = self.operation.text("job-uri").rpartition("/")[2]
            job_id = int(tail) if tail.isdecimal() and len(tail) < 10 else None
        if job_id is None:
            raise Refusal(Status.BAD_REQUEST, "name the job by printer-uri and job-id, or by job-uri")
        job = self.queue.job(job_id)
        if job is None:
            raise Refusal(Status.NOT_FOUND, f"there is no job {job_id} here")
        return job

    def own_job(self) -> ServedJob:
        """The same, when the one who asks may change it."""
        job = self.job()
        if job.user != self.asker.user and not self.asker.is_operator:
            raise Refusal(Status.NOT_AUTHORIZED, f"job {job.id} is somebody else's: only they or an operator change it")
        return job


def check(request: Message) -> None:
    """What every request must have (RFC 8011 §4.1).

    Raises:
        Refusal: it does not.
    """
    if request.version[0] not in (1, 2):
        raise Refusal(Status.VERSION_NOT_SUPPORTED, "use IPP version 1.1 or 2.x")
    if request.request_id < 1:
        raise Refusal(Status.BAD_REQUEST, "request-id must be 1 or more")
    if not request.groups or request.groups[0].tag != GroupTag.OPERATION:
        raise Refusal(Status.BAD_REQUEST, "the operation attributes must come first")
    names = [item.name for item in request.groups[0].attributes]
    if names[:2] != ["attributes-charset", "attributes-natural-language"]:
        raise Refusal(
            Status.BAD_REQUEST, "the first attributes must be attributes-charset and attributes-natural-language"
        )
    charset = request.groups[0].text("attributes-charset").lower()
    if charset not in ("utf-8", "us-ascii"):
        raise Refusal(Status.CHARSET_NOT_SUPPORTED, f"charset '{charset}' is not supported, use utf-8")
    if not {"printer-uri", "job-uri"} & set(names):
        raise Refusal(Status.BAD_REQUEST, "printer-uri (or job-uri) is missing")
    if len(names) != len(set(names)):
        raise Refusal(Status.BAD_REQUEST, "an operation attribute comes twice")
    for group in request.groups:
        for item in group.attributes:
            for value in item.values:
                most = MAX_LENGTHS.get(Tag(value.tag)) if value.tag in MAX_LENGTHS else None
                if (
                    most is not None
                    and isinstance(value.content, str)
                    and len(value.content.encode("utf-8", "surrogateescape")) > most
                ):
                    raise Refusal(
                        Status.REQUEST_VALUE_TOO_LONG, f"{item.name} has more than {most} bytes", [only(item)]
                    )


def _check_rights(exchange: Exchange) -> None:
    code, asker = exchange.request.code, exchange.asker
    if code in FOR_OPERATORS and code in exchange.queue.operations() and not asker.is_operator:
        status = Status.NOT_AUTHORIZED if asker.is_authenticated else Status.NOT_AUTHENTICATED
        raise Refusal(status, "only an operator may do this: log in as somebody who has the panel")


# -- the printer --------------------------------------------------------------------------------------------------


def _get_printer_attributes(exchange: Exchange) -> list[Group]:
    queue = exchange.queue
    security = "tls" if exchange.uri.startswith("ipps:") else "none"
    now = datetime.now(UTC)
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
        attribute("printer-up-time", up_time_s(queue, now)),
        attribute("printer-current-time", now),
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


def _supported_values(exchange: Exchange) -> list[Group]:
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


def _set_printer(exchange: Exchange) -> list[Group]:
    changes = exchange.request.group(GroupTag.PRINTER)
    if not changes.attributes:
        raise Refusal(Status.BAD_REQUEST, "name the attributes to set in a printer-attributes group")
    exchange.queue.set_printer(changes)
    return []


def _act(exchange: Exchange) -> list[Group]:
    """An operation on the whole queue."""
    exchange.queue.act(exchange.request.code, None, exchange.operation)
    return []


# -- sending ------------------------------------------------------------------------------------------------------


def _judge(exchange: Exchange, ticket: Group, document_format: str) -> None:
    compression = exchange.operation.text("compression")
    if compression and compression not in COMPRESSIONS:
        raise Refusal(
            Status.COMPRESSION_NOT_SUPPORTED, f"compression '{compression}' is not supported: use gzip or deflate",
            [attribute("compression", compression)],
        )  # fmt: skip
    ignored = exchange.queue.judge(ticket, document_format)
    if ignored and exchange.operation.first("ipp-attribute-fidelity") is True:
        names = ", ".join(item.name for item in ignored)
        raise Refusal(
            Status.ATTRIBUTES_OR_VALUES_NOT_SUPPORTED, f"{names} cannot be had, and all was insisted on", ignored
        )
    exchange.ignored = ignored


def _validate_job(exchange: Exchange) -> list[Group]:
    _judge(exchange, exchange.ticket, exchange.operation.text("document-format"))
    return []


def _job_name(exchange: Exchange) -> str:
    return exchange.operation.text("job-name") or exchange.operation.text("document-name") or "Untitled"


def _create_job(exchange: Exchange) -> list[Group]:
    _judge(exchange, exchange.ticket, "")
    job = exchange.queue.create(_job_name(exchange), exchange.asker, exchange.ticket)
    return [described(exchange.queue, job, exchange.uri, BRIEF), *_subscribed(exchange, job)]


def _print_job(exchange: Exchange) -> list[Group]:
    if exchange.document is None or not exchange.document.size:
        raise Refusal(Status.BAD_REQUEST, "Print-Job came without a document")
    _judge(exchange, exchange.ticket, exchange.document.format)
    job = exchange.queue.print_at_once(_job_name(exchange), exchange.asker, exchange.ticket, exchange.document)
    return [described(exchange.queue, job, exchange.uri, BRIEF), *_subscribed(exchange, job)]


def _send_document(exchange: Exchange) -> list[Group]:
    job = exchange.own_job()
    is_last = exchange.operation.first("last-document")
    if not isinstance(is_last, bool):
        raise Refusal(Status.BAD_REQUEST, "last-document is missing")
    if job.is_whole or job.state in ENDED_JOBS:
        many = job.is_whole and job.documents and Operation.CLOSE_JOB not in exchange.queue.operations()
        status = Status.MULTIPLE_DOCUMENT_JOBS_NOT_SUPPORTED if many else Status.NOT_POSSIBLE
        raise Refusal(status, f"job {job.id} takes no further document")
    if exchange.document is None or not exchange.document.size:
        if not is_last or not job.documents:
            raise Refusal(Status.BAD_REQUEST, "Send-Document came without a document")
        exchange.queue.close(job)  # RFC 8011 §4.3.1: an empty last one only closes the job
    else:
        _judge(exchange, job.ticket, exchange.document.format)
        exchange.queue.submit(job, exchange.document, is_last)
    return [described(exchange.queue, exchange.queue.job(job.id) or job, exchange.uri, BRIEF)]


def _close_job(exchange: Exchange) -> list[Group]:
    job = exchange.own_job()
    if not job.is_whole and not job.documents:
        raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} has no document yet: send one, or cancel it")
    if not job.is_whole:
        exchange.queue.close(job)
    return []


# -- jobs ---------------------------------------------------------------------------------------------------------


def _get_jobs(exchange: Exchange) -> list[Group]:
    jobs, is_limited = listed(exchange.queue, exchange.operation, exchange.asker)
    wanted = exchange.operation.texts("requested-attributes") or ["job-uri", "job-id"]
    if is_limited:
        exchange.status = Status.OK
    return [described(exchange.queue, job, exchange.uri, wanted) for job in jobs]


def _get_job_attributes(exchange: Exchange) -> list[Group]:
    wanted = exchange.operation.texts("requested-attributes") or ["all"]
    return [described(exchange.queue, exchange.job(), exchange.uri, wanted)]


def _cancel_job(exchange: Exchange) -> list[Group]:
    job = exchange.own_job()
    if job.state in ENDED_JOBS:
        raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} has already ended")
    exchange.queue.cancel(job)
    return []


def _cancel_jobs(exchange: Exchange) -> list[Group]:
    """Cancel-Jobs and Cancel-My-Jobs (PWG 5100.11): those named, or all; all or none where some cannot be."""
    is_mine = exchange.request.code == Operation.CANCEL_MY_JOBS
    numbers = [number for number in exchange.operation.all("job-ids") if isinstance(number, int)]
    jobs = [job for job in exchange.queue.jobs() if job.state not in ENDED_JOBS]
    if is_mine:
        jobs = [job for job in jobs if job.user == exchange.asker.user]
    if numbers:
        known = {job.id: job for job in jobs}
        wrong = [number for number in numbers if number not in known]
        if wrong:
            status = Status.NOT_FOUND if all(exchange.queue.job(one) is None for one in wrong) else Status.NOT_POSSIBLE
            raise Refusal(status, f"job {wrong[0]} cannot be canceled here", [attribute("job-ids", *wrong)])
        jobs = [known[number] for number in numbers]
    for job in jobs:
        exchange.queue.cancel(job)
    return []


def _purge_jobs(exchange: Exchange) -> list[Group]:
    for job in exchange.queue.jobs():
        if job.state not in ENDED_JOBS:
            exchange.queue.cancel(job)
    exchange.queue.act(Operation.PURGE_JOBS, None, exchange.operation)
    return []


def _hold_job(exchange: Exchange) -> list[Group]:
    job = exchange.own_job()
    if job.state is not JobState.PENDING:
        raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} cannot be held any more")
    exchange.queue.hold(job)
    return []


def _release_job(exchange: Exchange) -> list[Group]:
    job = exchange.own_job()
    if job.state is not JobState.PENDING_HELD or "job-incoming" in job.reasons:
        raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} is not held")
    exchange.queue.release(job)
    return []


def _again(exchange: Exchange) -> list[Group]:
    """Restart-Job, Reprocess-Job and Resubmit-Job: of a job that has ended."""
    job = exchange.own_job()
    if job.state not in ENDED_JOBS:
        raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} has not ended")
    again = exchange.queue.act(exchange.request.code, job, exchange.operation)
    return [described(exchange.queue, again, exchange.uri, BRIEF)] if again else []


def _act_on_job(exchange: Exchange) -> list[Group]:
    """Resume-Job, Promote-Job, Schedule-Job-After."""
    code = exchange.request.code
    job = exchange.own_job() if code in _FOR_OWNERS else exchange.job()
    if job.state in ENDED_JOBS:
        raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} has ended")
    exchange.queue.act(code, job, exchange.operation)
    return []


def _act_on_current_job(exchange: Exchange) -> list[Group]:
    """Cancel-Current-Job and Suspend-Current-Job (RFC 3998 §4.2): the one that is being printed, or the one named."""
    if exchange.operation.number("job-id") is not None:
        job = exchange.own_job()
    else:
        running = [j for j in exchange.queue.jobs() if j.state in (JobState.PROCESSING, JobState.PROCESSING_STOPPED)]
        if not running:
            raise Refusal(Status.NOT_POSSIBLE, "no job is being printed")
        job = running[0]
        if job.user != exchange.asker.user and not exchange.asker.is_operator:
            raise Refusal(Status.NOT_AUTHORIZED, f"job {job.id} is somebody else's: only they or an operator change it")
    if job.state not in (JobState.PROCESSING, JobState.PROCESSING_STOPPED):
        raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} is not being printed")
    if exchange.request.code == Operation.CANCEL_CURRENT_JOB:
        exchange.queue.cancel(job)
    else:
        exchange.queue.act(exchange.request.code, job, exchange.operation)
    return []


def _set_job(exchange: Exchange) -> list[Group]:
    job = exchange.own_job()
    if job.state not in (JobState.PENDING, JobState.PENDING_HELD):
        raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} has begun: it cannot be changed any more")
    if not exchange.ticket.attributes:
        raise Refusal(Status.BAD_REQUEST, "name the attributes to set in a job-attributes group")
    exchange.queue.set_job(job, exchange.ticket)
    return []


# -- documents ----------------------------------------------------------------------------------------------------


def _document_number(exchange: Exchange, job: ServedJob) -> int:
    number = exchange.operation.number("document-number")
    if number is None:
        raise Refusal(Status.BAD_REQUEST, "document-number is missing")
    if not 1 <= number <= len(job.documents):
        raise Refusal(Status.NOT_FOUND, f"job {job.id} has no document {number}")
    return number


def _get_documents(exchange: Exchange) -> list[Group]:
    job = exchange.job()
    wanted = exchange.operation.texts("requested-attributes") or ["document-number"]
    limit = exchange.operation.number("limit") or len(job.documents)
    numbers = range(1, min(limit, len(job.documents)) + 1)
    return [described_document(exchange.queue, job, number, exchange.uri, wanted) for number in numbers]


def _get_document_attributes(exchange: Exchange) -> list[Group]:
    job = exchange.job()
    wanted = exchange.operation.texts("requested-attributes") or ["all"]
    return [described_document(exchange.queue, job, _document_number(exchange, job), exchange.uri, wanted)]


def _change_document(exchange: Exchange) -> list[Group]:
    """Cancel-Document and Set-Document-Attributes, of a job that has not begun."""
    job = exchange.own_job()
    _document_number(exchange, job)
    if job.state not in (JobState.PENDING, JobState.PENDING_HELD):
        raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} has begun: its documents cannot be changed any more")
    changes = exchange.request.group(GroupTag.DOCUMENT)
    exchange.queue.act(
        exchange.request.code, job, Group(GroupTag.OPERATION, [*exchange.operation.attributes, *changes.attributes])
    )
    return []


# -- subscriptions ------------------------------------------------------------------------------------------------


def _subscriptions(exchange: Exchange) -> Subscriptions:
    if exchange.subscriptions is None:
        raise Refusal(Status.OPERATION_NOT_SUPPORTED, "there are no subscriptions here")
    return exchange.subscriptions


def _subscribed(exchange: Exchange, job: ServedJob) -> list[Group]:
    """Subscriptions that came with a job."""
    wanted = exchange.request.all_groups(GroupTag.SUBSCRIPTION)
    if not wanted or exchange.subscriptions is None:
        return []
    return exchange.subscriptions.create(wanted, exchange.asker.user, job.id)


def _create_subscriptions(exchange: Exchange) -> list[Group]:
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
        exchange.status = 0x0003  # successful-ok-ignored-subscriptions
    return groups


def _get_subscriptions(exchange: Exchange) -> list[Group]:
    return _subscriptions(exchange).listed(exchange.operation, exchange.asker.user, exchange.uri)


def _get_subscription_attributes(exchange: Exchange) -> list[Group]:
    return [_subscriptions(exchange).described(exchange.operation, exchange.uri)]


def _renew_subscription(exchange: Exchange) -> list[Group]:
    lease = exchange.request.group(GroupTag.SUBSCRIPTION).number("notify-lease-duration")
    if lease is None:
        lease = exchange.operation.number("notify-lease-duration")
    return [_subscriptions(exchange).renew(exchange.operation, exchange.asker, lease)]


def _cancel_subscription(exchange: Exchange) -> list[Group]:
    _subscriptions(exchange).cancel(exchange.operation, exchange.asker)
    return []


def _get_notifications(exchange: Exchange) -> list[Group]:
    head, events, is_over = _subscriptions(exchange).notifications(exchange.operation, up_time_s(exchange.queue))
    if is_over:
        exchange.status = Status.OK_EVENTS_COMPLETE
    return [head, *events]


_HANDLERS: dict[int, Callable[[Exchange], list[Group]]] = {
    Operation.PRINT_JOB: _print_job,
    Operation.VALIDATE_JOB: _validate_job,
    Operation.CREATE_JOB: _create_job,
    Operation.SEND_DOCUMENT: _send_document,
    Operation.CANCEL_JOB: _cancel_job,
    Operation.GET_JOB_ATTRIBUTES: _get_job_attributes,
    Operation.GET_JOBS: _get_jobs,
    Operation.GET_PRINTER_ATTRIBUTES: _get_printer_attributes,
    Operation.HOLD_JOB: _hold_job,
    Operation.RELEASE_JOB: _release_job,
    Operation.RESTART_JOB: _again,
    Operation.REPROCESS_JOB: _again,
    Operation.RESUBMIT_JOB: _again,
    Operation.PURGE_JOBS: _purge_jobs,
    Operation.SET_PRINTER_ATTRIBUTES: _set_printer,
    Operation.SET_JOB_ATTRIBUTES: _set_job,
    Operation.GET_PRINTER_SUPPORTED_VALUES: _supported_values,
    Operation.CREATE_PRINTER_SUBSCRIPTIONS: _create_subscriptions,
    Operation.CREATE_JOB_SUBSCRIPTIONS: _create_subscriptions,
    Operation.GET_SUBSCRIPTION_ATTRIBUTES: _get_subscription_attributes,
    Operation.GET_SUBSCRIPTIONS: _get_subscriptions,
    Operation.RENEW_SUBSCRIPTION: _renew_subscription,
    Operation.CANCEL_SUBSCRIPTION: _cancel_subscription,
    Operation.GET_NOTIFICATIONS: _get_notifications,
    Operation.CANCEL_CURRENT_JOB: _act_on_current_job,
    Operation.SUSPEND_CURRENT_JOB: _act_on_current_job,
    Operation.RESUME_JOB: _act_on_job,
    Operation.PROMOTE_JOB: _act_on_job,
    Operation.SCHEDULE_JOB_AFTER: _act_on_job,
    Operation.CANCEL_DOCUMENT: _change_document,
    Operation.SET_DOCUMENT_ATTRIBUTES: _change_document,
    Operation.GET_DOCUMENT_ATTRIBUTES: _get_document_attributes,
    Operation.GET_DOCUMENTS: _get_documents,
    Operation.CANCEL_JOBS: _cancel_jobs,
    Operation.CANCEL_MY_JOBS: _cancel_jobs,
    Operation.CLOSE_JOB: _close_job,
    **dict.fromkeys(
        (
            Operation.PAUSE_PRINTER,
            Operation.RESUME_PRINTER,
            Operation.ENABLE_PRINTER,
            Operation.DISABLE_PRINTER,
            Operation.PAUSE_PRINTER_AFTER_CURRENT_JOB,
            Operation.HOLD_NEW_JOBS,
            Operation.RELEASE_HELD_NEW_JOBS,
            Operation.RESTART_PRINTER,
            Operation.SHUTDOWN_PRINTER,
            Operation.STARTUP_PRINTER,
            Operation.IDENTIFY_PRINTER,
        ),
        _act,
    ),
}
