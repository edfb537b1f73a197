"""One request with all that it is answered from, and what every request must have."""

from __future__ import annotations

from dataclasses import dataclass, field

from ipp.attributes import Status, only
from ipp.codec import Attribute, Group, GroupTag, Message, Tag
from ipp.served import Asker, Queue, Received, Refusal, ServedJob
from ipp.subscriptions import Subscriptions

COMPRESSIONS = ("none", "deflate", "gzip")
MAX_LENGTHS = {Tag.NAME: 255, Tag.KEYWORD: 255, Tag.TEXT: 1023, Tag.URI: 1023, Tag.MIME_MEDIA_TYPE: 255}


@dataclass
class Exchange:
    """A request with all that it is answered from."""

    request: Message
    queue: Queue
    uri: str
    document: Received | None
    asker: Asker
    subscriptions: Subscriptions | None
    ignored: list[Attribute] = field(default_factory=list)
    status: int = 0  # other than successful-ok

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
