"""Whatever lies in a hot folder is printed, put aside with a reason, or named where it lies; and the others go on."""

from __future__ import annotations

import errno
import json
import os
import socket
import tracemalloc
from pathlib import Path

import pytest

from appliance import claims, drops, job_tickets, keeping, strangers, watching
from appliance.claims import Place as Folder
from appliance.keeping import Limits
from render.samples import sample_photo
from store import intake
from store.errors import StoreUnavailable
from store.tables import Store
from tests.appliance.hot_place import PHOTO, Place
from tests.machine_time import SetTime

SECOND = sample_photo(2, 90, 60)
NAMES = {  # of a file, and the number of its record
    "as long as there is": ("x" * 251 + ".jpg", "x" * 149 + "…"),
    "long, in letters of three bytes": ("写" * 83 + ".jpg", "写" * 83),
    "no UTF-8": ("M\udcfcller.jpg", "Müller"),
    "line breaks": ("a\nb\r\tc.jpg", "a b c"),
    "turns the writing": ("\u202egpj.exe\u202c.jpg", "gpj.exe"),
    "blanks around it": ("  a  .jpg ", "a"),
    "nothing to be seen": ("\u200b\x01.jpg", "unnamed"),
    "a blank": (" .JPG", "unnamed"),
    "decomposed": ("Mu\u0308ller.jpg", "Müller"),
    "backslash": ("C:\\1.jpg", "C:_1"),
    "dots": ("a..b...jpg", "a..b.."),
    "the box's own": ("Done.jpg", "Done"),
}


@pytest.fixture
def store(timed_store: Store) -> Store:
    return timed_store


@pytest.fixture
def place(store: Store, machine: SetTime, tmp_path: Path) -> Place:
    return Place(store, machine, tmp_path / "hot")


def pictures(place: Place) -> list[bytes]:
    """Of all records."""
    folder = place.store.folder
    return [folder.image(image.sha256 or "").read_bytes() for record in place.records for image in record.images]


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", NAMES)
def test_a_picture_of_any_name_is_printed_under_one_that_people_can_read(place: Place, case: str) -> None:
    name, number = NAMES[case]
    place.drop(name)
    place.drop("good.jpg")
    place.look(6)
    assert place.numbers() == sorted(["good", number]) and place.here() == [] and place.notice is None
    assert sorted(path.name for path in (place.path / claims.DONE).rglob("*") if path.is_file()) == sorted(
        ["good.jpg", name]
    )


@pytest.mark.parametrize("case", NAMES)
def test_whatever_it_is_called_it_can_be_put_aside_twice(place: Place, case: str) -> None:
    name = NAMES[case][0][:-4] + ".doc"
    for _ in range(2):
        place.drop(name, b"x")
        place.look(5)
    assert place.here() == [] and len(place.aside()) == 2 and name in place.aside()
    assert len(list((place.path / claims.PROBLEMS).iterdir())) == 4
    assert "2 files could not be taken" in place.told() and "look into its folder Problems" in place.told()


def test_names_that_people_take_for_the_same_are_two_records(place: Place) -> None:
    for name in ("a.jpg", "A.jpg", "M\u00fcller.jpg", "Mu\u0308ller.jpg"):
        place.drop(name)
    place.look(6)
    assert place.numbers() == ["A", "Müller", "Müller (2)", "a"] and place.here() == []


def test_pictures_of_one_name_in_folders_of_one_drop_are_all_printed(place: Place) -> None:
    for number, folder in enumerate(("a", "b", "c"), 1):
        place.drop(f"Wedding/{folder}/1.{'JPG' if folder == 'c' else 'jpg'}", sample_photo(number, 90, 60))
    place.look(6)
    (record,) = place.records
    assert [image.name for image in record.images] == ["1.jpg", "1 (2).jpg", "1 (3).JPG"]
    assert pictures(place) == [sample_photo(number, 90, 60) for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("on_disk", "in_ticket"),
    [
        ("M\udcfcller.jpg", "Müller.jpg"),
        ("Mu\u0308ller.JPG", "M\u00fcller.jpg"),
        ("x" * 251 + ".jpg", "x" * 251 + ".jpg"),
        (" a.jpg", "a.jpg"),
        ("a\nb.jpg", "a b.jpg"),
    ],
)
def test_a_job_ticket_finds_a_picture_however_its_name_is_written(place: Place, on_disk: str, in_ticket: str) -> None:
    place.drop("order.json", json.dumps({"number": "7", "items": [{"image": in_ticket, "size": "4x6"}]}).encode())
    place.drop(on_disk)
    place.look(6)
    assert place.numbers() == ["7"] and place.here() == [] and pictures(place) == [PHOTO]


