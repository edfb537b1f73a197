"""All states and all moves between them. Two rules: every move stands in a table here, and nothing here does I/O.

A state is ours and closed; a *status* is the studio's free text and never appears in this file.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from store.errors import ImpossibleMove


class TicketState(StrEnum):
    """Where a ticket is; each comment is a fact that can be checked."""

    WAITING = "waiting"  # for its hours, or for a person to release it
    RENDERING = "rendering"  # the render loop plans and draws its sheets
    RENDERED = "rendered"  # every sheet that could be drawn is on disk; nothing was offered to a printer
    PRINTING = "printing"  # at least one sheet was given to a printer
    HELD = "held"  # a person must look before it can go on
    FINISHED = "finished"  # everything came out; the record has the finish status
    FAILED = "failed"  # something did not; the record has the error status
    CANCELED = "canceled"  # stopped by a person; the record keeps its status


class SheetState(StrEnum):
    """Where a sheet is."""

    PLANNED = "planned"  # it is known what to draw
    DRAWN = "drawn"  # its file is whole, in its place
    ASSIGNED = "assigned"  # a printer of the pool has it in hand: there is a print job for it
    PRINTED = "printed"  # every copy: the printer said completed
    FAILED = "failed"  # it will not come out; the reason says why
    CANCELED = "canceled"  # a person wanted it no more; some copies may have been out already
    UNSURE = "unsure"  # it may have come out: a person is asked


class PrintJobState(StrEnum):
    """Where a row of the print ledger is. Each is written before the step after it is taken."""

    INTENDED = "intended"  # nothing was sent
    CREATED = "created"  # the printer gave a job-id; no byte of the document was sent
    SENDING = "sending"  # the document is on its way: the printer may hold some of it
    SENT = "sent"  # the printer acknowledged the whole document
    COMPLETED = "completed"  # the printer says completed
    ABORTED = "aborted"  # the printer gave up, or never took it
    CANCELED = "canceled"  # withdrawn
    UNSURE = "unsure"  # no printer history can tell whether paper came out


class QueueJobState(StrEnum):
    """Where a job of a print queue is. What IPP calls it depends on its ticket too: ipp/job_state."""

    INCOMING = "incoming"  # begun by a client; not all of its documents are here
    HELD = "held"  # until a person, or its client, releases it
    PENDING = "pending"  # whole, and waiting for its turn
    CONVERTING = "converting"  # its documents become pictures
    PRINTING = "printing"  # it is a ticket
    COMPLETED = "completed"
    CANCELED = "canceled"
    ABORTED = "aborted"  # by the box; the reason says why


T, S, P, Q = TicketState, SheetState, PrintJobState, QueueJobState

TICKET_MOVES: dict[tuple[TicketState, str], TicketState] = {
    (T.WAITING, "start"): T.RENDERING,
    (T.RENDERING, "drawn"): T.RENDERED,
    (T.RENDERING, "finish"): T.FINISHED,  # other tickets of its record do all that there is to do
    (T.RENDERED, "send"): T.PRINTING,
    (T.RENDERED, "finish"): T.FINISHED,
    (T.PRINTING, "finish"): T.FINISHED,
    (T.RENDERED, "ask"): T.HELD,
    (T.PRINTING, "ask"): T.HELD,
    (T.HELD, "release"): T.RENDERED,
    (T.HELD, "resume"): T.PRINTING,
    (T.HELD, "finish"): T.FINISHED,
    **{(state, "fail"): T.FAILED for state in (T.RENDERING, T.RENDERED, T.PRINTING, T.HELD)},
    **{(state, "cancel"): T.CANCELED for state in (T.WAITING, T.RENDERING, T.RENDERED, T.PRINTING, T.HELD)},
}

SHEET_MOVES: dict[tuple[SheetState, str], SheetState] = {
    (S.PLANNED, "draw"): S.DRAWN,
    (S.PLANNED, "fail"): S.FAILED,
    (S.DRAWN, "assign"): S.ASSIGNED,
    (S.DRAWN, "fail"): S.FAILED,
    (S.ASSIGNED, "give back"): S.DRAWN,
    (S.ASSIGNED, "print"): S.PRINTED,
    (S.ASSIGNED, "doubt"): S.UNSURE,
    (S.ASSIGNED, "fail"): S.FAILED,
    (S.UNSURE, "print"): S.PRINTED,  # a person: it came out
    (S.UNSURE, "give back"): S.DRAWN,  # a person: it did not, print it again
    (S.UNSURE, "fail"): S.FAILED,
    **{(state, "cancel"): S.CANCELED for state in (S.PLANNED, S.DRAWN, S.ASSIGNED, S.UNSURE)},
}

PRINT_JOB_MOVES: dict[tuple[PrintJobState, str], PrintJobState] = {
    (P.INTENDED, "create"): P.CREATED,
    (P.INTENDED, "begin"): P.SENDING,  # Print-Job, where a printer has no Create-Job
    (P.INTENDED, "abort"): P.ABORTED,
    (P.INTENDED, "cancel"): P.CANCELED,
    (P.INTENDED, "doubt"): P.UNSURE,
    (P.CREATED, "begin"): P.SENDING,
    (P.CREATED, "abort"): P.ABORTED,
    (P.CREATED, "cancel"): P.CANCELED,
    (P.CREATED, "doubt"): P.UNSURE,
    (P.SENDING, "send"): P.SENT,
    (P.SENDING, "retry"): P.CREATED,  # the printer shows that the document never began
    (P.SENDING, "abort"): P.ABORTED,
    (P.SENDING, "cancel"): P.CANCELED,
    (P.SENDING, "doubt"): P.UNSURE,
    (P.SENT, "complete"): P.COMPLETED,
    (P.SENT, "abort"): P.ABORTED,
    (P.SENT, "cancel"): P.CANCELED,
    (P.SENT, "doubt"): P.UNSURE,
    (P.UNSURE, "complete"): P.COMPLETED,
    (P.UNSURE, "abort"): P.ABORTED,
}

QUEUE_JOB_MOVES: dict[tuple[QueueJobState, str], QueueJobState] = {
    (Q.INCOMING, "close"): Q.PENDING,
    (Q.INCOMING, "hold"): Q.HELD,
    (Q.PENDING, "hold"): Q.HELD,
    (Q.HELD, "release"): Q.PENDING,
    (Q.PENDING, "convert"): Q.CONVERTING,
    (Q.CONVERTING, "retry"): Q.PENDING,  # the box went down in between
    (Q.CONVERTING, "open"): Q.PRINTING,
    (Q.PRINTING, "complete"): Q.COMPLETED,
    (Q.PRINTING, "proof"): Q.HELD,  # the first copy is out; a release prints the others
    (Q.COMPLETED, "again"): Q.PENDING,
    (Q.CANCELED, "again"): Q.PENDING,
    (Q.ABORTED, "again"): Q.PENDING,
    **{(state, "cancel"): Q.CANCELED for state in (Q.INCOMING, Q.HELD, Q.PENDING, Q.CONVERTING, Q.PRINTING)},
    **{(state, "abort"): Q.ABORTED for state in (Q.INCOMING, Q.PENDING, Q.CONVERTING, Q.PRINTING)},
}

ENDED_QUEUE_JOBS = frozenset({Q.COMPLETED, Q.CANCELED, Q.ABORTED})
ENDED_TICKETS = frozenset({T.FINISHED, T.FAILED, T.CANCELED})
SETTLED_SHEETS = frozenset({S.PRINTED, S.FAILED, S.CANCELED})
SETTLED_PRINT_JOBS = frozenset({P.COMPLETED, P.ABORTED, P.CANCELED})
OPEN_PRINT_JOBS = (P.INTENDED, P.CREATED, P.SENDING, P.SENT)  # a printer has them in hand, as far as we know

State = TypeVar("State", bound=StrEnum)


def after(moves: dict[tuple[State, str], State], what: str, state: State, event: str) -> State:
    """The state that an event leads to.

    Raises:
        ImpossibleMove: the table has no such move; names the thing, its state and the event.
    """
    try:
        return moves[state, event]
    except KeyError:
        raise ImpossibleMove(what, state, event) from None
