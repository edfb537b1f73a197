"""A print queue of the box behind the IPP server: jobs in the store, printers of its pool in its description."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import uuid4

from ipp import codec
from ipp.attributes import Operation, Status, attribute
from ipp.codec import Attribute, Group, GroupTag, Message
from ipp.job_state import served_state
from ipp.queue_attributes import (
    FORMATS,
    OPERATIONS,
    SETTABLE_PRINTER,
    View,
    description,
    state_of,
    unsupported,
)
from ipp.served import Asker, Queue, Received, Refusal, ServedDocument, ServedJob, shown
from store import decisions, queue_jobs
from store.queues import PrintQueue, QueueDocument, QueueJob
from store.records import Printer, Ticket
from store.states import ENDED_QUEUE_JOBS, QueueJobState
from store.tables import Store

MAX_DOCUMENTS = 1000  # of one job
_OPEN = tuple(state for state in QueueJobState if state not in ENDED_QUEUE_JOBS)
_HELD_WITH_ALL = "held as all new jobs are: release it in the panel"
_HELD_FOR_PIN = "held for its PIN: type it on the panel's page /release"


class PoolQueue(Queue):
    """One print queue, as it is at the moment of a request."""

    def __init__(
        self,
        store: Store,
        queue_id: int,
        began_s: float,
        panel: str = "",
        base: str = "",
        identify: Callable[[Printer], None] | None = None,
    ) -> None:
        """
        Args:
            store: the open store.
            queue_id: of the print queue.
            began_s: when the box came up, on the store's monotonic clock; IPP's times count from then.
            panel: the panel's address, as this client reaches it.
            base: the front end's address, as this client reaches it.
            identify: lets a printer show which one it is.
        """
        self._store, self.queue_id, self.began_s = store, queue_id, began_s
        self._panel, self._base, self._identify = panel, base, identify
        self.uuid = self._queue.uuid

    def now(self) -> datetime:
        """See Queue."""
        return self._store.clock.now()

    def up_s(self) -> int:
        """See Queue."""
        return int(self._store.clock.monotonic() - self.began_s) + 1

    @property
    def _queue(self) -> PrintQueue:
        return self._store.print_queues.get(self.queue_id)

    def operations(self) -> Sequence[int]:
        """See Queue."""
        return OPERATIONS

    # -- the printer ----------------------------------------------------------------------------------------------

    def view(self) -> View:
        """What the queue's description is made from."""
        store, queue = self._store, self._queue
        profile = store.render_profiles.find(queue.profile_id) if queue.profile_id else None
        pool_id = profile.pool_id if profile else queue.pool_id
        only = profile.printer_id if profile else None
        printers = [
            printer
            for printer in store.printers.all()
            if not printer.inactive and (printer.id == only if only else pool_id and printer.pool_id == pool_id)
        ]

        count = {state: store.queue_jobs.count("queue_state", (queue.id, state.value)) for state in _OPEN}
        return View(
            queue=queue,
            printers=printers,
            statuses=[store.printer_status.find(printer.id) for printer in printers],
            open_jobs=sum(count.values()),
            is_printing=bool(count[QueueJobState.PRINTING] + count[QueueJobState.CONVERTING]),
            panel=self._panel,
            base=self._base,
            default_size=profile.size if profile else None,
            changed_s=max(1, self.up_s_at(queue.changed_at)),
            state_changed_s=max(1, self.up_s_at(queue.state_changed_at)),
            now=self.now(),
        )

    def attributes(self) -> list[Attribute]:
        """See Queue."""
        return description(self.view())

    @property
    def is_accepting(self) -> bool:
        """Whether it takes jobs."""
        return self._queue.is_accepting and not self._queue.is_shut_down

    def printer_state(self) -> tuple[int, tuple[str, ...], str]:
        """printer-state, its reasons, and a sentence."""
        return state_of(self.view())

    def set_printer(self, changes: Group) -> None:
        """See Queue."""
        wrong = [item for item in changes.attributes if item.name not in SETTABLE_PRINTER]
        if wrong:
            raise Refusal(Status.ATTRIBUTES_NOT_SETTABLE, f"{wrong[0].name} cannot be set", wrong)
        names = {"printer-info": "name", "printer-location": "location", "printer-message-from-operator": "message"}
        fields = {names[item.name]: shown(changes.text(item.name), 1000) for item in changes.attributes}
        if any(len(text) > 127 for text in fields.values()) or fields.get("name") == "":
            raise Refusal(
                Status.ATTRIBUTES_OR_VALUES_NOT_SUPPORTED, "write 1 to 127 characters", list(changes.attributes)
            )
        self._change(changed_at=self.now(), **fields)

    def _change(self, **changes: Any) -> PrintQueue:
        with self._store.transaction():
            changed = self._queue.with_(**changes)
            self._store.print_queues.put(changed)
            return changed

    # -- jobs -----------------------------------------------------------------------------------------------------

    def judge(self, ticket: Group, document_format: str) -> list[Attribute]:
        """See Queue."""
        queue = self._queue
        if document_format not in ("", "application/octet-stream", *FORMATS):
            raise Refusal(
                Status.DOCUMENT_FORMAT_NOT_SUPPORTED,
                f"{document_format} cannot be printed here: send {', '.join(FORMATS)}",
                [attribute("document-format", document_format)],
            )
        if not self.is_accepting:
            raise Refusal(Status.NOT_ACCEPTING_JOBS, f"{queue.name} takes no jobs now: ask the studio")
        ignored, paper = unsupported(ticket, self.view()) if ticket.attributes else ([], None)
        if paper is not None:
            # Another paper than was ordered is never what anybody meant, whatever ipp-attribute-fidelity says.
            raise Refusal(Status.ATTRIBUTES_OR_VALUES_NOT_SUPPORTED, "there is no such paper in this pool", [paper])
        return ignored

    def create(self, name: str, asker: Asker, ticket: Group, pin: str = "") -> ServedJob:
        """See Queue."""
        fields = _fields(name, asker, ticket, pin)
        return self._served(queue_jobs.begin(self._store, self._queue, fields, self.now()))

    def submit(self, job: ServedJob, document: Received, is_last: bool) -> None:
        """See Queue."""
        if len(job.documents) >= MAX_DOCUMENTS:
            raise Refusal(Status.NOT_POSSIBLE, f"a job has {MAX_DOCUMENTS} documents at most: begin another job")
        kept, holds = _kept(document, self.now()), self._holds(job.ticket, self._store.queue_jobs.get(job.id).pin_hash)
        queue_jobs.add_document(self._store, job.id, kept, is_last, holds, self.now())

    def print_at_once(self, name: str, asker: Asker, ticket: Group, document: Received, pin: str = "") -> ServedJob:
        """See Queue: one commit."""
        fields, kept = _fields(name, asker, ticket, pin), _kept(document, self.now())
        hold = self._holds(ticket, pin)
        return self._served(queue_jobs.begin_whole(self._store, self._queue, fields, kept, hold, self.now()))

    def close(self, job: ServedJob) -> None:
        """See Queue."""
        known = self._store.queue_jobs.get(job.id)
        queue_jobs.close(self._store, known, self._holds(job.ticket, known.pin_hash), self.now())

    def _holds(self, ticket: Group, pin: str) -> str:
        """Why a job is held as soon as it is whole; '' when it is not."""
        if pin:
            return _HELD_FOR_PIN
        if self._queue.holds_new_jobs:
            return _HELD_WITH_ALL
        return "held as its sender wished: release it" if ticket.text("job-hold-until") == "indefinite" else ""

    def jobs(self) -> Sequence[ServedJob]:
        """See Queue."""
        return [self._served(job) for job in self._store.queue_jobs.by("queue", self.queue_id)]

    def job(self, job_id: int) -> ServedJob | None:
        """See Queue."""
        job = self._store.queue_jobs.find(job_id)
        return self._served(job) if job and job.queue_id == self.queue_id else None

    def ahead(self, job: ServedJob) -> int:
        """See Queue."""
        return sum(
            other.id < job.id
            for state in _OPEN
            for other in self._store.queue_jobs.by("queue_state", (self.queue_id, state.value))
        )

    def _served(self, job: QueueJob) -> ServedJob:
        ticket = self._store.tickets.find(job.ticket_id) if job.ticket_id else None
        state, reasons, message = served_state(job, ticket, self._queue)
        done, device = job.impressions_completed, ""
        if ticket is not None and job.state is QueueJobState.PRINTING:
            done, device = self._progress(ticket)
        return ServedJob(
            id=job.id,
            name=job.name,
            user=job.user,
            ticket=_ticket(job.attributes),
            state=state,
            reasons=reasons,
            message=message,
            impressions=job.impressions,
            impressions_completed=done,
            documents=[ServedDocument(d.format, d.size, d.name, d.is_canceled) for d in job.documents],
            is_whole=job.state is not QueueJobState.INCOMING,
            priority=job.priority,
            output_device=device,
            created_at=job.created_at,
            processing_at=job.processing_at,
            completed_at=job.completed_at,
            is_proof=job.is_proof,
        )

    def _progress(self, ticket: Ticket) -> tuple[int, str]:
        """Copies that came out, and the printer that has the newest sheet."""
        sheets = self._store.sheets.by("ticket", ticket.id)
        last = next((sheet.print_job_id for sheet in reversed(sheets) if sheet.print_job_id), None)
        row = self._store.print_jobs.find(last) if last else None
        printer = self._store.printers.find(row.printer_id) if row else None
        return sum(sheet.copies_done for sheet in sheets if not sheet.is_cover), printer.name if printer else ""

    def cancel(self, job: ServedJob) -> None:
        """See Queue."""
        decisions.cancel_queue_job(self._store, job.id, self.now())

    def hold(self, job: ServedJob) -> None:
        """See Queue."""
        with self._store.transaction():
            known = self._store.queue_jobs.get(job.id)
            queue_jobs.move(self._store, known, "hold", self.now(), reason="held by its sender: release it")

    def release(self, job: ServedJob) -> None:
        """See Queue."""
        with self._store.transaction():
            self._release(self._store.queue_jobs.get(job.id))

    def _release(self, job: QueueJob) -> None:
        """Release a job that its sender held; what the queue or a PIN holds is released in the studio."""
        if job.pin_hash or job.reason == _HELD_WITH_ALL:
            raise Refusal(Status.NOT_AUTHORIZED, f"job {job.id} is {job.reason}")
        queue_jobs.move(self._store, job, "release", self.now())

    def set_job(self, job: ServedJob, changes: Group) -> None:
        """See Queue."""
        new_name = shown(changes.text("job-name"))
        # RFC 3380 §4.2: the tag delete-attribute takes one away.
        named = [item for item in changes.attributes if item.name != "job-name"]
        added = [item for item in named if item.values[0].tag != codec.Tag.DELETE_ATTRIBUTE]
        template = Group(GroupTag.JOB, added)
        wrong, paper = unsupported(template, self.view())
        if wrong or paper:
            refused = [*wrong, *([paper] if paper else [])]
            raise Refusal(Status.ATTRIBUTES_OR_VALUES_NOT_SUPPORTED, f"{refused[0].name} cannot be set so", refused)
        names = {item.name for item in named} | {"job-name"}
        kept = [item for item in job.ticket.attributes if item.name not in names]
        ticket = Group(GroupTag.JOB, [*kept, *added])
        with self._store.transaction():
            known = self._store.queue_jobs.get(job.id)
            known = known.with_(
                attributes=_encoded(ticket),
                name=new_name or known.name,
                priority=ticket.number("job-priority") or known.priority,
            )
            self._store.queue_jobs.put(known)
            hold = template.text("job-hold-until")
            if hold == "indefinite" and known.state is QueueJobState.PENDING:
                queue_jobs.move(self._store, known, "hold", self.now(), reason="held by its sender: release it")
            elif hold == "no-hold" and known.state is QueueJobState.HELD:
                self._release(known)

    # -- everything else ------------------------------------------------------------------------------------------

    def act(self, operation: int, job: ServedJob | None, arguments: Group) -> ServedJob | None:
        """See Queue."""
        if job is not None:
            return self._act_on_job(operation, job, arguments)
        now = self.now()
        if operation == Operation.IDENTIFY_PRINTER:
            for printer in self.view().printers:
                if self._identify is not None:
                    self._identify(printer)
            return None
        if operation == Operation.PURGE_JOBS:
            with self._store.transaction():
                for one in self._store.queue_jobs.by("queue", self.queue_id):
                    if one.state in ENDED_QUEUE_JOBS:
                        self._store.queue_jobs.remove(one.id)
            return None
        settings = {
            Operation.PAUSE_PRINTER: {"is_paused": True},
            Operation.PAUSE_PRINTER_AFTER_CURRENT_JOB: {"is_paused": True},
            Operation.RESUME_PRINTER: {"is_paused": False},
            Operation.ENABLE_PRINTER: {"is_accepting": True},
            Operation.DISABLE_PRINTER: {"is_accepting": False},
            Operation.HOLD_NEW_JOBS: {"holds_new_jobs": True},
            Operation.RELEASE_HELD_NEW_JOBS: {"holds_new_jobs": False},
            Operation.SHUTDOWN_PRINTER: {"is_shut_down": True, "is_paused": True},
            Operation.STARTUP_PRINTER: {"is_shut_down": False, "is_paused": False, "is_accepting": True},
            Operation.RESTART_PRINTER: {"is_shut_down": False, "is_paused": False, "is_accepting": True},
        }.get(Operation(operation), {})
        with self._store.transaction():
            self._change(state_changed_at=now, **settings)
            if operation == Operation.RELEASE_HELD_NEW_JOBS:
                for one in self._store.queue_jobs.by("queue_state", (self.queue_id, QueueJobState.HELD.value)):
                    if one.reason == _HELD_WITH_ALL:
                        queue_jobs.move(self._store, one, "release", now)
            if "is_paused" in settings and operation != Operation.PAUSE_PRINTER_AFTER_CURRENT_JOB:
                for one in self._store.queue_jobs.by("queue_state", (self.queue_id, QueueJobState.PRINTING.value)):
                    queue_jobs.pause(self._store, one, settings["is_paused"])
        return None

    def _act_on_job(self, operation: int, job: ServedJob, arguments: Group) -> ServedJob | None:
        known = self._store.queue_jobs.get(job.id)
        with self._store.transaction():
            if operation in (Operation.SUSPEND_CURRENT_JOB, Operation.RESUME_JOB):
                if known.state is not QueueJobState.PRINTING:
                    raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} is not being printed")
                queue_jobs.pause(self._store, known, operation == Operation.SUSPEND_CURRENT_JOB)
            elif operation in (Operation.PROMOTE_JOB, Operation.SCHEDULE_JOB_AFTER):
                self._schedule(known, arguments.number("predecessor-job-id"))
            elif operation == Operation.RESTART_JOB:
                self._check_documents(known)
                fresh = {"ticket_id": None, "impressions_completed": 0, "completed_at": None, "processing_at": None}
                again = queue_jobs.move(self._store, known, "again", self.now(), **fresh)
                if hold := self._holds(job.ticket, known.pin_hash):
                    queue_jobs.move(self._store, again, "hold", self.now(), reason=hold)
            elif operation in (Operation.REPROCESS_JOB, Operation.RESUBMIT_JOB):
                self._check_documents(known)
                fields = {name: getattr(known, name) for name in ("name", "user", "host", "attributes", "pin_hash")}
                copy = queue_jobs.begin(self._store, self._queue, fields, self.now()).with_(documents=known.documents)
                hold = self._holds(job.ticket, known.pin_hash)
                return self._served(queue_jobs.close(self._store, copy, hold, self.now()))
            else:
                self._change_document(operation, known, arguments)
        return None

    def _check_documents(self, job: QueueJob) -> None:
        if any(not (self._store.folder.queued / document.token).is_file() for document in job.documents):
            raise Refusal(Status.NOT_POSSIBLE, f"the documents of job {job.id} are no longer kept: send it again")

    def _schedule(self, job: QueueJob, predecessor_id: int | None) -> None:
        """Put a pending job first, or behind another one."""
        waiting = sorted(
            self._store.queue_jobs.by("queue_state", (self.queue_id, QueueJobState.PENDING.value)), key=order_of
        )
        if job.id not in {one.id for one in waiting}:
            raise Refusal(Status.NOT_POSSIBLE, f"job {job.id} does not wait for its turn")
        others = [one for one in waiting if one.id != job.id]
        at = 0
        if predecessor_id is not None:
            at = next((n for n, one in enumerate(others, 1) if one.id == predecessor_id), 0)
            if not at and self.job(predecessor_id) is None:
                raise Refusal(Status.NOT_FOUND, f"there is no job {predecessor_id} here")
        before, after = (others[at - 1] if at else None), (others[at] if at < len(others) else None)
        low = before.position if before else (after.position - 2 if after else job.position)
        high = after.position if after else low + 2
        priority = (before or after or job).priority
        self._store.queue_jobs.put(job.with_(position=(low + high) / 2, priority=priority))

    def _change_document(self, operation: int, job: QueueJob, arguments: Group) -> None:
        number = arguments.number("document-number") or 0
        document = job.documents[number - 1]
        if operation == Operation.CANCEL_DOCUMENT:
            document = document.with_(is_canceled=True)
        else:
            settable = {"document-name"}
            known = {"attributes-charset", "attributes-natural-language", "printer-uri", "job-uri", "job-id"}
            known |= {"requesting-user-name", "document-number"}
            wrong = [item for item in arguments.attributes if item.name not in settable | known]
            if wrong:
                raise Refusal(Status.ATTRIBUTES_NOT_SETTABLE, f"{wrong[0].name} cannot be set", wrong)
            document = document.with_(name=shown(arguments.text("document-name")))
        changed = (*job.documents[: number - 1], document, *job.documents[number:])
        job = job.with_(documents=changed)
        self._store.queue_jobs.put(job)
        if all(one.is_canceled for one in changed) and job.state is not QueueJobState.INCOMING:
            queue_jobs.move(self._store, job, "cancel", self.now())


