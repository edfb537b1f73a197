"""The answering side of IPP: a request message in, a response message out. No sockets, no files, no HTTP.

Whoever carries the bytes (the virtual printer here, the front end's HTTP port in web/) has already received the whole
document and shows that it is whole; what a queue does with it is behind PrintQueue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ipp.attributes import ENDED_JOBS, SYNTAX, JobState, Operation, Status, attribute
from ipp.codec import Attribute, Group, GroupTag, Message

OPERATIONS = (
    Operation.PRINT_JOB,
    Operation.VALIDATE_JOB,
    Operation.CREATE_JOB,
    Operation.SEND_DOCUMENT,
    Operation.CANCEL_JOB,
    Operation.GET_JOB_ATTRIBUTES,
    Operation.GET_JOBS,
    Operation.GET_PRINTER_ATTRIBUTES,
)
# Operations that are followed by a document.
WITH_DOCUMENT = frozenset({Operation.PRINT_JOB, Operation.SEND_DOCUMENT})


@dataclass
class ServedJob:
    """A job as a queue keeps it for its clients."""

    id: int
    name: str
    user: str
    ticket: Group  # the job attributes that the client sent
    state: JobState = JobState.PENDING_HELD
    reasons: tuple[str, ...] = ("job-incoming",)
    message: str = ""
    impressions_completed: int = 0
    has_document: bool = False


class Refusal(Exception):
    """An answer other than successful-ok; a queue may raise it from any of its methods."""

    def __init__(self, status: Status, message: str, unsupported: Sequence[Attribute] = ()) -> None:
        self.status, self.message, self.unsupported = status, message, list(unsupported)
        super().__init__(message)


class PrintQueue(Protocol):
    """What stands behind a printer-uri."""

    def attributes(self) -> list[Attribute]:
        """The printer's attributes, without those that the server adds itself."""
        ...

    def hold(self, job: ServedJob) -> None:
        """Keep a pending job until release(); offered by queues that list HOLD_JOB and RELEASE_JOB."""
        job.state, job.reasons = JobState.PENDING_HELD, ("job-hold-until-specified",)

    def release(self, job: ServedJob) -> None:
        """Let a held job go on."""
        job.state, job.reasons = JobState.PENDING, ()

    def operations(self) -> Sequence[int]:
        """What is offered."""
        return OPERATIONS

    def ignored(self, ticket: Group) -> list[Attribute]:  # noqa: ARG002
        """Attributes of a job that will not be honoured, although it is taken."""
        return []

    def check(self, ticket: Group, document_format: str) -> None:
        """Raise Refusal when a job with these attributes could not be printed."""
        ...

    def create(self, name: str, user: str, ticket: Group) -> ServedJob:
        """Begin a job that has no document yet."""
        ...

    def submit(self, job: ServedJob, document: Path, document_format: str) -> None:
        """Take over a whole document; kept safe when this returns."""
        ...

    def cancel(self, job: ServedJob) -> None:
        """Stop a job that has not ended."""
        ...

    def jobs(self) -> list[ServedJob]:
        """Every job that is remembered, oldest first."""
        ...


def respond(request: Message, queue: PrintQueue, uri: str, document: Path | None = None) -> Message:
    """Answer one request.

    Args:
        request: as decoded.
        queue: what the request's target stands for.
        uri: the printer-uri that clients should use.
        document: the document that followed the request, whole; None where there was none.
    """
    answer = Message(
        Status.OK,
        request.request_id,
        [
            Group(
                GroupTag.OPERATION,
                [attribute("attributes-charset", "utf-8"), attribute("attributes-natural-language", "en")],
            )
        ],
        request.version if request.version[0] in (1, 2) else (2, 0),
    )
    try:
        _check(request)
        handler = _HANDLERS.get(request.code)
        if handler is None or request.code not in queue.operations():
            raise Refusal(Status.OPERATION_NOT_SUPPORTED, f"operation 0x{request.code:04x} is not offered here")
        groups = handler(_Exchange(request, queue, uri, document))
        ignored = queue.ignored(request.group(GroupTag.JOB)) if request.code in _WITH_TICKET else []
        if ignored:  # RFC 8011 §4.1.7: taken all the same, and said so
            answer.code = Status.OK_IGNORED_OR_SUBSTITUTED
            answer.groups.append(Group(GroupTag.UNSUPPORTED, ignored))
        answer.groups.extend(groups)
    except Refusal as refusal:
        answer.code = refusal.status
        answer.groups[0].attributes.append(attribute("status-message", refusal.message[:1023]))
        if refusal.unsupported:
            answer.groups.append(Group(GroupTag.UNSUPPORTED, refusal.unsupported))
    return answer


