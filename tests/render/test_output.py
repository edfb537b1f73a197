"""Putting sheets into the output folder: a name first, then the file."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from render import output
from render.errors import SheetImpossible
from render.output import Drawing, Publication, Publisher, free_name
from store.clock import Clock
from store.profiles import IfExists
from store.reach import Reach, Steps


@pytest.fixture(params=["hard links", "copies"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An output folder with somebody's file, on a file system with hard links or without."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.jpg").write_bytes(b"somebody's")
    if request.param == "copies":

        def refuse(*_: Any) -> None:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

        monkeypatch.setattr(output.os, "link", refuse)  # type: ignore[attr-defined]
    return tmp_path / "out"


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    path = tmp_path / "1.jpg"
    path.write_bytes(b"new")
    return path


def done(steps: Steps[bool]) -> bool:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return bool(end.value)


def placed(drawn: Path, root: Path, name: str, if_exists: IfExists = IfExists.NUMBER) -> bool:
    return done(output.place(drawn, root, name, if_exists))


def names(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_another_file_of_the_name_is_left_alone_by_default(root: Path, drawn: Path) -> None:
    name = free_name(root, "a.jpg", IfExists.NUMBER, ())
    assert name == "a (2).jpg" and placed(drawn, root, name)
    assert names(root) == {"a.jpg": b"somebody's", "a (2).jpg": b"new"}


def test_it_is_replaced_where_the_profile_says_so(root: Path, drawn: Path) -> None:
    assert free_name(root, "a.jpg", IfExists.REPLACE, ()) == "a.jpg"
    assert placed(drawn, root, "a.jpg", IfExists.REPLACE) and names(root) == {"a.jpg": b"new"}


def test_or_the_item_fails_and_nothing_is_touched(root: Path, drawn: Path) -> None:
    with pytest.raises(SheetImpossible, match=r"a\.jpg is in the output folder already"):
        free_name(root, "a.jpg", IfExists.FAIL, ())
    with pytest.raises(SheetImpossible, match=r"a\.jpg is in the output folder already"):
        placed(drawn, root, "a.jpg", IfExists.FAIL)
    assert names(root) == {"a.jpg": b"somebody's"}


def test_a_name_that_another_sheet_will_have_is_taken(root: Path) -> None:
    assert free_name(root, "b.jpg", IfExists.NUMBER, {"b.jpg", "b (2).jpg"}) == "b (3).jpg"


@pytest.mark.parametrize("if_exists", list(IfExists))
def test_the_same_sheet_again_is_the_same_file(root: Path, drawn: Path, if_exists: IfExists) -> None:
    """After a crash between the file and the row, it is put there again."""
    assert placed(drawn, root, "b/c.jpg", if_exists)
    again = drawn.with_name("again.jpg")
    again.write_bytes(drawn.read_bytes())  # drawn once more
    assert placed(drawn, root, "b/c.jpg", if_exists) and placed(again, root, "b/c.jpg", if_exists)
    assert names(root) == {"a.jpg": b"somebody's", "b/c.jpg": b"new"}


def test_a_file_that_somebody_put_there_meanwhile_is_left_alone(root: Path, drawn: Path) -> None:
    assert not placed(drawn, root, "a.jpg") and names(root) == {"a.jpg": b"somebody's"}


def test_a_folder_of_that_name_is_left_alone_whatever_the_profile_says(root: Path, drawn: Path) -> None:
    (root / "d.jpg").mkdir()
    assert free_name(root, "d.jpg", IfExists.REPLACE, ()) == "d (2).jpg"
    assert not placed(drawn, root, "d.jpg", IfExists.REPLACE)


def test_a_copy_that_was_cut_off_is_made_anew(root: Path, drawn: Path) -> None:
    (root / ".e.jpg.part").write_bytes(b"half")
    assert placed(drawn, root, "e.jpg", IfExists.REPLACE) and (root / "e.jpg").read_bytes() == b"new"


def test_a_name_that_the_folder_never_takes_is_the_sheets_own(root: Path) -> None:
    with pytest.raises(SheetImpossible, match="does not take this name"):
        free_name(root, f"{'n' * 300}.jpg", IfExists.NUMBER, ())


def test_what_the_folder_refuses_is_not_the_sheets_fault(root: Path, drawn: Path) -> None:
    (root / "folder").write_bytes(b"a file")
    with pytest.raises(FileExistsError):
        free_name(root, "folder/b.jpg", IfExists.NUMBER, ())
    with pytest.raises(FileNotFoundError):
        placed(drawn.with_name("gone.jpg"), root, "b.jpg")


def test_a_link_inside_the_output_folder_leads_nowhere(root: Path, drawn: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (root / "b").symlink_to(elsewhere)
    for steps in (lambda: free_name(root, "b/c.jpg", IfExists.NUMBER, ()), lambda: placed(drawn, root, "b/c.jpg")):
        with pytest.raises(SheetImpossible, match="leads out of the output folder"):
            steps()
    assert not list(elsewhere.iterdir())


# -- many at the same time --------------------------------------------------------------------------------------


@pytest.fixture
def publisher(root: Path) -> Iterator[Publisher]:
    yield Publisher(Reach(Clock()), root)


def publication(drawn: Path, *files: str, wanted: str = "f.jpg") -> Publication:
    drawings = tuple(Drawing(number, drawn, wanted, IfExists.NUMBER, (1, 1), file) for number, file in enumerate(files))
    return Publication(1, drawings)


def test_sheets_on_their_way_get_names_of_their_own(publisher: Publisher, drawn: Path, root: Path) -> None:
    first, second = publication(drawn, "", ""), publication(drawn, "")
    for one in (first, second):
        publisher.begin(one)
        one.future.result()
    assert [drawing.file for one in (first, second) for drawing in one.drawings] == ["f.jpg", "f (2).jpg", "f (3).jpg"]
    for one in (second, first):
        publisher.begin(one)
        one.future.result()
        assert all(drawing.is_placed for drawing in one.drawings)
    assert sorted(names(root)) == ["a.jpg", "f (2).jpg", "f (3).jpg", "f.jpg"]


def test_a_name_that_was_written_down_before_a_crash_is_taken(publisher: Publisher, drawn: Path) -> None:
    publisher.take(["f.jpg"])
    new = publication(drawn, "")
    publisher.begin(new)
    new.future.result()
    assert new.drawings[0].file == "f (2).jpg"


def test_a_name_that_was_lost_to_somebody_is_chosen_anew(publisher: Publisher, drawn: Path, root: Path) -> None:
    ours = publication(drawn, "")
    publisher.begin(ours)
    ours.future.result()
    (root / "f.jpg").write_bytes(b"somebody's")
    for is_placing, file in ((True, ""), (False, "f (2).jpg"), (True, "f (2).jpg")):
        publisher.begin(ours)
        ours.future.result()
        assert (ours.is_placing, ours.drawings[0].file) == (is_placing, file)
    assert ours.drawings[0].is_placed and (root / "f.jpg").read_bytes() == b"somebody's"


def test_what_is_given_up_takes_no_name(publisher: Publisher, drawn: Path) -> None:
    gone = publication(drawn, "")
    publisher.begin(gone)
    gone.future.result()
    publisher.end(gone)
    new = publication(drawn, "")
    publisher.begin(new)
    new.future.result()
    assert new.drawings[0].file == "f.jpg"
