"""Names that come from outside (of files, in job tickets), made fit for records, for file systems and for people. Pure.

A file system takes any bytes but NUL and "/" for a name: not UTF-8, line breaks, characters that turn the writing
direction. A record's number and its images' names are short, readable and on one line.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

MOST_NUMBER, MOST_NAME = (
    150,
    200,
)  # characters of a record's number (another may get a count behind it), and of the rest
MOST_FILE_BYTES = 255
UNNAMED = "unnamed"
_JOINERS = "\u200c\u200d"  # without them some scripts, and emoji, fall apart
_LONGEST_ENDING = 12


def readable(text: str, most: int = MOST_NAME) -> str:
    r"""A text on one line, without what cannot be seen: "" when nothing is left.

    Args:
        text: whatever came; bytes that are no UTF-8 as Python's file system functions have them.
        most: characters; a longer text is cut.

    >>> readable(" M\udcfcller\n\u202e1.jpg ")
    'Müller 1.jpg'
    """
    if text.isascii() and text.isprintable():
        return _cut(" ".join(text.split()), most)
    plain = unicodedata.normalize("NFC", "".join(_as_letter(letter) for letter in text))
    return _cut(" ".join("".join(_as_seen(letter) for letter in plain).split()).strip(_JOINERS + " "), most)


def _as_letter(letter: str) -> str:
    if not "\ud800" <= letter <= "\udfff":
        return letter
    # Python's stand-in for a byte that is no UTF-8: old programs of Windows wrote such letters.
    return bytes([ord(letter) - 0xDC00]).decode("cp1252", "replace") if "\udc80" <= letter <= "\udcff" else "\ufffd"


def _as_seen(letter: str) -> str:
    match unicodedata.category(letter):
        case "Cc" | "Zl" | "Zp":
            return " "
        case "Cf":
            return letter if letter in _JOINERS else ""
        case _:
            return letter


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def fit(name: str, most: int = MOST_NAME) -> str:
    """A name for a record, or for something in one; its ending is kept where it is long.

    >>> fit("\\n"), fit("x" * 300 + ".jpg", 12), fit("C:\\\\1.jpg")
    ('unnamed', 'xxxxxxx….jpg', 'C:_1.jpg')
    """
    stem, ending = split(readable(name, len(name) + 1).replace("/", "_").replace("\\", "_"))
    if len(ending) > min(_LONGEST_ENDING, most - 2):
        stem, ending = stem + ending, ""
    return (_cut(stem.strip(), most - len(ending)) or UNNAMED) + ending


def split(name: str) -> tuple[str, str]:
    """A name without blanks around it, before its ending and from the dot on.

    >>> split(" a.b.jpg "), split(".jpg"), split("a")
    (('a.b', '.jpg'), ('', '.jpg'), ('a', ''))
    """
    stem, dot, ending = name.strip().rpartition(".")
    return (stem, dot + ending) if dot else (ending, "")


def unique(names: Iterable[str], most: int = MOST_NAME) -> list[str]:
    """The names, fit, each another one also where capitals and small letters count as the same; in their order.

    >>> unique(["a.jpg", "A.jpg", "a.jpg"])
    ['a.jpg', 'A (2).jpg', 'a (3).jpg']
    """
    taken: set[str] = set()
    counts: dict[str, int] = {}
    found: list[str] = []
    for name in names:
        wanted = one = fit(name, most)
        key = folded(wanted)
        while folded(one) in taken:
            counts[key] = counts.get(key, 1) + 1
            one = _counted(wanted, counts[key], most)
        taken.add(folded(one))
        found.append(one)
    return found


def _counted(name: str, count: int, most: int) -> str:
    stem, ending = split(name)
    if len(ending) > _LONGEST_ENDING:
        stem, ending = name, ""
    behind = f" ({count}){ending}"
    return _cut(stem, most - len(behind)) + behind


def folded(name: str) -> str:
    """What names have in common that people take for the same: Unicode's forms, capitals and small letters."""
    return unicodedata.normalize("NFC", readable(name, len(name) + 1).casefold())


def fit_file(name: str, behind: str = "") -> str:
    """A name that a file system takes, with something at its end; its own bytes are kept, as far as there is room.

    >>> len(fit_file("x" * 255, " - why.txt"))
    255
    """
    raw, added = name.encode("utf-8", "surrogateescape"), behind.encode()
    most = MOST_FILE_BYTES - len(added)
    if len(raw) > most:
        while most and raw[most] & 0xC0 == 0x80:  # in the middle of a letter
            most -= 1
        raw = raw[:most]
    return (raw + added).decode("utf-8", "surrogateescape")
