"""The set-up, step by step, and the sample studio that comes and goes."""

from __future__ import annotations

from html import unescape

import pytest
from flask.testing import FlaskClient

from store import progress
from store.pushed import RecordKind
from store.records import Printer, RenderJob
from store.settings import SetupStep
from store.tables import Store
from tests.studio import NOW, photo
from web import sample_studio
from web.setup import STEPS


def test_from_nothing_to_a_box_that_prints(panel: FlaskClient, store: Store) -> None:
    store.printers.add(Printer(name="DS620"))
    steps: list[tuple[str, dict[str, object]]] = [
        ("studio", {"studio_name": "Lindqvist", "units": "inches"}),
        ("folders", {"image_roots": "/srv/images"}),
        ("printers", {}),
        ("pool", {"name": "Lab", "printers": ["1"]}),
        ("profile", {"ready_made": "Lab prints with bleed", "pool_id": "1"}),
        (
            "render-job",
            {
                "name": "Print sessions",
                "kind": "session",
                "select_status": "Sold",
                "finish_status": "Printed",
                "error_status": "Trouble",
                "profile_id": "1",
            },
        ),
        ("client", {}),
    ]
    for name, form in steps:
        assert panel.get("/setup/").headers["Location"] == f"/setup/{name}"
        assert panel.get(f"/setup/{name}").status_code == 200
        assert panel.post(f"/setup/{name}", data=form).status_code == 302, name
    assert panel.get("/setup/").headers["Location"] == "/setup/done" and store.settings.setup is SetupStep.DONE
    assert store.printers.get(1).pool_id == 1 and [queue.name for queue in store.print_queues.all()] == ["Lab"]
    profile, render_job = store.render_profiles.get(1), store.render_jobs.get(1)
    assert (profile.pool_id, profile.bleed_um, render_job.profile_ids) == (1, 3_175, (1,))
    assert "Go on with the set-up" not in panel.get("/").data.decode()


def test_every_step_can_be_skipped_and_gone_back_to(panel: FlaskClient, store: Store) -> None:
    for step in STEPS:
        if step is not SetupStep.DONE:
            assert panel.post(f"/setup/{step}", data={"skip": "yes"}).status_code == 302
    assert store.settings.setup is SetupStep.DONE and not len(store.render_profiles)
    panel.post("/setup/studio", data={"studio_name": "Later"})
    assert store.settings.studio_name == "Later" and store.settings.setup is SetupStep.DONE


@pytest.mark.parametrize(
    ("name", "form", "words"),
    [
        ("studio", {"time_zone": "Moon"}, "is not a time zone"),
        ("printers", {}, "No printer has been found yet"),
        ("pool", {"name": "Lab"}, "Choose at least one printer"),
        ("profile", {"ready_made": "?"}, "Choose one of these"),
        ("render-job", {"name": "x", "kind": "session", "select_status": "a"}, "Choose a render profile"),
    ],
)
def test_what_is_missing_is_said_and_the_step_stays(
    panel: FlaskClient, name: str, form: dict[str, str], words: str
) -> None:
    answer = panel.post(f"/setup/{name}", data=form)
    assert answer.status_code == 422 and words in unescape(answer.data.decode())


def test_a_program_is_paired_on_the_way(panel: FlaskClient) -> None:
    assert panel.post("/setup/client/code", data={"name": ""}).status_code == 422
    page = panel.post("/setup/client/code", data={"name": "Front desk"}, follow_redirects=True).data.decode()
    assert "Pairing code for Front desk" in page


def test_an_operator_is_not_led_into_the_set_up(panel: FlaskClient, operator: FlaskClient) -> None:
    assert "An administrator does that" in operator.get("/").data.decode()
    assert operator.get("/setup/studio").status_code == 403


def test_the_sample_studio_comes_and_goes_without_a_trace(panel: FlaskClient, store: Store) -> None:
    mine = store.printers.add(Printer(name="DS620"))
    assert panel.post("/setup/sample/load").status_code == 302
    assert panel.post("/setup/sample/load").status_code == 302  # a second click makes no second one
    assert len(store.records) == 3 and len(store.tickets) == 2 and len(store.printers) == 3
    assert "SAMPLE-1" in panel.get("/").data.decode()
    store.render_jobs.add(
        RenderJob(
            name="My own",
            kind=RecordKind.ORDER,
            select_status="a",
            profile_ids=(store.render_profiles.all()[0].id,),
            finish_status="b",
            error_status="c",
        )
    )
    refused = unescape(panel.post("/setup/sample/remove").data.decode())
    assert "render job “My own” use parts of the sample studio" in refused and len(store.records) == 3
    store.render_jobs.remove(2)
    assert panel.post("/setup/sample/remove").status_code == 302
    left = [store.records, store.tickets, store.sheets, store.render_profiles, store.render_jobs, store.printer_pools]
    assert [len(shelf) for shelf in left] == [0] * 6 and store.printers.all() == [mine]


def test_no_desktop_hears_of_the_sample_studio(store: Store) -> None:
    sample_studio.load(store, lambda number: store.folder.image(photo(store, number)).read_bytes(), NOW)
    ticket = store.tickets.get(1)
    with store.transaction():
        ticket = progress.move_ticket(store, ticket, "start", NOW)
        ticket = progress.move_ticket(store, ticket, "drawn", NOW)
        progress.end_ticket(store, ticket, (), NOW)
    assert store.records.get(ticket.record_id).status == sample_studio.FINISH and not len(store.changes)