def test_a_job_ticket_takes_the_picture_that_is_spelt_as_it_says(place: Place) -> None:
    place.drop("order.csv", b"number,image\n7,A.jpg\n")
    place.drop("a.jpg")
    place.drop("A.jpg", SECOND)
    place.look(6)
    assert place.numbers() == ["7", "a"] and pictures(place) == [SECOND, PHOTO]


def test_a_job_ticket_that_may_mean_two_pictures_is_put_aside(place: Place) -> None:
    place.drop("Wedding/a/1.jpg")
    place.drop("Wedding/b/1.jpg")
    place.drop("Wedding/order.csv", b"image\n1.jpg\n")
    place.look(6)
    assert place.records == [] and place.aside() == ["Wedding"] and "there are 2 pictures of that name" in place.why()


def test_a_job_ticket_may_not_be_called_as_our_own_note_is(place: Place) -> None:
    """Which lies beside what is taken: the ticket would never be taken away, and print for ever."""
    place.drop("claim.json", json.dumps({"number": "7", "items": [{"image": "a.jpg"}]}).encode())
    place.drop("a.jpg")
    place.look(8)
    assert place.aside() == ["claim.json"] and "give it another one" in place.why() and place.numbers() == ["a"]


# -- kinds ------------------------------------------------------------------------------------------------------------


