"""Where a record's pictures lie: uploaded ones by digest, others below the configured image folders only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from render.errors import PictureMissing, PictureUnsettled
from store.folder import DataFolder
from store.pushed import ImageRef

SETTLE_S = 2.0  # a file that was written to more recently may still be growing


def check_settled(path: Path, name: str, now_s: float) -> None:
    """Refuse a file that somebody may still be copying.

    Args:
        path: the file.
        name: for messages.
        now_s: the time, in seconds since the epoch.

    Raises:
        PictureUnsettled: it was written to a moment ago.
    """
    if 0 <= now_s - path.stat().st_mtime < SETTLE_S:
        raise PictureUnsettled(f"waits until {name} is completely copied")


def locate(image: ImageRef, folder: DataFolder, roots: Sequence[Path]) -> Path:
    """The file of a picture.

    Args:
        image: the record's reference.
        folder: the data folder, for uploaded pictures.
        roots: the folders below which paths are allowed; a path may be absolute or relative to any of them.

    Raises:
        PictureMissing: names the picture and says what to do. A path outside the roots is treated as missing
            whether or not there is a file, symbolic links included.
    """
    if image.sha256 is not None:
        path = folder.image(image.sha256)
        if not path.is_file():
            raise PictureMissing(
                f"{image.name}: no picture with this digest was uploaded; PUT it first, then push again"
            )
        return path
    if not roots:
        raise PictureMissing(f"{image.name}: the box has no image folders; set PRINTROOM_IMAGE_ROOTS or upload it")
    for root in roots:
        try:
            real_root = root.resolve(strict=True)
            real = (real_root / (image.path or "").replace("\\", "/")).resolve(strict=True)
        except (OSError, ValueError):  # not there, a loop of links, a NUL in the name
            continue
        if real.is_relative_to(real_root) and real.is_file():
            return real
    listed = ", ".join(str(root) for root in roots)
    raise PictureMissing(f"{image.name}: no file '{image.path}' below the image folders ({listed})")
