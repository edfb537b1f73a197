"""A virtual photo printer: real IPP over loopback, announced with DNS-SD, and the pages kept as files.

It is the demo's printer and the tests' printer with levers: what is loaded, how fast it prints, stopped or not. Each
impression that "comes out" is a file in its tray folder and a line in `printed.jsonl`, so what a sender believes can
be compared with what the printer did.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import uuid as uuids
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from aiohttp import web
from zeroconf import IPVersion, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from ipp import codec
from ipp.attributes import (
    ENDED_JOBS,
    JobState,
    Operation,
    Status,
    attribute,
    borderless_media_col,
    media_name,
    resolution,
    size_of_media_col,
)
from ipp.codec import Attribute, Group, GroupTag, Range
from ipp.errors import MessageError, MessageIncomplete
from ipp.served import BASIC_OPERATIONS, Asker, Queue, Received, Refusal, ServedDocument, ServedJob
from ipp.server import WITH_DOCUMENT, respond
from ipp.virtual_faults import next_fault, shown_name
from store.sizes import PrintSize, parse_size

log = structlog.get_logger("virtual")

MAX_HEAD_BYTES = 1024 * 1024
PATH = "/ipp/print"


@dataclass
class Levers:
    """What a person can do to a printer."""

    paper: dict[str, int] = field(default_factory=dict)  # by size: sheets loaded
    seconds_per_sheet: float = 0.3
    stopped: bool = False
    jammed: bool = False  # stops in the middle of its work until it is cleared
    max_copies: int = 999  # of one job; 0: it knows nothing of copies
    copies_made: int = 0  # of each job, whatever it was asked for and claims; 0: as many as were asked for
    refused_sizes: list[str] = field(default_factory=list)  # although paper of that size is loaded
    ignored: list[str] = field(default_factory=list)  # job attributes that it takes and does not honour
    answer_delay_s: float = 0.0  # asleep: before each answer
    drop_after_bytes: int = 0  # the link breaks in each document behind so many bytes; 0: never
    prints_halves: bool = False  # a document that was cut off is printed as far as it came, and called completed
    forgets: bool = False  # finished jobs are not listed
    holds: bool = False  # it can keep a job until it is released
    has_create_job: bool = True  # otherwise it takes a job only together with its document
    versions: list[str] = field(default_factory=list)  # of IPP that it speaks; empty: all
    ribbon: int = 0  # sheets left on it; 0: it does not tell
    aborts: int = 0  # so many of the next jobs end as aborted
    answers: dict[str, list[str]] = field(default_factory=dict)  # by operation: what it answers instead; see Faults
    names: str = "keep"  # what becomes of job-name: keep, drop, "cut 12", or a name that all jobs get
    hides: list[str] = field(default_factory=list)  # job attributes that it does not tell
    uuid: str = ""  # another one than its name gives it
    adds_up_s: int = 0  # to its up-time


class VirtualPrinter(Queue):
    """A printer with one engine: takes jobs at any time, prints one after the other."""

    def __init__(self, name: str, tray: Path, levers: Levers) -> None:
        """
        Args:
            name: also decides its UUID, so that it is the same printer next time.
            tray: where pages come out.
            levers: its state, to be changed at any time.
        """
        self.name, self.tray, self.levers = name, tray, levers
        self._own_uuid = str(uuids.uuid5(uuids.NAMESPACE_URL, f"printroom-virtual:{name}"))
        self._names: dict[int, str] = {}  # as the jobs were really called
        self.follow_levers()
        self._jobs: dict[int, ServedJob] = {}
        self._documents: dict[int, Path] = {}
        self._wake = asyncio.Event()
        self._page = 0
        tray.mkdir(parents=True, exist_ok=True)

    def follow_levers(self) -> None:
        """Some levers change what it is."""
        self.uuid = self.levers.uuid or self._own_uuid

    # -- Queue -----------------------------------------------------------------------------------------------

    def up_s(self) -> int:
        """See Queue."""
        return super().up_s() + self.levers.adds_up_s

    def attributes(self) -> list[Attribute]:
        """See Queue."""
        open_jobs = [job for job in self._jobs.values() if job.state not in ENDED_JOBS]
        is_printing = any(job.state in (JobState.PROCESSING, JobState.PROCESSING_STOPPED) for job in open_jobs)
        sizes = [parse for text in self.levers.paper if (parse := _size(text))]
        loaded = [size for text, count in self.levers.paper.items() if count > 0 and (size := _size(text))]
        reasons = (["media-needed-error"] if any("media-needed" in j.reasons for j in open_jobs) else []) + (
            ["media-empty-error"] if not loaded else []
        )
        if self.levers.jammed:
            reasons.append("media-jam-error")
        state = 5 if self.levers.stopped or self.levers.jammed else 4 if is_printing else 3
        answer = [
            attribute("printer-name", self.name),
            attribute("printer-info", self.name),
            attribute("printer-make-and-model", "Printroom Virtual Photo Printer"),
            attribute("printer-uuid", f"urn:uuid:{self.uuid}"),
            attribute("printer-state", state),
            attribute(
                "printer-state-reasons", *(reasons or ["paused"] if self.levers.stopped else reasons or ["none"])
            ),
            attribute("printer-state-message", "stopped by its lever" if self.levers.stopped else ""),
            attribute("printer-is-accepting-jobs", True),
            attribute("queued-job-count", len(open_jobs)),
            attribute("document-format-supported", "image/jpeg"),
            attribute("document-format-default", "image/jpeg"),
            attribute("color-supported", True),
            attribute("media-supported", *(media_name(size) for size in sizes)),
            attribute("media-col-supported", "media-size", "media-type", *_MARGINS),
            attribute("media-type-supported", "photographic", "photographic-glossy"),
            attribute("media-col-database", *(borderless_media_col(size) for size in sizes)),
            attribute("print-quality-supported", 4, 5),
            attribute("print-color-mode-supported", "color", "monochrome"),
            attribute("print-scaling-supported", "auto", "fill", "fit", "none"),
            attribute("printer-resolution-supported", resolution(300), resolution(600)),
            attribute("sides-supported", "one-sided"),
        ]
        if self.levers.holds:
            answer.append(attribute("job-hold-until-supported", "no-hold", "indefinite"))
        if self.levers.max_copies:
            answer.append(attribute("copies-supported", Range(1, self.levers.max_copies)))
            answer.append(attribute("copies-default", 1))
        if self.levers.ribbon:
            kind = "type=ribbon;class=supplyThatIsConsumed;unit=impressions;maxcapacity=400"
            answer.append(attribute("printer-supply", f"{kind};level={self.levers.ribbon};".encode()))
            answer.append(attribute("printer-supply-description", "Ribbon"))
        if loaded:
            answer.append(attribute("media-ready", *(media_name(size) for size in loaded)))
            answer.append(attribute("media-col-ready", *(borderless_media_col(size) for size in loaded)))
        return answer

    def operations(self) -> Sequence[int]:
        """See Queue."""
        together = (Operation.CREATE_JOB, Operation.SEND_DOCUMENT)
        offered = [one for one in BASIC_OPERATIONS if self.levers.has_create_job or one not in together]
        return [*offered, Operation.HOLD_JOB, Operation.RELEASE_JOB] if self.levers.holds else offered

    def judge(self, ticket: Group, document_format: str) -> list[Attribute]:
        """See Queue."""
        if document_format not in ("", "image/jpeg", "application/octet-stream"):
            raise Refusal(Status.DOCUMENT_FORMAT_NOT_SUPPORTED, f"{document_format} is not supported, send image/jpeg")
        media_col = ticket.attribute("media-col")
        size = size_of_media_col(ticket.first("media-col"))
        is_refused = any(
            (one := _size(text)) and size and one.is_same_paper(size) for text in self.levers.refused_sizes
        )
        if media_col is not None and (size is None or not self._slot(size) or is_refused):
            raise Refusal(Status.ATTRIBUTES_OR_VALUES_NOT_SUPPORTED, f"no {size} paper in this printer", [media_col])

        return [item for item in ticket.attributes if item.name in self.levers.ignored]

    def create(self, name: str, asker: Asker, ticket: Group, pin: str = "") -> ServedJob:  # noqa: ARG002
        """See Queue."""
        job = ServedJob(len(self._jobs) + 1, shown_name(name, self.levers.names), asker.user, ticket, self.now())
        self._jobs[job.id], self._names[job.id] = job, name
        return job

    def submit(self, job: ServedJob, document: Received, is_last: bool) -> None:  # noqa: ARG002
        """See Queue."""
        self._documents[job.id] = document.path
        job.documents.append(ServedDocument(document.format, document.size))
        job.is_whole, job.state, job.reasons = True, JobState.PENDING, ()
        if self.levers.holds and job.ticket.text("job-hold-until") == "indefinite":
            self.hold(job)
        self._wake.set()

    def cancel(self, job: ServedJob) -> None:
        """See Queue. The sheet that is in the works comes out."""
        if job.state is JobState.PROCESSING:
            job.reasons = ("processing-to-stop-point",)
        else:
            job.state, job.reasons = JobState.CANCELED, ("job-canceled-by-user",)
        self._wake.set()

    def jobs(self) -> list[ServedJob]:
        """See Queue."""
        return [job for job in self._jobs.values() if not (self.levers.forgets and job.state in ENDED_JOBS)]

    # -- the engine -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Print for ever; ends by cancellation."""
        while True:
            job = next((j for j in self._jobs.values() if j.state in (JobState.PENDING, JobState.PROCESSING)), None)
            if job is None or self.levers.stopped or self.levers.jammed:
                self._wake.clear()
                try:
                    await asyncio.wait_for(self._wake.wait(), 0.1)
                except TimeoutError:
                    continue
            else:
                await self._print(job)

    async def _print(self, job: ServedJob) -> None:
        job.state, job.reasons = JobState.PROCESSING, ("job-printing",)
        copies = self.levers.copies_made or (job.ticket.number("copies") or 1 if self.levers.max_copies else 1)
        size = size_of_media_col(job.ticket.first("media-col"))
        while job.impressions_completed < copies:
            while (is_down := self.levers.stopped or self.levers.jammed) or not self._has_paper(size):
                job.state = JobState.PROCESSING_STOPPED
                job.reasons = ("printer-stopped",) if is_down else ("media-needed",)
                await asyncio.sleep(0.1)
                if job.state == JobState.CANCELED:
                    return
            job.state, job.reasons = JobState.PROCESSING, ("job-printing",)
            slot = self._slot(size)
            await asyncio.sleep(self.levers.seconds_per_sheet)
            if self.levers.aborts:
                self.levers.aborts -= 1
                job.state, job.reasons, job.message = JobState.ABORTED, ("aborted-by-system",), "the ribbon tore"
                self._documents.pop(job.id).unlink()
                return
            if slot in self.levers.paper:  # and was not changed under the sheet in the works
                self.levers.paper[slot] -= 1
            job.impressions_completed += 1
            self._come_out(job)
            if "processing-to-stop-point" in job.reasons:
                job.state, job.reasons = JobState.CANCELED, ("job-canceled-by-user",)
                return
        job.state, job.reasons = JobState.COMPLETED, ("job-completed-successfully",)
        self._documents.pop(job.id).unlink()

    def _come_out(self, job: ServedJob) -> None:
        self._page += 1
        name = self._names[job.id]
        page = self.tray / f"{self._page:04d} {name} {job.impressions_completed}.jpg"
        os.link(self._documents[job.id], page)
        line = {"page": self._page, "job_id": job.id, "job_name": name, "copy": job.impressions_completed}
        with (self.tray / "printed.jsonl").open("a") as ledger:
            ledger.write(json.dumps({**line, "file": page.name}) + "\n")

    def _slot(self, size: PrintSize | None) -> str:
        """The paper that a size is printed on; '' when there is none. The first where nobody asked for one."""
        fits = (text for text in self.levers.paper if size is None or ((s := _size(text)) and s.is_same_paper(size)))
        return next(fits, "")

    def _has_paper(self, size: PrintSize | None) -> bool:
        return self.levers.paper.get(self._slot(size), 0) > 0