def test_what_is_no_file_is_put_aside(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(place.path / "pipe.jpg")
    os.mkfifo(place.path / "order.csv")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(place.path)  # the path of a socket is short
        listener.bind("socket.jpg")
        (place.path / "Wedding").mkdir()
        os.mkfifo(place.path / "Wedding" / "pipe.jpg")
        place.drop("Wedding/1.jpg")
        place.drop("folder.jpg/1.jpg")
        place.drop("good.jpg")
        place.look(6)
    assert place.numbers() == ["Wedding", "folder.jpg", "good"] and place.here() == []
    assert sorted(name.split(" ")[-1] for name in place.aside()) == ["order.csv", "pipe.jpg", "pipe.jpg", "socket.jpg"]
    assert "4 files could not be taken" in place.told() and "Wedding/pipe.jpg is a link, or no file" in place.why()


def test_a_hard_link_is_a_file_like_any_other(place: Place, tmp_path: Path) -> None:
    original = tmp_path / "original.jpg"
    original.write_bytes(PHOTO)
    (place.path / "a.jpg").hardlink_to(original)
    place.look(5)
    assert place.numbers() == ["a"] and original.read_bytes() == PHOTO


def test_a_folder_that_is_too_deep_is_put_aside_however_deep_it_is(place: Place) -> None:
    (place.path / "deep").mkdir()
    handle = os.open(place.path / "deep", os.O_RDONLY)
    for _ in range(100):  # a path of 20,000 bytes
        os.mkdir("x" * 200, dir_fd=handle)
        inner = os.open("x" * 200, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(os.open("1.jpg", os.O_WRONLY | os.O_CREAT, dir_fd=handle))
    os.close(handle)
    place.drop("good.jpg")
    place.look(6)
    assert place.numbers() == ["good"] and place.aside() == ["deep"] and "too long for the box" in place.why()


def test_folders_in_folders_have_a_limit(place: Place) -> None:
    place.drop("/".join(["deep", *"x" * strangers.MOST_DEEP, "1.jpg"]))
    place.drop("/".join(["flat", *"x" * (strangers.MOST_DEEP - 1), "1.jpg"]))
    place.look(6)
    assert place.numbers() == ["flat"] and place.aside() == ["deep"] and "more than 20 deep" in place.why()


def test_a_folder_with_too_many_files_is_put_aside(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "MOST_FILES", 5)
    for number in range(6):
        place.drop(f"Wedding/{number}.jpg")
    place.look(6)
    assert place.records == [] and place.aside() == ["Wedding"] and "drop them in parts" in place.why()


def test_a_folder_of_that_many_pictures_is_one_record(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a job ticket may have lines."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # half a minute
    for number in range(job_tickets.MAX_LINES + 1):
        (place.path / "Wedding").mkdir(exist_ok=True)
        (place.path / "Wedding" / f"{number}.jpg").write_bytes(b"%d" % number)
    place.look(5)
    (record,) = place.records
    assert len(record.images) == job_tickets.MAX_LINES + 1


def test_what_in_a_folder_is_not_printed_is_put_aside_and_never_deleted(
    store: Store, machine: SetTime, tmp_path: Path
) -> None:
    place = Place(store, machine, tmp_path / "hot", keeps_files=False)
    for name in ("1.jpg", "1.xmp", "letter.docx", "more/raw.cr2", "order.csv", "2.jpg"):
        place.drop(f"Wedding/{name}", b"image\n1.jpg\n" if name == "order.csv" else PHOTO)
    place.look(6)
    (record,) = place.records
    assert [image.name for image in record.images] == ["1.jpg"]
    assert place.aside() == ["2.jpg", "letter.docx", "raw.cr2"] and place.here() == []
    assert "Wedding/2.jpg: no line of its job ticket names it" in place.why()
    assert "Wedding/more/raw.cr2 is not a picture" in place.why()


def test_an_empty_picture_in_a_folder_is_named(place: Place) -> None:
    place.drop("Wedding/1.jpg")
    place.drop("Wedding/2.jpg", b"")
    place.look(5)
    assert place.here() == ["Wedding"]
    place.look(3, every_s=drops.EMPTY_LIMIT_S)
    assert place.aside() == ["Wedding"] and "2.jpg in it is empty" in place.why()


def test_what_a_transfer_has_not_finished_is_waited_for(place: Place) -> None:
    path = place.drop("a.jpg.filepart")
    place.drop("Wedding/1.jpg")
    inner = place.drop("Wedding/2.jpg.filepart")
    place.look(10)
    assert place.here() == ["Wedding", "a.jpg.filepart"]
    path.rename(place.path / "a.jpg")
    inner.rename(place.path / "Wedding" / "2.jpg")
    place.look(5)
    assert place.numbers() == ["Wedding", "a"] and len(pictures(place)) == 3
    place.drop("b.jpg.part")
    place.look(5, every_s=drops.PARTIAL_LIMIT_S)
    assert place.aside() == ["b.jpg.part"] and "its transfer broke off" in place.why()


# -- job tickets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", job_tickets.ENDINGS)
@pytest.mark.parametrize("folder", ["", "Wedding/"])
def test_a_job_ticket_of_a_gigabyte_is_not_read(place: Place, ending: str, folder: str) -> None:
    path = place.drop(f"{folder}order{ending}", b"image\n")
    os.truncate(path, 1_000_000_000)
    place.drop("good.jpg")
    tracemalloc.start()
    place.look(6)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert place.numbers() == ["good"] and len(place.aside()) == 1 and "larger than 4 MB" in place.why()
    assert most < 30_000_000


def test_a_job_ticket_that_never_stops_growing_does_not_keep_the_pictures_for_ever(place: Place) -> None:
    place.drop("good.jpg")
    for size in range(1, 100):
        place.drop("log.csv", b"x" * size)
        place.look(1, every_s=60)
        assert (size > 12) == bool(place.records) or size in (11, 12)
    assert place.here() == ["log.csv"] and "log.csv, which has not stopped changing" in place.told()


def test_a_picture_that_never_stops_growing_is_named_and_left(place: Place) -> None:
    for size in range(1, 100):
        place.drop("movie.jpg", b"x" * size)
        place.look(1, every_s=60)
    place.drop("good.jpg")
    for size in range(100, 105):
        place.drop("movie.jpg", b"x" * size)
        place.look(1)
    assert place.numbers() == ["good"] and place.here() == ["movie.jpg"]
    assert "movie.jpg, which has not stopped changing for more than an hour" in place.told()


# -- what changes meanwhile -------------------------------------------------------------------------------------------


def test_a_picture_that_changes_while_it_is_read_is_not_taken_in_part(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "CHUNK_BYTES", 100)
    path = tmp_path / "a.jpg"
    for change in (
        lambda: path.write_bytes(PHOTO),  # written anew: the same size, another time
        lambda: os.truncate(path, 150),
        lambda: path.write_bytes(PHOTO + b"more"),
    ):
        path.write_bytes(PHOTO)
        os.utime(path, (1, 1))
        steps = keeping.keep(store.folder, tmp_path, "a.jpg", "a.jpg", Limits())
        next(steps)
        change()
        with pytest.raises(keeping.Unsettled):
            list(steps)
        assert list(store.folder.incoming.iterdir()) == [] and list(store.folder.images.rglob("*/*")) == []


def test_what_changes_while_it_is_read_is_read_again_and_put_aside_after_an_hour(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = keeping.keep

    def changing(*arguments: object) -> object:
        os.utime(next((place.path / claims.TAKEN).glob("*/a.jpg")))
        steps = real(*arguments)  # type: ignore[arg-type]
        next(steps)
        os.utime(next((place.path / claims.TAKEN).glob("*/a.jpg")), (1, 1))
        return (yield from steps)

    monkeypatch.setattr(watching, "keep", changing)
    place.drop("a.jpg")
    place.look(6)
    assert place.records == [] and "a.jpg, which changes while it is read" in place.told()
    place.look(80, every_s=61)
    assert place.aside() == ["a.jpg"] and "does not stop changing" in place.why()


@pytest.mark.parametrize("left", [0, 1])
def test_what_somebody_takes_back_between_two_calls_is_theirs(
    place: Place, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    real = Folder.claim

    def claim(folder: Folder, *arguments: object) -> str:
        drop = real(folder, *arguments)  # type: ignore[arg-type]
        for name in ("a.jpg", "order.csv", "b.jpg")[left:]:
            (place.path / name).unlink()
        return drop

    monkeypatch.setattr(Folder, "claim", claim)
    place.drop("order.csv", b"image\na.jpg\nb.jpg\n")
    place.drop("a.jpg")
    place.drop("b.jpg")
    place.look(6)
    assert place.records == [] and place.here() == [] and not list((place.path / claims.TAKEN).iterdir())
    assert place.aside() == ["a.jpg"][:left]
    assert left == 0 or "b.jpg was taken away before it could be read" in place.why()


def test_a_file_of_the_same_name_that_comes_while_another_is_put_away_is_not_lost(
    store: Store, machine: SetTime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The box dies between deleting what was printed and forgetting the claim; meanwhile somebody drops a.jpg."""
    place = Place(store, machine, tmp_path / "hot", keeps_files=False)
    place.drop("a.jpg")

    def dies(*_: object) -> None:
        raise RuntimeError("power")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "forget", dies)
        place.look(4)
    assert place.numbers() == ["a"] and place.here() == []
    place.drop("a.jpg", SECOND)
    place.restart()
    place.look(10)
    assert place.numbers() == ["a", "a (2)"] and pictures(place) == [PHOTO, SECOND]


# -- limits -----------------------------------------------------------------------------------------------------------


def test_a_picture_that_is_too_large_is_put_aside(place: Place) -> None:
    place.restart(limits=Limits(most_bytes=10_000_000))
    os.truncate(place.drop("large.jpg"), 10_000_001)
    place.drop("good.jpg")
    place.look(6)
    assert place.numbers() == ["good"] and place.aside() == ["large.jpg"] and "larger than 10 MB" in place.why()


def test_without_room_on_the_boxs_disk_it_waits_and_goes_on(place: Place) -> None:
    place.restart(limits=Limits(min_free_bytes=10**18))
    place.drop("a.jpg")
    place.look(6)
    assert place.records == [] and "a.jpg, which waits until there is room for it on the box's disk" in place.told()
    place.restart()
    place.look(2)
    assert place.numbers() == ["a"] and place.notice is None


def test_a_disk_of_the_box_that_fails_is_everybodys_and_blames_no_picture(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def full(path: Path, *arguments: object, **how: object) -> object:
        if path.parent == place.store.folder.incoming:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, *arguments, **how)  # type: ignore[call-overload]

    place.drop("a.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        place.look(2)
        with pytest.raises(StoreUnavailable, match="the disk of the box took no picture"):
            place.look(2)
    place.look(3)
    assert place.numbers() == ["a"] and place.aside() == []


def test_many_drops_are_taken_some_in_each_look_and_none_is_forgotten(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "MOST_AT_ONCE", 20)
    for number in range(50):
        place.drop(f"{number:03d}.jpg", b"%d" % number)
    place.drop("letter.docx", b"x")
    place.look(3)
    assert len(place.records) == 20 and place.watcher.step(place.store.clock.now()) < 1
    place.look(2)
    assert len(place.records) == 50 and place.here() == [] and place.aside() == ["letter.docx"]


# -- faults -----------------------------------------------------------------------------------------------------------


def test_a_fault_of_ours_with_one_drop_stays_with_it_and_prints_once_when_it_is_mended(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = intake.accept_drop

    def accept(store: Store, hot_folder: object, push: object, *more: object) -> object:
        if getattr(push, "number", "") == "2":
            raise RuntimeError("a fault")
        return real(store, hot_folder, push, *more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(intake, "accept_drop", accept)
        place.drop("order.csv", b"number,image\n1,a.jpg\n2,a.jpg\n3,a.jpg\n")
        place.drop("a.jpg")
        place.drop("b.jpg")
        place.look(10)
        assert place.numbers() == ["1", "b"] and "a.jpg, which met a fault in Printroom" in place.told()
    place.look(2, every_s=60)
    place.look(2)
    assert place.numbers() == ["1", "2", "3", "b"] and place.notice is None


def test_what_was_printed_in_part_says_what_to_drop_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = intake.accept_drop

    def accept(store: Store, hot_folder: object, push: object, *more: object) -> object:
        if getattr(push, "number", "") == "2":
            raise RuntimeError("a fault")
        return real(store, hot_folder, push, *more)  # type: ignore[arg-type]

    place.drop("order.csv", b"number,image\n1,a.jpg\n2,b.jpg\n")
    place.drop("a.jpg")
    place.drop("b.jpg", SECOND)
    with monkeypatch.context() as patch:
        patch.setattr(intake, "accept_drop", accept)
        place.look(4)
    next((place.path / claims.TAKEN).glob("*/b.jpg")).unlink()
    place.look(4)
    assert place.numbers() == ["1"] and "Printed already: 1; drop only the others again" in place.why()


def test_a_folder_whose_profile_was_removed_takes_nothing_and_says_so(place: Place) -> None:
    profile = place.store.render_profiles.get(1)
    place.store.render_profiles.remove(1)
    place.drop("a.jpg")
    place.look(5)
    assert place.here() == ["a.jpg"] and place.told() == (
        "Hot folder Lustre 8x10 has no render profile: choose one for it under Settings, Hot folders"
    )
    place.store.render_profiles.add(profile)
    place.look(6, every_s=10)
    assert place.numbers() == ["a"] and place.notice is None


def test_nothing_is_taken_into_a_store_that_is_being_closed(place: Place) -> None:
    place.drop("a.jpg")
    place.look(2)
    place.watcher.stop()
    place.look(3)
    assert place.records == []
    place.restart()
    place.look(4)
    assert place.numbers() == ["a"]


# -- what people are told ---------------------------------------------------------------------------------------------


def test_a_notice_is_written_when_it_changes_and_ends_when_the_folder_is_empty(place: Place, store: Store) -> None:
    place.drop("letter.docx", b"x")
    place.look(6)
    assert place.notice is not None and (place.notice.problems, place.notice.left_count) == (1, 0)
    version = store.version
    place.look(20)
    assert store.version == version
    for path in (place.path / claims.PROBLEMS).iterdir():
        path.unlink()
    place.look(2, every_s=watching.COUNT_EVERY_S)
    assert place.notice is None


@pytest.mark.parametrize("how", ["inactive", "removed"])
def test_a_notice_ends_with_its_hot_folder(place: Place, store: Store, how: str) -> None:
    place.drop("letter.docx", b"x")
    place.look(6)
    if how == "removed":
        store.hot_folders.remove(place.hot_folder.id)
    else:
        store.hot_folders.put(place.hot_folder.with_(inactive=True))
    place.look(1)
    assert place.notice is None


def test_a_folder_that_only_differs_from_ours_by_its_letters_is_a_drop(place: Place) -> None:
    place.drop("letter.docx", b"x")
    place.look(5)
    place.drop("problems/1.jpg")
    place.drop("DONE/1.jpg")
    place.look(5)
    assert place.numbers() == ["DONE", "problems"]
