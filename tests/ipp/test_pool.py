"""Which printer gets which sheet, and what is said when none can."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from ipp.pool import Allocation, Member, Waiting, allocate, bare_reasons
from ipp.waiting import paces
from store.profiles import RenderProfile
from store.records import AllocationMethod, Printer, PrinterPool, PrinterState, PrinterStatus, PrintJob
from store.sizes import parse_size
from store.states import PrintJobState
from tests.studio import NOW

POOL = PrinterPool(id=1, name="Lab")
IDLE = PrinterStatus(state=PrinterState.IDLE, max_copies=99, since=NOW)


def member(number: int, ahead: int = 0, status: PrinterStatus | None = IDLE, **printer: Any) -> Member:
    fields = {"id": number, "name": f"Lab {number}", "uri": f"ipp://{number}", "pool_id": 1, **printer}
    return Member(Printer(**fields), status, ahead)


def sheets(count: int, size: str = "4x6", ticket: int = 1, quantity: int = 1, **profile: Any) -> list[Waiting]:
    made = RenderProfile(name="p", **({"pool_id": 1} | profile))
    return [Waiting(100 * ticket + n, ticket, parse_size(size), quantity, made) for n in range(count)]


def allocated(waiting: list[Waiting], members: list[Member], pool: PrinterPool = POOL, last: int = 0) -> Allocation:
    return allocate(waiting, members, {pool.id: pool}, {pool.id: last} if last else {}, {})


def printers_of(result: Allocation) -> list[int]:
    return [printer for _, printer in result.assigned]


def test_round_robin_takes_turns_and_goes_on_where_it_was() -> None:
    assert printers_of(allocated(sheets(4), [member(1), member(2)])) == [1, 2, 1, 2]
    assert printers_of(allocated(sheets(3), [member(1), member(2), member(3)], last=2)) == [3, 1, 2]


def test_at_most_two_print_jobs_ahead_so_that_work_can_move() -> None:
    result = allocated(sheets(5), [member(1, ahead=1), member(2)])
    assert printers_of(result) == [1, 2, 2]
    assert set(result.waiting.values()) == {"waits for its turn"}


def test_priority_code_prefers_the_highest_and_shares_among_equals() -> None:
    pool = PrinterPool(id=1, name="Lab", allocation_method="priority code")  # type: ignore[arg-type]
    members = [member(1, priority_code=1), member(2, priority_code=9), member(3, priority_code=9)]
    assert printers_of(allocated(sheets(5), members, pool)) == [2, 3, 2, 3, 1]


def test_without_job_split_a_ticket_stays_on_one_printer() -> None:
    pool = PrinterPool(id=1, name="Lab", job_split=False)
    result = allocated([*sheets(3), *sheets(2, ticket=2)], [member(1), member(2)], pool)
    assert [(sheet // 100, printer) for sheet, printer in result.assigned] == [(1, 1), (1, 1), (2, 2), (2, 2)]


def test_stopped_unreachable_and_inactive_members_are_passed_over() -> None:
    stopped = IDLE.with_(state=PrinterState.STOPPED)
    gone = IDLE.with_(state=PrinterState.UNREACHABLE)
    members = [member(1, status=stopped), member(2, status=gone), member(3, inactive=True), member(4)]
    assert printers_of(allocated(sheets(2), members)) == [4, 4]


def test_paper_that_is_not_loaded_is_asked_for_by_name_and_others_pass() -> None:
    loaded = IDLE.with_(media_ready=(parse_size("4x6"),))
    result = allocated([*sheets(1, "8x10", ticket=1), *sheets(1, "6x4", ticket=2)], [member(1, status=loaded)])
    assert result.waiting == {100: "load 8x10 paper in Lab 1"}
    assert result.assigned == [(200, 1)]


def test_a_size_that_no_printer_allows_can_never_be_printed() -> None:
    members = [member(1, allowable_print_sizes=("4x6",)), member(2, allowable_print_sizes=("5x7",))]
    result = allocated(sheets(1, "8x10"), members)
    assert "no printer of the pool 'Lab' allows 8x10 prints" in result.impossible[100]
    assert printers_of(allocated(sheets(2, "5x7"), members)) == [2, 2]


def test_a_printer_that_is_off_for_the_moment_does_not_make_its_size_impossible() -> None:
    result = allocated(sheets(1, "8x10"), [member(1, inactive=True), member(2, allowable_print_sizes=("4x6",))])
    assert not result.impossible and "no active printer" in result.waiting[100]


def test_a_deleted_pool_or_printer_is_said() -> None:
    assert "pool of the profile 'p' was deleted" in allocated(sheets(1, pool_id=9), [member(1)]).impossible[100]
    lost = sheets(1, pool_id=None, printer_id=9)
    assert "printer of the profile 'p' was deleted" in allocated(lost, [member(1)]).impossible[100]


def test_every_reason_says_what_to_do() -> None:
    states = {
        "switch it on": member(1, uri=""),
        "has not answered yet": member(1, status=None),
        "check its network cable": member(1, status=IDLE.with_(state=PrinterState.UNREACHABLE)),
        "look at its display": member(1, status=IDLE.with_(state=PrinterState.STOPPED, message="jam")),
        "does not accept jobs": member(1, status=IDLE.with_(accepting=False)),
        "use another printer": member(1, status=IDLE.with_(document_formats=("application/postscript",))),
    }
    for words, one in states.items():
        assert words in allocated(sheets(1), [one]).waiting[100]


def test_least_busy_gives_to_whoever_would_be_done_first() -> None:
    pool = PrinterPool(id=1, name="Lab", allocation_method=AllocationMethod.LEAST_BUSY)
    slow = replace(member(1), seconds_per_copy=30.0)
    quick = replace(member(2), seconds_per_copy=8.0, backlog=2, ahead=1)
    orders = [sheet for ticket in (1, 2, 3) for sheet in sheets(1, ticket=ticket)]
    result = allocate(orders, [slow, quick], {1: pool}, {}, {})
    assert [printer for _, printer in result.assigned] == [2, 1, 1]  # 24 s against 30; then the quick one has two ahead


def test_a_backlog_counts_copies_and_not_jobs() -> None:
    pool = PrinterPool(id=1, name="Lab", allocation_method=AllocationMethod.LEAST_BUSY)
    one_long, two_short = replace(member(1), backlog=50, ahead=1), replace(member(2), backlog=1, ahead=1)
    assert [printer for _, printer in allocate(sheets(1), [one_long, two_short], {1: pool}, {}, {}).assigned] == [2]


def test_severities_of_reasons_do_not_hide_them_and_reports_are_not_troubles() -> None:
    status = IDLE.with_(state_reasons=("media-empty-error", "marker-supply-low-report", "cover-open-warning"))
    assert bare_reasons(status) == {"media-empty", "cover-open"}


def test_the_pace_of_a_printer_is_its_median_time_for_a_copy() -> None:
    def job(end_s: int, copies: int = 1) -> PrintJob:
        return PrintJob(
            sheet_id=1, ticket_id=1, printer_id=7, job_name="x", copies=copies, state=PrintJobState.COMPLETED,
            intended_at=NOW, changed_at=NOW + timedelta(seconds=end_s), impressions_completed=copies,
        )  # fmt: skip

    assert paces([job(10), job(20), job(50, copies=3), job(200)]) == {7: 10.0}
    assert paces([job(10)]) == {}


def test_a_small_order_stays_together_and_a_large_one_is_split() -> None:
    small = allocated(sheets(3), [member(1), member(2)])  # 30 s on one printer, 15 s on two
    assert [printer for _, printer in small.assigned] == [1, 2, 1]
    smaller = allocated(sheets(2), [member(1), member(2)])  # 20 s, or 10 s
    assert [printer for _, printer in smaller.assigned] == [1, 1]


def test_an_order_is_kept_together_by_all_that_is_left_of_it_and_not_by_what_is_looked_at() -> None:
    result = allocate(sheets(2), [member(1), member(2)], {1: POOL}, {}, {}, {1: 40})
    assert [printer for _, printer in result.assigned] == [1, 2]


def test_a_printer_that_reports_a_trouble_is_a_second_choice() -> None:
    troubled = member(1, status=IDLE.with_(state_reasons=("media-empty-error",)))
    assert printers_of(allocated(sheets(1), [troubled, member(2)])) == [2]
    assert printers_of(allocated(sheets(1), [troubled])) == [1]


def test_an_order_leaves_a_printer_that_has_stopped() -> None:
    stopped = member(1, status=IDLE.with_(state=PrinterState.STOPPED))
    result = allocate(sheets(2), [stopped, member(2)], {1: POOL}, {}, {(1, 1): [1]})
    assert [printer for _, printer in result.assigned] == [2, 2]


def test_a_pool_that_does_not_split_waits_for_the_printer_that_has_begun() -> None:
    pool = PrinterPool(id=1, name="Lab", job_split=False)
    stopped = member(1, status=IDLE.with_(state=PrinterState.STOPPED, message="paper jam"))
    result = allocate(sheets(1), [stopped, member(2)], {1: pool}, {}, {(1, 1): [1]})
    assert result.assigned == [] and "Lab 1 is stopped (paper jam)" in result.waiting[100]
