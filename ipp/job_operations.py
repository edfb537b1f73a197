"""Operations on jobs and their documents: an exchange in, groups of the answer out."""

from __future__ import annotations

from ipp.attributes import ENDED_JOBS, JobState, Operation, Status, attribute
from ipp.codec import Group, GroupTag
from ipp.exchange import COMPRESSIONS, Exchange
from ipp.job_answers import BRIEF, described, described_document, listed
from ipp.served import Refusal, ServedJob

MOST_PIN_BYTES = 64

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


def validate_job(exchange: Exchange) -> list[Group]:
    """Validate-Job (RFC 8011 §4.2.3)."""
    _judge(exchange, exchange.ticket, exchange.operation.text("document-format"))
    return []


def _job_name(exchange: Exchange) -> str:
    return exchange.operation.text("job-name") or exchange.operation.text("document-name") or "Untitled"


def _pin(exchange: Exchange) -> str:
    """job-password (PWG 5100.11 §3.1.1), as it was typed: over TLS nothing more is needed."""
    pin = exchange.operation.first("job-password")
    how = exchange.operation.text("job-password-encryption") or "none"
    if pin is None:
        return ""
    if how != "none" or not isinstance(pin, bytes) or not 1 <= len(pin) <= MOST_PIN_BYTES:
        name = "job-password-encryption" if how != "none" else "job-password"
        item = exchange.operation.attribute(name)
        raise Refusal(
            Status.ATTRIBUTES_OR_VALUES_NOT_SUPPORTED, f"{name} cannot be had so: send a PIN in the clear, over TLS",
            [item] if item else [],
        )  # fmt: skip
    return pin.decode("utf-8", "replace")


def create_job(exchange: Exchange) -> list[Group]:
    """Create-Job (RFC 8011 §4.2.4)."""
    _judge(exchange, exchange.ticket, "")
    job = exchange.queue.create(_job_name(exchange), exchange.asker, exchange.ticket, _pin(exchange))
    return [described(exchange.queue, job, exchange.uri, BRIEF), *_subscribed(exchange, job)]


def print_job(exchange: Exchange) -> list[Group]:
    """Print-Job (RFC 8011 §4.2.1)."""
    if exchange.document is None or not exchange.document.size:
        raise Refusal(Status.BAD_REQUEST, "Print-Job came without a document")
    _judge(exchange, exchange.ticket, exchange.document.format)
    job = exchange.queue.print_at_once(
        _job_name(exchange), exchange.asker, exchange.ticket, exchange.document, _pin(exchange)
    )
    return [described(exchange.queue, job, exchange.uri, BRIEF), *_subscribed(exchange, job)]


def send_document(exchange: Exchange) -> list[Group]:
    """Send-Document (RFC 8011 §4.3.1)."""
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


def close_job(exchange: Exchange) -> list[Group]:
    """Close-Job (PWG 5100.11 §3.2)."""
    job = exchange.own_job()
    if not job.is_whole and not job.documents:
        raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} has no document yet: send one, or cancel it")
    if not job.is_whole:
        exchange.queue.close(job)
    return []


def _subscribed(exchange: Exchange, job: ServedJob) -> list[Group]:
    """Subscriptions that came with a job."""
    wanted = exchange.request.all_groups(GroupTag.SUBSCRIPTION)
    if not wanted or exchange.subscriptions is None:
        return []
    return exchange.subscriptions.create(wanted, exchange.asker.user, job.id)


# -- jobs ---------------------------------------------------------------------------------------------------------


def get_jobs(exchange: Exchange) -> list[Group]:
    """Get-Jobs (RFC 8011 §4.2.6)."""
    jobs = listed(exchange.queue, exchange.operation, exchange.asker)
    wanted = exchange.operation.texts("requested-attributes") or ["job-uri", "job-id"]
    return [described(exchange.queue, job, exchange.uri, wanted) for job in jobs]


def get_job_attributes(exchange: Exchange) -> list[Group]:
    """Get-Job-Attributes (RFC 8011 §4.3.4)."""
    wanted = exchange.operation.texts("requested-attributes") or ["all"]
    return [described(exchange.queue, exchange.job(), exchange.uri, wanted)]


def cancel_job(exchange: Exchange) -> list[Group]:
    """Cancel-Job (RFC 8011 §4.3.3)."""
    job = exchange.own_job()
    if job.state in ENDED_JOBS:
        raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} has already ended")
    exchange.queue.cancel(job)
    return []


def cancel_jobs(exchange: Exchange) -> list[Group]:
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


def purge_jobs(exchange: Exchange) -> list[Group]:
    """Purge-Jobs (RFC 8011 §4.2.9): every job, and the history."""
    for job in exchange.queue.jobs():
        if job.state not in ENDED_JOBS:
            exchange.queue.cancel(job)
    exchange.queue.act(Operation.PURGE_JOBS, None, exchange.operation)
    return []


def hold_job(exchange: Exchange) -> list[Group]:
    """Hold-Job (RFC 8011 §4.3.5)."""
    job = exchange.own_job()
    if job.state is not JobState.PENDING:
        raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} cannot be held any more")
    exchange.queue.hold(job)
    return []


def release_job(exchange: Exchange) -> list[Group]:
    """Release-Job (RFC 8011 §4.3.6)."""
    job = exchange.own_job()
    if job.state is not JobState.PENDING_HELD or "job-incoming" in job.reasons:
        raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} is not held")
    exchange.queue.release(job)
    return []


def again(exchange: Exchange) -> list[Group]:
    """Restart-Job, Reprocess-Job and Resubmit-Job: of a job that has ended."""
    job = exchange.own_job()
    if job.state not in ENDED_JOBS:
        raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} has not ended")
    again = exchange.queue.act(exchange.request.code, job, exchange.operation)
    return [described(exchange.queue, again, exchange.uri, BRIEF)] if again else []


def act_on_job(exchange: Exchange) -> list[Group]:
    """Resume-Job, Promote-Job, Schedule-Job-After."""
    code = exchange.request.code
    job = exchange.own_job() if code in _FOR_OWNERS else exchange.job()
    if job.state in ENDED_JOBS:
        raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} has ended")
    exchange.queue.act(code, job, exchange.operation)
    return []


def act_on_current_job(exchange: Exchange) -> list[Group]:
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


def set_job(exchange: Exchange) -> list[Group]:
    """Set-Job-Attributes (RFC 3380 §4.2)."""
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


def get_documents(exchange: Exchange) -> list[Group]:
    """Get-Documents (PWG 5100.5 §4.7)."""
    job = exchange.job()
    wanted = exchange.operation.texts("requested-attributes") or ["document-number"]
    limit = exchange.operation.number("limit") or len(job.documents)
    numbers = range(1, min(limit, len(job.documents)) + 1)
    return [described_document(exchange.queue, job, number, exchange.uri, wanted) for number in numbers]


def get_document_attributes(exchange: Exchange) -> list[Group]:
    """Get-Document-Attributes (PWG 5100.5 §4.6)."""
    job = exchange.job()
    wanted = exchange.operation.texts("requested-attributes") or ["all"]
    return [described_document(exchange.queue, job, _document_number(exchange, job), exchange.uri, wanted)]


def change_document(exchange: Exchange) -> list[Group]:
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
