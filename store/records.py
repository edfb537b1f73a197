"""The things that are kept beside profiles, as frozen models. Lengths are whole micrometres, times are UTC."""

from __future__ import annotations

from datetime import datetime, time
from enum import IntEnum, StrEnum
from typing import Any, Self

from pydantic import Field, model_validator

from store.clock import Marks
from store.lines import Orphan
from store.model import Model, Name, Sha256, Stored
from store.profiles import RenderProfile
from store.pushed import RecordKind, RecordPush
from store.sizes import Size
from store.states import PrintJobState, SheetState, TicketState


class Record(RecordPush, Stored):
    """A session, invoice or production order as it stands now."""

    pushed_status: str  # what the desktop is known to show: its last push, or the change it acknowledged
    changed_at: datetime
    drop: str = ""  # what was dropped into a hot folder to make it

    def pushed(self) -> RecordPush:
        """The part that desktops send."""
        return RecordPush.model_construct(**{name: getattr(self, name) for name in RecordPush.model_fields})


# -- what the studio configures beside profiles -----------------------------------------------------------------


class Timing(StrEnum):
    """When a ticket of a render job may start."""

    AT_ONCE = "at once"
    HOURS = "within hours"  # between start_time and end_time, the box's local time; may pass midnight
    AT_TIME = "at a time"  # at the first start_time after it was opened
    BY_HAND = "by hand"  # when a person releases it


class RenderJob(Stored):
    """When to produce: a standing rule on the status of a kind of record."""

    name: Name
    kind: RecordKind
    select_status: Name
    profile_ids: tuple[int, ...] = Field(min_length=1)
    timing: Timing = Timing.AT_ONCE
    start_time: time = time(20, 0)
    end_time: time = time(6, 0)
    finish_status: Name
    error_status: Name
    inactive: bool = False

    @model_validator(mode="after")
    def _no_loop(self) -> Self:
        for field in ("finish_status", "error_status"):
            if getattr(self, field) == self.select_status:
                raise ValueError(f"{field} must differ from select_status, or the render job would start itself again")
        return self


class OtherDevice(Model):
    """A device that stands where a printer was, or that says it is the same printer."""

    uri: str
    uuid: str
    name: str
    make_and_model: str = ""


class Printer(Stored):
    """A printer that the studio knows, by its UUID where it has one."""

    name: Name
    uuid: str = ""  # as in printer-uuid, without urn:uuid:, lower case; empty until it has answered
    uri: str = ""  # where it was last found; empty until discovery sees it
    pool_id: int | None = None
    priority_code: int = Field(0, ge=0, le=999)
    allowable_print_sizes: tuple[Size, ...] = ()  # empty: any
    inactive: bool = False
    added_by_hand: bool = False  # given by its URI: discovery does not move it
    username: str = ""
    password: str = ""
    fingerprint: str = ""  # of its TLS certificate, as it was seen first
    is_known_by_address: bool = False  # a person said that its UUID is not its alone
    stranger: OtherDevice | None = None  # what answers at its address, and is not it
    twin: OtherDevice | None = None  # what answers elsewhere and has its UUID
    one_device_at: tuple[str, ...] = ()  # other addresses, of which a person said that they are this device's, too

    @property
    def device(self) -> str:
        """The same for entries that stand for one device, as for a printer that is entered once per size."""
        by_uuid = "" if self.is_known_by_address else self.uuid
        return by_uuid or self.uri or f"entry {self.id}"


class AllocationMethod(StrEnum):
    """How a pool chooses among printers that can take a sheet."""

    ROUND_ROBIN = "round robin"
    PRIORITY_CODE = "priority code"
    LEAST_BUSY = "least busy"  # by its backlog and its measured pace


class PrinterPool(Stored):
    """Printers that share work."""

    name: Name
    allocation_method: AllocationMethod = AllocationMethod.ROUND_ROBIN
    job_split: bool = True  # one ticket's sheets may go to several printers
    separator_slips: bool = True  # then each of them prints a slip that says what is where
    inactive: bool = False


