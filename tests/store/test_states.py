"""The tables of moves: every state can be left or is an end, and an illegal move changes nothing."""

from __future__ import annotations

from enum import StrEnum

import pytest

from store import states
from store.errors import ImpossibleMove
from store.states import PrintJobState, SheetState, TicketState

MACHINES: list[tuple[type[StrEnum], dict[tuple[StrEnum, str], StrEnum], set[StrEnum], StrEnum]] = [
    (TicketState, states.TICKET_MOVES, set(states.ENDED_TICKETS), TicketState.WAITING),  # type: ignore[list-item]
    (SheetState, states.SHEET_MOVES, set(states.SETTLED_SHEETS), SheetState.PLANNED),  # type: ignore[list-item]
    (PrintJobState, states.PRINT_JOB_MOVES, set(states.SETTLED_PRINT_JOBS), PrintJobState.INTENDED),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("kind", "moves", "ends", "start"), MACHINES)
def test_ends_have_no_way_out_and_all_else_has(
    kind: type[StrEnum], moves: dict[tuple[StrEnum, str], StrEnum], ends: set[StrEnum], start: StrEnum
) -> None:
    assert {state for state, _ in moves} == set(kind) - ends


@pytest.mark.parametrize(("kind", "moves", "ends", "start"), MACHINES)
def test_every_state_can_be_reached_and_leads_to_an_end(
    kind: type[StrEnum], moves: dict[tuple[StrEnum, str], StrEnum], ends: set[StrEnum], start: StrEnum
) -> None:
    def reachable(origin: StrEnum) -> set[StrEnum]:
        found, todo = {origin}, [origin]
        while todo:
            state = todo.pop()
            for (before, _), after in moves.items():
                if before == state and after not in found:
                    found.add(after)
                    todo.append(after)
        return found

    assert reachable(start) == set(kind)
    assert all(reachable(state) & ends for state in kind)


def test_a_refused_move_says_what_state_and_which_event() -> None:
    with pytest.raises(ImpossibleMove, match="ticket 7 is finished: 'send' is not possible now"):
        states.after(states.TICKET_MOVES, "ticket 7", TicketState.FINISHED, "send")


def test_no_print_job_is_sent_again_once_its_document_was_acknowledged() -> None:
    assert ("sent", "retry") not in {(state.value, event) for state, event in states.PRINT_JOB_MOVES}
    assert all(
        after is not PrintJobState.SENDING
        for (before, _), after in states.PRINT_JOB_MOVES.items()
        if before in (PrintJobState.SENT, PrintJobState.UNSURE, PrintJobState.COMPLETED)
    )
