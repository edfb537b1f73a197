"""What a crash left, and what follows: each row of DESIGN's rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ipp.attributes import JobState
from ipp.client import ListedJob
from ipp.ledger import Verdict, find, judge
from store.records import JobIdentity, PrintJob
from store.states import PrintJobState as P
from tests.studio import NOW


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
        (P.SENDING, QUEUED, Verdict.WITHDRAW),  # it has not begun: its cancellation tells for sure
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


NAME = "printroom-1-1-abcdef12"


def ours(**identity: Any) -> PrintJob:
    known = JobIdentity(**identity) if identity else None
    return PrintJob(
        id=1, sheet_id=1, ticket_id=1, printer_id=1, job_name=NAME, copies=1, state=P.SENT, job_id=9, intended_at=NOW,
        changed_at=NOW, identity=known,
    )  # fmt: skip


def shown(name: str, job_id: int = 9, **more: Any) -> ListedJob:
    return ListedJob(job_id, name, JobState.COMPLETED, (), "", 1, **more)


def test_a_job_is_known_by_its_name_and_never_by_its_number_alone() -> None:
    other, mine = shown("somebody else's"), shown(NAME, job_id=12)
    assert find(ours(), [other]) is None
    assert find(ours(), [other, mine]) is mine


def test_a_name_that_was_cut_is_known_by_enough_of_its_random_part() -> None:
    assert find(ours(), [shown("printroom-1-1-abcd", 12)]) is not None
    assert find(ours(), [shown("printroom-1-1-ab", 12)]) is None  # another attempt's might begin so, too
    assert find(ours(), [shown("printroom-1-1-abcd", 12), shown("printroom-1-1-abcde", 13)]) is None  # which of them?


def test_a_job_without_its_name_is_known_by_its_uuid() -> None:
    known = ours(uuid="urn:uuid:1", name="")
    assert find(known, [shown("", 3, uuid="urn:uuid:1")]) is not None
    assert find(known, [shown("", 9, uuid="urn:uuid:2")]) is None


@pytest.mark.parametrize(
    ("more", "passed_s", "is_ours"),
    [
        ({"made_s": 100, "up_s": 160}, 60.0, True),
        ({"made_s": 100, "up_s": 152}, 60.0, True),  # its clock is not ours
        ({"made_s": 100, "up_s": 101}, 60.0, False),  # it was started anew and has come to 100 again
        ({"made_s": 99, "up_s": 160}, 60.0, False),  # another job has the number now
        ({"made_s": 100}, 60.0, False),  # it may have been started anew
        ({"made_s": 100, "up_s": 160}, None, False),
        ({}, 60.0, False),
    ],
)
def test_a_number_is_good_as_long_as_the_printer_has_run_since_it_gave_it(
    more: dict[str, int], passed_s: float | None, is_ours: bool
) -> None:
    known = ours(name="Print", made_s=100, made_at=NOW)
    assert (find(known, [shown("Print", 9, **more)], passed_s) is not None) is is_ours
    assert find(known, [shown("Print", 8, **more)], passed_s) is None
    assert find(known, [shown("Letter", 9, **more)], passed_s) is None


@pytest.mark.parametrize(
    ("documents", "k_octets", "waits"),
    [(0, 0, True), (0, None, True), (0, 55, False), (1, 55, False), (None, 0, False)],
)
def test_a_pending_job_of_no_documents_waits_for_one(documents: int | None, k_octets: int | None, waits: bool) -> None:
    job = replace(QUEUED, documents=documents, k_octets=k_octets)
    assert judge(P.SENDING, job) is (Verdict.SEND if waits else Verdict.WITHDRAW)


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
