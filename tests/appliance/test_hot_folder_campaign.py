"""Whatever is dropped, under whatever name, and wherever a process ends: the box never stumbles, and nothing is lost.

Each dropped file is afterwards a record's picture, put aside with a reason, put away because its drop is printed, or
still there because it is nobody's.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance import claims, drops, job_tickets
from store.tables import Store
from tests.appliance.hot_place import Place
from tests.appliance.test_hot_folders import CHANGES, Crash, LastCall
from tests.machine_time import SetTime

EXAMPLES = int(os.environ.get("PRINTROOM_DROPS", "60"))
ENDINGS = (*sorted(drops.PICTURES), ".JPG", ".jpg ", ".csv", ".json", ".Json", ".docx", ".part", ".xmp", "")
STEMS = ("a", "A", "é", "e\u0301", "claim", "Done", "problems", ".taken", "~x", "~$x", " ", "\n", "\u202e")
VALUES = ("8x10", "5x7", "1", "0", "-1", "1e999", "NaN", "9" * 400, "x" * 400, "../a.jpg", "a\0b", "\ud800")
MARKS = (b"", b"", b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
KEYS = ("number", "client", "items", "image", "size", "quantity", "crop", "left", "width", "product")

texts = st.one_of(
    st.sampled_from(STEMS),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=12),
    st.integers(60, 260).map(lambda count: "写" * count),
    st.binary(min_size=1, max_size=8).map(lambda raw: os.fsdecode(raw.translate(None, b"/\0"))),
)


@st.composite
def names(draw: st.DrawFn) -> str:
    """Any that a file system takes."""
    stem, ending = os.fsencode(draw(texts)), os.fsencode(draw(st.sampled_from(ENDINGS)))
    name = os.fsdecode(stem[: 255 - len(ending)] + ending)
    return name if name not in ("", ".", "..") else "dot.jpg"


@st.composite
def json_tickets(draw: st.DrawFn) -> bytes:
    """Job tickets in JSON: as they should be, nearly so, or any JSON."""
    words = st.one_of(st.sampled_from(VALUES), texts)
    scalars = st.one_of(st.none(), st.booleans(), st.integers(-10, 10**30), st.floats(), words)
    line = st.fixed_dictionaries({"image": names()}, optional={"size": words, "quantity": scalars, "product": words})
    order = st.fixed_dictionaries({"items": st.lists(line, max_size=3)}, optional={"number": words, "client": words})
    odd = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner))
    return json.dumps(draw(st.one_of(order, st.lists(order, max_size=2), odd))).encode()


@st.composite
def csv_tickets(draw: st.DrawFn) -> bytes:
    cells = st.one_of(st.sampled_from(VALUES), texts, names())
    rows = draw(st.lists(st.lists(cells, max_size=4), max_size=4))
    return "\n".join(",".join(row) for row in [["image", "size", "number"], *rows]).encode("utf-8", "replace")


@dataclass(frozen=True)
class Dropped:
    """Something that somebody drops: a file's bytes, things in a folder, or a kind of its own."""

    name: str
    what: bytes | list[Dropped] | str


@st.composite
def things(draw: st.DrawFn, depth: int = 0) -> Dropped:
    kind = draw(st.sampled_from(["bytes", "bytes", "json", "csv", "link", "pipe", *["folder"] * (2 - depth)]))
    name = draw(names())
    if kind == "folder":
        return Dropped(name, draw(st.lists(things(depth + 1), max_size=3)))
    if kind in ("link", "pipe"):
        return Dropped(name, kind)
    made = {"bytes": st.binary(max_size=20), "json": json_tickets(), "csv": csv_tickets()}[kind]
    return Dropped(name, draw(st.sampled_from(MARKS)) + draw(made))


@dataclass
class Drops:
    """Everything that was dropped into a hot folder, by where it lay."""

    root: Path
    contents: dict[str, bytes] = field(default_factory=dict)

    def make(self, folder: Path, some: list[Dropped]) -> None:
        for one in some:
            path = folder / one.name
            if os.path.lexists(path):
                continue
            match one.what:
                case bytes():  # each another content, but for those that are empty
                    path.write_bytes(one.what + b"\n" * (1 + len(self.contents)) if one.what else b"")
                    self.contents[str(path.relative_to(self.root))] = path.read_bytes()
                case list():
                    path.mkdir()
                    self.make(path, one.what)
                case "link":
                    path.symlink_to("/etc/hostname")
                case _:
                    os.mkfifo(path)


def is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def printed(store: Store) -> set[bytes]:
    digests = {image.sha256 or "" for record in store.records.all() for image in record.images}
    return {store.folder.image(digest).read_bytes() for digest in digests}


def contents(folder: Path) -> set[bytes]:
    paths = [Path(place, name) for place, _, files in os.walk(folder) for name in files]
    return {path.read_bytes() for path in paths if is_file(path)}


def is_legible(text: str) -> bool:
    odd = any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") for one in text)
    return not odd and text == " ".join(text.split()) != ""


def goes_with_its_folder(path: str) -> bool:
    """Job tickets and what programs leave around are put away, or deleted, with what they belong to."""
    name = path.rpartition("/")[2]
    return name.strip().lower().endswith((*job_tickets.ENDINGS, ".xmp")) or drops.is_left_alone(name)


def is_nobodys(top: Path) -> bool:
    """Whether something that lies in a hot folder is rightly there for ever."""
    if drops.is_left_alone(top.name) or top.name in claims.OWN:
        return True
    inside = [name for _, folders, files in os.walk(top) for name in files]
    return top.is_dir() and all(drops.is_left_alone(name) for name in inside)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(things(), max_size=6), st.booleans(), st.one_of(st.none(), st.integers(1, 60)))
def test_nothing_is_lost_whatever_it_is_and_whenever_the_process_ends(
    some: list[Dropped], keeps_files: bool, ends_at: int | None
) -> None:
    machine = SetTime()
    with tempfile.TemporaryDirectory() as root, contextlib.closing(Store(Path(root, "data"), machine=machine)) as store:
        place = Place(store, machine, Path(root, "hot"), keeps_files=keeps_files)
        dropped = Drops(place.path)
        dropped.make(place.path, some)
        if ends_at is not None:
            with LastCall(ends_at).of(CHANGES), contextlib.suppress(Crash):
                place.look(4)
            place.restart()
        place.look(5)
        place.look(5, every_s=drops.EMPTY_LIMIT_S)
        place.look(6, every_s=3700)
        notice = place.notice
        assert notice is None or not (notice.trouble or notice.left_count), notice
        pictures, aside = printed(store), contents(place.path / claims.PROBLEMS)
        done = contents(place.path / claims.DONE)
        for path, content in dropped.contents.items():
            still_there = is_file(place.path / path) and (place.path / path).read_bytes() == content
            assert content in pictures | aside | done or still_there or goes_with_its_folder(path), path
            is_put_away = content in done - pictures and content and path.split("/")[0] not in claims.OWN
            assert not is_put_away or goes_with_its_folder(path), path
            assert not still_there or is_nobodys(place.path / path.split("/")[0]), path
        for record in store.records.all():
            assert is_legible(record.number) and all(is_legible(image.name) for image in record.images)
        for why in (place.path / claims.PROBLEMS).glob(f"*{claims.WHY}"):
            assert why.read_text("utf-8").endswith("Correct it and drop it again.\n")
