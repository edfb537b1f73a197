"""A record arrives: which tickets open, and which do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from store import intake, outbox, progress
from store.intake import Answer
from store.records import DesktopClient, ItemResult, Outcome
from store.states import TicketState
from store.tables import Store
from tests.studio import ERROR, FINISH, NOW, SELECT, add_render_job, photo, push


def finish(store: Store, ticket_id: int, outcome: Outcome = Outcome.DONE) -> None:
    with store.transaction():
        ticket = store.tickets.get(ticket_id)
        for event in ("start", "drawn"):
            ticket = progress.move_ticket(store, ticket, event, NOW)
        result = ItemResult(item="1", image="0001.jpg", profile="p", outcome=outcome, reason="torn paper")
        progress.end_ticket(store, ticket, (result,), NOW)


def test_a_change_to_the_select_status_opens_one_ticket(store: Store) -> None:
    add_render_job(store)
    digest = photo(store)
    assert intake.accept(store, push(digest, status="Taken"), NOW).tickets == ()
    receipt = intake.accept(store, push(digest, revision=2), NOW)
    assert receipt.answer is Answer.ACCEPTED and len(receipt.tickets) == 1
    assert intake.accept(store, push(digest, revision=3), NOW).tickets == ()


def test_the_same_push_twice_is_one_ticket(store: Store) -> None:
    add_render_job(store)
    record = push(photo(store))
    assert intake.accept(store, record, NOW).tickets == (1,)
    again = intake.accept(store, record, NOW)
    assert (again.answer, again.tickets) == (Answer.UNCHANGED, ())


def test_an_older_revision_changes_nothing(store: Store) -> None:
    add_render_job(store)
    digest = photo(store)
    intake.accept(store, push(digest, revision=5, status="Taken"), NOW)
    receipt = intake.accept(store, push(digest, revision=4), NOW)
    assert (receipt.answer, receipt.record.revision, receipt.record.status) == (Answer.STALE, 5, "Taken")
    assert len(store.tickets) == 0


def test_the_same_revision_with_other_content_is_stale(store: Store) -> None:
    digest = photo(store)
    intake.accept(store, push(digest), NOW)
    assert intake.accept(store, push(digest, client_name="Somebody else"), NOW).answer is Answer.STALE


def test_every_matching_render_job_opens_its_own_ticket(store: Store) -> None:
    add_render_job(store, name="one")
    add_render_job(store, name="two")
    add_render_job(store, name="asleep", inactive=True)
    add_render_job(store, name="other kind", kind="invoice")
    intake.accept(store, push(photo(store)), NOW)
    assert [ticket.render_job_name for ticket in store.tickets.all()] == ["one", "two"]


def test_a_ticket_freezes_its_instructions(store: Store) -> None:
    job = add_render_job(store, dpi=300)
    intake.accept(store, push(photo(store)), NOW)
    profile = store.render_profiles.get(1)
    store.render_profiles.put(profile.with_(dpi=72))
    store.render_jobs.put(job.with_(finish_status="Something else"))
    frozen = store.instructions.get(1)
    assert frozen.profiles[0].dpi == 300 and frozen.render_job.finish_status == FINISH


@pytest.mark.parametrize(("outcome", "status"), [(Outcome.DONE, FINISH), (Outcome.FAILED, ERROR)])
def test_the_end_of_a_ticket_is_the_records_status_and_a_change_for_the_desktops(
    store: Store, outcome: Outcome, status: str
) -> None:
    add_render_job(store)
    intake.accept(store, push(photo(store)), NOW)
    finish(store, 1, outcome)
    (change,) = outbox.changes_after(store, 0)
    assert (change.status, change.previous_status, change.outcome) == (status, SELECT, outcome)
    assert store.records.get(1).status == status


def test_a_desktop_that_has_not_seen_the_finish_status_yet_does_not_open_the_ticket_again(store: Store) -> None:
    """It edits the record, still showing the select status: nothing changed to the select status."""
    add_render_job(store)
    digest = photo(store)
    intake.accept(store, push(digest), NOW)
    finish(store, 1)
    receipt = intake.accept(store, push(digest, revision=2, client_name="Corrected name"), NOW)
    assert (receipt.tickets, receipt.record.status) == ((), FINISH)


def test_after_the_desktop_took_the_finish_status_setting_the_select_status_again_prints_again(store: Store) -> None:
    add_render_job(store)
    digest = photo(store)
    client = store.desktop_clients.add(DesktopClient(name="desk", token_sha256="0" * 64, created_at=NOW))
    intake.accept(store, push(digest), NOW)
    finish(store, 1)
    client = outbox.acknowledge(store, client, 1)
    assert intake.accept(store, push(digest, revision=2, status=FINISH), NOW).tickets == ()
    assert intake.accept(store, push(digest, revision=3), NOW).tickets == (2,)


def test_everything_of_a_push_is_there_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    add_render_job(store)
    intake.accept(store, push(photo(store)), NOW)
    store.close()
    store = Store(tmp_path)
    assert store.tickets.get(1).state is TicketState.WAITING
    assert store.instructions.get(1).record.number == "S-1"
    store.close()
