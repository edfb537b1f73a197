"""Pictures by path: below the image folders and nowhere else."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from render.errors import PictureMissing
from render.sources import ImageFolders, PathMapping, locate
from store.pushed import ImageRef
from store.tables import Store


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "session 1").mkdir(parents=True)
    (folder / "session 1" / "a.jpg").write_bytes(b"x")
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    return folder


def by_path(path: str) -> ImageRef:
    return ImageRef(name="a.jpg", path=path)


def test_relative_absolute_and_windows_spelling(store: Store, root: Path) -> None:
    real = (root / "session 1" / "a.jpg").resolve()
    for path in ("session 1/a.jpg", str(real), "session 1\\a.jpg"):
        assert locate(by_path(path), store.folder, ImageFolders((root,))) == real


@pytest.mark.parametrize("path", ["../secret.jpg", "link.jpg", "session 1", "nothing.jpg", "a\0b.jpg", "/etc/hostname"])
def test_outside_links_folders_and_nothing_are_all_missing(store: Store, root: Path, path: str) -> None:
    with pytest.raises(PictureMissing, match="below the image folders"):
        locate(by_path(path), store.folder, ImageFolders((root,)))


def test_without_image_folders_it_says_how_to_get_some(store: Store) -> None:
    with pytest.raises(PictureMissing, match="PRINTROOM_IMAGE_ROOTS"):
        locate(by_path("a.jpg"), store.folder, ImageFolders())


def test_an_upload_that_never_came_says_how_to_send_it(store: Store) -> None:
    with pytest.raises(PictureMissing, match="PUT it first"):
        locate(ImageRef(name="a.jpg", sha256="0" * 64), store.folder, ImageFolders())


@pytest.mark.parametrize(
    "path",
    [
        "\\\\SERVER\\Images\\session 1\\a.jpg",
        "//server/images/session 1/a.jpg",
        "\\\\server\\images\\Session 1\\A.JPG",  # Windows takes them for the same
        "Z:\\session 1\\a.jpg",
        "z:/session 1/a.jpg",
    ],
)
def test_the_studios_paths_are_mapped_to_where_the_box_has_them(store: Store, root: Path, path: str) -> None:
    folders = ImageFolders((), (PathMapping("\\\\server\\images", root), PathMapping("Z:", root)))
    assert locate(by_path(path), store.folder, folders) == (root / "session 1" / "a.jpg").resolve()


OUTSIDE = ["Z:\\..\\secret.jpg", "Z:/link.jpg", "Z:", "\\\\server\\images2\\a.jpg", "Z:session 1/a.jpg"]


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_mapping_leads_nowhere_but_below_its_folder(store: Store, root: Path, path: str) -> None:
    folders = ImageFolders((), (PathMapping("\\\\server\\images", root), PathMapping("Z:", root)))
    with pytest.raises(PictureMissing, match="below the image folders"):
        locate(by_path(path), store.folder, folders)


def test_the_longest_prefix_counts_first(store: Store, root: Path, tmp_path: Path) -> None:
    other = tmp_path / "archive"
    other.mkdir()
    (other / "a.jpg").write_bytes(b"old")
    folders = ImageFolders((), (PathMapping("Z:", root), PathMapping("Z:\\session 1", other)))
    assert locate(by_path("Z:\\session 1\\a.jpg"), store.folder, folders) == (other / "a.jpg").resolve()


def test_names_of_a_mac_are_found(store: Store, root: Path) -> None:
    (root / unicodedata.normalize("NFD", "Zoë.jpg")).write_bytes(b"x")
    folders = ImageFolders((root,))
    assert locate(by_path(unicodedata.normalize("NFC", "Zoë.jpg")), store.folder, folders).read_bytes() == b"x"