def order_of(job: QueueJob) -> tuple[int, float, int]:
    """In which order waiting jobs begin."""
    return -job.priority, job.position, job.id


def ticket_of(job: QueueJob) -> Group:
    """The job attributes that its client sent."""
    return _ticket(job.attributes)


def _fields(name: str, asker: Asker, ticket: Group, pin: str) -> dict[str, Any]:
    priority = ticket.number("job-priority")
    return {
        "name": shown(name),
        "user": shown(asker.user),
        "host": asker.host,
        "attributes": _encoded(ticket),
        "priority": priority if priority is not None and 1 <= priority <= 100 else 50,
        "pin_hash": queue_jobs.hash_pin(pin) if pin else "",
        "is_proof": ticket.attribute("proof-print") is not None,
    }


def _kept(document: Received, now: datetime) -> QueueDocument:
    return QueueDocument(
        token=document.path.name, format=document.format, name=shown(document.name), size=document.size, at=now
    )


def _encoded(ticket: Group) -> str:
    if not ticket.attributes:
        return ""
    return b64encode(codec.encode(Message(0, 1, [Group(GroupTag.JOB, ticket.attributes)]))).decode()


@lru_cache(maxsize=500)
def _ticket(encoded: str) -> Group:
    if not encoded:
        return Group(GroupTag.JOB)
    message, _ = codec.decode(b64decode(encoded))
    return message.group(GroupTag.JOB)


def new_token() -> str:
    """A name for a document's file."""
    return uuid4().hex
