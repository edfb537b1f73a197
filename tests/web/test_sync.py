"""The sync API: every answer says which field, what was wrong and what would be right."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from render.samples import sample_photo
from store import intake, progress
from store.records import ItemResult, Outcome, Scope
from store.tables import Store
from tests.studio import FINISH, NOW, SELECT, add_render_job, photo, push
from tests.web.conftest import Desktop
from web.clients import new_client
from web.sync.changes import Bell


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


def test_a_record_is_taken_before_its_pictures_and_names_those_that_are_missing(desktop: Desktop, store: Store) -> None:
    add_render_job(store)
    missing = push("ab" * 32).model_dump(mode="json", exclude_none=True)
    (result,) = desktop.post("/statuses", {"records": [missing]}).get_json()["results"]
    assert (result["answer"], result["tickets"], result["missing"]) == ("accepted", [1], ["0001.jpg"])


def test_a_path_is_refused_where_the_box_has_no_image_folders(desktop: Desktop, store: Store) -> None:
    hopeless = push("ab" * 32).model_dump(mode="json", exclude_none=True)
    hopeless["images"].append({"name": "p.jpg", "path": "nowhere/p.jpg"})
    (result,) = desktop.post("/statuses", {"records": [hopeless]}).get_json()["results"]
    assert result["answer"] == "rejected" and len(store.records) == 0
    (error,) = result["errors"]
    assert error["field"] == "records[0].images[1].path" and "no image folders" in error["message"]


def test_a_change_time_orders_like_a_revision(desktop: Desktop, store: Store) -> None:
    body = record(store)
    del body["revision"]

    def at(time: str, status: str) -> str:
        (result,) = desktop.post("/statuses", {"records": [{**body, "changed_at": time, "status": status}]}).get_json()[
            "results"
        ]
        return str(result["answer"])

    assert at("2026-11-22T10:00:00.000001Z", "Taken") == "accepted"
    assert at("2026-11-22T12:00:00.000001+02:00", "Taken") == "unchanged"  # the same moment
    assert at("2026-11-22T10:00:00Z", "Edited") == "stale"
    assert at("2026-11-22T10:00:00.000002Z", "Edited") == "accepted"


@pytest.mark.parametrize(
    "order", [{}, {"revision": 1, "changed_at": "2026-11-22T10:00:00Z"}, {"changed_at": "2026-11-22T10:00:00"},
              {"changed_at": "1969-01-01T00:00:00Z"}, {"changed_at": "9999-01-01T00:00:00Z"}, {"revision": 2**53},
              {"revision": -1}]
)  # fmt: skip
def test_a_record_has_one_order_in_time(desktop: Desktop, store: Store, order: dict[str, object]) -> None:
    body = record(store)
    del body["revision"]
    (result,) = desktop.post("/statuses", {"records": [{**body, **order}]}).get_json()["results"]
    assert result["answer"] == "rejected"


def test_a_dry_run_says_what_would_open_and_keeps_nothing(desktop: Desktop, store: Store) -> None:
    add_render_job(store, name="Sessions")
    body = {"records": [record(store), record(store, number="S-2", status="Booked")]}
    results = desktop.post("/statuses?dry_run=true", body).get_json()["results"]
    assert [(r["answer"], r["render_jobs"], r["tickets"]) for r in results] == [
        ("accepted", ["Sessions"], []),
        ("accepted", [], []),
    ]
    assert len(store.records) == len(store.tickets) == 0
    assert desktop.post("/statuses", body).get_json()["results"][0]["answer"] == "accepted"
    assert desktop.post("/statuses?dry_run=maybe", body).status_code == 400


def test_a_repeated_request_is_answered_as_it_was_the_first_time(desktop: Desktop, store: Store) -> None:
    add_render_job(store)
    body, key = {"records": [record(store)]}, {"Idempotency-Key": "k-1"}

    def send(body: object, key: dict[str, str] = key):  # type: ignore[no-untyped-def]
        return desktop.http.post("/sync/v1/statuses", json=body, headers={**desktop.headers, **key})

    first = send(body)
    assert "Idempotency-Replayed" not in first.headers
    again = send(body)
    assert again.headers["Idempotency-Replayed"] == "true" and again.data == first.data
    other = send({"records": []})
    assert other.status_code == 422 and other.get_json()["error"]["code"] == "key-reused"
    assert send(body, {"Idempotency-Key": "k-2"}).get_json()["results"][0]["answer"] == "unchanged"
    assert [kept.key for kept in store.kept_answers.all()] == ["k-1", "k-2"]  # on the disk, like all that is kept


def test_two_desktops_that_push_the_same_agree(desktop: Desktop, store: Store) -> None:
    other = Desktop(desktop.http, new_client(store, "Back office")[1])
    assert desktop.post("/statuses", {"records": [record(store)]}).get_json()["results"][0]["answer"] == "accepted"
    assert other.post("/statuses", {"records": [record(store)]}).get_json()["results"][0]["answer"] == "unchanged"
    edited = record(store, client_name="Somebody else")
    (result,) = other.post("/statuses", {"records": [edited]}).get_json()["results"]
    assert (result["answer"], result["revision"]) == ("stale", 1)
    told = other.get("/records/session/S-1").get_json()
    assert told["record"]["client_name"] == "Avery Lindqvist" and told["pushed_status"] == SELECT
    assert other.get("/records/session/S-9").status_code == other.get("/records/guest/S-1").status_code == 404


def test_a_client_may_do_what_its_scopes_say(desktop: Desktop, store: Store) -> None:
    listener = Desktop(desktop.http, new_client(store, "Wall display", (Scope.FOLLOW,))[1])
    assert listener.get("/changes").status_code == 200
    refused = listener.post("/statuses", {"records": []})
    assert refused.status_code == 403 and "may not push" in refused.get_json()["error"]["message"]
    assert listener.put("/images/" + "0" * 64, b"x").status_code == 403
    assert listener.post("/changes/acknowledge", {"seq": 0}).status_code == 200
    pusher = Desktop(desktop.http, new_client(store, "Bridge", (Scope.PUSH,))[1])
    assert pusher.post("/statuses", {"records": []}).status_code == 200
    assert pusher.get("/changes").status_code == 403


def test_too_many_requests_are_told_when_to_come_again(desktop: Desktop) -> None:
    desktop.http.application.extensions["printroom"].sync_rates.per_s = 1
    answers = [desktop.get("/changes") for _ in range(4)]
    assert [answer.status_code for answer in answers[:2]] == [200, 200]
    assert answers[3].status_code == 429 and answers[3].headers["Retry-After"] == "1"


def test_with_tls_required_nothing_is_told_without(desktop: Desktop) -> None:
    desktop.http.application.extensions["printroom"].requires_tls = True
    assert desktop.get("/changes").status_code == desktop.http.get("/sync/v1/box").status_code == 403
    assert desktop.http.get("/sync/v1/box", base_url="https://localhost").status_code == 200


def test_when_a_client_came_last_is_kept_to_the_minute(desktop: Desktop, store: Store) -> None:
    desktop.get("/changes")
    before = store.version
    desktop.get("/changes")
    client = store.desktop_clients.get(1)
    assert client.last_used_at is not None and client.last_used_from == "127.0.0.1" and not client.last_used_tls
    assert store.version == before


def test_texts_that_are_no_text_are_refused_and_harm_nobody(desktop: Desktop, store: Store) -> None:
    for raw in (b'{"records":[{"number":"\\ud800"}]}', b"\xff", b'{"records":[' * 300, b'{"records":[NaN]}'):
        answer = desktop.http.post("/sync/v1/statuses", data=raw, headers=desktop.headers)
        assert answer.status_code == 400, raw


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


def test_an_upload_goes_on_where_it_broke_off(desktop: Desktop, store: Store) -> None:
    picture = sample_photo(1, 90, 60)
    digest, half = hashlib.sha256(picture).hexdigest(), len(picture) // 2

    def part(first: int, last: int, data: bytes):  # type: ignore[no-untyped-def]
        headers = {**desktop.headers, "Content-Range": f"bytes {first}-{last}/{len(picture)}"}
        return desktop.http.put(f"/sync/v1/images/{digest}", data=data, headers=headers)

    assert desktop.get(f"/images/{digest}").headers["Upload-Offset"] == "0"
    early = part(half, len(picture) - 1, picture[half:])
    assert early.status_code == 409 and early.headers["Upload-Offset"] == "0"
    first = part(0, half - 1, picture[:half])
    assert first.status_code == 202 and first.get_json()["offset"] == half
    assert desktop.get(f"/images/{digest}").headers["Upload-Offset"] == str(half)
    wrong = part(half, len(picture) - 1, picture[half:-1])
    assert wrong.status_code == 400 and wrong.get_json()["error"]["field"] == "Content-Range"
    last = part(half, len(picture) - 1, picture[half:])
    assert last.status_code == 201 and store.folder.image(digest).read_bytes() == picture
    assert not list(store.folder.incoming.iterdir())


def test_a_part_that_comes_late_takes_nothing_back(desktop: Desktop, store: Store) -> None:
    picture = sample_photo(1, 90, 60)
    digest = hashlib.sha256(picture).hexdigest()

    def part(end: int, first: int = 0):  # type: ignore[no-untyped-def]
        headers = {**desktop.headers, "Content-Range": f"bytes {first}-{end - 1}/{len(picture)}"}
        return desktop.http.put(f"/sync/v1/images/{digest}", data=picture[first:end], headers=headers)

    assert part(1000).get_json()["offset"] == 1000
    assert part(400).get_json()["offset"] == 1000 and part(600, 300).get_json()["offset"] == 1000
    assert desktop.get(f"/images/{digest}").headers["Upload-Offset"] == "1000"
    assert part(len(picture), 900).status_code == 201 and store.folder.image(digest).read_bytes() == picture


def test_a_whole_picture_takes_the_place_of_wrong_bytes(desktop: Desktop, store: Store) -> None:
    picture = sample_photo(1, 90, 60)
    digest = hashlib.sha256(picture).hexdigest()
    headers = {**desktop.headers, "Content-Range": f"bytes 0-{len(picture) + 99}/{len(picture) + 200}"}
    wrong = bytes(len(picture) + 100)
    assert desktop.http.put(f"/sync/v1/images/{digest}", data=wrong, headers=headers).status_code == 202
    assert desktop.put(f"/images/{digest}", picture).status_code == 201
    assert store.folder.image(digest).read_bytes() == picture


def test_what_another_client_has_sent_so_far_is_not_gone_on_with(desktop: Desktop, store: Store) -> None:
    other = Desktop(desktop.http, new_client(store, "Back office")[1])
    digest = hashlib.sha256(b"abcd").hexdigest()
    headers = {**desktop.headers, "Content-Range": "bytes 0-1/4"}
    assert desktop.http.put(f"/sync/v1/images/{digest}", data=b"ab", headers=headers).status_code == 202
    assert other.get(f"/images/{digest}").headers["Upload-Offset"] == "0"


@pytest.mark.parametrize("header", ["bytes 5-4/10", "bytes 0-9/5", "bytes */5", "0-3/4", "bytes 0-3/9999999999999"])
def test_a_range_that_is_none_is_refused(desktop: Desktop, header: str) -> None:
    headers = {**desktop.headers, "Content-Range": header}
    answer = desktop.http.put("/sync/v1/images/" + "0" * 64, data=b"abcd", headers=headers)
    assert answer.status_code in (400, 413) and answer.get_json()["error"]["field"] == "Content-Range"


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


def test_one_of_those_who_wait_watches_for_all(store: Store) -> None:
    add_render_job(store)
    intake.accept(store, push(photo(store)), NOW)
    looks, real = [0], store.wait

    def wait(version: int, timeout_s: float) -> int:
        looks[0] += 1
        return real(version, timeout_s)

    store.wait = wait  # type: ignore[method-assign]
    bell = Bell(store, lambda: False)
    woken: list[float] = []

    def poll() -> None:
        bell.wait_past(0, 20)
        woken.append(time.monotonic())

    threads = [threading.Thread(target=poll) for _ in range(20)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    assert looks[0] < 5 and woken == []  # one looks, not twenty
    finish(store)
    finished = time.monotonic()
    for thread in threads:
        thread.join(10)
    assert len(woken) == 20 and max(woken) - finished < 10


@pytest.mark.parametrize("query", ["after=-1", "after=x", "wait_s=1e9", "after=" + "9" * 30, "after=", "after=٣"])
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

    from store.disk import Disk

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
