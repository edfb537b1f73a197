"""Which printer gets which sheet, and what is said when none can."""

from __future__ import annotations

from typing import Any

from ipp.pool import Allocation, Member, Waiting, allocate
from store.profiles import RenderProfile
from store.records import Printer, PrinterPool, PrinterState, PrinterStatus
from store.sizes import parse_size
from tests.studio import NOW

POOL = PrinterPool(id=1, name="Lab")
IDLE = PrinterStatus(state=PrinterState.IDLE, max_copies=99, since=NOW)


def member(number: int, ahead: int = 0, status: PrinterStatus | None = IDLE, **printer: Any) -> Member:
    fields = {"id": number, "name": f"Lab {number}", "uri": "ipp://x", "pool_id": 1, **printer}
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


def test_more_copies_than_a_printer_can_make_wait_with_the_reason() -> None:
    result = allocated(sheets(1, quantity=5), [member(1, status=IDLE.with_(max_copies=1))])
    assert "at most 1 copies" in result.waiting[100]


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
        "use another printer": member(1, status=IDLE.with_(document_formats=("application/pdf",))),
    }
    for words, one in states.items():
        assert words in allocated(sheets(1), [one]).waiting[100]
