"""The sender: print jobs on their way to paper, from the row that intends them to the printer's last word.

Every step is written to the ledger before it is taken. What a step's failure means for paper is the error's class;
what an unsettled row needs after a crash or a broken link is ledger.judge's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import structlog

from ipp.access import Access
from ipp.attributes import ENDED_JOBS, JobState, Operation
from ipp.client import JobRequest, ListedJob, PrinterClient
from ipp.codec import Group
from ipp.dispatch import Dispatch
from ipp.documents import Conversion, DocumentFormat, choose, raster_types
from ipp.errors import DocumentImpossible, PrinterBusy, PrinterError, PrinterRefused, PrinterUnreachable, PrintUncertain
from ipp.ledger import Verdict, find, is_unbegun, judge
from ipp.pool import (
    BLOCKING_REASONS,
    bare_reasons,
    why_not_ready,
)
from ipp.slips import Slip
from ipp.watch import Watch
from store import progress
from store.errors import StoreUnavailable
from store.profiles import PrintQuality, RenderProfile
from store.records import Printer, PrintJob, Sheet
from store.states import OPEN_PRINT_JOBS, PrintJobState
from store.tables import Store

log = structlog.get_logger("sender")

FOLLOW_EVERY_S = 0.7
GATHER_S = 0.01  # while hundreds of jobs a second arrive, one look at the store is enough for several commits
LATER_S = 1.5  # how long to leave a busy printer alone
TAKE_BACK_AFTER_S = 10.0  # a stopped printer keeps what it has not begun for so long, when another could print it
GIVE_BACK_AFTER_S = 30.0  # a printer that takes nothing for so long loses the sheets it has not begun
# What decides over the paper: a printer that ignores one of these prints something else than was ordered.
_GRAVE = frozenset({"media", "media-col", "media-size", "copies"})
Convert = Callable[[Conversion | Slip], Future[None]]


class Sender:
    """Has sheets assigned, and carries the print jobs."""

    def __init__(
        self,
        store: Store,
        http: aiohttp.ClientSession,
        watch: Watch,
        unreachable_limit: timedelta,
        convert: Convert | None = None,
    ) -> None:
        """
        Args:
            store: the open store.
            http: the session of this event loop.
            watch: the pollers, for what printers say of themselves.
            convert: makes sheets in other formats than JPEG, in a drawing process; None where all printers take JPEG.
            unreachable_limit: a sheet for which no printer was to be had for so long fails, and the studio hears.
        """
        self._store, self._http, self._watch, self._clock = store, http, watch, store.clock
        self._dispatch = Dispatch(store, unreachable_limit, makes_slips=convert is not None)
        self._convert = convert
        self._carrying: dict[int, asyncio.Task[None]] = {}  # by print job
        self._doors: dict[str, asyncio.Lock] = {}  # by device: one document at a time
        self._stopped_since: dict[int, float] = {}  # by printer, on the monotonic clock
        self._ours: set[int] = set()  # print jobs that this process intended

    async def run(self) -> None:
        """Go on for ever; ends by cancellation."""
        while True:
            version = self._store.version
            try:
                self.step(self._clock.now())
            except StoreUnavailable as error:
                log.error("sender.store", error=str(error))
                await asyncio.sleep(5)
            await asyncio.to_thread(self._store.wait, version, 0.5)
            await asyncio.sleep(GATHER_S)

    def step(self, now: datetime) -> None:
        """Give drawn sheets to printers, and see that every open print job is being carried."""
        self._ours.update(self._dispatch.assign(now))
        for printer in self._store.printers.all():
            for state in OPEN_PRINT_JOBS:
                for print_job in self._store.print_jobs.by("printer_state", (printer.id, state.value)):
                    self._carry(print_job)

    def _carry(self, print_job: PrintJob) -> None:
        task = self._carrying.get(print_job.id)
        if task is None or task.done():
            self._carrying = {i: t for i, t in self._carrying.items() if not t.done()}
            self._carrying[print_job.id] = asyncio.create_task(self._carry_safely(print_job.id))

    async def _carry_safely(self, print_job_id: int) -> None:
        """Carry; after a surprise (a full disk, a fault of ours) the row's truth is not certain any more."""
        try:
            await self._carry_to_the_end(print_job_id)
        except Exception as error:
            self._ours.discard(print_job_id)
            log.exception("print_job.surprise", id=print_job_id, error=repr(error))
            await asyncio.sleep(LATER_S)

    async def _carry_to_the_end(self, print_job_id: int) -> None:
        """Take a print job from wherever its row says it is to its end."""
        is_certain = print_job_id in self._ours  # a row from before a restart may not tell the whole truth
        refused_since_s: float | None = None
        while True:
            print_job = self._store.print_jobs.get(print_job_id)
            if print_job.state not in OPEN_PRINT_JOBS:
                return
            printer = self._store.printers.find(print_job.printer_id)
            if printer is None:
                self._settle_without_printer(print_job)
                return
            client = PrinterClient(printer.uri, self._http, Access.of(printer))
            try:
                if not is_certain:
                    await self._reconcile(print_job, client)
                    is_certain = True
                    continue
                await self._step(print_job, printer, client)
                refused_since_s = None
            except PrinterUnreachable as error:
                self._watch.note_unreachable(printer, error)
                if self._give_back(print_job_id, str(error)):
                    return
                await asyncio.sleep(LATER_S)
            except PrinterBusy as error:
                refused_since_s = self._clock.monotonic() if refused_since_s is None else refused_since_s
                is_long = self._clock.monotonic() - refused_since_s > GIVE_BACK_AFTER_S
                if is_long and self._give_back(print_job_id, f"{printer.name} takes nothing: {error}"):
                    return
                await asyncio.sleep(LATER_S)
            except PrintUncertain as error:
                log.warning("print_job.uncertain", id=print_job_id, state=print_job.state.value, error=str(error))
                is_certain = False
                await asyncio.sleep(LATER_S)
            except DocumentImpossible as error:
                reason = f"{printer.name} takes no JPEG, and {error}: use another printer, or print it once more"
                await self._abort(self._store.print_jobs.get(print_job_id), client, reason, holds=True)
                return
            except PrinterRefused as error:
                await self._refused(print_job_id, printer, client, error)
                return

    async def _step(self, print_job: PrintJob, printer: Printer, client: PrinterClient) -> None:
        """One step forward from a state that is known to be true at the printer."""
        if print_job.state is PrintJobState.SENT:
            await asyncio.sleep(FOLLOW_EVERY_S)
            await self._follow(print_job, printer, client)
            return
        door = self._doors.setdefault(printer.device, asyncio.Lock())
        async with door:
            print_job = self._store.print_jobs.get(print_job.id)
            if print_job.withdrawal:
                await self._withdraw(print_job, client)
                return
            # Made before the printer hears of anything: what fails here leaves no job behind.
            if printer.inactive and self._give_back(print_job.id, f"{printer.name} was made inactive"):
                return
            document, document_format = await self._document(print_job, printer)
            try:
                if print_job.state is PrintJobState.INTENDED:
                    print_job = await self._announce(print_job, printer, client, document, document_format)
                if print_job.state is PrintJobState.CREATED:
                    await self._send(print_job, client, document, document_format)
            except FileNotFoundError:
                await self._abort(print_job, client, "the sheet's file is gone: set the record's status again")
            finally:
                if document_format is not DocumentFormat.JPEG:
                    document.unlink(missing_ok=True)

    async def _announce(
        self,
        print_job: PrintJob,
        printer: Printer,
        client: PrinterClient,
        document: Path,
        document_format: DocumentFormat,
    ) -> PrintJob:
        """Tell the printer of the job, or where it has no Create-Job, print at once; returns the row as it is then."""
        description = await self._watch.description(printer)
        request = replace(self._request(print_job), is_held=_can_hold(description))
        if not _has_create_job(description):
            return await self._print_at_once(print_job, printer, client, description, document, document_format)
        created = await client.create_job(request, description)
        with self._store.transaction():
            print_job = progress.move_print_job(
                self._store,
                print_job,
                "create",
                self._clock.now(),
                job_id=created.job_id,
                is_held=request.is_held and "job-hold-until" not in created.ignored,
            )
        if grave := sorted(_GRAVE & set(created.ignored)):
            return await self._abort(print_job, client, _would_ignore(printer, request, grave))
        if created.ignored:
            log.warning("print_job.ignored", id=print_job.id, printer=printer.name, names=created.ignored)
        return print_job

    async def _print_at_once(
        self,
        print_job: PrintJob,
        printer: Printer,
        client: PrinterClient,
        description: Group,
        document: Path,
        document_format: DocumentFormat,
    ) -> PrintJob:
        """Print-Job: the printer learns of the job with the document, so the row says `sending` before either."""
        request = self._request(print_job)
        if Operation.VALIDATE_JOB in description.all("operations-supported"):
            # The last chance to hear that the paper would be ignored: after Print-Job it may be printed already.
            ignored = await client.validate_job(request, description, document_format.value)
            if grave := sorted(_GRAVE & set(ignored)):
                return await self._abort(print_job, client, _would_ignore(printer, request, grave))
        with self._store.transaction():
            print_job = progress.move_print_job(self._store, print_job, "begin", self._clock.now())
        try:
            created = await client.print_job(request, description, document, document_format.value)
        except (PrinterUnreachable, PrinterBusy) as error:
            # No connection, or an answer that nothing was taken: another printer may have the sheet.
            return progress.settle_print_job(self._store, print_job, "cancel", self._clock.now(), reason=str(error))
        with self._store.transaction():
            print_job = progress.move_print_job(
                self._store, print_job, "send", self._clock.now(), job_id=created.job_id
            )
        if grave := sorted(_GRAVE & set(created.ignored)):
            await client.cancel_job(created.job_id)
            self._doubt(print_job, f"the printer took the document and ignored {', '.join(grave)}")
        self._watch.soon(print_job.printer_id)
        return print_job

    async def _abort(self, print_job: PrintJob, client: PrinterClient, reason: str, holds: bool = False) -> PrintJob:
        """Give a job up of which no byte was sent."""
        if print_job.job_id is not None:
            await client.cancel_job(print_job.job_id)
        return progress.settle_print_job(self._store, print_job, "abort", self._clock.now(), holds=holds, reason=reason)

    def _request(self, print_job: PrintJob) -> JobRequest:
        sheet = self._store.sheets.get(print_job.sheet_id)
        profiles = self._store.instructions.get(print_job.ticket_id).profiles
        return job_request(print_job, sheet, next(one for one in profiles if one.id == sheet.profile_id))

    async def _document(self, print_job: PrintJob, printer: Printer) -> tuple[Path, DocumentFormat]:
        """The sheet in a format that the printer takes.

        Raises:
            DocumentImpossible: it cannot be made.
        """
        drawn = self._store.folder.sheet(print_job.sheet_id)
        sheet = self._store.sheets.get(print_job.sheet_id)
        if sheet.slip and not drawn.is_file():
            await self._made(Slip(drawn, sheet.size, sheet.slip))
        description = await self._watch.description(printer)
        wanted = choose(description.texts("document-format-supported")) or DocumentFormat.JPEG
        if wanted is DocumentFormat.JPEG or self._convert is None or not drawn.is_file():
            return drawn, DocumentFormat.JPEG
        types = "pwg-raster-document-type-supported" if wanted is DocumentFormat.PWG_RASTER else "urf-supported"
        request = self._request(print_job)
        target = self._store.folder.converted(print_job.sheet_id, wanted.name.lower())
        conversion = Conversion(
            drawn, target, wanted, raster_types(description.texts(types)), request.size, request.dpi,
            request.media_type, request.quality,
        )  # fmt: skip
        await self._made(conversion)
        return target, wanted

    async def _made(self, task: Conversion | Slip) -> None:
        """Have a document made.

        Raises:
            DocumentImpossible: it cannot be made.
        """
        if self._convert is None:
            raise DocumentImpossible("nothing can be drawn here")
        try:
            await asyncio.wrap_future(self._convert(task))
        except Exception as error:
            what = task.format.value if isinstance(task, Conversion) else "a slip"
            raise DocumentImpossible(f"the sheet could not be turned into {what} ({error})") from error

    async def _send(
        self, print_job: PrintJob, client: PrinterClient, document: Path, document_format: DocumentFormat
    ) -> None:
        if not document.is_file():
            raise FileNotFoundError(document)
        with self._store.transaction():
            print_job = progress.move_print_job(self._store, print_job, "begin", self._clock.now())
        try:
            await client.send_document(print_job.job_id or 0, document, document_format.value)
        except (PrinterUnreachable, PrinterBusy):
            # No connection, or an answer that nothing was taken: the document provably did not begin.
            with self._store.transaction():
                progress.move_print_job(self._store, print_job, "retry", self._clock.now())
            raise
        with self._store.transaction():
            print_job = progress.move_print_job(self._store, print_job, "send", self._clock.now())
        if print_job.is_held:
            await self._release(print_job, client)
        self._watch.soon(print_job.printer_id)

    async def _release(self, print_job: PrintJob, client: PrinterClient) -> None:
        """The whole document is there: now it may print. Done again after a crash in between, which harms nothing."""
        await client.release_job(print_job.job_id or 0)
        with self._store.transaction():
            self._store.print_jobs.put(self._store.print_jobs.get(print_job.id).with_(is_released=True))

    async def _follow(self, print_job: PrintJob, printer: Printer, client: PrinterClient) -> None:
        listed = await client.job(print_job.job_id or 0)
        if listed is None or listed.name != print_job.job_name:
            listed = find(print_job.job_name, await client.jobs())
        verdict = judge(print_job.state, listed, print_job.copies)
        if verdict is Verdict.FOLLOW:
            is_waiting = listed is not None and listed.state is JobState.PENDING_HELD
            if is_waiting and print_job.is_held and not print_job.is_released:
                await self._release(print_job, client)
                return
            if listed is not None and self._gives_back(printer) and is_unbegun(listed):
                await self._take_back(print_job, client, listed)
            return
        now = self._clock.now()
        done = listed.impressions_completed if listed else None
        if verdict is Verdict.COMPLETE:
            progress.settle_print_job(self._store, print_job, "complete", now, impressions_completed=done)
        elif verdict is Verdict.ABORT and listed is not None:
            word = "canceled" if listed.state is JobState.CANCELED else "aborted"
            why = listed.message or ", ".join(listed.reasons) or "no reason given"
            reason = f"{self._name(print_job)} {word} the print ({why}): look at the printer"
            progress.settle_print_job(self._store, print_job, "abort", now, holds=True, reason=reason)
        elif listed is not None and listed.state is JobState.COMPLETED:
            self._doubt(print_job, f"the printer says completed, and counted {done} of {print_job.copies} copies")
        else:
            self._doubt(print_job, "the printer no longer lists the job")
        self._watch.soon(print_job.printer_id)

    def _gives_back(self, printer: Printer) -> bool:
        """Whether a printer stands still for a while or was made inactive, and another of its pool could take over."""
        status = self._store.printer_status.find(printer.id)
        is_stuck = status is not None and (why_not_ready(printer, status) or BLOCKING_REASONS & bare_reasons(status))
        if not is_stuck:
            self._stopped_since.pop(printer.id, None)
        now_s = self._clock.monotonic()
        since_s = self._stopped_since.setdefault(printer.id, now_s) if is_stuck else now_s
        if not printer.inactive and now_s - since_s < TAKE_BACK_AFTER_S:
            return False
        others = [
            other
            for other in self._store.printers.all()
            if other.pool_id is not None and other.pool_id == printer.pool_id and other.device != printer.device
        ]
        return any(
            not other.inactive
            and (known := self._store.printer_status.find(other.id))
            and not why_not_ready(other, known)
            for other in others
        )

    async def _take_back(self, print_job: PrintJob, client: PrinterClient, listed: ListedJob) -> None:
        """Withdraw a job that a stopped printer has not begun, so that another prints it. The printer's word that it
        is canceled, without an impression, is what lets the sheet go."""
        await client.cancel_job(listed.job_id)
        after = find(print_job.job_name, await client.jobs())
        now = self._clock.now()
        if after is not None and after.state is JobState.CANCELED and not after.impressions_completed:
            reason = f"{self._name(print_job)} had not begun with it: another printer takes it"
            progress.settle_print_job(self._store, print_job, "cancel", now, reason=reason)
        elif after is None or after.state is JobState.CANCELED:
            self._doubt(print_job, "the job was withdrawn and the printer does not tell whether it had begun")

    # -- when things go wrong -------------------------------------------------------------------------------------

    async def _reconcile(self, print_job: PrintJob, client: PrinterClient) -> None:
        """Bring a row whose truth is not known in line with what the printer lists.

        Raises:
            PrinterError: the printer cannot be asked; nothing was changed.
        """
        listed = find(print_job.job_name, await client.jobs())
        verdict = judge(print_job.state, listed, is_held=print_job.is_held)
        log.info("print_job.reconciled", id=print_job.id, state=print_job.state.value, verdict=verdict.value)
        now = self._clock.now()
        if verdict is Verdict.GIVE_BACK:
            progress.settle_print_job(self._store, print_job, "cancel", now, reason="nothing was printed")
        elif verdict is Verdict.WITHDRAW and listed is not None:
            await client.cancel_job(listed.job_id)
            reason = "the link broke while the printer held the job: nothing was printed"
            progress.settle_print_job(self._store, print_job, "cancel", now, reason=reason)
        elif verdict is Verdict.SEND and listed is not None:
            printer = self._store.printers.get(print_job.printer_id)
            can_hold = _can_hold(await self._watch.description(printer))
            with self._store.transaction():
                if print_job.state is PrintJobState.CREATED:
                    self._store.print_jobs.put(print_job.with_(job_id=listed.job_id))
                else:
                    event = "create" if print_job.state is PrintJobState.INTENDED else "retry"
                    # A row that was never told of its job does not know that the printer was asked to hold it.
                    is_held = print_job.is_held or (can_hold and listed.state is JobState.PENDING_HELD)
                    progress.move_print_job(self._store, print_job, event, now, job_id=listed.job_id, is_held=is_held)
        elif verdict is Verdict.DOUBT:
            if listed is not None and listed.state not in ENDED_JOBS and print_job.state is PrintJobState.SENDING:
                await client.cancel_job(listed.job_id)  # perhaps half a picture: do not let it come out as well
            self._doubt(print_job, "the link to the printer broke while the document was on its way")
        # FOLLOW, COMPLETE and ABORT need nothing here: the next step asks again and settles.

    def _doubt(self, print_job: PrintJob, why: str) -> None:
        reason = f"{why}: it cannot say whether the sheet came out of {self._name(print_job)}"
        progress.settle_print_job(self._store, print_job, "doubt", self._clock.now(), reason=reason)

    def _give_back(self, print_job_id: int, reason: str) -> bool:
        """Let another printer have a sheet of which nothing was sent; False when it may not go."""
        print_job = self._store.print_jobs.get(print_job_id)
        if print_job.state is not PrintJobState.INTENDED:
            return False  # the printer knows the job: it must be asked before the sheet may go elsewhere
        progress.settle_print_job(self._store, print_job, "cancel", self._clock.now(), reason=reason)
        return True

    async def _refused(self, print_job_id: int, printer: Printer, client: PrinterClient, error: PrinterRefused) -> None:
        print_job = self._store.print_jobs.get(print_job_id)
        if print_job.job_id is not None and print_job.state in (PrintJobState.CREATED, PrintJobState.SENDING):
            try:
                await client.cancel_job(print_job.job_id)  # an orphan would make some printers busy for everybody
            except PrinterError as second:
                log.warning("print_job.orphaned", id=print_job_id, error=str(second))
        if print_job.state in OPEN_PRINT_JOBS:
            reason = f"{printer.name}: {error}; change the profile or the paper, then set the status again"
            progress.settle_print_job(self._store, print_job, "abort", self._clock.now(), reason=reason)

    async def _withdraw(self, print_job: PrintJob, client: PrinterClient) -> None:
        if print_job.job_id is not None:
            await client.cancel_job(print_job.job_id)
        progress.settle_print_job(self._store, print_job, "cancel", self._clock.now(), reason=print_job.withdrawal)

    def _settle_without_printer(self, print_job: PrintJob) -> None:
        if print_job.state in (PrintJobState.INTENDED, PrintJobState.CREATED):
            reason = "the printer was removed"
            progress.settle_print_job(self._store, print_job, "cancel", self._clock.now(), reason=reason)
        else:
            self._doubt(print_job, "the printer was removed")

    def _name(self, print_job: PrintJob) -> str:
        printer = self._store.printers.find(print_job.printer_id)
        return printer.name if printer else "the printer"


