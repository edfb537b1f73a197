"""The sync API: every answer says which field, what was wrong and what would be right."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from render.samples import sample_photo
from store import progress
from store.records import ItemResult, Outcome
from store.tables import Store
from tests.studio import FINISH, NOW, add_render_job, photo, push
from tests.web.conftest import Desktop


def record(store: Store, **changes: Any) -> dict[str, Any]:
    return push(photo(store), **changes).model_dump(mode="json", exclude_none=True)


def finish(store: Store, ticket_id: int = 1) -> None:
    with store.transaction():
        ticket = store.tickets.get(ticket_id)
        for event in ("start", "drawn"):
            ticket = progress.move_ticket(store, ticket, event, NOW)
        done = ItemResult(item="1", image="0001.jpg", profile="p", outcome=Outcome.DONE)
        progress.end_ticket(store, ticket, (done,), NOW)


@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Basic abc", "Bearer"])
@pytest.mark.parametrize("path", ["/statuses", "/changes", "/images/" + "0" * 64, "/tickets/1", "/nothing"])
def test_without_a_known_token_nothing_is_told(anybody: FlaskClient, header: str | None, path: str) -> None:
    answer = anybody.get(f"/sync/v1{path}", headers={"Authorization": header} if header else {})
    if path in ("/statuses", "/nothing"):
        assert answer.status_code in (401, 404, 405)
        return
    assert answer.status_code == 401
    error = answer.get_json()["error"]
    assert error["field"] == "Authorization" and "Desktop clients page" in error["hint"]


def test_a_record_is_accepted_and_its_ticket_named(desktop: Desktop, store: Store) -> None:
    add_render_job(store)
    body = {"records": [record(store)]}
    (result,) = desktop.post("/statuses", body).get_json()["results"]
    assert (result["answer"], result["tickets"]) == ("accepted", [1])
    (again,) = desktop.post("/statuses", body).get_json()["results"]
    assert (again["answer"], again["tickets"]) == ("unchanged", [])
    assert desktop.get("/tickets/1").get_json()["state"] == "waiting"


def test_one_bad_record_does_not_hold_back_the_batch(desktop: Desktop, store: Store) -> None:
    add_render_job(store)
    bad = record(store, number="S-2")
    bad["items"][0].update(size="huge", quantity=-1)
    body = {"records": [record(store), bad, "not a record", record(store, number="S-3")]}
    results = desktop.post("/statuses", body).get_json()["results"]
    assert [result["answer"] for result in results] == ["accepted", "rejected", "rejected", "accepted"]
    fields = {error["field"]: error for error in results[1]["errors"]}
    assert "write width x height" in fields["records[1].items[0].size"]["message"]
    assert "greater than or equal to 1" in fields["records[1].items[0].quantity"]["message"]


def test_print_jobs_are_not_pushed_by_desktops(desktop: Desktop, store: Store) -> None:
    (result,) = desktop.post("/statuses", {"records": [{**record(store), "kind": "print job"}]}).get_json()["results"]
    assert result["answer"] == "rejected" and result["errors"][0]["field"] == "records[0].kind"
    assert "'session', 'invoice' or 'order'" in result["errors"][0]["message"]


def test_a_picture_that_is_not_there_is_named_with_what_to_do(desktop: Desktop, store: Store) -> None:
    missing = push("ab" * 32).model_dump(mode="json", exclude_none=True)
    missing["images"].append({"name": "p.jpg", "path": "nowhere/p.jpg"})
    (result,) = desktop.post("/statuses", {"records": [missing]}).get_json()["results"]
    assert result["answer"] == "rejected"
    uploaded, by_path = result["errors"]
    assert uploaded["field"] == "records[0].images[0].sha256" and uploaded["hint"].startswith(
        "PUT /sync/v1/images/abab"
    )
    assert by_path["field"] == "records[0].images[1].path" and "no image folders" in by_path["message"]
    assert len(store.records) == 0


@pytest.mark.parametrize("body", [None, [], {"records": {}}, {"record": []}])
def test_a_body_that_is_not_a_batch_is_refused(desktop: Desktop, body: object) -> None:
    answer = desktop.post("/statuses", body)
    assert answer.status_code == 400 and answer.get_json()["error"]["field"] == "records"


def test_a_picture_is_stored_once_and_checked(desktop: Desktop, store: Store) -> None:
    picture = sample_photo(1, 90, 60)
    digest = hashlib.sha256(picture).hexdigest()
    assert desktop.get(f"/images/{digest}").status_code == 404
    assert desktop.put(f"/images/{digest}", picture).status_code == 201
    assert desktop.put(f"/images/{digest}", picture).status_code == 200
    assert desktop.get(f"/images/{digest}").status_code == 200
    assert store.folder.image(digest).read_bytes() == picture
    assert not list(store.folder.incoming.iterdir())


def test_a_picture_that_was_changed_on_the_way_is_refused(desktop: Desktop, store: Store) -> None:
    answer = desktop.put("/images/" + "0" * 64, b"something else")
    assert answer.status_code == 422 and "send the file again" in answer.get_json()["error"]["hint"]
    assert not store.folder.image("0" * 64).exists() and not list(store.folder.incoming.iterdir())


@pytest.mark.parametrize("digest", ["abc", "Z" * 64, "..%2f..%2fetc"])
def test_a_digest_that_is_none_is_refused(desktop: Desktop, digest: str) -> None:
    assert desktop.put(f"/images/{digest}", b"x").status_code in (400, 404, 405)


def test_a_picture_larger_than_allowed_is_refused(desktop: Desktop) -> None:
    services = desktop.http.application.extensions["printroom"]
    services.max_image_bytes = 1000
    answer = desktop.put("/images/" + "0" * 64, b"x" * 2000)
    assert answer.status_code == 413


def test_changes_come_back_until_they_are_acknowledged(desktop: Desktop, store: Store) -> None:
    add_render_job(store)
    desktop.post("/statuses", {"records": [record(store)]})
    assert desktop.get("/changes").get_json() == {"changes": [], "next": 0}
    finish(store)
    for _ in range(2):
        (change,) = desktop.get("/changes").get_json()["changes"]
        assert (change["number"], change["status"], change["outcome"]) == ("S-1", FINISH, "done")
        assert change["results"][0]["item"] == "1"
    assert desktop.post("/changes/acknowledge", {"seq": change["seq"]}).get_json() == {"acknowledged": 1}
    assert desktop.get("/changes").get_json()["changes"] == []
    assert desktop.get("/changes?after=0").get_json()["changes"] != []


def test_a_long_poll_answers_as_soon_as_something_happens(desktop: Desktop, store: Store) -> None:
    add_render_job(store)
    desktop.post("/statuses", {"records": [record(store)]})
    timer = threading.Timer(0.5, finish, [store])
    timer.start()
    began = time.monotonic()
    found = desktop.get("/changes?wait_s=20").get_json()["changes"]
    timer.join()
    assert len(found) == 1 and time.monotonic() - began < 5


@pytest.mark.parametrize("query", ["after=-1", "after=x", "wait_s=1e9", "after=" + "9" * 30])
def test_a_cursor_that_is_no_number_is_refused(desktop: Desktop, query: str) -> None:
    answer = desktop.get(f"/changes?{query}")
    assert answer.status_code == 400 and answer.get_json()["error"]["code"] == "invalid"


@pytest.mark.parametrize("seq", [None, "1", -1, True])
def test_an_acknowledgement_without_a_number_is_refused(desktop: Desktop, seq: object) -> None:
    assert desktop.post("/changes/acknowledge", {"seq": seq}).status_code == 400


def test_what_was_never_sent_cannot_be_acknowledged(desktop: Desktop) -> None:
    assert desktop.post("/changes/acknowledge", {"seq": 5}).status_code == 404


def test_a_revoked_client_is_out_at_once(desktop: Desktop, store: Store) -> None:
    assert desktop.get("/changes").status_code == 200
    store.desktop_clients.remove(1)
    assert desktop.get("/changes").status_code == 401


def test_unknown_pages_and_tickets_answer_in_the_same_shape(desktop: Desktop) -> None:
    for path in ("/nothing", "/tickets/99"):
        answer = desktop.get(path)
        assert answer.status_code == 404 and set(answer.get_json()["error"]) == {"code", "message", "field", "hint"}


def test_a_full_disk_is_said_at_the_door_before_anything_is_taken(desktop: Desktop, store: Store) -> None:
    desktop.http.application.extensions["printroom"].min_free_bytes = 10**18
    for answer in (desktop.post("/statuses", {"records": [record(store)]}), desktop.put("/images/" + "0" * 64, b"x")):
        assert answer.status_code == 503 and answer.headers["Retry-After"]
        error = answer.get_json()["error"]
        assert error["code"] == "no-room" and "try again later" in error["hint"]
    assert len(store.records) == 0 and desktop.get("/changes").status_code == 200


def test_a_disk_that_refuses_a_commit_answers_try_later_and_loses_nothing(
    desktop: Desktop, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from store.journal import Disk

    add_render_job(store)
    body = {"records": [record(store)]}

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Disk, "write", full)
        answer = desktop.post("/statuses", body)
        assert answer.status_code == 503 and "No space left" in answer.get_json()["error"]["message"]
    assert len(store.records) == 0
    assert desktop.post("/statuses", body).get_json()["results"][0]["answer"] == "accepted"
