"""One printer over IPP. pyipp carries the HTTP exchange and ends in this file; messages are our codec's.

Nothing here tries again, but in IPP/1.1 where a printer says that it speaks no newer one: what an answer means is in
ipp/answers, what follows from it for paper in the error's class (ipp/errors), and the sender decides.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
from aiohttp import payload
from aiohttp.abc import AbstractStreamWriter
from pyipp import IPP
from pyipp.exceptions import IPPConnectionError, IPPConnectionUpgradeRequired, IPPResponseError

from ipp import codec
from ipp.access import Access, Digest
from ipp.answers import KINDS, Asked, Meaning, of_http, of_status
from ipp.attributes import (
    JOB_ATTRIBUTES,
    PRINTER_ATTRIBUTES,
    PRINTER_STATES,
    JobState,
    Operation,
    Status,
    attribute,
    borderless_media_col,
    resolution,
    size_of_media_col,
    size_of_media_name,
    supports,
)
from ipp.codec import Attribute, Group, GroupTag, Message
from ipp.errors import (
    JobGone,
    MessageError,
    NotPossible,
    PrinterBusy,
    PrinterError,
    PrinterRefused,
    PrinterUnreachable,
    PrinterWantsTls,
    PrintUncertain,
)
from ipp.supplies import supplies_of
from store.clock import MachineTime
from store.records import PrinterState, PrinterStatus
from store.sizes import PrintSize

USER = "printroom"
CONNECT_LIMIT_S = 8.0
ANSWER_LIMIT_S = 30.0  # a printer asleep needs up to 20 s to answer
SLOWEST_UPLOAD_BYTES_PER_S = 50_000  # old Wi-Fi printers; decides how long a document may take
MAX_ANSWER_BYTES = 8 * 1024 * 1024  # the longest seen is 400 KB (every media-col of a large printer)
_CHUNK_BYTES = 64 * 1024
_OLD: set[str] = set()  # printers that speak IPP/1.1 only


@dataclass(frozen=True)
class Description:
    """What a printer says of itself."""

    uuid: str
    status: PrinterStatus
    attributes: Group


@dataclass(frozen=True)
class ListedJob:
    """A job as the printer lists it."""

    job_id: int
    name: str
    state: JobState | None  # None: a number that RFC 8011 does not know
    reasons: tuple[str, ...]
    message: str
    impressions_completed: int | None
    uuid: str = ""
    made_s: int | None = None  # time-at-creation, in the printer's up-time
    up_s: int | None = None  # the printer's up-time now
    documents: int | None = None  # that it has
    k_octets: int | None = None  # of them
    k_octets_processed: int | None = None


@dataclass(frozen=True)
class JobRequest:
    """What a print job asks of a printer."""

    name: str
    copies: int
    size: PrintSize
    dpi: int
    has_bleed: bool
    media_type: str = ""
    media_source: str = ""
    output_bin: str = ""
    is_held: bool = False  # until release_job()
    quality: int = 5  # RFC 8011 §5.2.13: 3 draft, 4 normal, 5 high


@dataclass(frozen=True)
class CreatedJob:
    """What a printer made of a job that it took."""

    job_id: int
    ignored: tuple[str, ...]  # attributes that it will not honor, although it said that it could
    uuid: str = ""


def session() -> aiohttp.ClientSession:
    """An HTTP session for any number of printers; must be made on, and stays on, one event loop."""
    limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_LIMIT_S)
    return aiohttp.ClientSession(timeout=limits)


class PrinterClient:
    """Speaks to the printer at one URI."""

    def __init__(self, uri: str, http: aiohttp.ClientSession, access: Access | None = None) -> None:
        self.uri, self._access = uri, access or Access()
        self._http: Any = Digest(http, self._access) if self._access.username else http
        self._request_ids = itertools.count(1)

    # -- asking -----------------------------------------------------------------------------------------------

    async def describe(self, now: datetime | None = None) -> Description:
        """What the printer is, does and has loaded.

        Raises:
            PrinterError: no answer, or not one that can be used.
        """
        answer = await self._ask(
            Operation.GET_PRINTER_ATTRIBUTES, attribute("requested-attributes", *PRINTER_ATTRIBUTES)
        )
        return description_in(answer, now or MachineTime().wall())

    async def everything(self) -> Message:
        """All that the printer says of itself, as it says it; for whoever helps the studio."""
        return await self._ask(
            Operation.GET_PRINTER_ATTRIBUTES,
            attribute("requested-attributes", "all", "media-col-database", "cups-version"),
        )

    async def jobs(self) -> list[ListedJob]:
        """Every job that the printer lists: those to come, and as much history as it keeps."""
        listed: list[ListedJob] = []
        for which in ("not-completed", "completed"):
            answer = await self._ask(
                Operation.GET_JOBS,
                attribute("which-jobs", which),
                attribute("requested-attributes", *JOB_ATTRIBUTES),
            )
            listed += [_listed(group) for group in answer.all_groups(GroupTag.JOB)]
        return listed

    async def job(self, job_id: int) -> ListedJob | None:
        """One job, or None when the printer does not know it (any more)."""
        try:
            answer = await self._ask(
                Operation.GET_JOB_ATTRIBUTES,
                attribute("job-id", job_id),
                attribute("requested-attributes", *JOB_ATTRIBUTES),
            )
        except JobGone:
            return None
        return _listed(answer.group(GroupTag.JOB))

    # -- printing ---------------------------------------------------------------------------------------------

    async def create_job(self, job: JobRequest, printer: Group) -> CreatedJob:
        """Announce a job. No byte of a document is sent.

        Args:
            job: what to print.
            printer: the printer's own description: only what it says it supports is asked for.
        """
        answer = await self._ask(
            Operation.CREATE_JOB, attribute("job-name", job.name), job=job_attributes(job, printer)
        )
        job_id = answer.group(GroupTag.JOB).number("job-id")
        if job_id is None:
            raise PrintUncertain("the printer took the job but gave it no job-id")
        return _created(job_id, answer)

    async def send_document(self, job_id: int, document: Path, document_format: str) -> None:
        """Send the one document of a job, streamed from disk with its length; returns when it was acknowledged."""
        await self._ask(
            Operation.SEND_DOCUMENT,
            attribute("job-id", job_id),
            attribute("document-format", document_format),
            attribute("last-document", True),
            document=document,
        )

    async def validate_job(self, job: JobRequest, printer: Group, document_format: str) -> tuple[str, ...]:
        """Ask whether a job would be taken as it is (RFC 8011 §4.2.3); returns the attributes that would be ignored."""
        answer = await self._ask(
            Operation.VALIDATE_JOB,
            attribute("job-name", job.name),
            attribute("document-format", document_format),
            job=job_attributes(job, printer),
        )
        return tuple(item.name for item in answer.group(GroupTag.UNSUPPORTED).attributes)

    async def print_job(self, job: JobRequest, printer: Group, document: Path, document_format: str) -> CreatedJob:
        """Announce and send in one request, for printers that have no Create-Job (RFC 8011 §4.2.1)."""
        answer = await self._ask(
            Operation.PRINT_JOB,
            attribute("job-name", job.name),
            attribute("document-format", document_format),
            job=job_attributes(job, printer),
            document=document,
        )
        job_id = answer.group(GroupTag.JOB).number("job-id")
        if job_id is None:
            raise PrintUncertain("the printer took the document but gave it no job-id")
        return _created(job_id, answer)

    async def identify(self) -> None:
        """Let the printer blink, beep or show something (PWG 5100.13 §5.1)."""
        await self._ask(Operation.IDENTIFY_PRINTER)

    async def release_job(self, job_id: int) -> None:
        """Let a held job print (RFC 8011 §4.3.6)."""
        await self._ask(Operation.RELEASE_JOB, attribute("job-id", job_id))

    async def cancel_job(self, job_id: int) -> None:
        """Withdraw a job. That the printer agrees does not mean that no paper moves."""
        await self._ask(Operation.CANCEL_JOB, attribute("job-id", job_id))

    # -- the exchange -----------------------------------------------------------------------------------------

    async def _ask(
        self,
        operation: Operation,
        *attributes: Attribute,
        job: Sequence[Attribute] = (),
        document: Path | None = None,
    ) -> Message:
        # RFC 8011 §4.1.4: charset, language and target come first, in this order; job-id directly follows the URI.
        target = [item for item in attributes if item.name == "job-id"]
        others = [item for item in attributes if item.name != "job-id"]
        head = [
            attribute("attributes-charset", "utf-8"),
            attribute("attributes-natural-language", "en"),
            attribute("printer-uri", self.uri),
            *target,
            attribute("requesting-user-name", USER),
            *others,
        ]
        version = (1, 1) if self.uri in _OLD else (2, 0)
        request = Message(operation, next(self._request_ids), [Group(GroupTag.OPERATION, head)], version)
        if job:
            request.groups.append(Group(GroupTag.JOB, list(job)))
        limit_s = ANSWER_LIMIT_S
        if document is not None:
            limit_s += document.stat().st_size / SLOWEST_UPLOAD_BYTES_PER_S
        asked = KINDS.get(operation, Asked.READ)
        raw = await self._exchange(codec.encode(request), document, limit_s, asked)
        try:
            answer, _ = codec.decode(raw)
        except MessageError as error:
            raise PrintUncertain(f"{self.uri} answered something that is not IPP ({error})") from error
        if answer.request_id != request.request_id:
            raise PrintUncertain(f"{self.uri} answered another request than was sent")
        if answer.code == Status.VERSION_NOT_SUPPORTED and version != (1, 1):
            _OLD.add(self.uri)  # RFC 8011 §4.1.8; asked again, for nothing was taken
            return await self._ask(operation, *attributes, job=job, document=document)
        _raise_for_status(answer, asked)
        return answer

    async def _exchange(self, head: bytes, document: Path | None, limit_s: float, asked: Asked) -> bytes:
        """The one place where pyipp is called, and where its and aiohttp's errors become ours.

        pyipp's own limit covers connecting, uploading and waiting together, so it is set out of reach; connecting
        has the session's limit, the rest has ours.
        """
        try:
            verify = self._access.verify
            wire = IPP(self.uri, session=self._http, request_timeout=int(limit_s) + 60, verify_ssl=verify)
        except ValueError as error:
            raise PrinterUnreachable(f"'{self.uri}' is not a printer's address: correct it under Printers") from error
        body: Any = head if document is None else _Streamed(head, document)
        try:
            async with asyncio.timeout(limit_s):
                raw = await wire._request(data=body)
        except IPPConnectionUpgradeRequired as error:
            raise PrinterWantsTls(f"{self.uri} wants TLS: add the printer with ipps:// instead") from error
        except IPPResponseError as error:
            status = error.args[1].get("status-code") if len(error.args) > 1 else "an error"
            if status in (401, 403):
                what = "does not take this user and password" if self._access.username else "wants a user and password"
                raise PrinterUnreachable(f"{self.uri} {what}: correct them under Printers") from error
            raise _of_http(self.uri, status, asked) from error
        except IPPConnectionError as error:
            if isinstance(error.__cause__, aiohttp.ServerFingerprintMismatch):
                raise PrinterUnreachable(
                    f"{self.uri} shows another certificate than it used to: when it was replaced or reset, "
                    "say so under Printers (Trust its new certificate)"
                ) from error
            if isinstance(error.__cause__, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
                raise PrinterUnreachable(
                    f"{self.uri} does not answer: is it switched on and on the network?"
                ) from error
            raise PrintUncertain(f"the link to {self.uri} broke: {error.__cause__ or error}") from error
        except TimeoutError as error:
            raise PrintUncertain(f"{self.uri} did not answer within {limit_s:.0f} s") from error
        except (aiohttp.ClientError, UnicodeDecodeError, OSError) as error:
            raise PrintUncertain(f"the link to {self.uri} broke: {error}") from error
        if len(raw) > MAX_ANSWER_BYTES:
            raise PrintUncertain(f"{self.uri} answered {len(raw)} bytes, more than any printer needs")
        return raw


class _Streamed(payload.Payload):
    """A request's head and its document from disk: flat memory, and a Content-Length that proves a short body."""

    def __init__(self, head: bytes, document: Path) -> None:
        super().__init__(document, content_type="application/ipp")
        self._head, self._document = head, document
        self._size = len(head) + document.stat().st_size

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002  (aiohttp's signature)
        raise TypeError("a document is not text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        await writer.write(self._head)
        with self._document.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
                await writer.write(chunk)


class Connection:
    """An `async with` around a client that needs no shared session, for one-off questions."""

    def __init__(self, uri: str, access: Access | None = None) -> None:
        self._uri, self._access = uri, access

    async def __aenter__(self) -> PrinterClient:
        self._session = session()
        return PrinterClient(self._uri, self._session, self._access)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()


# -- pure helpers -----------------------------------------------------------------------------------------------


def description_in(answer: Message, now: datetime) -> Description:
    """What a printer's answer to Get-Printer-Attributes says.

    Raises:
        PrinterRefused: it does not describe a printer.
    """
    printer = answer.group(GroupTag.PRINTER)
    if printer.number("printer-state") is None:
        raise PrinterRefused(0, "no printer-state", "the answer does not describe a printer: check the address", ())
    uuid = printer.text("printer-uuid").removeprefix("urn:uuid:").lower()
    return Description(uuid, _status_of(printer, now), printer)


def job_attributes(job: JobRequest, printer: Group) -> list[Attribute]:
    """The job template attributes of a photo print, each only where the printer says it knows it.

    Borderless paper goes as media-col with zero margins. A sheet with bleed is larger than its paper and must not be
    scaled: it is centred and what reaches over the edge falls away; without bleed it fills the paper.
    """
    wanted: list[tuple[Attribute, bool]] = [
        (attribute("copies", job.copies), supports(printer.all("copies-supported"), job.copies) or job.copies > 1),
        (attribute("sides", "one-sided"), supports(printer.all("sides-supported"), "one-sided")),
        (attribute("print-quality", job.quality), supports(printer.all("print-quality-supported"), job.quality)),
        (attribute("print-color-mode", "color"), supports(printer.all("print-color-mode-supported"), "color")),
        (
            attribute("printer-resolution", resolution(job.dpi)),
            supports(printer.all("printer-resolution-supported"), resolution(job.dpi)),
        ),
    ]
    if job.is_held:
        wanted.append((attribute("job-hold-until", "indefinite"), True))
    if job.output_bin and supports(printer.all("output-bin-supported"), job.output_bin):
        wanted.append((attribute("output-bin", job.output_bin), True))
    scaling = "none" if job.has_bleed else "fill"
    wanted.append((attribute("print-scaling", scaling), supports(printer.all("print-scaling-supported"), scaling)))
    if printer.attribute("media-col-supported"):
        media_type = job.media_type if supports(printer.all("media-type-supported"), job.media_type) else ""
        source = job.media_source if supports(printer.all("media-source-supported"), job.media_source) else ""
        wanted.append((attribute("media-col", borderless_media_col(job.size, media_type, source)), True))
    return [item for item, is_known in wanted if is_known]


def _created(job_id: int, answer: Message) -> CreatedJob:
    ignored = tuple(item.name for item in answer.group(GroupTag.UNSUPPORTED).attributes)
    return CreatedJob(job_id, ignored, answer.group(GroupTag.JOB).text("job-uuid"))


def _of_http(uri: str, status: object, asked: Asked) -> PrinterError:
    """The error for an HTTP status; pyipp tells it as a number, or not at all."""
    text = f"{uri} answered HTTP {status}"
    match of_http(status if isinstance(status, int) else 500, asked):
        case Meaning.LATER:
            return PrinterBusy(f"{text}: is it just starting?")
        case Meaning.UNKNOWN:
            return PrintUncertain(text)
        case _:
            return PrinterRefused(0, f"HTTP {status}", f"{text}: check the address", ())


def _raise_for_status(answer: Message, asked: Asked) -> None:
    if answer.code < 0x0100:
        return
    operation = answer.group(GroupTag.OPERATION)
    try:
        name = Status(answer.code).name.lower().replace("_", "-")
    except ValueError:
        name = f"status 0x{answer.code:04x}"
    detail = operation.text("status-message")
    match of_status(answer.code, asked):
        case Meaning.LATER:
            raise PrinterBusy(detail or name)
        case Meaning.UNKNOWN:
            raise PrintUncertain(f"the printer answered {name}{f' ({detail})' if detail else ''}")
        case Meaning.GONE:
            raise JobGone(detail or name)
        case Meaning.NOT_POSSIBLE:
            raise NotPossible(detail or name)
        case Meaning.NO:
            unsupported = tuple(item.name for item in answer.group(GroupTag.UNSUPPORTED).attributes)
            raise PrinterRefused(answer.code, name, detail, unsupported)


def _listed(group: Group) -> ListedJob:
    state = group.number("job-state")
    return ListedJob(
        job_id=group.number("job-id") or 0,
        name=group.text("job-name"),
        state=JobState(state) if state in set(JobState) else None,
        reasons=tuple(group.texts("job-state-reasons")),
        message=group.text("job-state-message"),
        impressions_completed=group.number("job-impressions-completed"),
        uuid=group.text("job-uuid"),
        made_s=group.number("time-at-creation"),
        up_s=group.number("job-printer-up-time"),
        documents=group.number("number-of-documents"),
        k_octets=group.number("job-k-octets"),
        k_octets_processed=group.number("job-k-octets-processed"),
    )


def _status_of(printer: Group, now: datetime) -> PrinterStatus:
    reasons = tuple(reason for reason in printer.texts("printer-state-reasons") if reason != "none")
    return PrinterStatus(
        state=PRINTER_STATES.get(printer.number("printer-state") or 0, PrinterState.UNKNOWN),
        state_reasons=reasons,
        message=printer.text("printer-state-message"),
        make_and_model=printer.text("printer-make-and-model"),
        accepting=printer.first("printer-is-accepting-jobs") is not False,
        queued_jobs=printer.number("queued-job-count") or 0,
        media_ready=_media_ready(printer),
        document_formats=tuple(printer.texts("document-format-supported")),
        max_copies=_max_copies(printer),
        impressions_completed=_counter(printer),
        supplies=supplies_of(printer.all("printer-supply"), printer.texts("printer-supply-description")),
        since=now,
    )


def _counter(printer: Group) -> int | None:
    """How much the printer has printed in its life (PWG 5100.13 §5.6), in impressions or else in pages."""
    impressions = printer.number("printer-impressions-completed")
    return printer.number("printer-pages-completed") if impressions is None else impressions


def _max_copies(printer: Group) -> int:
    if printer.text("cups-version"):
        # Measured: a queue of CUPS sends a JPEG on without `copies`, prints one, and says that it completed all.
        return 1
    supported = printer.first("copies-supported")
    return supported.upper if isinstance(supported, codec.Range) else 1


def _media_ready(printer: Group) -> tuple[PrintSize, ...] | None:
    """The sizes that are loaded, or None where the printer does not say."""
    if printer.text("cups-version"):
        return None  # measured: CUPS tells what was loaded when its queue was made
    columns = printer.all("media-col-ready")
    names = printer.texts("media-ready")
    if printer.attribute("media-col-ready") is None and printer.attribute("media-ready") is None:
        return None
    found: Iterable[PrintSize | None] = (
        (size_of_media_col(content) for content in columns) if columns else (size_of_media_name(name) for name in names)
    )
    return tuple(dict.fromkeys(size for size in found if size is not None))