# -- what happens -----------------------------------------------------------------------------------------------


class Moment(Model):
    """One line of a ticket's trace."""

    at: datetime
    event: str
    state: TicketState
    note: str = ""


class Outcome(StrEnum):
    """How an item, or a ticket as a whole, ended."""

    DONE = "done"
    PARTLY = "partly"
    FAILED = "failed"
    CANCELED = "canceled"  # by a person
    HELD = "held"  # of a ticket only: it has not ended, and goes on when a person says so


class ItemResult(Model):
    """What became of one item (or, for a profile of all images, of one image) under one profile."""

    item: str  # the item's id; empty for a profile of all images
    image: str
    profile: str
    outcome: Outcome
    reason: str = ""  # why it failed, and what would help
    files: tuple[str, ...] = ()  # below the output folder
    printers: tuple[str, ...] = ()
    copies: int = 0  # that a printer said it completed


class ReprintReason(StrEnum):
    """Why a sheet is printed again."""

    DAMAGED = "damaged or soiled"
    COLOUR = "colour is wrong"
    PAPER = "wrong paper"
    PRINTER = "the printer's fault"
    LOST = "lost"
    EXTRA = "more were wanted"


class Priority(IntEnum):
    """Which of two tickets is drawn and printed first."""

    LATER = -1
    NORMAL = 0
    FIRST = 1


class Fault(Model):
    """A fault of Printroom's in one ticket, with what support needs."""

    at: datetime
    where: str  # which part of the box stumbled
    error: str  # the exception, and where it was raised


class Ticket(Stored):
    """One record passing through one render job."""

    record_id: int
    render_job_id: int
    kind: RecordKind
    number: str
    client_name: str
    render_job_name: str
    state: TicketState
    reason: str = ""  # why it waits, is held or failed, in a sentence that says what to do
    opened_at: datetime
    changed_at: datetime
    trace: tuple[Moment, ...] = ()
    results: tuple[ItemResult, ...] = ()
    reprint_of: int | None = None  # the ticket whose sheets it prints again; the record's status is not its business
    reprint_reason: ReprintReason | None = None
    priority: Priority = Priority.NORMAL
    queue_job_id: int | None = None  # the job of a print queue that it prints; desktops do not hear of it
    is_paused: bool = False  # nothing more is drawn or given to printers until it goes on
    fault: Fault | None = None  # of ours, for which it is left alone until a person tries it again

    @property
    def is_stopped(self) -> bool:
        """Whether nothing more of it is drawn or given to printers until a person says so."""
        return self.is_paused or self.fault is not None


class Instructions(Stored):
    """What a ticket froze when it opened; has the ticket's id and never changes."""

    record: RecordPush
    render_job: RenderJob
    profiles: tuple[RenderProfile, ...]
    orphans: tuple[Orphan, ...] | None = None  # lines that nobody takes, and that it tells of; None: not looked for


class Sheet(Stored):
    """One piece of media, one rendered file, with a quantity."""

    ticket_id: int
    profile_id: int
    item: str  # item id, empty for a profile of all images
    image: str
    lines: tuple[tuple[str, str], ...] = ()  # (item id, image) of every picture on it; empty: the one above
    size: Size  # trim
    quantity: int
    state: SheetState
    plan: dict[str, Any] = Field(default_factory=dict)  # render's plan for it, enough to draw it again
    file: str = ""  # path below the output folder
    width_px: int = 0
    height_px: int = 0
    reason: str = ""
    prints: bool = False  # it goes to paper, and not only into a folder
    copies_done: int = 0  # of the quantity, that a printer said it completed
    is_cover: bool = False  # a header or separator sheet, or a slip: nobody ordered it
    slip: tuple[str, ...] = ()  # a separator slip's lines; it is drawn when it is printed
    printer_id: int | None = None  # only this printer may print it
    flags: tuple[str, ...] = ()  # what a person may want to know: an untagged picture, few pixels
    hold: str = ""  # why a person must release it before it is printed
    print_job_id: int | None = None  # the print job that has it in hand, or had it last


