"""Lines that nobody takes: told exactly once, and never in the way of other tickets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from render.loop import RenderLoop
from render.sources import ImageFolders
from render.workers import Workers
from store import intake
from store.profiles import RenderProfile
from store.records import ItemResult, Outcome, RenderJob, Ticket
from store.states import ENDED_TICKETS, TicketState
from store.tables import Store
from tests.studio import ERROR, FINISH, NOW, SELECT, photo, push


@pytest.fixture
def render(store: Store) -> Iterator[Callable[[], list[Ticket]]]:
    """Runs the loop until every ticket has ended; returns them."""
    workers = Workers(1)
    loop = RenderLoop(store, workers, ImageFolders(), 50_000_000)

    def all_tickets() -> list[Ticket]:
        deadline = time.monotonic() + 60
        while any(ticket.state not in ENDED_TICKETS for ticket in store.tickets.all()):
            assert time.monotonic() < deadline, [ticket.state for ticket in store.tickets.all()]
            if loop.step(NOW):
                time.sleep(0.01)
        return store.tickets.all()

    yield all_tickets
    workers.stop()


def add(store: Store, name: str, status: str = SELECT, finish: str = FINISH, **profile: Any) -> RenderJob:
    """A render job with a profile of the same name."""
    made = store.render_profiles.add(RenderProfile(name=name, **profile))
    return store.render_jobs.add(
        RenderJob(
            name=name, kind="session", select_status=status, profile_ids=(made.id,), finish_status=finish,
            error_status=ERROR,
        )
    )  # fmt: skip


def order(store: Store, *lines: dict[str, Any]) -> None:
    items = [{"id": str(n), "image": "0001.jpg", "size": "4x6", **line} for n, line in enumerate(lines, 1)]
    intake.accept(store, push(photo(store), items), NOW)


def failed(tickets: list[Ticket]) -> list[ItemResult]:
    return [result for ticket in tickets for result in ticket.results if result.outcome is Outcome.FAILED]


def test_an_order_for_another_render_job_fails_with_reasons_and_the_next_one_is_drawn(
    store: Store, render: Callable[[], list[Ticket]]
) -> None:
    add(store, "Prints")
    add(store, "Canvas", status="Ready for canvas")
    order(store, {"render_profile": "Canvas"}, {"render_profile": "Canvas"})
    intake.accept(store, push(photo(store), number="S-2"), NOW)
    first, second = render()
    assert (first.state, second.state) == (TicketState.FAILED, TicketState.FINISHED)
    assert [result.item for result in first.results] == ["1", "2"]
    assert "the line is for the render profile 'Canvas', which is not run with this status" in first.reason
    assert store.records.get(1).status == ERROR


def test_a_line_with_an_unknown_profile_is_a_failed_item(store: Store, render: Callable[[], list[Ticket]]) -> None:
    add(store, "Prints")
    order(store, {}, {"render_profile": "Pirnts"})
    (ticket,) = render()
    assert ticket.state is TicketState.FAILED and store.records.get(1).status == ERROR
    ((line, reason),) = [(result.item, result.reason) for result in failed([ticket])]
    assert line == "2" and "there is no render profile named 'Pirnts'" in reason
    (change,) = store.changes.all()
    assert change.outcome is Outcome.PARTLY and len(change.results) == 2


def test_render_jobs_of_one_status_share_the_lines_and_each_orphan_is_told_once(
    store: Store, render: Callable[[], list[Ticket]]
) -> None:
    add(store, "Small", only_sizes=("4x6",))
    add(store, "Large", only_sizes=("8x10",))
    order(store, {}, {"size": "8x10"}, {"render_profile": "Large"}, {"size": "20x30"}, {"render_profile": "Nobody's"})
    tickets = render()
    done = {(ticket.render_job_name, r.item) for ticket in tickets for r in ticket.results if r not in failed(tickets)}
    assert done == {("Small", "1"), ("Large", "2"), ("Large", "3")}
    assert [result.item for result in failed(tickets)] == ["4", "5"]


def test_a_ticket_whose_siblings_do_it_all_finishes_and_leaves_the_status_to_them(
    store: Store, render: Callable[[], list[Ticket]]
) -> None:
    add(store, "Canvas", only_products=("Canvas",), finish="Canvas is done")
    add(store, "Prints")
    order(store, {})
    canvas, prints = render()
    assert (canvas.state, canvas.results) == (TicketState.FINISHED, ())
    assert "other render jobs of this status do it all" in canvas.reason
    assert prints.state is TicketState.FINISHED and store.records.get(1).status == FINISH
    assert [(change.status, change.outcome) for change in store.changes.all()] == [
        (SELECT, Outcome.DONE),
        (FINISH, Outcome.DONE),
    ]


def test_where_no_ticket_takes_anything_one_of_them_tells_it(store: Store, render: Callable[[], list[Ticket]]) -> None:
    add(store, "Small", only_sizes=("4x6",))
    add(store, "Large", only_sizes=("8x10",))
    order(store, {"size": "20x30"})
    small, large = render()
    assert (small.state, large.state) == (TicketState.FAILED, TicketState.FINISHED)
    assert store.records.get(1).status == ERROR


def test_a_gallery_of_all_images_is_not_asked_for_prints(store: Store, render: Callable[[], list[Ticket]]) -> None:
    add(store, "Gallery", selection="all images", sizing="longest edge")
    order(store, {"render_profile": "Somewhere else"}, {"size": "20x30"})
    (ticket,) = render()
    assert ticket.state is TicketState.FINISHED and len(ticket.results) == 1


def test_a_gallery_beside_prints_does_not_hide_a_line(store: Store, render: Callable[[], list[Ticket]]) -> None:
    add(store, "Gallery", selection="all images", sizing="longest edge")
    add(store, "Small", only_sizes=("4x6",))
    order(store, {"render_profile": "Gallery"}, {"size": "20x30"}, {})
    gallery, small = render()
    assert gallery.state is TicketState.FINISHED
    assert [result.item for result in failed([small])] == ["2"]


def test_run_by_hand_leaves_to_other_render_jobs_what_is_theirs(
    store: Store, render: Callable[[], list[Ticket]]
) -> None:
    add(store, "Small", status="-", only_sizes=("4x6",))
    large = add(store, "Large", status="--", only_sizes=("8x10",))
    order(store, {}, {"size": "8x10"}, {"size": "20x30"})
    intake.run_by_hand(store, store.records.get(1), ["0001.jpg"], large, NOW, "by hand")
    (ticket,) = render()
    assert [(result.item, result.outcome) for result in ticket.results] == [
        ("3", Outcome.FAILED),
        ("2", Outcome.DONE),
    ]


def test_run_by_hand_with_nothing_to_do_says_so(store: Store, render: Callable[[], list[Ticket]]) -> None:
    add(store, "Small", status="-", only_sizes=("4x6",))
    large = add(store, "Large", status="--", only_sizes=("8x10",))
    order(store, {})
    intake.run_by_hand(store, store.records.get(1), ["0001.jpg"], large, NOW, "by hand")
    (ticket,) = render()
    assert ticket.state is TicketState.FAILED and "takes 4x6" in ticket.reason


def test_trying_again_reports_a_line_that_still_nobody_takes(store: Store, render: Callable[[], list[Ticket]]) -> None:
    add(store, "Small", only_sizes=("4x6",))
    order(store, {}, {"size": "20x30"})
    (ticket,) = render()
    intake.retry(store, ticket, NOW)
    assert [result.item for result in failed(render()[1:])] == ["2"]


def test_spaces_around_a_profiles_name_mean_nothing(store: Store, render: Callable[[], list[Ticket]]) -> None:
    add(store, "Prints")
    order(store, {"render_profile": " Prints "}, {"render_profile": "  "})
    assert render()[0].state is TicketState.FINISHED
