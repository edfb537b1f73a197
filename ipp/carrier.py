"""Carrying print jobs: each from wherever its row says it is to the printer's last word.

Every step is written to the ledger before it is taken. What an answer means is in ipp/answers, what an unsettled row
needs after a crash or a broken link in ipp/ledger; here is what is done about it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from ipp.access import Access
from ipp.attributes import ENDED_JOBS, JobState, Operation
from ipp.client import CreatedJob, JobRequest, ListedJob, PrinterClient
from ipp.codec import Group
from ipp.documents import DocumentFormat
from ipp.errors import (
    DocumentImpossible,
    DocumentLater,
    JobGone,
    NotPossible,
    PrinterBusy,
    PrinterError,
    PrinterLater,
    PrinterRefused,
    PrinterUnreachable,
    PrintUncertain,
)
from ipp.ledger import Verdict, is_unbegun, judge
from ipp.movement import Movement
from ipp.settling import Settling
from ipp.sheet_documents import SheetDocuments
from ipp.sight import Sight
from ipp.watch import Watch
from ipp.withdrawals import Withdrawals
from store import progress
from store.errors import Overtaken
from store.records import Printer, PrintJob
from store.states import OPEN_PRINT_JOBS, PrintJobState
from store.tables import Store

log = structlog.get_logger("sender")

FOLLOW_EVERY_S = 0.7
LATER_S = 1.5  # how long to leave a printer alone that did not take something
MOST_REFUSED_RELEASES = 3  # of one job: then the printer means it
GIVE_BACK_AFTER_S = 30.0  # a printer that takes nothing for so long loses an empty job
# What decides over the paper: a printer that ignores one of these prints something else than was ordered.
_GRAVE = frozenset({"media", "media-col", "media-size", "copies"})


class Carrier:
    """Takes print jobs on, all on one event loop."""

    def __init__(
        self,
        store: Store,
        http: aiohttp.ClientSession,
        watch: Watch,
        documents: SheetDocuments,
        movement: Movement,
        has_other: Callable[[PrintJob], bool],
        gives_back: Callable[[Printer, PrintJob], bool],
    ) -> None:
        """
        Args:
            store: the open store.
            http: the session of this event loop.
            watch: the pollers, for what printers say of themselves.
            documents: makes what is sent.
            movement: is told what happens.
            has_other: whether another printer could take a print job's sheet now.
            gives_back: whether a printer should lose what it has not begun of a print job, because it stands still.
        """
        self._store, self._http, self._watch, self._clock = store, http, watch, store.clock
        self._documents, self._movement, self._shuns = documents, movement, watch.shuns
        self._has_other, self._gives_back = has_other, gives_back
        self._sight = Sight(store.clock, movement)
        self._settling = Settling(store, watch)
        self.withdrawals = Withdrawals(store, self._sight, self._settling)
        self._turns: dict[str, asyncio.Lock] = {}  # by device: one document at a time
        self._interrupted: set[int] = set()  # print jobs of whose document the printer may have had some before
        self._cannot_hold: set[int] = set()  # printers that hold a job and do not release it
        self._refused_releases: dict[int, int] = {}  # by print job, how often
        self.words: dict[int, str] = {}  # by print job: what kept it from going on, last

    async def carry(self, print_job_id: int, is_certain: bool) -> None:
        """Take a print job to its end.

        Args:
            print_job_id: of the row.
            is_certain: whether it tells the whole truth; one from before a restart may not.
        """
        is_from_before = not is_certain
        began_s: float | None = None  # since when nothing is taken
        while (print_job := self._open(print_job_id)) is not None:
            printer = self._store.printers.find(print_job.printer_id)
            if printer is None:
                self._settling.without_printer(print_job)
                continue
            self._movement.saw(print_job.id, printer.device, "ours", print_job.state)
            client = PrinterClient(printer.uri, self._http, Access.of(printer))
            try:
                if printer.stranger is not None:
                    raise PrinterUnreachable(f"another device answers at the address of {printer.name}")
                if not is_certain or print_job.state is PrintJobState.SENDING:
                    await self._reconcile(print_job, printer, client, is_from_before)
                    is_certain, is_from_before = True, False
                elif print_job.state is PrintJobState.INTENDED and (why := self._why_not(print_job, printer)):
                    self._settling.give_back(print_job, why)
                elif print_job.withdrawal:
                    await self.withdrawals.take_out(print_job, printer, client)
                else:
                    await self._step(print_job, printer, client)
                began_s = None
                self.words.pop(print_job_id, None)
                continue
            except Overtaken as error:
                log.info("print_job.overtaken", id=print_job_id, error=str(error))
                continue
            except PrinterLater as error:
                self.words[print_job_id] = str(error)
                began_s = self._clock.monotonic() if began_s is None else began_s
                self._not_now(print_job_id, printer, error, self._clock.monotonic() - began_s)
            except (PrintUncertain, JobGone, NotPossible) as error:
                self.words[print_job_id] = str(error)
                log.warning("print_job.uncertain", id=print_job_id, state=print_job.state.value, error=str(error))
                self._sight.lost(print_job_id)
                is_certain = False
                self._let_others_have(
                    print_job_id, printer, str(error), is_orphaned=True
                )  # perhaps it made an empty job
            except DocumentLater as error:
                self.words[print_job_id] = str(error)
                log.warning("print_job.document_later", id=print_job_id, error=str(error))
            except DocumentImpossible as error:
                why = f"{printer.name} takes no JPEG, and {error}: use another printer, or print it once more"
                await self.withdrawals.let_go(self._row(print_job_id), client, why, event="abort", holds=True)
            except PrinterRefused as error:
                self.words[print_job_id] = str(error)
                await self._refused(self._row(print_job_id), printer, client, error)
            await asyncio.sleep(LATER_S)
        self.words.pop(print_job_id, None)
        self._interrupted.discard(print_job_id)
        self._sight.forget(print_job_id)

    def _open(self, print_job_id: int) -> PrintJob | None:
        print_job = self._store.print_jobs.find(print_job_id)
        return print_job if print_job is not None and print_job.state in OPEN_PRINT_JOBS else None

    def _row(self, print_job_id: int) -> PrintJob:
        return self._store.print_jobs.get(print_job_id)

    def _move(self, print_job_id: int, event: str, **changes: Any) -> PrintJob:
        """Write a step down, in the row as it is now.

        Raises:
            Overtaken: a person settled it while the printer answered. What the printer has of it is canceled there.
        """
        with self._store.transaction():
            print_job = self._row(print_job_id)
            if print_job.state in OPEN_PRINT_JOBS:
                return progress.move_print_job(self._store, print_job, event, self._clock.now(), **changes)
            if changes:
                self._store.print_jobs.put(print_job.with_(**changes, is_orphaned=True))
        raise Overtaken(f"print job {print_job_id} was settled meanwhile")

    # -- one step forward -----------------------------------------------------------------------------------------

    def _why_not(self, print_job: PrintJob, printer: Printer) -> str:
        """Why a sheet of which its printer has heard nothing is not to go there now; '' when it may."""
        if print_job.withdrawal:
            return print_job.withdrawal
        if self._store.tickets.get(print_job.ticket_id).is_stopped:
            return "its ticket is on hold"
        if printer.inactive:
            return f"{printer.name} was made inactive"
        return "nothing is printed now" if self._store.is_resting(self._clock.now()) else ""

    async def _step(self, print_job: PrintJob, printer: Printer, client: PrinterClient) -> None:
        """One step forward from a state that is known to be true at the printer."""
        if print_job.state is PrintJobState.SENT:
            await asyncio.sleep(FOLLOW_EVERY_S)
            await self._follow(print_job, printer, client)
            return
        async with self._turns.setdefault(printer.device, asyncio.Lock()):
            print_job = self._row(print_job.id)
            why = self._why_not(print_job, printer)
            if why:  # while it waited for its turn
                if print_job.state is PrintJobState.CREATED:
                    await self.withdrawals.let_go(print_job, client, why)
                return
            # Made before the printer hears of anything: what fails here leaves no job behind.
            description = await self._watch.description(printer)
            document, document_format = await self._documents.document(print_job, description)
            try:
                if print_job.state is PrintJobState.INTENDED:
                    print_job = await self._announce(print_job, printer, client, document, document_format)
                if print_job.state is PrintJobState.CREATED:
                    await self._send(print_job, printer, client, document, document_format)
            except FileNotFoundError:
                why = "the sheet's file is gone: set the record's status again"
                await self.withdrawals.let_go(self._row(print_job.id), client, why, event="abort")
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
        if not has_create_job(description):
            return await self._print_at_once(print_job, printer, client, description, document, document_format)
        holds = can_hold(description) and printer.id not in self._cannot_hold
        request = replace(self._documents.request(print_job), is_held=holds)
        created = await client.create_job(request, description)
        print_job = self._move(
            print_job.id,
            "create",
            job_id=created.job_id,
            is_held=request.is_held and "job-hold-until" not in created.ignored,
        )
        print_job = await self._with_identity(print_job, printer, client, created)
        self._shuns.note_taken(printer.id, self._kind(print_job))
        if grave := sorted(_GRAVE & set(created.ignored)):
            words = would_ignore(printer, request, grave)
            self._shuns.note_refusal(printer.id, self._kind(print_job), words, is_final=True)
            await self.withdrawals.let_go(print_job, client, words)
            return self._row(print_job.id)
        if created.ignored:
            log.warning("print_job.ignored", id=print_job.id, printer=printer.name, names=created.ignored)
        return print_job

    async def _with_identity(
        self, print_job: PrintJob, printer: Printer, client: PrinterClient, created: CreatedJob
    ) -> PrintJob:
        identity = await self._sight.identity(print_job, printer, client, created)
        if identity is None:
            return print_job
        with self._store.transaction():
            print_job = self._row(print_job.id).with_(identity=identity)
            self._store.print_jobs.put(print_job)
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
        request = self._documents.request(print_job)
        if Operation.VALIDATE_JOB in description.all("operations-supported"):
            # The last chance to hear that the paper would be ignored: after Print-Job it may be printed already.
            ignored = await client.validate_job(request, description, document_format.value)
            if grave := sorted(_GRAVE & set(ignored)):
                words = would_ignore(printer, request, grave)
                self._shuns.note_refusal(printer.id, self._kind(print_job), words, is_final=True)
                self._settling.give_back(print_job, words)
                return self._row(print_job.id)
        self._move(print_job.id, "begin")
        try:
            created = await client.print_job(request, description, document, document_format.value)
        except (PrinterLater, PrinterRefused) as error:  # no connection, or an answer that nothing was taken
            if isinstance(error, PrinterRefused):
                self._note_refusal(print_job, printer, error)
            elif isinstance(error, PrinterBusy):
                self._shuns.note_busy(printer.id, str(error))
            self._settling.give_back(self._row(print_job.id), str(error))
            return self._row(print_job.id)
        print_job = self._move(print_job.id, "send", job_id=created.job_id, is_acknowledged=True)
        print_job = await self._with_identity(print_job, printer, client, created)
        self._shuns.note_taken(printer.id, self._kind(print_job))
        if grave := sorted(_GRAVE & set(created.ignored)):
            await client.cancel_job(created.job_id)
            self._settling.doubt(print_job, f"the printer took the document and ignored {', '.join(grave)}")
        self._watch.soon(printer.id)
        return self._row(print_job.id)

    async def _send(
        self,
        print_job: PrintJob,
        printer: Printer,
        client: PrinterClient,
        document: Path,
        document_format: DocumentFormat,
    ) -> None:
        if not document.is_file():
            raise FileNotFoundError(document)
        self._move(print_job.id, "begin")
        try:
            await client.send_document(print_job.job_id or 0, document, document_format.value)
        except PrinterLater:  # no connection, or an answer that nothing was taken: the document did not begin
            self._move(print_job.id, "retry")
            raise
        except (PrinterRefused, JobGone, NotPossible) as error:
            if print_job.id in self._interrupted:  # it may have the document from the time before
                raise PrintUncertain(
                    f"{printer.name} takes no document for a job that it may have whole: {error}"
                ) from error
            self._move(print_job.id, "retry")
            if isinstance(error, PrinterRefused):
                raise
            await self.withdrawals.let_go(self._row(print_job.id), client, f"{printer.name} gave the job up: {error}")
            return
        self._interrupted.discard(print_job.id)
        print_job = self._move(print_job.id, "send", is_acknowledged=True)
        if print_job.is_held and not print_job.withdrawal:
            await self._release(print_job, printer, client)
        self._watch.soon(printer.id)

    async def _release(self, print_job: PrintJob, printer: Printer, client: PrinterClient) -> None:
        """The whole document is there: now it may print. Done again after a crash in between, which harms nothing."""
        try:
            await client.release_job(print_job.job_id or 0)
        except (NotPossible, PrinterRefused) as error:
            listed = await self._sight.look(print_job, printer, client)
            if listed is not None and listed.state is JobState.PENDING_HELD:
                await self._not_released(print_job, printer, client, listed, error)
                return
            # It is not held (any more), so it needs no release.
        self._refused_releases.pop(print_job.id, None)
        with self._store.transaction():
            self._store.print_jobs.put(self._row(print_job.id).with_(is_released=True))

    async def _not_released(
        self, print_job: PrintJob, printer: Printer, client: PrinterClient, listed: ListedJob, error: PrinterError
    ) -> None:
        """A job would lie there for ever: it is taken back, and its printer is asked to hold nothing any more."""
        self._refused_releases[print_job.id] = self._refused_releases.get(print_job.id, 0) + 1
        if self._refused_releases[print_job.id] >= MOST_REFUSED_RELEASES:
            self._cannot_hold.add(printer.id)
            log.warning("printer.does_not_release", name=printer.name, error=str(error))
            reason = f"{printer.name} does not release held jobs"
            await self.withdrawals.take_back(print_job, client, listed, reason)

    async def _follow(self, print_job: PrintJob, printer: Printer, client: PrinterClient) -> None:
        listed = await self._sight.look(print_job, printer, client)
        verdict = judge(print_job.state, listed, print_job.copies)
        if listed is None or verdict is not Verdict.FOLLOW:
            self._settling.settle(print_job, printer, listed, verdict)
        elif listed.state is JobState.PENDING_HELD and print_job.is_held and not print_job.is_released:
            await self._release(print_job, printer, client)
        elif is_unbegun(listed) and self._gives_back(printer, print_job):
            reason = f"{printer.name} had not begun with it: another printer takes it"
            await self.withdrawals.take_back(print_job, client, listed, reason)

    # -- when things go wrong -------------------------------------------------------------------------------------

    async def _reconcile(
        self, print_job: PrintJob, printer: Printer, client: PrinterClient, is_from_before: bool
    ) -> None:
        """Bring a row whose truth is not known in line with what the printer lists.

        Raises:
            PrinterError: the printer cannot be asked; nothing was changed.
        """
        listed = self._sight.find(print_job, await client.jobs())
        verdict = judge(print_job.state, listed, is_held=print_job.is_held)
        log.info("print_job.reconciled", id=print_job.id, state=print_job.state.value, verdict=verdict.value)
        if verdict is Verdict.GIVE_BACK:
            if print_job.state is PrintJobState.INTENDED and not is_from_before and not self._has_other(print_job):
                return  # nothing came of it: it is announced again
            self._settling.give_back(print_job, "nothing was printed")
        elif verdict is Verdict.WITHDRAW and listed is not None:
            reason = "the link broke before the printer had begun: nothing was printed"
            await self.withdrawals.take_back(print_job, client, listed, reason)
        elif verdict is Verdict.SEND and listed is not None:
            await self._go_on_sending(print_job, printer, listed)
        elif verdict is Verdict.DOUBT and print_job.state is PrintJobState.SENDING:
            # Perhaps it has half a picture: it is canceled until the printer has ended it, so that it does not come out
            # as well.
            is_there = listed is not None and listed.state not in ENDED_JOBS
            why = "the link to the printer broke while the document was on its way"
            self._settling.doubt(print_job, why, is_orphaned=is_there)
        # What else an acknowledged job needs, the next step asks and settles.

    async def _go_on_sending(self, print_job: PrintJob, printer: Printer, listed: ListedJob) -> None:
        """The printer waits for the document."""
        holds = can_hold(await self._watch.description(printer))
        if print_job.state is PrintJobState.SENDING:
            self._interrupted.add(print_job.id)
        if print_job.state is PrintJobState.CREATED:
            with self._store.transaction():
                self._store.print_jobs.put(self._row(print_job.id).with_(job_id=listed.job_id))
            return
        # A row that was never told of its job does not know that the printer was asked to hold it.
        is_held = print_job.is_held or (holds and listed.state is JobState.PENDING_HELD)
        event = "create" if print_job.state is PrintJobState.INTENDED else "retry"
        self._move(print_job.id, event, job_id=listed.job_id, is_held=is_held)

    def _not_now(self, print_job_id: int, printer: Printer, error: PrinterLater, since_s: float) -> None:
        """A printer did not answer, or said "later": nothing was taken. Another one may have the sheet."""
        print_job = self._row(print_job_id)
        if isinstance(error, PrinterUnreachable):
            self._watch.note_unreachable(printer, error)
            self._sight.lost(print_job_id)
            if print_job.state is PrintJobState.INTENDED:
                self._settling.give_back(print_job, str(error))
                return
        if print_job.state is PrintJobState.INTENDED:
            self._let_others_have(print_job_id, printer, str(error))
        elif print_job.state is PrintJobState.CREATED and since_s > GIVE_BACK_AFTER_S and self._has_other(print_job):
            # It has no document, so nothing can come out of it; when the printer is back, it is canceled there.
            self._settling.give_back(print_job, f"{printer.name} does not take it: {error}", is_orphaned=True)

    def _let_others_have(self, print_job_id: int, printer: Printer, words: str, is_orphaned: bool = False) -> None:
        """A printer does not take a sheet now. Where another can, it does not wait."""
        print_job = self._row(print_job_id)
        if print_job.state is PrintJobState.INTENDED and self._has_other(print_job):
            self._shuns.note_busy(printer.id, words)
            self._settling.give_back(print_job, words, is_orphaned)

    async def _refused(
        self, print_job: PrintJob, printer: Printer, client: PrinterClient, error: PrinterRefused
    ) -> None:
        """The printer said no: a sheet of which it has nothing goes to another, or waits until it says yes."""
        if print_job.state in (PrintJobState.INTENDED, PrintJobState.CREATED):
            self._note_refusal(print_job, printer, error)
            await self.withdrawals.let_go(print_job, client, f"{printer.name}: {error}")
        # A printer that has the document and does not even tell how it is, is asked again.

    def _note_refusal(self, print_job: PrintJob, printer: Printer, error: PrinterRefused) -> None:
        self._shuns.note_refusal(printer.id, self._kind(print_job), f"{printer.name}: {error}")
        self._watch.soon(printer.id)  # its paper may have been changed

    def _kind(self, print_job: PrintJob) -> tuple[int, object]:
        sheet = self._store.sheets.get(print_job.sheet_id)
        return sheet.profile_id, sheet.size


def has_create_job(printer: Group) -> bool:
    """Whether a printer takes jobs and documents one after the other; one that does not say is tried."""
    offered = printer.all("operations-supported")
    return not offered or {Operation.CREATE_JOB, Operation.SEND_DOCUMENT} <= set(offered)


def can_hold(printer: Group) -> bool:
    """Whether a printer can be told to keep a job until its whole document is there."""
    offered = printer.all("operations-supported")
    return Operation.RELEASE_JOB in offered and "indefinite" in printer.texts("job-hold-until-supported")


def would_ignore(printer: Printer, request: JobRequest, names: Sequence[str]) -> str:
    """What is said of a printer that takes a job and not what decides over its paper."""
    return (
        f"{printer.name} took the job but would ignore {', '.join(names)}, so that a borderless {request.size} "
        f"would come out wrong: take {request.size} off its allowable print sizes, or choose another printer"
    )
