"""What a print job that is not settled needs next, from our record and the printer's list. Pure.

What decides: a document is sent only in the state SENDING, which is written before the first byte; so in INTENDED and
CREATED no paper can have moved, and in SENDING nobody can know unless the printer shows that it has not begun. Servers
were measured that print half a document and report `completed` when the sender dies in mid upload, so `completed`
vouches only for what our record says was acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from ipp.attributes import ENDED_JOBS, JobState
from ipp.client import ListedJob
from store.records import PrintJob
from store.states import PrintJobState


class Verdict(StrEnum):
    """What to do with a print job."""

    GIVE_BACK = "give back"  # provably nothing was printed: the sheet may go anywhere
    WITHDRAW = (
        "withdraw"  # it is there and has not begun: when the printer says that it is canceled, nothing was printed
    )
    SEND = "send"  # the job is there and waits for its document
    FOLLOW = "follow"  # the document was acknowledged: wait for the end
    COMPLETE = "complete"
    ABORT = "abort"  # the printer ended it, and says so
    DOUBT = "doubt"  # ask a person


# A job in one of these states with one of these reasons has no document yet (RFC 8011 §5.3.8, PWG 5100.7).
_WITHOUT_DOCUMENT = frozenset({"job-incoming", "job-data-insufficient"})
_WAITING = (JobState.PENDING, JobState.PENDING_HELD)
NAME_LEAST = 4  # letters of a name's last, random part that must be left of it when a printer cuts names
UP_TIME_SLACK_S = 10.0  # clocks of printers are not ours


# -- which of the printer's jobs is ours ------------------------------------------------------------------------


def find(ours: PrintJob, jobs: Iterable[ListedJob], passed_s: float | None = None) -> ListedJob | None:
    """Our job in a printer's list.

    Its name says it, or its job-uuid. A number alone never does: printers use theirs again after a restart. But where a
    printer drops, cuts or changes names, its number is good together with what it showed when it took the job, as long
    as its up-time shows that it has run ever since.

    Args:
        ours: the row.
        jobs: the printer's.
        passed_s: since the printer took the job; None where that is not known.
    """
    jobs = list(jobs)
    by_name = next((job for job in jobs if job.name == ours.job_name), None)
    if by_name is not None:
        return by_name
    known = ours.identity
    if known is not None and known.uuid:
        by_uuid = next((job for job in jobs if job.uuid == known.uuid), None)
        if by_uuid is not None:
            return by_uuid
    by_cut_name = [job for job in jobs if _is_cut(ours.job_name, job.name)]
    if len(by_cut_name) == 1:
        return by_cut_name[0]
    return next((job for job in jobs if _is_same_number(ours, job, passed_s)), None)


def _is_cut(whole: str, shown: str) -> bool:
    """Whether a name is the beginning of another, with enough of what no other name has."""
    at = whole.rfind("-") + 1
    return len(shown) >= at + NAME_LEAST and whole.startswith(shown)


def _is_same_number(ours: PrintJob, job: ListedJob, passed_s: float | None) -> bool:
    known = ours.identity
    if known is None or ours.job_id is None or job.job_id != ours.job_id or job.name != known.name:
        return False
    if known.uuid and job.uuid:
        return False  # compared before, and another
    if known.made_s is None or job.made_s != known.made_s or job.up_s is None or passed_s is None:
        return False
    return job.up_s >= known.made_s + passed_s - UP_TIME_SLACK_S


# -- what follows -----------------------------------------------------------------------------------------------


def judge(state: PrintJobState, listed: ListedJob | None, copies: int = 1, is_held: bool = False) -> Verdict:
    """What follows from our record and the printer's.

    Args:
        state: what our ledger says.
        listed: the printer's job, or None when it lists none of ours.
        is_held: the printer was asked to hold the job, and it was not released: then nothing of it can be on paper.
        copies: that were asked for: a printer that tells of fewer impressions has not said that all came out.
    """
    if state in (PrintJobState.INTENDED, PrintJobState.CREATED):
        return Verdict.GIVE_BACK if listed is None or listed.state in ENDED_JOBS else Verdict.SEND
    if state is PrintJobState.SENDING:
        return _of_interrupted(listed, is_held)
    if listed is None:
        return Verdict.DOUBT  # acknowledged, but the history cannot vouch for the end
    if listed.state is JobState.COMPLETED:
        return Verdict.DOUBT if 0 < (listed.impressions_completed or copies) < copies else Verdict.COMPLETE
    if listed.state in ENDED_JOBS:
        return Verdict.ABORT if not listed.impressions_completed else Verdict.DOUBT
    return Verdict.FOLLOW


def _of_interrupted(listed: ListedJob | None, is_held: bool) -> Verdict:
    """The document was on its way when we lost touch."""
    if listed is not None and waits_for_document(listed):
        return Verdict.SEND
    if is_held and (listed is None or listed.state in (JobState.CANCELED, JobState.ABORTED)):
        return Verdict.GIVE_BACK
    return Verdict.WITHDRAW if listed is not None and is_unbegun(listed) else Verdict.DOUBT


def waits_for_document(job: ListedJob) -> bool:
    """Whether a listed job's document provably never began."""
    if job.state not in _WAITING:
        return False
    has_none = job.documents == 0 and not job.k_octets  # PWG 5100.7 §6.3, RFC 8011 §5.3.17.1
    return has_none or bool(_WITHOUT_DOCUMENT & set(job.reasons))


def is_unbegun(job: ListedJob) -> bool:
    """Whether a printer says that it has not begun with a job."""
    return job.state in _WAITING and not job.impressions_completed