def _has_create_job(printer: Group) -> bool:
    """Whether a printer takes jobs and documents one after the other; one that does not say is tried."""
    offered = printer.all("operations-supported")
    return not offered or {Operation.CREATE_JOB, Operation.SEND_DOCUMENT} <= set(offered)


def _can_hold(printer: Group) -> bool:
    """Whether a printer can be told to keep a job until its whole document is there."""
    offered = printer.all("operations-supported")
    return Operation.RELEASE_JOB in offered and "indefinite" in printer.texts("job-hold-until-supported")


def _would_ignore(printer: Printer, request: JobRequest, names: Sequence[str]) -> str:
    return (
        f"{printer.name} took the job but would ignore {', '.join(names)}, so that a borderless {request.size} "
        f"would come out wrong: take {request.size} off its allowable print sizes, or choose another printer"
    )


_QUALITIES = {PrintQuality.DRAFT: 3, PrintQuality.NORMAL: 4, PrintQuality.HIGH: 5}


def job_request(print_job: PrintJob, sheet: Sheet, profile: RenderProfile) -> JobRequest:
    """What the printer is asked for: the paper is the sheet's, and bleed falls over its edge."""
    plan = sheet.plan
    trim_px = round(sheet.size.width_um * plan["dpi"] / 25_400)
    return JobRequest(
        name=print_job.job_name,
        copies=print_job.copies,
        size=sheet.size,
        dpi=plan["dpi"],
        has_bleed=plan["width_px"] > trim_px,
        media_type=profile.media_type,
        media_source=profile.media_source,
        output_bin=profile.output_bin,
        quality=_QUALITIES[profile.print_quality],
    )