class JobIdentity(Model):
    """What else a printer's job is known by, where the printer does not keep the name that we gave it."""

    uuid: str = ""  # job-uuid
    name: str = ""  # as the printer shows it
    made_s: int | None = None  # time-at-creation: the printer's own up-time then,
    made_at: datetime | None = None  # and our time


class StuckReason(StrEnum):
    """Why nothing is heard of a print job that a printer has in hand."""

    UNREACHABLE = "unreachable"  # the printer does not answer
    BUSY = "busy"  # it takes nothing, or answers nonsense
    STOPPED = "stopped"  # it says that it is stopped
    WISHES = "wishes"  # it says that it needs something, and nothing moves
    SILENT = "silent"  # it says that it is printing, and nothing moves


class Stuck(Model):
    """A print job of which nothing has been heard for a while."""

    reason: StuckReason
    since: datetime
    told: str = ""  # the printer's own words
    waits_until_s: float = 0.0  # in the store's running time: a person chose to wait


class PrintJob(Stored):
    """A row of the print ledger: one IPP job on one printer."""

    sheet_id: int
    ticket_id: int
    printer_id: int
    job_name: str  # unique for this attempt: the only thing by which it is found again
    copies: int
    state: PrintJobState
    job_id: int | None = None  # the printer's; reused by printers after a restart, so never trusted alone
    reason: str = ""
    intended_at: datetime
    changed_at: datetime
    impressions_completed: int | None = None
    is_held: bool = False  # the printer was asked to hold it until it is released, after the document has arrived
    is_released: bool = False
    withdrawal: str = ""  # why it is to be taken back from the printer, as far as that has not begun
    identity: JobIdentity | None = None  # where the name alone does not do
    is_acknowledged: bool = False  # the printer said that it has the whole document
    stuck: Stuck | None = None
    is_orphaned: bool = False  # settled without the printer's word: it must not print it when it comes back

    @property
    def is_surely_unbegun(self) -> bool:
        """Whether our own record says that nothing of it can be on paper, nor come there by itself."""
        if self.state in (PrintJobState.INTENDED, PrintJobState.CREATED):
            return True
        is_there = self.state in (PrintJobState.SENDING, PrintJobState.SENT)
        return is_there and self.is_held and not self.is_released


class PrinterState(StrEnum):
    """RFC 8011 §5.4.11, and what we know when there is no answer."""

    IDLE = "idle"
    PROCESSING = "processing"
    STOPPED = "stopped"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"  # not asked yet


class Supply(Model):
    """A ribbon, an ink, a toner."""

    name: str
    percent: int | None = None
    sheets_left: int | None = None  # where the printer counts in sheets


class PrinterStatus(Stored):
    """What a printer last said of itself; has the printer's id. Written by its poller only."""

    state: PrinterState = PrinterState.UNKNOWN
    state_reasons: tuple[str, ...] = ()
    message: str = ""
    make_and_model: str = ""
    accepting: bool = True
    queued_jobs: int = 0
    media_ready: tuple[Size, ...] | None = None  # None: the printer does not say
    document_formats: tuple[str, ...] = ()
    max_copies: int = 1  # in one print job
    supplies: tuple[Supply, ...] = ()
    impressions_completed: int | None = None  # its counter, where it tells
    since: datetime


class Change(Stored):
    """What became of a ticket, kept for the desktops; its id is the cursor of the sync API.

    A ticket that ended gave its record a status. One that was canceled or is held left the status as it was.
    """

    record_id: int
    ticket_id: int
    kind: RecordKind
    number: str
    status: str
    previous_status: str
    outcome: Outcome
    reason: str = ""  # why it failed, was canceled or is held
    results: tuple[ItemResult, ...] = ()
    download: str = ""  # path of the download page on this box
    at: datetime


