"""Records in the panel: found again, and a render job run on one by hand; tickets held and resumed."""

from __future__ import annotations

from flask.testing import FlaskClient

from render.loop import RenderLoop
from render.sources import ImageFolders
from render.workers import Workers
from store import intake, progress
from store.pushed import RecordKind
from store.records import ItemResult, Outcome
from store.states import TicketState
from store.tables import Store
from tests.studio import NOW, add_render_job, photo, push


def test_records_are_found_by_number_client_and_status(panel: FlaskClient, store: Store) -> None:
    assert "No records yet" in panel.get("/records/").data.decode()
    known = (("S-1", "Avery Lindqvist", "Booked"), ("S-2", "Kim Osei", "Ready"), ("X-3", "", "-"))
    for number, client, status in known:
        intake.accept(store, push(photo(store, 1, 60, 40), number=number, client_name=client, status=status), NOW)
    hidden = push(photo(store, 1, 60, 40), number="drop").with_(kind=RecordKind.HOT_FOLDER)
    intake.keep_record(store, hidden, None, NOW)

    def found(text: str) -> set[str]:
        page = panel.get("/records/", query_string={"q": text}).data.decode()
        return {number for number in ("S-1", "S-2", "X-3", "drop") if number in page.split("</form>")[-1]}

    assert found("s-") == {"S-1", "S-2"}
    assert found("osei") == {"S-2"} and found("booked") == {"S-1"}
    assert found("") == {"S-1", "S-2", "X-3"}
    assert "No record has" in panel.get("/records/?q=nothing").data.decode()


def test_a_record_shows_what_was_ordered_and_its_tickets(panel: FlaskClient, store: Store) -> None:
    add_render_job(store)
    intake.accept(store, push(photo(store, 1, 60, 40)), NOW)
    page = panel.get("/records/1").data.decode()
    assert "Avery Lindqvist" in page and "4x6" in page and "Ticket 1" in page and "Ready to print" in page


def test_a_render_job_runs_by_hand_on_some_of_the_pictures(panel: FlaskClient, store: Store) -> None:
    render_job = add_render_job(store)
    intake.accept(store, push([photo(store, 1, 60, 40), photo(store, 2, 60, 40)], status="Booked"), NOW)
    nothing = panel.post("/records/1/run", data={"render_job_id": render_job.id})
    assert nothing.status_code == 422 and "at least one picture" in nothing.data.decode()
    foreign = panel.post("/records/1/run", data={"render_job_id": 99, "images": "0001.jpg"})
    assert foreign.status_code == 422
    answer = panel.post("/records/1/run", data={"render_job_id": render_job.id, "images": "0002.jpg"})
    assert answer.headers["Location"] == "/tickets/1"
    frozen = store.instructions.get(1).record
    assert [image.name for image in frozen.images] == [item.image for item in frozen.items] == ["0002.jpg"]
    assert store.tickets.get(1).trace[0].note == "run by hand in the panel"
    assert len(store.records.get(1).images) == 2


def test_a_ticket_is_held_and_resumed(panel: FlaskClient, store: Store) -> None:
    add_render_job(store)
    intake.accept(store, push(photo(store, 1, 60, 40)), NOW)
    panel.post("/tickets/1/hold")
    assert store.tickets.get(1).is_paused and "On hold" in panel.get("/tickets/1").data.decode()
    panel.post("/tickets/1/resume")
    assert not store.tickets.get(1).is_paused
    panel.post("/tickets/1/cancel")
    assert panel.post("/tickets/1/hold").status_code == 409
    assert store.tickets.get(1).state is TicketState.CANCELED


def test_all_processing_is_paused_and_goes_on(panel: FlaskClient, store: Store) -> None:
    add_render_job(store)
    loop = RenderLoop(store, Workers(1), ImageFolders(), 10**8)
    try:
        panel.post("/processing/pause")
        assert "Processing is paused" in panel.get("/").data.decode()
        intake.accept(store, push(photo(store, 1, 60, 40)), NOW)  # still taken
        loop.step(NOW)
        assert store.tickets.get(1).state is TicketState.WAITING
        panel.post("/processing/resume")
        loop.step(NOW)
        assert store.tickets.get(1).state is TicketState.RENDERING
    finally:
        loop.stop()


def test_what_failed_is_tried_again_and_nothing_else(panel: FlaskClient, store: Store) -> None:
    add_render_job(store)
    intake.accept(store, push([photo(store, 1, 60, 40), photo(store, 2, 60, 40)]), NOW)
    assert panel.post("/tickets/1/retry").status_code == 409
    with store.transaction():
        ticket = store.tickets.get(1)
        for event in ("start", "drawn"):
            ticket = progress.move_ticket(store, ticket, event, NOW)
        done = ItemResult(item="1", image="0001.jpg", profile="Lab prints", outcome=Outcome.DONE)
        failed = ItemResult(item="2", image="0002.jpg", profile="Lab prints", outcome=Outcome.FAILED, reason="torn")
        progress.end_ticket(store, ticket, (done, failed), NOW)
    assert "Try it again" in panel.get("/tickets/1").data.decode()
    assert panel.post("/tickets/1/retry").headers["Location"] == "/tickets/2"
    frozen = store.instructions.get(2)
    assert [item.id for item in frozen.record.items] == ["2"]
    assert [image.name for image in frozen.record.images] == ["0002.jpg"]
    assert store.tickets.get(2).trace[0].note == "what failed of ticket 1"
    assert len(store.records.get(1).items) == 2
