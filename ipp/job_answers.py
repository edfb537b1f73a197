"""Jobs and documents as attributes, and which jobs a client asked for. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from ipp.attributes import ENDED_JOBS, JobState, Status, attribute, no_value
from ipp.codec import Attribute, Group, GroupTag, Tag
from ipp.served import Asker, Queue, Refusal, ServedJob
from ipp.syntax import SYNTAX

BRIEF = ("job-uri", "job-id", "job-state", "job-state-reasons", "job-state-message")
WHICH_JOBS = (
    "completed", "not-completed", "all", "aborted", "canceled", "pending", "pending-held", "processing",
    "processing-stopped", "proof-print",
)  # fmt: skip
_STATES = {
    "aborted": JobState.ABORTED,
    "canceled": JobState.CANCELED,
    "pending": JobState.PENDING,
    "pending-held": JobState.PENDING_HELD,
    "processing": JobState.PROCESSING,
    "processing-stopped": JobState.PROCESSING_STOPPED,
}
_DOCUMENT_STATES = {
    JobState.PENDING: 3,
    JobState.PENDING_HELD: 3,
    JobState.PROCESSING: 5,
    JobState.PROCESSING_STOPPED: 6,
    JobState.CANCELED: 7,
    JobState.ABORTED: 8,
    JobState.COMPLETED: 9,
}


def listed(queue: Queue, operation: Group, asker: Asker) -> list[ServedJob]:
    """The jobs that Get-Jobs asks for (RFC 8011 §4.2.6, PWG 5100.11).

    Raises:
        Refusal: it asks for what there is not.
    """
    which = operation.text("which-jobs")
    numbers = [number for number in operation.all("job-ids") if isinstance(number, int)]
    if which and numbers:
        raise Refusal(Status.CONFLICTING_ATTRIBUTES, "give which-jobs or job-ids, not both")
    which = which or ("all" if numbers else "not-completed")
    if which not in WHICH_JOBS:
        raise Refusal(
            Status.ATTRIBUTES_OR_VALUES_NOT_SUPPORTED,
            f"which-jobs '{which}' is not supported",
            [attribute("which-jobs", which)],
        )
    if numbers:
        jobs = [job for number in numbers if (job := queue.job(number)) is not None]
        if len(jobs) < len(numbers):
            raise Refusal(Status.NOT_FOUND, "one of the jobs is not there", [attribute("job-ids", *numbers)])
    else:
        jobs = [job for job in queue.jobs() if _is_wanted(job, which)]
    if which == "completed":
        jobs.sort(key=lambda job: (job.completed_at or job.created_at, job.id), reverse=True)  # the newest first
    if operation.first("my-jobs") is True:
        jobs = [job for job in jobs if job.user == asker.user]
    first = operation.number("first-index") or 1
    limit = operation.number("limit")
    if first < 1 or (limit is not None and limit < 1):
        raise Refusal(Status.BAD_REQUEST, "first-index and limit count from 1")
    return jobs[first - 1 :][: limit or None]


def _is_wanted(job: ServedJob, which: str) -> bool:
    if which == "all":
        return True
    if which == "proof-print":
        return job.is_proof
    if which in _STATES:
        return job.state is _STATES[which]
    return (job.state in ENDED_JOBS) == (which == "completed")


def described(queue: Queue, job: ServedJob, uri: str, wanted: Sequence[str]) -> Group:
    """A job's attributes, of those wanted: names, `all`, `job-template` or `job-description`."""
    names = set(wanted)
    if names <= _CHEAP:
        return Group(GroupTag.JOB, [item for item in _brief(job, uri) if item.name in names])
    description = [*_brief(job, uri), *_description(queue, job, uri)]
    kept = {item.name for item in description}
    template = [item for item in job.ticket.attributes if item.name in SYNTAX and item.name not in kept]
    if "all" not in names:
        description = [item for item in description if item.name in names or "job-description" in names]
        template = [item for item in template if item.name in names or "job-template" in names]
    return Group(GroupTag.JOB, [*description, *template])


def _brief(job: ServedJob, uri: str) -> list[Attribute]:
    return [
        attribute("job-uri", f"{uri}/{job.id}"),
        attribute("job-id", job.id),
        attribute("job-state", job.state),
        attribute("job-state-reasons", *(job.reasons or ("none",))),
        attribute("job-state-message", job.message[:1023]),
    ]


_CHEAP = {"job-uri", "job-id", "job-state", "job-state-reasons", "job-state-message"}


def _description(queue: Queue, job: ServedJob, uri: str) -> list[Attribute]:
    moments = {"creation": job.created_at, "processing": job.processing_at, "completed": job.completed_at}
    times = [_time(f"time-at-{name}", queue, moment) for name, moment in moments.items()]
    dates = [
        attribute(f"date-time-at-{name}", moment) if moment else no_value(f"date-time-at-{name}", Tag.NO_VALUE)
        for name, moment in moments.items()
    ]
    octets = sum(document.size for document in job.documents)
    return [
        attribute("job-printer-uri", uri),
        attribute("job-name", job.name),
        attribute("job-originating-user-name", job.user),
        attribute("job-uuid", f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{queue.uuid}/{job.id}')}"),
        attribute("job-printer-up-time", queue.up_s()),
        attribute("job-k-octets", (octets + 1023) // 1024),
        attribute("job-k-octets-processed", (octets + 1023) // 1024 if job.state is JobState.COMPLETED else 0),
        no_value("job-impressions") if job.impressions is None else attribute("job-impressions", job.impressions),
        attribute("job-impressions-completed", job.impressions_completed),
        attribute("job-media-sheets-completed", job.impressions_completed),
        attribute("number-of-documents", len(job.documents)),
        attribute("number-of-intervening-jobs", 0 if job.state in ENDED_JOBS else queue.ahead(job)),
        attribute("job-priority", job.priority),
        *([attribute("output-device-assigned", job.output_device)] if job.output_device else []),
        *times,
        *dates,
    ]


def _time(name: str, queue: Queue, moment: datetime | None) -> Attribute:
    if moment is None:
        return no_value(name, Tag.NO_VALUE)
    # What was before the box came up is at 0: RFC 8011 §5.3.14 counts from the printer's start.
    return attribute(name, max(0, queue.up_s_at(moment)))


def described_document(queue: Queue, job: ServedJob, number: int, uri: str, wanted: Sequence[str]) -> Group:
    """One document's attributes (PWG 5100.5)."""
    document = job.documents[number - 1]
    state = 7 if document.is_canceled else _DOCUMENT_STATES[job.state]
    reasons = ("canceled-by-user",) if document.is_canceled else ("none",)
    told = [
        attribute("document-number", number),
        attribute("document-job-uri", f"{uri}/{job.id}"),
        attribute("document-printer-uri", uri),
        attribute("document-name", document.name or f"document {number}"),
        attribute("document-format", document.format),
        attribute("document-state", state),
        attribute("document-state-reasons", *reasons),
        attribute("k-octets", (document.size + 1023) // 1024),
        attribute("last-document", job.is_whole and number == len(job.documents)),
        attribute("job-id", job.id),
        _time("time-at-creation", queue, job.created_at),
        _time("time-at-processing", queue, job.processing_at),
        _time("time-at-completed", queue, job.completed_at),
        attribute("printer-up-time", queue.up_s()),
    ]
    groups = {"all", "document-description"}
    return Group(GroupTag.DOCUMENT, [item for item in told if item.name in wanted or groups & set(wanted)])
