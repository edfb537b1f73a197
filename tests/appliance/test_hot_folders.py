"""Hot folders: what is dropped becomes a record and a ticket, once, whatever is cut off in between."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance import hot_folders
from appliance.hot_folders import HotFolders
from render.samples import sample_photo
from store import intake, progress
from store.hot_folders import HotFolder
from store.profiles import RenderProfile
from store.pushed import RecordKind, RecordPush
from store.records import ItemResult, Outcome, Record
from store.states import TicketState
from store.tables import Store
from tests.appliance.conftest import Appliance, Studio
from tests.lab import VirtualPrinterProcess, until
from tests.machine_time import SetTime
from tests.studio import NOW

PHOTO = sample_photo(1, 90, 60)


@pytest.fixture
def store(timed_store: Store) -> Store:
    return timed_store


class Place:
    """A hot folder, with time that passes when it is told to."""

    def __init__(self, store: Store, machine: SetTime, root: Path, **changes: object) -> None:
        profile = store.render_profiles.add(RenderProfile(name="Lustre"))
        fields = {"name": "Lustre 8x10", "profile_id": profile.id, **changes}
        store.hot_folders.add(HotFolder.model_validate(fields))
        self.store, self.machine, self.root, self.path = store, machine, root, root / "Lustre 8x10"
        self.watcher = HotFolders(store, root)
        self.path.mkdir(parents=True)

    def drop(self, name: str, content: bytes = PHOTO) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def look(self, times: int = 1, every_s: float = 2) -> None:
        for _ in range(times):
            self.watcher.step(self.store.clock.now())
            self.machine.pass_s(every_s)

    def restart(self) -> None:
        self.watcher = HotFolders(self.store, self.root)

    @property
    def records(self) -> list[Record]:
        return self.store.records.all()

    def here(self) -> list[str]:
        own = (hot_folders.TAKEN, hot_folders.DONE, hot_folders.PROBLEMS)
        return sorted(path.name for path in self.path.iterdir() if path.name not in own)

    def why(self) -> str:
        return "".join(path.read_text() for path in (self.path / hot_folders.PROBLEMS).glob("*why.txt"))


@pytest.fixture
def place(store: Store, machine: SetTime, tmp_path: Path) -> Place:
    return Place(store, machine, tmp_path / "hot", quantity=2)


def test_a_picture_is_taken_when_it_has_stopped_growing(place: Place, store: Store) -> None:
    path = place.drop("IMG 0042.JPG", PHOTO[:100])
    place.look(2)
    path.write_bytes(PHOTO)
    place.look(2)
    assert place.records == []
    place.look(2)
    (record,) = place.records
    assert (record.kind, record.number) == (RecordKind.HOT_FOLDER, "IMG 0042")
    assert [(str(item.size), item.quantity) for item in record.items] == [("8x10", 2)]
    assert store.folder.image(record.images[0].sha256 or "").read_bytes() == PHOTO
    (ticket,) = store.tickets.all()
    assert ticket.state is TicketState.WAITING and ticket.trace[0].note == "dropped into hot folder Lustre 8x10"
    assert place.here() == []
    assert [path.name for path in (place.path / "Done").rglob("*.JPG")] == ["IMG 0042.JPG"]
    place.look(5)
    assert len(place.records) == 1


def test_the_same_name_dropped_again_is_another_record(place: Place) -> None:
    for _ in range(2):
        place.drop("a.jpg")
        place.look(5)
    assert [record.number for record in place.records] == ["a", "a (2)"]


def test_a_folder_is_one_record_when_all_in_it_is_quiet(place: Place) -> None:
    place.drop("Wedding/1.jpg")
    place.look(1)
    place.drop("Wedding/more/2.jpg", sample_photo(2, 90, 60))
    place.look(2)
    assert place.records == []
    place.look(3)
    (record,) = place.records
    assert record.number == "Wedding" and [image.name for image in record.images] == ["1.jpg", "2.jpg"]


def test_a_job_ticket_waits_for_its_pictures_and_they_for_it(place: Place) -> None:
    lines = ("number,client,image,size,quantity", "1183,Avery,A.jpg,5x7,3", "1184,Kim,b.jpg,,", "1183,,b.jpg,4x6,")
    place.drop("order.csv", "\n".join(lines).encode())
    place.drop("a.jpg")
    place.look(5)
    assert place.records == [] and place.here() == ["a.jpg", "order.csv"]
    place.drop("b.jpg", sample_photo(2, 90, 60))
    place.look(5)
    first, second = place.records
    assert (first.number, first.client_name) == ("1183", "Avery")
    asked = [[(item.image, str(item.size), item.quantity) for item in one.items] for one in (first, second)]
    assert asked == [[("a.jpg", "5x7", 3), ("b.jpg", "4x6", 2)], [("b.jpg", "8x10", 2)]]
    assert place.here() == []


def test_a_job_ticket_whose_pictures_never_come_is_put_aside(place: Place) -> None:
    place.drop("order.json", json.dumps({"items": [{"image": "gone.jpg"}]}).encode())
    place.look(3)
    place.look(3, every_s=hot_folders.WAIT_FOR_PICTURES_S)
    assert place.here() == [] and "pictures that did not come: gone.jpg" in place.why()


def test_pictures_wait_for_a_job_ticket_where_the_folder_says_so(
    store: Store, machine: SetTime, tmp_path: Path
) -> None:
    place = Place(store, machine, tmp_path / "hot", needs_job_ticket=True)
    place.drop("a.jpg")
    place.look(6)
    assert place.records == [] and place.here() == ["a.jpg"]
    place.drop("order.json", json.dumps({"number": "7", "items": [{"image": "a.jpg"}]}).encode())
    place.look(5)
    assert [record.number for record in place.records] == ["7"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("letter.docx", b"x", "not a picture that the box can print"),
        ("order.csv", b"image,size\na.jpg,huge\n", "line 2: size"),
        ("empty.jpg", b"", "is empty"),
    ],
)
def test_what_cannot_be_printed_is_put_aside_with_a_reason(place: Place, name: str, content: bytes, told: str) -> None:
    place.drop(name, content)
    place.drop("good.jpg")
    place.look(5, every_s=60)
    assert place.here() == [] and told in place.why() and "drop it again" in place.why()
    assert [record.number for record in place.records] == ["good"]


def test_what_programs_leave_around_is_left_alone(place: Place, tmp_path: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "~$order.csv", ".hidden.jpg"):
        place.drop(name, b"x")
    (tmp_path / "secret.jpg").write_bytes(PHOTO)
    (place.path / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    place.look(6)
    assert place.records == [] and len(place.here()) == 5


def test_a_link_in_a_folder_leads_nowhere(place: Place, store: Store, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(sample_photo(9, 90, 60))
    place.drop("Wedding/a/x.jpg")
    (place.path / "Wedding" / "b").mkdir()
    (place.path / "Wedding" / "b" / "x.jpg").symlink_to(tmp_path / "secret.jpg")
    (place.path / "Wedding" / "more").symlink_to(tmp_path)
    place.look(6)
    (record,) = place.records
    assert [store.folder.image(image.sha256 or "").read_bytes() for image in record.images] == [PHOTO]


@pytest.mark.parametrize("name", ["../../secret.jpg", "..", "/etc/hostname", "a/b.jpg", ""])
def test_a_claim_that_somebody_wrote_by_hand_leads_nowhere(place: Place, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.jpg").write_bytes(PHOTO)
    forged = {"moves": [name], "records": [{"number": "1", "lines": [{"image": "secret.jpg"}]}]}
    place.drop(f"{hot_folders.TAKEN}/x/claim.json", json.dumps(forged).encode())
    place.look(3)
    assert place.records == [] and (tmp_path / "secret.jpg").exists()
    assert not (place.path / hot_folders.TAKEN / "x").exists()


def test_the_boxs_own_folders_are_no_links(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (place.path / hot_folders.PROBLEMS).symlink_to(outside)
    place.drop("letter.docx", b"x")
    place.look(5)
    assert list(outside.iterdir()) == [] and "letter.docx" in place.here()
    (place.path / hot_folders.PROBLEMS).unlink()
    (place.path / hot_folders.TAKEN).mkdir()
    (place.path / hot_folders.TAKEN / "x").symlink_to(outside)
    place.look(5)
    assert place.here() == [] and outside.is_dir() and not (place.path / hot_folders.TAKEN / "x").exists()


def test_what_cannot_be_read_is_put_aside_and_the_others_go_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def guarded(path: object, *arguments: int, **more: int) -> int:
        if str(path).endswith("locked.jpg"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", guarded)  # root, as whom tests may run, reads everything
    place.drop("locked.jpg")
    place.drop("other.jpg")
    place.look(6)
    assert [record.number for record in place.records] == ["other"]
    assert "Permission denied" in place.why()


def test_files_that_nobody_wants_kept_are_deleted(store: Store, machine: SetTime, tmp_path: Path) -> None:
    place = Place(store, machine, tmp_path / "hot", keeps_files=False)
    place.drop("a.jpg")
    place.look(5)
    assert len(place.records) == 1 and not list(place.path.rglob("*.jpg"))


@pytest.mark.parametrize("step", range(1, 29))
def test_a_crash_at_any_step_prints_once(
    store: Store, machine: SetTime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Each call that changes something on the disk or in the store in turn is the last one of a run."""
    place = Place(store, machine, tmp_path / "hot")
    count = 0

    class Crash(BaseException):
        pass

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            nonlocal count
            count += 1
            if count == step:
                raise Crash
            return real(*args, **kwargs)

        return call

    place.drop("one/1.jpg")
    place.drop("order.csv", b"number,image\n1,a.jpg\n2,b.jpg\n2,a.jpg\n")
    place.drop("a.jpg")
    place.drop("b.jpg", sample_photo(2, 90, 60))
    with monkeypatch.context() as patch:
        for owner, name in (
            (Path, "rename"),
            (Path, "mkdir"),
            (Path, "unlink"),
            (intake, "accept_drop"),
            (shutil, "copyfileobj"),
        ):
            patch.setattr(owner, name, counted(getattr(owner, name)))
        with contextlib.suppress(Crash):
            place.look(5)
    assert count >= step, "there are not so many steps any more"
    place.restart()
    place.look(6)
    assert sorted(record.number for record in place.records) == ["1", "2", "one"]
    assert len(store.tickets) == 3 and place.here() == []
    assert not (place.path / hot_folders.TAKEN).exists() or not list((place.path / hot_folders.TAKEN).iterdir())


