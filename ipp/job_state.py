"""Our states of a queue's job and its ticket, as IPP's job-state, job-state-reasons and a sentence. Pure."""

from __future__ import annotations

from ipp.attributes import JobState
from store.queues import PrintQueue, QueueJob
from store.records import Ticket
from store.states import QueueJobState, TicketState

_ENDS = {
    QueueJobState.COMPLETED: (JobState.COMPLETED, "job-completed-successfully"),
    QueueJobState.CANCELED: (JobState.CANCELED, "job-canceled-by-user"),
    QueueJobState.ABORTED: (JobState.ABORTED, "aborted-by-system"),
}


def served_state(job: QueueJob, ticket: Ticket | None, queue: PrintQueue) -> tuple[JobState, tuple[str, ...], str]:
    """What a client is told of a job (RFC 8011 §5.3.7, §5.3.8)."""
    if job.state in _ENDS:
        state, reason = _ENDS[job.state]
        return state, (reason,), job.reason
    if job.state is QueueJobState.INCOMING:
        return JobState.PENDING_HELD, ("job-incoming",), job.reason
    if job.state is QueueJobState.HELD:
        return JobState.PENDING_HELD, ("job-hold-until-specified",), job.reason
    if job.state is QueueJobState.PENDING:
        waits = queue.is_paused or queue.is_shut_down
        return JobState.PENDING, ("printer-stopped" if waits else "none",), job.reason
    if job.state is QueueJobState.CONVERTING or ticket is None:
        return JobState.PROCESSING, ("job-interpreting",), ""
    if ticket.is_paused:
        return JobState.PROCESSING_STOPPED, ("printer-stopped" if queue.is_paused else "job-suspended",), ""
    if ticket.state is TicketState.HELD:
        return JobState.PROCESSING_STOPPED, ("printer-stopped-partly",), ticket.reason
    if ticket.state in (TicketState.WAITING, TicketState.RENDERING):
        return JobState.PROCESSING, ("job-transforming",), ticket.reason
    if ticket.reason:  # it waits for paper, or for a printer
        return JobState.PROCESSING_STOPPED, ("printer-stopped",), ticket.reason
    return JobState.PROCESSING, ("job-printing",), ""
