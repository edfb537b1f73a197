"""Where a record's pictures lie: uploaded ones by digest, others below the configured image folders only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from render.errors import PictureMissing
from store.folder import DataFolder
from store.pushed import ImageRef


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
