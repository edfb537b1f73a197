"""Hot folders: what is dropped becomes a record and a ticket, once, whatever is cut off in between."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path

import pytest

from appliance import claims, drops
from render.samples import sample_photo
from store import intake, progress
from store.folder import DataFolder
from store.hot_folders import HotFolder
from store.pushed import RecordKind, RecordPush
from store.records import ItemResult, Outcome
from store.states import TicketState
from store.tables import Store
from tests.appliance.conftest import Appliance, Studio
from tests.appliance.hot_place import PHOTO, Place
from tests.lab import VirtualPrinterProcess, until
from tests.machine_time import SetTime
from tests.studio import NOW


@pytest.fixture
def store(timed_store: Store) -> Store:
    return timed_store


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
    place.look(3, every_s=drops.WAIT_FOR_PICTURES_S)
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


def test_what_programs_leave_around_is_left_alone(place: Place) -> None:
    for name in (".DS_Store", "Thumbs.db", "~$order.csv", ".hidden.jpg"):
        place.drop(name, b"x")
    place.drop("Wedding/.DS_Store", b"x")
    place.look(6, every_s=60)
    assert place.records == [] and len(place.here()) == 5 and place.notice is None


def test_a_link_is_put_aside_and_not_followed(place: Place, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(PHOTO)
    for name, target in (("link.jpg", tmp_path / "secret.jpg"), ("folder", tmp_path), ("dead.jpg", tmp_path / "gone")):
        (place.path / name).symlink_to(target)
    place.look(6)
    assert place.records == [] and place.here() == [] and place.aside() == ["dead.jpg", "folder", "link.jpg"]
    assert "link.jpg is a link: drop the file itself" in place.why()


def test_a_link_in_a_folder_leads_nowhere(place: Place, store: Store, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(sample_photo(9, 90, 60))
    place.drop("Wedding/a/x.jpg")
    (place.path / "Wedding" / "b").mkdir()
    (place.path / "Wedding" / "b" / "x.jpg").symlink_to(tmp_path / "secret.jpg")
    (place.path / "Wedding" / "more").symlink_to(tmp_path)
    place.look(6)
    (record,) = place.records
    assert [store.folder.image(image.sha256 or "").read_bytes() for image in record.images] == [PHOTO]
    assert place.aside() == ["more", "x.jpg"] and "Wedding/b/x.jpg is a link" in place.why()


@pytest.mark.parametrize("name", ["../../secret.jpg", "..", "/etc/hostname", "a/b.jpg", ""])
def test_a_claim_that_somebody_wrote_by_hand_leads_nowhere(place: Place, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.jpg").write_bytes(PHOTO)
    forged = {"moves": [name], "records": [{"number": "1", "lines": [{"image": "secret.jpg"}]}]}
    place.drop(f"{claims.TAKEN}/x/claim.json", json.dumps(forged).encode())
    place.look(3)
    assert place.records == [] and (tmp_path / "secret.jpg").exists()
    assert not (place.path / claims.TAKEN / "x").exists()


@pytest.mark.parametrize("own", claims.OWN)
@pytest.mark.parametrize("what", ["link", "dead link", "file", "pipe"])
def test_what_lies_where_the_boxs_own_folders_belong_is_put_aside(
    place: Place, tmp_path: Path, own: str, what: str
) -> None:
    outside, wrong = tmp_path / "outside", place.path / own
    outside.mkdir()
    {
        "link": lambda: wrong.symlink_to(outside),
        "dead link": lambda: wrong.symlink_to(tmp_path / "gone"),
        "file": lambda: wrong.write_bytes(b"x"),
        "pipe": lambda: os.mkfifo(wrong),
    }[what]()
    place.drop("letter.docx", b"x")
    place.drop("a.jpg")
    place.look(6)
    assert [record.number for record in place.records] == ["a"] and place.here() == []
    assert list(outside.iterdir()) == [] and "letter.docx" in place.aside()
    assert any(name.startswith(own.strip(".")) for name in place.aside())


def test_what_lies_among_what_was_taken_and_is_no_claim_is_put_aside(place: Place, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    place.drop(f"{claims.TAKEN}/a.jpg")
    place.drop(f"{claims.TAKEN}/x/b.jpg")
    place.drop(f"{claims.TAKEN}/y/claim.json", b"[" * 1000)
    (place.path / claims.TAKEN / "link").symlink_to(tmp_path / "outside")
    (place.path / claims.TAKEN / "z" / "claim.json").mkdir(parents=True)
    (place.path / claims.TAKEN / "w").mkdir()
    os.mkfifo(place.path / claims.TAKEN / "w" / "claim.json")
    place.look(3)
    assert list((place.path / claims.TAKEN).iterdir()) == [] and (tmp_path / "outside").is_dir()
    assert place.aside() == ["a.jpg", "link", "x", "z"] and place.records == []


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


class Crash(BaseException):
    """The last thing that a process does."""


class LastCall:
    """Lets calls through up to one, and none after it."""

    def __init__(self, last: int) -> None:
        self.last, self.count = last, 0

    def around(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            self.count += 1
            if self.count >= self.last:
                raise Crash
            return real(*args, **kwargs)

        return call

    @contextlib.contextmanager
    def of(self, calls: Iterable[tuple[object, str]]) -> Iterator[None]:
        """Count some calls, by their owners and names."""
        with pytest.MonkeyPatch.context() as patch:
            for owner, name in calls:
                patch.setattr(owner, name, self.around(getattr(owner, name)))
            yield


CHANGES = ((Path, "rename"), (Path, "mkdir"), (Path, "unlink"), (Path, "rmdir"), (Path, "open"), (os, "fsync"),
           (shutil, "rmtree"), (intake, "accept_drop"), (DataFolder, "keep_image"))  # fmt: skip


@pytest.mark.parametrize("keeps_files", [True, False])
def test_a_crash_at_any_step_prints_once_and_loses_nothing(machine: SetTime, tmp_path: Path, keeps_files: bool) -> None:
    """Each call that changes something on the disk or in the store in turn is the last one of a run."""
    for last in count(1):
        store = Store(tmp_path / f"data-{last}", machine=machine)
        place = Place(store, machine, tmp_path / f"hot-{last}", keeps_files=keeps_files)
        place.drop("one/1.jpg")
        place.drop("one/letter.docx", b"x")
        place.drop("order.csv", b"number,image\n1,a.jpg\n2,b.jpg\n2,a.jpg\n")
        place.drop("a.jpg")
        place.drop("b.jpg", sample_photo(2, 90, 60))
        place.drop("letter.docx", b"x")
        calls = LastCall(last)
        with calls.of(CHANGES), contextlib.suppress(Crash):
            place.look(5)
        place.restart()
        place.look(8)
        assert sorted(record.number for record in place.records) == ["1", "2", "one"], last
        assert len(store.tickets) == 3 and place.here() == [], last
        assert sorted(name.split(" ")[-1] for name in place.aside()) == ["letter.docx", "letter.docx"], last
        assert not list((place.path / claims.TAKEN).iterdir()), last
        done = [path.name for path in (place.path / claims.DONE).rglob("*.jpg")]
        assert sorted(done) == (["1.jpg", "a.jpg", "b.jpg"] if keeps_files else []), last
        store.close()
        if calls.count < last:
            break
    assert last > 30, "these are not all of the steps"


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
