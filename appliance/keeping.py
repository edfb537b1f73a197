"""Pictures out of a hot folder, kept among those that were uploaded: whole, or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from appliance import strangers
from appliance.strangers import Unfit
from store.errors import StoreUnavailable
from store.folder import DataFolder
from store.reach import Steps

CHUNK_BYTES = 1_000_000


class NotNow(Exception):
    """Something is taken later; says why, after its name."""


class Unsettled(NotNow):
    """A file changed while it was read."""


@dataclass(frozen=True)
class Limits:
    """What is taken."""

    most_bytes: int = 512_000_000  # of a picture
    min_free_bytes: int = 0  # that stay free on the box's disk


def keep(folder: DataFolder, place: Path, path: str, shown: str, limits: Limits) -> Steps[str]:
    """Bring a picture out of a hot folder among the uploaded ones, durably; returns its digest.

    Args:
        folder: the data folder.
        place: the hot folder.
        path: of the picture, below it.
        shown: its name for people.
        limits: on its size.

    Raises:
        Unfit: it cannot be taken.
        NotNow: it can be, later.
        StoreUnavailable: the box's disk takes nothing.
        OSError: the hot folder does not give it.
    """
    partial = folder.incoming / f"hot-{secrets.token_hex(8)}"
    try:
        with strangers.opened(place, path) as source:
            digest = yield from _copied(source, partial, shown, limits)
        with _own_disk():
            folder.keep_image(partial, digest)
    except OSError as error:
        if error.errno in strangers.ITS_OWN:
            raise Unfit(f"cannot be read ({shown}: {strangers.why(error)}): let everybody read it") from error
        raise
    finally:
        with _own_disk():
            partial.unlink(missing_ok=True)
    return digest


def _copied(source: io.FileIO, partial: Path, shown: str, limits: Limits) -> Steps[str]:
    before, copied, digest = os.fstat(source.fileno()), 0, hashlib.sha256()
    if before.st_size == 0:
        raise Unfit(f"cannot be printed: {shown} is empty")
    if before.st_size > limits.most_bytes:
        most = f"{limits.most_bytes / 1e6:,.0f} MB"
        raise Unfit(f"cannot be printed: {shown} is larger than {most}, the most that this box takes")
    if shutil.disk_usage(partial.parent).free < before.st_size + limits.min_free_bytes:
        raise NotNow("waits until there is room for it on the box's disk")
    with _own_disk():
        target = partial.open("wb")
    try:
        while part := source.read(CHUNK_BYTES):
            copied += len(part)
            if copied > before.st_size:
                break  # it grows, perhaps for ever
            digest.update(part)
            with _own_disk():
                target.write(part)
            yield
        with _own_disk():
            target.flush()
            os.fsync(target.fileno())
    finally:
        with _own_disk():
            target.close()
    after = os.fstat(source.fileno())
    if copied != before.st_size or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise Unsettled("changes while it is read: whoever writes it has not finished")
    return digest.hexdigest()


@contextmanager
def _own_disk() -> Iterator[None]:
    """Around writing into the data folder: what fails there is no fault of the hot folder's."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"the disk of the box took no picture ({strangers.why(error)})") from error