class Download(Stored):
    """A link to a ticket's files for somebody without a password."""

    ticket_id: int
    token: str  # 192 random bits: whoever has it may download
    files: tuple[str, ...]  # below the output folder
    created_at: datetime
    expires_at: datetime
    revoked: bool = False
    count: int = 0  # complete downloads that were begun
    last_at: datetime | None = None


class AssetKind(StrEnum):
    """What a studio may give the box for its sheets."""

    COLOUR_PROFILE = "colour profile"
    OVERLAY = "overlay"


class Asset(Stored):
    """One of the studio's files that render profiles use; the content lies in the data folder, by digest."""

    kind: AssetKind
    name: Name
    sha256: Sha256
    description: str = ""
    added_at: datetime


class Scope(StrEnum):
    """What a desktop client may do."""

    PUSH = "push"  # send pictures and records
    FOLLOW = "follow"  # hear what became of them


class DesktopClient(Stored):
    """A program that may use the sync API."""

    name: Name
    token_sha256: Sha256
    scopes: tuple[Scope, ...] = tuple(Scope)
    acknowledged: int = 0  # the last Change it has taken
    created_at: datetime
    last_used_at: datetime | None = None  # to the minute
    last_used_from: str = ""  # its address
    last_used_tls: bool = False


class KeptAnswer(Stored):
    """What was answered to a request with an Idempotency-Key, for when it comes again."""

    client_id: int
    key: str
    request_sha256: str
    answer: str  # JSON
    at: datetime


class Role(StrEnum):
    """What somebody may do in the panel."""

    OPERATOR = "operator"  # prints, answers and looks
    ADMINISTRATOR = "administrator"  # sets everything up


class Person(Stored):
    """Somebody who may log in to the panel."""

    name: Name
    password_hash: str  # argon2id
    role: Role = Role.ADMINISTRATOR  # as all were before there were roles
    session_stamp: int = 0  # sessions with an older one have ended
    created_at: datetime | None = None


class ArchivedMonth(Stored):
    """How many tickets of a month the archive got, so that it cannot have less without anybody knowing."""

    month: str
    tickets: int


class ClockMarks(Marks, Stored):
    """What the next start must know of the clock; there is one of these."""


# -- telling people ---------------------------------------------------------------------------------------------


class MailSecurity(StrEnum):
    """How the box speaks to the studio's mail server."""

    STARTTLS = "STARTTLS"  # usual on port 587
    TLS = "TLS"  # usual on port 465
    NONE = "none"


class AlertWay(StrEnum):
    """How people are told."""

    WEBHOOK = "webhook"
    MAIL = "mail"


class AlertSettings(Stored):
    """Who is told what needs a person; there is one of these."""

    webhook_url: str = Field("", max_length=2000, pattern=r"^$|^https?://\S+$")
    mail_to: str = Field("", max_length=500)  # addresses, separated by commas
    mail_from: str = Field("", max_length=200)
    smtp_host: str = Field("", max_length=200)
    smtp_port: int = Field(587, ge=1, le=65535)
    smtp_security: MailSecurity = MailSecurity.STARTTLS
    smtp_username: str = ""
    smtp_password: str = ""
    after_s: int = Field(60, ge=0, le=86_400)  # a trouble that is over sooner is nobody's

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.mail_to and not self.smtp_host:
            raise ValueError("mails need a mail server: write its host name")
        return self

    @property
    def ways(self) -> tuple[AlertWay, ...]:
        """By which people are told; none: nobody is."""
        set_up = ((AlertWay.WEBHOOK, self.webhook_url), (AlertWay.MAIL, self.mail_to))
        return tuple(way for way, address in set_up if address)


class Alert(Stored):
    """A trouble that somebody is told of, as long as it lasts."""

    key: str
    text: str
    since: datetime
    began_s: float = 0.0  # in the store's running time: a wrong clock makes nothing last
    due_at: datetime  # not tried before; for people, and for the version before
    told_by: tuple[AlertWay, ...] = ()
    sent_at: datetime | None = None  # by the first of them
    tries: int = 0  # that failed
    error: str = ""  # of the last one, as long as not every way has told it