@dataclass(frozen=True)
class _Exchange:
    request: Message
    queue: PrintQueue
    uri: str
    document: Path | None

    @property
    def operation(self) -> Group:
        return self.request.group(GroupTag.OPERATION)

    @property
    def ticket(self) -> Group:
        return self.request.group(GroupTag.JOB)

    def job(self) -> ServedJob:
        """The job that the request names by job-id or job-uri."""
        job_id = self.operation.number("job-id")
        if job_id is None:
            tail = self.operation.text("job-uri").rpartition("/")[2]
            job_id = int(tail) if tail.isdecimal() else None
        if job_id is None:
            raise Refusal(Status.BAD_REQUEST, "name the job by printer-uri and job-id, or by job-uri")
        for job in self.queue.jobs():
            if job.id == job_id:
                return job
        raise Refusal(Status.NOT_FOUND, f"there is no job {job_id} here")


def _check(request: Message) -> None:
    """What every request must have (RFC 8011 §4.1)."""
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


# -- operations -------------------------------------------------------------------------------------------------


def _get_printer_attributes(exchange: _Exchange) -> list[Group]:
    own = [
        attribute("printer-uri-supported", exchange.uri),
        attribute("uri-security-supported", "none"),
        attribute("uri-authentication-supported", "none"),
        attribute("charset-configured", "utf-8"),
        attribute("charset-supported", "utf-8", "us-ascii"),
        attribute("natural-language-configured", "en"),
        attribute("generated-natural-language-supported", "en"),
        attribute("ipp-versions-supported", "1.1", "2.0"),
        attribute("operations-supported", *exchange.queue.operations()),
        attribute("compression-supported", "none"),
        attribute("pdl-override-supported", "attempted"),
        attribute("multiple-operation-time-out", 60),
    ]
    everything = Group(GroupTag.PRINTER, own + exchange.queue.attributes())
    return [_requested(everything, exchange.operation.texts("requested-attributes"), ("all", "printer-description"))]


def _requested(group: Group, names: list[str], all_names: tuple[str, ...]) -> Group:
    """Only what was asked for; media-col-database only by name (PWG 5100.7)."""
    if not names or set(names) & {*all_names, "job-template"}:
        return Group(group.tag, [a for a in group.attributes if a.name != "media-col-database" or a.name in names])
    return Group(group.tag, [a for a in group.attributes if a.name in names])


def _validate_job(exchange: _Exchange) -> list[Group]:
    exchange.queue.check(exchange.ticket, exchange.operation.text("document-format"))
    return []


def _create_job(exchange: _Exchange) -> list[Group]:
    exchange.queue.check(exchange.ticket, "")
    job = exchange.queue.create(
        exchange.operation.text("job-name") or "Untitled",
        exchange.operation.text("requesting-user-name") or "anonymous",
        exchange.ticket,
    )
    return [_described(exchange, job, _BRIEF)]


def _print_job(exchange: _Exchange) -> list[Group]:
    document_format = exchange.operation.text("document-format")
    if exchange.document is None:
        raise Refusal(Status.BAD_REQUEST, "Print-Job came without a document")
    exchange.queue.check(exchange.ticket, document_format)
    job = exchange.queue.create(
        exchange.operation.text("job-name") or "Untitled",
        exchange.operation.text("requesting-user-name") or "anonymous",
        exchange.ticket,
    )
    exchange.queue.submit(job, exchange.document, document_format)
    return [_described(exchange, job, _BRIEF)]