_CHARSET = (attribute("attributes-charset", "utf-8"), attribute("attributes-natural-language", "en"))
_MARGINS = ("media-top-margin", "media-bottom-margin", "media-left-margin", "media-right-margin")


def _size(text: str) -> PrintSize | None:
    try:
        return parse_size(text)
    except ValueError:
        return None


# -- over HTTP --------------------------------------------------------------------------------------------------


def application(printer: VirtualPrinter) -> web.Application:
    """The printer's HTTP side: IPP at /ipp/print, its levers as JSON at /levers."""

    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(printer.levers.answer_delay_s)
        try:
            head, rest = await _read_head(request)
        except MessageError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        spoken = ".".join(map(str, head.version))
        if printer.levers.versions and spoken not in printer.levers.versions:
            group = Group(GroupTag.OPERATION, list(_CHARSET))
            refusal = codec.Message(Status.VERSION_NOT_SUPPORTED, head.request_id, [group], (1, 1))
            return web.Response(body=codec.encode(refusal), content_type="application/ipp")
        fault = next_fault(printer.levers.answers, head.code)
        if fault is not None and not fault.is_done:
            return await fault.answer(request, head)
        document = await _spool(request, rest, printer) if head.code in WITH_DOCUMENT else None
        uri = f"ipp://{request.host}{PATH}"
        operation = head.group(GroupTag.OPERATION)
        document_format = operation.text("document-format")
        received = Received(document, document.stat().st_size, document_format) if document else None
        asker = Asker(operation.text("requesting-user-name") or "anonymous")
        response = respond(head, printer, uri, received, asker)
        if document is not None and response.code >= 0x0100:
            document.unlink(missing_ok=True)
        if fault is not None:
            return await fault.answer(request, head)
        for group in response.all_groups(GroupTag.JOB):
            group.attributes[:] = [item for item in group.attributes if item.name not in printer.levers.hides]
        return web.Response(body=codec.encode(response), content_type="application/ipp")

    async def levers(request: web.Request) -> web.Response:
        if request.method == "PUT":
            for name, value in (await request.json()).items():
                if not hasattr(printer.levers, name):
                    raise web.HTTPBadRequest(text=f"there is no lever '{name}', but {', '.join(vars(Levers()))}")
                setattr(printer.levers, name, value)
            printer.follow_levers()
        return web.json_response(vars(printer.levers))

    app = web.Application(client_max_size=0)
    app.router.add_post(PATH, answer)
    app.router.add_get("/levers", levers)
    app.router.add_put("/levers", levers)
    return app


