"""Putting sheets into the output folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from render.errors import SheetImpossible
from render.output import publish
from store.profiles import IfExists


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.jpg").write_bytes(b"somebody's")
    return tmp_path / "out"


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    path = tmp_path / "1.jpg"
    path.write_bytes(b"new")
    return path


def test_another_file_of_the_name_is_left_alone_by_default(root: Path, drawn: Path) -> None:
    assert publish(drawn, root, "a.jpg") == "a (2).jpg"
    assert (root / "a.jpg").read_bytes() == b"somebody's" and (root / "a (2).jpg").read_bytes() == b"new"


def test_it_is_replaced_where_the_profile_says_so(root: Path, drawn: Path) -> None:
    assert publish(drawn, root, "a.jpg", IfExists.REPLACE) == "a.jpg"
    assert (root / "a.jpg").read_bytes() == b"new" and sorted(root.iterdir()) == [root / "a.jpg"]


def test_or_the_item_fails_and_nothing_is_touched(root: Path, drawn: Path) -> None:
    with pytest.raises(SheetImpossible, match=r"a\.jpg is in the output folder already"):
        publish(drawn, root, "a.jpg", IfExists.FAIL)
    assert [path.read_bytes() for path in root.iterdir()] == [b"somebody's"]


@pytest.mark.parametrize("if_exists", list(IfExists))
def test_the_same_sheet_again_is_the_same_file(root: Path, drawn: Path, if_exists: IfExists) -> None:
    """After a crash between publishing and recording, it is published again."""
    assert publish(drawn, root, "b/c.jpg", if_exists) == publish(drawn, root, "b/c.jpg", if_exists) == "b/c.jpg"
    assert len(list((root / "b").iterdir())) == 1
