"""What a print job that is not settled needs next, from our record and the printer's list. Pure.

The rule is DESIGN §6's. What decides: a document is sent only in the state SENDING, which is written before the first
byte; so in INTENDED and CREATED no paper can have moved, and in SENDING nobody can know unless the printer still
waits for the document. Servers were measured that print half a document and report `completed` when the sender dies
in mid upload, so `completed` vouches only for what our record says was acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from ipp.attributes import ENDED_JOBS, JobState
from ipp.client import ListedJob
from store.states import PrintJobState


class Verdict(StrEnum):
    """What to do with a print job."""

    GIVE_BACK = "give back"  # provably nothing was printed: the sheet may go anywhere
    WITHDRAW = "withdraw"  # it is held there, so nothing was printed: cancel it, and the sheet may go anywhere
    SEND = "send"  # the job is there and waits for its document
    FOLLOW = "follow"  # the document was acknowledged: wait for the end
    COMPLETE = "complete"
    ABORT = "abort"  # the printer ended it, and says so
    DOUBT = "doubt"  # ask a person


# A job in one of these states with one of these reasons has no document yet (RFC 8011 §5.3.8, PWG 5100.7).
_WITHOUT_DOCUMENT = frozenset({"job-incoming", "job-data-insufficient"})


def find(name: str, jobs: Iterable[ListedJob]) -> ListedJob | None:
    """Our job in a printer's list, by its name, never by its id: printers use ids again after a restart."""
    return next((job for job in jobs if job.name == name), None)


def judge(state: PrintJobState, listed: ListedJob | None, copies: int = 1, is_held: bool = False) -> Verdict:
    """What follows from our record and the printer's.

    Args:
        state: what our ledger says.
        listed: the printer's job of that name, or None when it lists none.
        is_held: the printer was asked to hold the job, and it was not released: then nothing of it can be on paper.
        copies: that were asked for: a printer that tells of fewer impressions has not said that all came out.
    """
    if state in (PrintJobState.INTENDED, PrintJobState.CREATED):
        return Verdict.GIVE_BACK if listed is None or listed.state in ENDED_JOBS else Verdict.SEND
    if state is PrintJobState.SENDING and is_held:
        if listed is None or listed.state in (JobState.CANCELED, JobState.ABORTED):
            return Verdict.GIVE_BACK
        if listed.state is JobState.PENDING_HELD:
            return Verdict.SEND if waits_for_document(listed) else Verdict.WITHDRAW
    if state is PrintJobState.SENDING:
        return Verdict.SEND if listed is not None and waits_for_document(listed) else Verdict.DOUBT
    if listed is None:
        return Verdict.DOUBT  # acknowledged, but the history cannot vouch for the end
    if listed.state is JobState.COMPLETED:
        return Verdict.DOUBT if 0 < (listed.impressions_completed or copies) < copies else Verdict.COMPLETE
    if listed.state in ENDED_JOBS:
        return Verdict.ABORT if not listed.impressions_completed else Verdict.DOUBT
    return Verdict.FOLLOW


def waits_for_document(job: ListedJob) -> bool:
    """Whether a listed job's document provably never began."""
    return job.state in (JobState.PENDING, JobState.PENDING_HELD) and bool(_WITHOUT_DOCUMENT & set(job.reasons))


def is_unbegun(job: ListedJob) -> bool:
    """Whether a printer says that it has not begun with a job whose document it has."""
    return job.state in (JobState.PENDING, JobState.PENDING_HELD) and not job.impressions_completed
