"""Whose fault it is that something could not be drawn, and what a person reads of it. Pure.

A picture is blamed for what opening it raises, and for nothing else: what writing raises is the disk's, a folder that
does not answer is its server's, and what nobody thought of is ours.
"""

from __future__ import annotations

import errno
from enum import StrEnum

from render.errors import RenderError
from render.pictures import is_of_the_system
from render.workers import Ending, WorkerEnded
from store.reach import OutOfReach


class Blame(StrEnum):
    """Whose fault something is, and so what becomes of it."""

    ORDER = "order"  # the picture's, or of what was asked for: it fails by name
    PLACE = "place"  # a disk, a share, a folder: tried again until there is room, or somebody mended it
    MEMORY = "memory"  # the system ended the process that drew: tried again alone, so many times
    CRASH = "crash"  # the process ended by itself, or took too long: alone once more, then it is the picture's
    OURS = "ours"  # the ticket is parked


def blame(error: BaseException) -> Blame:
    """Whose fault an error is.

    >>> blame(OSError(28, "No space left on device")).value, blame(OSError("broken data stream")).value
    ('place', 'ours')
    >>> blame(WorkerEnded(Ending.KILLED)).value, blame(WorkerEnded(Ending.CRASHED)).value, blame(KeyError()).value
    ('memory', 'crash', 'ours')
    """
    if isinstance(error, RenderError):
        return Blame.ORDER
    if isinstance(error, WorkerEnded):
        return Blame.MEMORY if error.ending is Ending.KILLED else Blame.CRASH
    if isinstance(error, MemoryError):
        return Blame.MEMORY
    return Blame.PLACE if is_of_the_system(error) else Blame.OURS


_REMEDIES = {
    errno.ENOSPC: "delete old files from the output folder, or make the disk larger",
    errno.EDQUOT: "delete old files there, or raise the quota",
    errno.EACCES: "let Printroom write there",
    errno.EPERM: "let Printroom write there",
    errno.EROFS: "let Printroom write there",
    errno.ENOENT: "look whether the folder is there, and whether the share that it lies on is mounted",
    errno.EIO: "the disk or the share may be failing, look under Health and log",
}


def why_it_waits(error: OSError) -> str:
    """What a person reads of a ticket that waits for a disk or a folder.

    >>> why_it_waits(OSError(28, "No space left on device", "/data/sheets/.7.jpg.part"))
    'waits: no space left on device (/data/sheets/.7.jpg.part): delete old files from the output folder, or make the \
disk larger. It goes on by itself'
    """
    return f"waits: {what_fails(error)}. It goes on by itself"


def what_fails(error: OSError) -> str:
    """A disk or a folder that fails, and what to do."""
    if isinstance(error, OutOfReach):
        return str(error)
    what = error.strerror or str(error)
    where = f" ({error.filename})" if error.filename else ""
    remedy = _REMEDIES.get(error.errno or 0, "look whether the folder is there and may be used")
    return f"{what[:1].lower()}{what[1:]}{where}: {remedy}"


def why_it_is_tried_again(images: tuple[str, ...]) -> str:
    """What a person reads of a ticket whose drawing process the system ended."""
    return (
        f"waits: the system ended the program that drew {named(images)}, most likely for want of memory. It is tried "
        "again alone, by itself"
    )


def why_it_is_held(images: tuple[str, ...], tries: int) -> str:
    """What a person reads when it did so again and again."""
    return (
        f"held: the system ended the program that drew {named(images)} {tries} times, also alone, most likely for want "
        "of memory: end what else runs on the machine, or lower max_memory_mb or workers in the settings; then let it "
        "go on"
    )


def why_it_crashed(images: tuple[str, ...]) -> str:
    """What a person reads of pictures that end the program that reads them."""
    return f"{named(images)}: {CRASHED}"


CRASHED = (
    "the program that reads pictures was ended while it worked on this: "
    "the file is damaged, takes too long or needs too much memory; save it again from the original"
)


def named(images: tuple[str, ...]) -> str:
    """The first few names.

    >>> named(("a.jpg", "b.jpg", "c.jpg", "d.jpg"))
    'a.jpg, b.jpg, c.jpg and 1 more'
    """
    more = f" and {len(images) - 3} more" if len(images) > 3 else ""
    return ", ".join(images[:3]) + more