def _send_document(exchange: _Exchange) -> list[Group]:
    job = exchange.job()
    if exchange.operation.first("last-document") is None:
        raise Refusal(Status.BAD_REQUEST, "last-document is missing")
    if job.has_document:
        raise Refusal(Status.MULTIPLE_DOCUMENT_JOBS_NOT_SUPPORTED, f"job {job.id} already has its document")
    if job.state in ENDED_JOBS:
        raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} has ended")
    if exchange.document is None:
        raise Refusal(Status.BAD_REQUEST, "Send-Document came without a document")
    document_format = exchange.operation.text("document-format")
    exchange.queue.check(job.ticket, document_format)
    exchange.queue.submit(job, exchange.document, document_format)
    return [_described(exchange, job, _BRIEF)]


def _hold_job(exchange: _Exchange) -> list[Group]:
    job = exchange.job()
    if job.state is not JobState.PENDING:
        raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} cannot be held any more")
    exchange.queue.hold(job)
    return []


def _release_job(exchange: _Exchange) -> list[Group]:
    job = exchange.job()
    if job.state is not JobState.PENDING_HELD:
        raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} is not held")
    exchange.queue.release(job)
    return []


def _cancel_job(exchange: _Exchange) -> list[Group]:
    job = exchange.job()
    if job.state in ENDED_JOBS:
        raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} has already ended")
    exchange.queue.cancel(job)
    return []


def _get_job_attributes(exchange: _Exchange) -> list[Group]:
    wanted = exchange.operation.texts("requested-attributes")
    return [_requested(_described(exchange, exchange.job()), wanted, ("all", "job-description"))]


def _get_jobs(exchange: _Exchange) -> list[Group]:
    which = exchange.operation.text("which-jobs") or "not-completed"
    if which not in ("completed", "not-completed", "all"):
        raise Refusal(
            Status.ATTRIBUTES_OR_VALUES_NOT_SUPPORTED,
            f"which-jobs '{which}' is not supported",
            [attribute("which-jobs", which)],
        )
    jobs = [
        job for job in exchange.queue.jobs() if which == "all" or (job.state in ENDED_JOBS) == (which == "completed")
    ]
    if exchange.operation.first("my-jobs") is True:
        jobs = [job for job in jobs if job.user == exchange.operation.text("requesting-user-name")]
    if which == "completed":
        jobs.reverse()  # RFC 8011 §4.2.6.2: the newest first
    limit = exchange.operation.number("limit")
    wanted = exchange.operation.texts("requested-attributes") or ["job-uri", "job-id"]
    described = (_described(exchange, job) for job in jobs[: limit or None])
    return [_requested(group, wanted, ("all", "job-description")) for group in described]


_BRIEF = ("job-uri", "job-id", "job-state", "job-state-reasons")


def _described(exchange: _Exchange, job: ServedJob, names: Sequence[str] = ()) -> Group:
    own = [
        attribute("job-uri", f"{exchange.uri}/{job.id}"),
        attribute("job-id", job.id),
        attribute("job-printer-uri", exchange.uri),
        attribute("job-name", job.name),
        attribute("job-originating-user-name", job.user),
        attribute("job-state", job.state),
        attribute("job-state-reasons", *(job.reasons or ("none",))),
        attribute("job-state-message", job.message),
        attribute("job-impressions-completed", job.impressions_completed),
    ]
    sent = [item for item in job.ticket.attributes if item.name in SYNTAX]
    return Group(GroupTag.JOB, [item for item in own + sent if not names or item.name in names])


_WITH_TICKET = (Operation.PRINT_JOB, Operation.VALIDATE_JOB, Operation.CREATE_JOB)
_HANDLERS: dict[int, Callable[[_Exchange], list[Group]]] = {
    Operation.PRINT_JOB: _print_job,
    Operation.VALIDATE_JOB: _validate_job,
    Operation.CREATE_JOB: _create_job,
    Operation.SEND_DOCUMENT: _send_document,
    Operation.CANCEL_JOB: _cancel_job,
    Operation.HOLD_JOB: _hold_job,
    Operation.RELEASE_JOB: _release_job,
    Operation.GET_JOB_ATTRIBUTES: _get_job_attributes,
    Operation.GET_JOBS: _get_jobs,
    Operation.GET_PRINTER_ATTRIBUTES: _get_printer_attributes,
}
