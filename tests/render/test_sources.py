"""Pictures by path: below the image folders and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from render.errors import PictureMissing
from render.sources import ImageFolders, locate
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
