"""The page of a box that cannot open its data."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from store import backups, intake
from store.errors import StoreDamaged
from store.tables import Store
from tests.studio import NOW, push
from web import auth
from web.recovery import Recovery, create_recovery_app


class Box:
    """A machine that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask(self, what: str, told: object = None, **more: object) -> dict[str, object]:
        del told
        self.asked.append(" ".join([what, *map(str, more.values())]))
        return {"is_sound": False, "report": "Superblock has an invalid journal"}


@pytest.fixture
def parts(tmp_path: Path) -> Recovery:
    """A store with a record, a copy from before an update, and damage that nobody but a person may decide about."""
    auth._wrong_tries.clear()
    store = Store(tmp_path)
    intake.accept(store, push([], [], number="S-1"), NOW)
    backups.keep_before_update(store, "0.1.0", datetime.now(UTC))
    intake.accept(store, push([], [], number="S-2"), NOW)
    store.close()
    for snapshot in (tmp_path / "store").glob("snapshot-*"):
        content = bytearray(snapshot.read_bytes())
        content[len(content) // 2] ^= 255
        snapshot.write_bytes(content)
    with pytest.raises(StoreDamaged) as error:
        Store(tmp_path)
    return Recovery(str(error.value), tmp_path, is_disk=False, box=None, restart=lambda: None, code="12345678")


@pytest.fixture
def anybody(parts: Recovery) -> FlaskClient:
    return create_recovery_app(parts).test_client()


@pytest.fixture
def owner(anybody: FlaskClient) -> FlaskClient:
    """Who stands before the box."""
    assert anybody.post("/enter", data={"code": "1234 5678"}).status_code == 302
    return anybody


def numbers(root: Path) -> set[str]:
    store = Store(root)
    try:
        return {one.number for one in store.records.all()}
    finally:
        store.close()


def test_everybody_sees_what_is_wrong_and_nobody_changes_it_without_the_code(anybody: FlaskClient) -> None:
    page = anybody.get("/").data.decode()
    assert "cannot open its data" in page and "Recovery code" in page and "Erase everything" not in page
    for path in ("/check", "/repair", "/restore", "/restart", "/reset"):
        assert anybody.post(path).status_code == 403, path
    assert anybody.get("/data.zip").status_code == 403
    for wrong in ("87654321", "", "1234567²", "١٢٣٤٥٦٧٨"):
        assert anybody.post("/enter", data={"code": wrong}).status_code == 403, wrong
    assert anybody.get("/tickets/1").headers["Location"] == "/"


def test_guessing_the_code_ends_soon(anybody: FlaskClient) -> None:
    codes = [anybody.post("/enter", data={"code": f"{n:08d}"}).status_code for n in range(8)]
    assert codes[-1] == 429


def test_another_site_changes_nothing(owner: FlaskClient) -> None:
    assert owner.post("/repair", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_desktops_are_told_to_try_again(anybody: FlaskClient) -> None:
    answer = anybody.post("/sync/v1/statuses", json={})
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "60"
    assert answer.get_json()["error"]["code"] == "in-recovery"


def test_the_box_s_own_health_check_hears_of_it(anybody: FlaskClient) -> None:
    answer = anybody.get("/health/alive")
    assert answer.status_code == 503 and answer.get_json()["recovery"] is True


def test_checking_changes_nothing(owner: FlaskClient, parts: Recovery) -> None:
    before = {path: path.read_bytes() for path in (parts.root / "store").rglob("*") if path.is_file()}
    owner.post("/check")
    assert "damage:" in owner.get("/").data.decode()
    assert {path: path.read_bytes() for path in (parts.root / "store").rglob("*") if path.is_file()} == before


def test_a_repair_keeps_what_can_be_read_and_the_files_before(owner: FlaskClient, parts: Recovery) -> None:
    owner.post("/repair")
    assert "The files as they were lie in" in owner.get("/").data.decode()
    assert "S-2" in numbers(parts.root) and list(parts.root.glob("store-before-repair-*"))


def test_a_store_without_its_journal_is_got_going_and_prints_nothing_by_itself(tmp_path: Path) -> None:
    """What was in it may have been printed: nobody but a person knows."""
    auth._wrong_tries.clear()
    store = Store(tmp_path)
    intake.accept(store, push([], [], number="S-1"), NOW)
    store.close()
    max((tmp_path / "store").glob("journal-*")).unlink()
    with pytest.raises(StoreDamaged, match="is missing") as error:
        Store(tmp_path)
    parts = Recovery(str(error.value), tmp_path, is_disk=False, box=None, restart=lambda: None, code="12345678")
    client = create_recovery_app(parts).test_client()
    assert "is missing" in client.get("/").data.decode()
    client.post("/enter", data={"code": "12345678"})
    client.post("/check")
    assert "damage:" in client.get("/").data.decode()
    names = zipfile.ZipFile(io.BytesIO(client.get("/data.zip").data)).namelist()
    assert any(name.endswith("store.head") for name in names)
    client.post("/repair")
    page = client.get("/").data.decode()
    assert "Processing is paused and open tickets are on hold" in page
    store = Store(tmp_path)
    assert store.settings.is_paused
    store.close()


def test_the_copy_from_before_the_update_comes_back_on_hold(owner: FlaskClient, parts: Recovery) -> None:
    page = owner.get("/").data.decode()
    (name,) = backups.copies_before_updates(parts.root)
    assert "The store from before the update from version 0.1.0" in page
    assert "starts anew" in owner.post("/restore", data={"copy": name}).data.decode()
    backups.finish(parts.root)  # as the next start does
    assert numbers(parts.root) == {"S-1"}
    store = Store(parts.root)
    assert store.settings.is_paused
    store.close()


def test_a_backup_comes_back(owner: FlaskClient, parts: Recovery, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = Store(tmp_path_factory.mktemp("other"))
    intake.accept(other, push([], [], number="S-9"), NOW)
    content = b"".join(backups.backup(other, "long enough", "0.1.0", datetime.now(UTC), with_pictures=False))
    other.close()
    wrong = owner.post("/restore", data={"file": (io.BytesIO(content), "a.zip"), "passphrase": "another one"})
    assert wrong.status_code == 422 and "passphrase" in wrong.data.decode()
    owner.post("/restore", data={"file": (io.BytesIO(content), "a.zip"), "passphrase": "long enough"})
    backups.finish(parts.root)
    assert numbers(parts.root) == {"S-9"}


def test_what_is_no_copy_is_refused(owner: FlaskClient) -> None:
    assert owner.post("/restore", data={"copy": "../store"}).status_code == 422
    assert owner.post("/restore", data={}).status_code == 422


def test_the_files_can_be_had_for_somebody_who_can_mend_them(owner: FlaskClient) -> None:
    assert owner.get("/data.zip").data[:2] == b"PK"


def test_a_damaged_disk_is_the_machine_s_to_check_and_to_mend(tmp_path: Path) -> None:
    auth._wrong_tries.clear()
    box = Box()
    parts = Recovery("the file system is damaged", tmp_path, is_disk=True, box=box, restart=lambda: None, code="1" * 8)
    client = create_recovery_app(parts).test_client()
    client.post("/enter", data={"code": "1" * 8})
    client.post("/check")
    assert "invalid journal" in client.get("/").data.decode()
    client.post("/repair")
    client.post("/restart")
    assert client.post("/reset", data={"sure": "no"}).status_code == 422
    client.post("/reset", data={"sure": "everything"})
    assert box.asked == ["check-disk", "repair-disk", "restart", "reset everything"]
