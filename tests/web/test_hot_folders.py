"""Hot folders and webhooks in the panel."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from store import webhooks
from store.hot_folders import HotFolder, HotFolderNotice, LeftLying
from store.housekeeping import ANSWERS_KEPT, Housekeeper, Retention
from store.profiles import RenderProfile
from store.pushed import RecordKind
from store.reach import OutOfReach, Reach
from store.records import Change, KeptAnswer, Outcome
from store.tables import Store
from store.webhooks import Delivery, Webhook
from tests.share import Share
from tests.studio import NOW


def test_a_hot_folder_needs_a_render_profile_first(panel: FlaskClient, store: Store) -> None:
    assert "Make a render profile first" in panel.get("/hot-folders/").data.decode()
    store.render_profiles.add(RenderProfile(name="Lustre"))
    form = {"name": "Lustre 8x10", "profile_id": "1", "size": "8x10", "quantity": "2", "keeps_files": "on"}
    assert panel.post("/hot-folders/new", data=form).status_code == 302
    page = panel.get("/hot-folders/").data.decode()
    assert "Lustre 8x10" in page and "2 × 8x10" in page
    again = panel.post("/hot-folders/new", data={**form, "name": "LUSTRE 8X10"})
    assert again.status_code == 422 and "of that name already" in again.data.decode()
    changed = {**form, "size": "5x7", "needs_job_ticket": "on"}
    assert panel.post("/hot-folders/1", data=changed).status_code == 302
    known = store.hot_folders.get(1)
    assert (str(known.size), known.needs_job_ticket, known.inactive) == ("5x7", True, False)
    assert 'value="5x7"' in panel.get("/hot-folders/1").data.decode()
    panel.post("/hot-folders/1/remove")
    assert len(store.hot_folders) == 0


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [("name", "../etc", "no slashes"), ("name", ".taken", "no slashes"), ("size", "huge", "width x height"),
     ("quantity", "0", "greater than or equal to 1")],
)  # fmt: skip
def test_what_is_wrong_with_a_hot_folder_is_told_and_kept(
    panel: FlaskClient, store: Store, field: str, value: str, told: str
) -> None:
    store.render_profiles.add(RenderProfile(name="Lustre"))
    form = {"name": "Lustre", "profile_id": "1", "size": "8x10", "quantity": "2", field: value}
    answer = panel.post("/hot-folders/new", data=form)
    page = answer.data.decode()
    assert answer.status_code == 422 and told in page and f'value="{value}"' in page
    assert len(store.hot_folders) == 0


def test_what_is_wrong_with_a_hot_folder_is_shown_where_people_look(panel: FlaskClient, store: Store) -> None:
    store.render_profiles.add(RenderProfile(name="Lustre"))
    store.hot_folders.add(HotFolder(name="Lustre", profile_id=1))
    assert "nothing is wrong" in panel.get("/hot-folders/").data.decode()
    left = (LeftLying(name="locked.jpg", why="cannot be moved or read (Operation not permitted)"),)
    store.hot_folder_notices.put(HotFolderNotice(id=1, problems=2, left=left, left_count=3, since=NOW))
    for path in ("/", "/hot-folders/", "/hot-folders/1", "/health/"):
        page = panel.get(path).data.decode()
        assert "Hot folder Lustre: 2 files could not be taken: look into its folder Problems." in page, path
    page = panel.get("/hot-folders/1").data.decode()
    assert "<code>locked.jpg</code> cannot be moved or read" in page and "And 2 more." in page
    assert panel.get("/health/alive").status_code == 200, "the box is not broken"
    store.hot_folders.remove(1)
    assert "could not be taken" not in panel.get("/").data.decode()


def test_a_page_of_hot_folders_touches_no_share(panel: FlaskClient, store: Store, share: Share) -> None:
    store.render_profiles.add(RenderProfile(name="Lustre"))
    store.hot_folders.add(HotFolder(name="share", profile_id=1))
    panel.application.extensions["printroom"].hot_folder_root = share.mount.parent
    share.hang()
    store.reach = Reach(store.clock, limit_s=0.2)
    with pytest.raises(OutOfReach):
        store.reach.call(share.mount, lambda: list(share.mount.iterdir()))
    for path in ("/", "/hot-folders/", "/hot-folders/1"):
        assert panel.get(path).status_code == 200
    assert "Hot folder share does not answer" in panel.get("/hot-folders/").data.decode()
    assert panel.get("/health/alive").status_code == 200
    assert "has not answered since" in panel.get("/health/").data.decode()
    share.go_on()


def test_a_webhook_is_added_tested_paused_and_removed(panel: FlaskClient, app: Flask, store: Store) -> None:
    wrong = panel.post("/webhooks/", data={"name": "Dashboard", "url": "studio.example"})
    assert wrong.status_code == 422 and "https://studio.example/printroom" in wrong.data.decode()
    panel.post("/webhooks/", data={"name": "Dashboard", "url": "https://studio.example/hook"})
    sent: list[str] = []

    def send(webhook: Webhook, message_id: str, body: bytes, now: datetime) -> str:
        sent.append(message_id)
        return "" if len(sent) == 1 else "it answered 500"

    app.extensions["printroom"].send_webhook = send
    assert "took the test" in panel.post("/webhooks/1/test").data.decode()
    assert panel.post("/webhooks/1/test").status_code == 502
    panel.post("/webhooks/1/pause")
    assert store.webhooks.get(1).inactive
    panel.post("/webhooks/1/resume")
    assert not store.webhooks.get(1).inactive
    panel.post("/webhooks/1/remove")
    assert len(store.webhooks) == 0


def test_what_was_given_up_can_be_sent_again_or_discarded(panel: FlaskClient, store: Store) -> None:
    webhook = webhooks.add(store, "Dashboard", "https://studio.example/hook", NOW)
    fields = {"record_id": 1, "ticket_id": 1, "kind": RecordKind.SESSION, "previous_status": "Ready"}
    for number in ("S-1", "S-2"):
        change = store.changes.add(
            Change.model_validate({**fields, "number": number, "status": "Printed", "outcome": Outcome.DONE, "at": NOW})
        )
        store.deliveries.add(
            Delivery(webhook_id=webhook.id, change_id=change.id, due_at=NOW, first_at=NOW, tries=6, is_dead=True)
        )
    page = panel.get("/webhooks/").data.decode()
    assert "Given up" in page and "Session S-1: Printed" in page
    panel.post("/webhooks/deliveries/1/again")
    panel.post("/webhooks/deliveries/2/discard")
    assert [(one.id, one.is_dead) for one in store.deliveries.all()] == [(1, False)]


def test_answers_for_repeated_requests_are_kept_for_two_days(store: Store) -> None:
    for days in (1, 3):
        kept = {
            "client_id": 1,
            "key": f"k{days}",
            "request_sha256": "",
            "answer": "{}",
            "at": NOW - timedelta(days=days),
        }
        store.kept_answers.add(KeptAnswer.model_validate(kept))
    Housekeeper(store, Retention()).step(NOW)
    assert [one.key for one in store.kept_answers.all()] == ["k1"] and timedelta(days=2) == ANSWERS_KEPT
