"""Two people edit the same thing: the second is told, and nothing is overwritten silently."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from store.hot_folders import HotFolder
from store.profiles import RenderProfile
from store.pushed import RecordKind
from store.queue_setup import offer
from store.records import Printer, PrinterPool, RenderJob
from store.tables import Store
from tests.studio import NOW, add_render_job
from tests.web.test_panel import PROFILE, RENDER_JOB
from web.render_jobs import warnings


def seen(panel: FlaskClient, path: str) -> str:
    found = re.search(r'name="seen" value="(\w*)"', panel.get(path).data.decode())
    assert found
    return found[1]


@pytest.fixture
def studio(store: Store) -> Store:
    store.printer_pools.add(PrinterPool(name="Lab"))
    store.render_profiles.add(RenderProfile(name="Lustre"))
    store.printers.add(Printer(name="Front", uri="ipp://127.0.0.1:1/ipp/print"))
    store.hot_folders.add(HotFolder(name="Prints", profile_id=1))
    offer(store, "Lab", NOW, pool_id=1)
    add_render_job(store)
    return store


FORMS = {
    "/profiles/1": PROFILE,
    "/render-jobs/1": RENDER_JOB,
    "/printers/1": {"name": "Front", "priority_code": "3"},
    "/printers/pools/1": {"name": "Lab", "allocation_method": "priority code"},
    "/queues/1": {"name": "Lab", "target": "pool:1", "access": "open", "operators": "nobody"},
    "/hot-folders/1": {"name": "Prints", "profile_id": "1", "size": "5x7", "quantity": "1"},
}


@pytest.mark.parametrize("path", FORMS)
def test_the_second_of_two_people_is_told_and_may_save_again(panel: FlaskClient, studio: Store, path: str) -> None:
    mine = theirs = seen(panel, path)
    form = FORMS[path]
    assert panel.post(path, data={**form, "name": "Theirs", "seen": theirs}).status_code == 302
    answer = panel.post(path, data={**form, "name": "Mine", "seen": mine})
    page = answer.data.decode()
    assert answer.status_code == 409 and "Somebody else has changed this" in page
    assert 'name="name" type="text" value="Mine"' in page
    now = re.search(r'name="seen" value="(\w*)"', page)
    assert now and panel.post(path, data={**form, "name": "Mine", "seen": now[1]}).status_code == 302


def test_what_was_removed_meanwhile_is_said(panel: FlaskClient, studio: Store) -> None:
    before = seen(panel, "/hot-folders/1")
    studio.hot_folders.remove(1)
    assert panel.post("/hot-folders/1", data={**FORMS["/hot-folders/1"], "seen": before}).status_code == 404


def test_a_printer_that_only_moved_is_not_somebody_elses_change(panel: FlaskClient, studio: Store) -> None:
    before = seen(panel, "/printers/1")
    studio.printers.put(studio.printers.get(1).with_(uri="ipp://127.0.0.1:2/ipp/print"))
    assert panel.post("/printers/1", data={**FORMS["/printers/1"], "seen": before}).status_code == 302


def job(number: int, select: str, finish: str, **changes: object) -> RenderJob:
    fields = {"id": number, "name": f"job {number}", "kind": RecordKind.SESSION, "profile_ids": (1,)}
    return RenderJob.model_validate(
        {**fields, "select_status": select, "finish_status": finish, "error_status": "Problem", **changes}
    )


def test_what_somebody_may_not_have_meant_is_said() -> None:
    sent = {("session", "Ready"), ("session", "Again")}
    assert warnings([job(1, "Ready", "Done")], sent) == {1: []}
    assert "no desktop has ever sent a session" in warnings([job(1, "Raedy", "Done")], sent)[1][0]
    both = warnings([job(1, "Ready", "Done"), job(2, "Ready", "Printed")], sent)
    assert "“job 2” waits for the same status" in both[1][0] and len(both[2]) == 1
    assert warnings([job(1, "Ready", "Done"), job(2, "Ready", "Done", inactive=True)], sent) == {1: [], 2: []}
    assert warnings(
        [job(1, "Ready", "Done"), job(2, "Ready", "Done", kind=RecordKind.ORDER)], {*sent, ("order", "Ready")}
    ) == {1: [], 2: []}
    circle = warnings([job(1, "Ready", "Again"), job(2, "Again", "Ready")], sent)
    assert "print for ever" in circle[1][0] and "print for ever" in circle[2][0]


def test_the_warnings_are_on_the_page(panel: FlaskClient, studio: Store) -> None:
    assert "no desktop has ever sent a session" in panel.get("/render-jobs/").data.decode().replace(
        "No desktop", "no desktop"
    )
