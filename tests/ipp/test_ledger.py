"""What a crash left, and what follows: each row of DESIGN's rule."""

from __future__ import annotations

import pytest

from ipp.attributes import JobState
from ipp.client import ListedJob
from ipp.ledger import Verdict, find, judge
from store.states import PrintJobState as P


def listed(state: JobState, *reasons: str, impressions: int | None = None) -> ListedJob:
    return ListedJob(9, "printroom-1-1-ab", state, reasons, "", impressions)


WAITS = listed(JobState.PENDING_HELD, "job-data-insufficient")
INCOMING = listed(JobState.PENDING, "job-incoming")
QUEUED = listed(JobState.PENDING)
PRINTING = listed(JobState.PROCESSING, "job-printing")
DONE = listed(JobState.COMPLETED, impressions=1)
TIMED_OUT = listed(JobState.ABORTED, "aborted-by-system")
HALF = listed(JobState.ABORTED, "aborted-by-system", impressions=1)


@pytest.mark.parametrize(
    ("state", "job", "verdict"),
    [
        # No byte of a document was sent: the sheet is free, or its job waits for it.
        (P.INTENDED, None, Verdict.GIVE_BACK),
        (P.INTENDED, WAITS, Verdict.SEND),
        (P.INTENDED, TIMED_OUT, Verdict.GIVE_BACK),
        (P.CREATED, None, Verdict.GIVE_BACK),
        (P.CREATED, INCOMING, Verdict.SEND),
        # The document was under way: only a printer that still waits for it can clear us.
        (P.SENDING, WAITS, Verdict.SEND),
        (P.SENDING, QUEUED, Verdict.DOUBT),
        (P.SENDING, PRINTING, Verdict.DOUBT),
        (P.SENDING, DONE, Verdict.DOUBT),  # servers complete half a document
        (P.SENDING, TIMED_OUT, Verdict.DOUBT),
        (P.SENDING, None, Verdict.DOUBT),
        # The document was acknowledged whole.
        (P.SENT, PRINTING, Verdict.FOLLOW),
        (P.SENT, DONE, Verdict.COMPLETE),
        (P.SENT, TIMED_OUT, Verdict.ABORT),
        (P.SENT, HALF, Verdict.DOUBT),  # aborted does not mean that no paper moved
        (P.SENT, None, Verdict.DOUBT),
    ],
)
def test_the_rule(state: P, job: ListedJob | None, verdict: Verdict) -> None:
    assert judge(state, job) is verdict


def test_jobs_are_known_by_name_and_never_by_number() -> None:
    other = ListedJob(9, "somebody else's", JobState.COMPLETED, (), "", 1)
    assert find("printroom-1-1-ab", [other]) is None
    assert find("printroom-1-1-ab", [other, PRINTING]) is PRINTING


@pytest.mark.parametrize(
    ("job", "verdict"),
    [
        (None, Verdict.GIVE_BACK),
        (listed(JobState.PENDING_HELD, "job-incoming"), Verdict.SEND),
        (listed(JobState.PENDING_HELD, "job-hold-until-specified"), Verdict.WITHDRAW),
        (listed(JobState.CANCELED), Verdict.GIVE_BACK),
        (listed(JobState.PROCESSING), Verdict.DOUBT),  # somebody released it at the printer
        (listed(JobState.COMPLETED), Verdict.DOUBT),
    ],
)
def test_of_a_held_job_nothing_is_on_paper(job: ListedJob | None, verdict: Verdict) -> None:
    assert judge(P.SENDING, job, is_held=True) is verdict
