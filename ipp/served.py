"""What the answering side of IPP works with: jobs as clients see them, and what stands behind a printer-uri."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ipp.attributes import JobState, Operation, Status
from ipp.codec import Attribute, Group

BASIC_OPERATIONS = (
    Operation.PRINT_JOB,
    Operation.VALIDATE_JOB,
    Operation.CREATE_JOB,
    Operation.SEND_DOCUMENT,
    Operation.CANCEL_JOB,
    Operation.GET_JOB_ATTRIBUTES,
    Operation.GET_JOBS,
    Operation.GET_PRINTER_ATTRIBUTES,
)


@dataclass
class ServedDocument:
    """One document of a job."""

    format: str
    size: int
    name: str = ""
    is_canceled: bool = False


@dataclass
class ServedJob:
    """A job as a queue shows it to its clients."""

    id: int
    name: str
    user: str
    ticket: Group  # the job attributes that the client sent
    created_at: datetime
    state: JobState = JobState.PENDING_HELD
    reasons: tuple[str, ...] = ("job-incoming",)
    message: str = ""
    impressions: int | None = None
    impressions_completed: int = 0
    documents: list[ServedDocument] = field(default_factory=list)
    is_whole: bool = False  # no further document can follow
    priority: int = 50
    output_device: str = ""
    processing_at: datetime | None = None
    completed_at: datetime | None = None
    is_proof: bool = False


@dataclass(frozen=True)
class Asker:
    """Who sent a request."""

    user: str  # authenticated, or else as the client says
    host: str = ""
    is_authenticated: bool = False
    is_operator: bool = False


@dataclass(frozen=True)
class Received:
    """A document that has arrived whole."""

    path: Path
    size: int
    format: str = ""  # as the client said, or as its first bytes tell
    name: str = ""


def shown(text: str, most: int = 255) -> str:
    """A text from outside as people may see it: what is no UTF-8 or does not print is replaced."""
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in readable)[:most]


class Refusal(Exception):
    """An answer other than successful-ok; a queue may raise it from any of its methods."""

    def __init__(self, status: Status, message: str, unsupported: Sequence[Attribute] = ()) -> None:
        self.status, self.message, self.unsupported = status, message, list(unsupported)
        super().__init__(message)


class Queue:
    """What stands behind a printer-uri. What it does not offer it need not have."""

    began_s = time.monotonic()  # when it came up
    uuid = ""  # the printer's, without urn:uuid:

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.now(UTC)

    def up_s(self) -> int:
        """printer-up-time (RFC 8011 §5.4.29): whole seconds since it came up, 1 or more; never goes back."""
        return int(time.monotonic() - self.began_s) + 1

    def up_s_at(self, moment: datetime) -> int:
        """A moment in the same time; 0 or less before it came up. Told from now backwards and never later than now: the
        clock may have been set meanwhile."""
        now_s = self.up_s()
        return min(now_s, now_s - int((self.now() - moment).total_seconds()))

    def operations(self) -> Sequence[int]:
        """What is offered."""
        return BASIC_OPERATIONS

    def attributes(self) -> list[Attribute]:
        """The printer's attributes, without those that the server adds itself."""
        raise NotImplementedError

    def judge(self, ticket: Group, document_format: str) -> list[Attribute]:
        """The attributes of a job that will not be honoured although it is taken.

        Raises:
            Refusal: it could not be printed at all.
        """
        raise NotImplementedError

    def create(self, name: str, asker: Asker, ticket: Group, pin: str = "") -> ServedJob:
        """Begin a job that has no document yet; one with a PIN is held until somebody types it."""
        raise NotImplementedError

    def submit(self, job: ServedJob, document: Received, is_last: bool) -> None:
        """Take over a whole document; kept safe when this returns."""
        raise NotImplementedError

    def print_at_once(self, name: str, asker: Asker, ticket: Group, document: Received, pin: str = "") -> ServedJob:
        """Begin a job with its only document."""
        job = self.create(name, asker, ticket, pin)
        self.submit(job, document, True)
        return job

    def close(self, job: ServedJob) -> None:  # noqa: ARG002
        """No further document follows."""
        raise Refusal(Status.OPERATION_NOT_SUPPORTED, "jobs are closed with their last document here")

    def jobs(self) -> Sequence[ServedJob]:
        """Every job that is remembered, oldest first."""
        raise NotImplementedError

    def job(self, job_id: int) -> ServedJob | None:
        """The job of that id."""
        return next((job for job in self.jobs() if job.id == job_id), None)

    def ahead(self, job: ServedJob) -> int:
        """How many jobs come before one that has not ended."""
        return sum(other.id < job.id and other.completed_at is None for other in self.jobs())

    def cancel(self, job: ServedJob) -> None:
        """Stop a job that has not ended."""
        raise NotImplementedError

    def hold(self, job: ServedJob) -> None:
        """Keep a pending job until release(); offered by queues that list HOLD_JOB and RELEASE_JOB."""
        job.state, job.reasons = JobState.PENDING_HELD, ("job-hold-until-specified",)

    def release(self, job: ServedJob) -> None:
        """Let a held job go on."""
        job.state, job.reasons = JobState.PENDING, ()

    def act(self, operation: int, job: ServedJob | None, arguments: Group) -> ServedJob | None:  # noqa: ARG002
        """Everything else that is offered, such as pausing; returns a job that came of it."""
        raise Refusal(Status.OPERATION_NOT_SUPPORTED, f"operation 0x{operation:04x} is not offered here")

    def set_job(self, job: ServedJob, changes: Group) -> None:  # noqa: ARG002
        """Change attributes of a job that has not begun."""
        raise Refusal(Status.ATTRIBUTES_NOT_SETTABLE, "jobs cannot be changed here", changes.attributes)

    def set_printer(self, changes: Group) -> None:
        """Change attributes of the printer."""
        raise Refusal(Status.ATTRIBUTES_NOT_SETTABLE, "the printer cannot be changed here", changes.attributes)
