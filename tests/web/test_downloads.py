"""Download links: a page and a zip for whoever has the link, and for nobody else."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient

from store.records import Download
from store.tables import Store

TOKEN = "t" * 32


@pytest.fixture
def link(store: Store) -> Download:
    names = ("sessions/7/a.jpg", "sessions/7/b.jpg", "other/a.jpg")
    for number, name in enumerate(names):
        path = store.folder.output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * 300_000)
    now = datetime.now(UTC)
    fields = {"ticket_id": 1, "token": TOKEN, "files": names, "created_at": now, "expires_at": now + timedelta(days=1)}
    return store.downloads.add(Download.model_validate(fields))


def test_whoever_has_the_link_sees_what_there_is_without_a_password(anybody: FlaskClient, link: Download) -> None:
    answer = anybody.get(f"/d/{TOKEN}")
    page = answer.data.decode()
    assert answer.status_code == 200 and "3 files, 900.0 kB" in page and "b.jpg" in page
    assert answer.headers["Cache-Control"] == "private, no-store" and answer.headers["X-Robots-Tag"] == "noindex"


def test_the_zip_is_whole_and_its_length_known_beforehand(anybody: FlaskClient, store: Store, link: Download) -> None:
    answer = anybody.get(f"/d/{TOKEN}/all.zip")
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a.jpg", "b.jpg", "a (2).jpg"]
        assert archive.read("a (2).jpg") == bytes([2]) * 300_000
    assert store.downloads.get(link.id).count == 1 and store.downloads.get(link.id).last_at is not None


def test_one_file_is_had_by_itself_and_is_not_counted(anybody: FlaskClient, store: Store, link: Download) -> None:
    answer = anybody.get(f"/d/{TOKEN}/1")
    assert answer.data == bytes([1]) * 300_000 and "b.jpg" in answer.headers["Content-Disposition"]
    answer.close()
    assert anybody.get(f"/d/{TOKEN}/9").status_code == 404 and store.downloads.get(link.id).count == 0


def test_files_that_were_moved_away_are_left_out(anybody: FlaskClient, store: Store, link: Download) -> None:
    (store.folder.output / link.files[0]).unlink()
    with zipfile.ZipFile(io.BytesIO(anybody.get(f"/d/{TOKEN}/all.zip").data)) as archive:
        assert archive.namelist() == ["b.jpg", "a.jpg"]
    for name in link.files[1:]:
        (store.folder.output / name).unlink()
    assert "no longer on the box" in anybody.get(f"/d/{TOKEN}").data.decode()
    assert anybody.get(f"/d/{TOKEN}/all.zip").status_code == 404


def test_a_symbolic_link_out_of_the_output_folder_is_not_followed(
    anybody: FlaskClient, store: Store, link: Download
) -> None:
    path = store.folder.output / link.files[0]
    path.unlink()
    path.symlink_to(store.folder.root / "lock")
    assert anybody.get(f"/d/{TOKEN}/0").status_code == 404


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"revoked": True}, "was withdrawn"),
        ({"expires_at": datetime(2026, 1, 1, tzinfo=UTC)}, "has expired"),
        ({"token": "u" * 32}, "is not known"),
    ],
)
@pytest.mark.parametrize("path", ["", "/all.zip", "/0"])
def test_a_link_that_is_no_longer_good_says_why_and_gives_nothing(
    anybody: FlaskClient, store: Store, link: Download, change: dict[str, object], words: str, path: str
) -> None:
    store.downloads.put(link.with_(**change))
    answer = anybody.get(f"/d/{TOKEN}{path}")
    assert answer.status_code == 404 and words in answer.data.decode()


def test_a_person_withdraws_a_link_and_a_stranger_cannot(
    panel: FlaskClient, anybody: FlaskClient, store: Store, link: Download
) -> None:
    assert anybody.post(f"/downloads/{link.id}/revoke").headers["Location"] == "/login"
    assert not store.downloads.get(link.id).revoked
    panel.post(f"/downloads/{link.id}/revoke")
    assert store.downloads.get(link.id).revoked
