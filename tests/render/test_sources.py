"""Pictures by path: below the image folders and nowhere else."""

from __future__ import annotations

import errno
import os
import unicodedata
from pathlib import Path

import pytest

from render.errors import PictureMissing
from render.looking import Look
from render.sources import ImageFolders, PathMapping
from store.pushed import ImageRef
from store.reach import OutOfReach, Reach
from store.tables import Store
from tests.lab import until
from tests.share import Share


def locate(image: ImageRef, store: Store, folders: ImageFolders) -> Path:
    """Where a look finds a picture."""
    looked = Look([image], store.folder, folders, store.reach).wait()
    if image.name in looked.missing:
        raise looked.missing[image.name]
    return looked.uploaded[image.name] if image.sha256 else looked.found[image.name].path


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
        assert locate(by_path(path), store, ImageFolders((root,))) == real


@pytest.mark.parametrize("path", ["../secret.jpg", "link.jpg", "session 1", "nothing.jpg", "a\0b.jpg", "/etc/hostname"])
def test_outside_links_folders_and_nothing_are_all_missing(store: Store, root: Path, path: str) -> None:
    with pytest.raises(PictureMissing, match="below the image folders"):
        locate(by_path(path), store, ImageFolders((root,)))


def test_without_image_folders_it_says_how_to_get_some(store: Store) -> None:
    with pytest.raises(PictureMissing, match="PRINTROOM_IMAGE_ROOTS"):
        locate(by_path("a.jpg"), store, ImageFolders())


def test_an_upload_that_never_came_says_how_to_send_it(store: Store) -> None:
    with pytest.raises(PictureMissing, match="PUT it first"):
        locate(ImageRef(name="a.jpg", sha256="0" * 64), store, ImageFolders())


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
    assert locate(by_path(path), store, folders) == (root / "session 1" / "a.jpg").resolve()


OUTSIDE = ["Z:\\..\\secret.jpg", "Z:/link.jpg", "Z:", "\\\\server\\images2\\a.jpg", "Z:session 1/a.jpg"]


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_mapping_leads_nowhere_but_below_its_folder(store: Store, root: Path, path: str) -> None:
    folders = ImageFolders((), (PathMapping("\\\\server\\images", root), PathMapping("Z:", root)))
    with pytest.raises(PictureMissing, match="below the image folders"):
        locate(by_path(path), store, folders)


def test_the_longest_prefix_counts_first(store: Store, root: Path, tmp_path: Path) -> None:
    other = tmp_path / "archive"
    other.mkdir()
    (other / "a.jpg").write_bytes(b"old")
    folders = ImageFolders((), (PathMapping("Z:", root), PathMapping("Z:\\session 1", other)))
    assert locate(by_path("Z:\\session 1\\a.jpg"), store, folders) == (other / "a.jpg").resolve()


def test_names_of_a_mac_are_found(store: Store, root: Path) -> None:
    (root / unicodedata.normalize("NFD", "Zoë.jpg")).write_bytes(b"x")
    folders = ImageFolders((root,))
    assert locate(by_path(unicodedata.normalize("NFC", "Zoë.jpg")), store, folders).read_bytes() == b"x"


def test_a_loop_of_links_and_a_pipe_are_missing(store: Store, root: Path) -> None:
    (root / "loop.jpg").symlink_to(root / "loop.jpg")
    os.mkfifo(root / "pipe.jpg")
    for path in ("loop.jpg", "pipe.jpg", "n" * 300):
        with pytest.raises(PictureMissing):
            locate(by_path(path), store, ImageFolders((root,)))


def test_the_first_folder_that_has_it_counts(store: Store, root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "session 1").mkdir(parents=True)
    (other / "session 1" / "a.jpg").write_bytes(b"y")
    assert locate(by_path("session 1/a.jpg"), store, ImageFolders((other, root))).read_bytes() == b"y"
    assert locate(by_path("session 1/a.jpg"), store, ImageFolders((root, other))).read_bytes() == b"x"


def test_a_path_that_leads_into_another_folder_is_not_looked_at_in_this_one(
    store: Store, root: Path, tmp_path: Path, share: Share
) -> None:
    """It might hang."""
    (share.server / "a.jpg").write_bytes(b"x")
    folders = ImageFolders((root, share.mount))
    assert locate(by_path(f"{share.mount}/a.jpg"), store, folders) == share.mount / "a.jpg"
    share.hang()
    away = f"{root}/../lan/share/a.jpg"
    for path in (f"{share.mount}/a.jpg", away):
        looked = Look([by_path(path)], store.folder, ImageFolders((root,)), store.reach).wait()
        assert "a.jpg" in looked.missing
    assert store.reach.silent() == []


def test_a_folder_that_does_not_answer_keeps_nobody_waiting_whose_picture_lies_elsewhere(
    store: Store, root: Path, share: Share
) -> None:
    store.reach = Reach(store.clock, 0.3)
    share.hang()
    images = [by_path("session 1/a.jpg").with_(name="here.jpg"), by_path("nowhere.jpg").with_(name="unknown.jpg")]
    folders = ImageFolders((share.mount, root))
    looked = until(Look(images, store.folder, folders, store.reach).result, "an answer")
    assert looked.found.keys() == {"here.jpg"} and looked.unknown.keys() == {"unknown.jpg"}
    assert isinstance(looked.trouble, OutOfReach) and looked.trouble.root == share.mount
    share.go_on()


def test_a_folder_that_fails_is_no_missing_picture(store: Store, share: Share) -> None:
    (share.server / "a.jpg").write_bytes(b"x")
    share.vanish()
    looked = Look([by_path("a.jpg")], store.folder, ImageFolders((share.mount,)), store.reach).wait()
    assert not looked.missing and looked.trouble is not None
    assert (looked.trouble.errno, looked.trouble.filename) == (errno.ENOTCONN, str(share.mount))


def test_a_folder_without_anything_has_gone_away_where_pictures_were_before(store: Store, tmp_path: Path) -> None:
    folders = ImageFolders((tmp_path / "unmounted",))
    first = Look([by_path("a.jpg")], store.folder, folders, store.reach).wait()
    later = Look([by_path("a.jpg")], store.folder, folders, store.reach, were_there=True).wait()
    assert first.missing and not later.missing and "empty or not there" in str(later.trouble)