async def _read_head(request: web.Request) -> tuple[codec.Message, bytes]:
    buffer = b""
    async for chunk in request.content.iter_any():
        buffer += chunk
        try:
            head, end = codec.decode(buffer)
        except MessageIncomplete:
            if len(buffer) > MAX_HEAD_BYTES:
                raise
            continue
        return head, buffer[end:]
    raise MessageIncomplete("the request ends before its attributes do")


async def _spool(request: web.Request, rest: bytes, printer: VirtualPrinter) -> Path | None:
    """The document behind the head, in a file; None when there is none. A body cut short raises and leaves nothing,
    but for a printer with the habit of printing halves."""
    handle, name = tempfile.mkstemp(prefix=".spool-", dir=printer.tray)
    path = Path(name)
    limit = printer.levers.drop_after_bytes
    size = 0
    try:
        with os.fdopen(handle, "wb") as file:
            async for chunk in _body(rest, request):
                taken = chunk[: limit - size] if limit else chunk
                file.write(taken)
                size += len(taken)
                if len(taken) < len(chunk):
                    if request.transport is not None:
                        request.transport.abort()
                    raise ConnectionResetError("dropped by its lever")
    except BaseException:
        if printer.levers.prints_halves and size:
            return path
        path.unlink()
        raise
    if path.stat().st_size == 0:
        path.unlink()
        return None
    return path