def test_no_desktop_hears_of_it(place: Place, store: Store) -> None:
    place.drop("a.jpg")
    place.look(5)
    with store.transaction():
        ticket = store.tickets.get(1)
        for event in ("start", "drawn"):
            ticket = progress.move_ticket(store, ticket, event, NOW)
        done = ItemResult(item="1", image="a.jpg", profile="p", outcome=Outcome.DONE)
        progress.end_ticket(store, ticket, (done,), NOW)
    assert store.records.get(1).status == "done" and len(store.changes) == 0


def test_a_drop_gets_one_ticket_whoever_asks_twice(place: Place, store: Store) -> None:
    hot_folder = store.hot_folders.get(1)
    push = RecordPush(kind=RecordKind.HOT_FOLDER, number="7", revision=1, status="dropped")
    first = intake.accept_drop(store, hot_folder, push, "drop-1/0", NOW)
    assert intake.accept_drop(store, hot_folder, push, "drop-1/0", NOW).id == first.id
    assert intake.accept_drop(store, hot_folder, push, "drop-2/0", NOW).number == "7 (2)"


def test_a_dropped_photo_comes_out_of_a_printer(
    appliance: Callable[..., Appliance], virtual_printer: Callable[..., VirtualPrinterProcess], tmp_path: Path
) -> None:
    printer = virtual_printer("Lab")
    Studio(tmp_path / "data", {"Lab": printer.uri})
    store = Store(tmp_path / "data")
    store.hot_folders.add(HotFolder(name="Prints", profile_id=1, size="4x6", quantity=2))  # type: ignore[arg-type]
    store.close()
    root = tmp_path / "share"
    appliance(tmp_path / "data", PRINTROOM_HOT_FOLDERS=str(root))
    until((root / "Prints").is_dir, "the hot folder is made")
    (root / "Prints" / "bride.jpg").write_bytes(sample_photo(1, 900, 600))
    until(lambda: len(printer.printed()) == 2, "two copies are out")
    assert [path.name for path in (root / "Prints" / "Done").rglob("*.jpg")] == ["bride.jpg"]