async def _body(rest: bytes, request: web.Request) -> AsyncIterator[bytes]:
    """What is behind the head: on a slow machine all of it may have come along with the head."""
    yield rest
    async for chunk in request.content.iter_any():
        yield chunk


async def serve(
    name: str,
    tray: Path,
    levers: Levers,
    port: int = 0,
    interfaces: Sequence[str] = ("127.0.0.1",),
    announces: bool = True,
) -> None:
    """Run a virtual printer until cancelled; prints its URI once it can be found.

    Args:
        name: as announced.
        tray: where its pages come out.
        levers: what is loaded, and how fast it is.
        port: 0 takes a free one.
        interfaces: IP addresses to listen on and to announce.
        announces: whether computers find it by themselves.
    """
    printer = VirtualPrinter(name, tray, levers)
    runner = web.AppRunner(application(printer), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, interfaces[0], port)
    await site.start()
    server = site._server
    actual = server.sockets[0].getsockname()[1] if isinstance(server, asyncio.Server) else port
    network = AsyncZeroconf(interfaces=list(interfaces), ip_version=IPVersion.V4Only)
    info = ServiceInfo(
        "_ipp._tcp.local.",
        f"{name}._ipp._tcp.local.",
        port=actual,
        parsed_addresses=list(interfaces),
        properties={
            "txtvers": "1",
            "rp": PATH.lstrip("/"),
            "ty": "Printroom Virtual Photo Printer",
            "UUID": printer.uuid,
            "pdl": "image/jpeg",
            "Color": "T",
        },
        server=f"{printer.uuid}.local.",
    )
    engine = asyncio.create_task(printer.run())
    try:
        if announces:
            await network.async_register_service(info, allow_name_change=True)
        log.info("virtual.ready", name=name, uri=f"ipp://{interfaces[0]}:{actual}{PATH}", uuid=printer.uuid)
        await engine
    finally:
        engine.cancel()
        await network.async_unregister_all_services()
        await network.async_close()
        await runner.cleanup()
