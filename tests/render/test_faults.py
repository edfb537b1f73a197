"""Whose fault it is: a picture is blamed for what its readers raise, and for nothing else."""

from __future__ import annotations

import errno
import io
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from render.colour import check_output_profile, srgb_profile
from render.draw import DrawTask, Source, draw
from render.errors import PictureMissing, PictureUnreadable, RenderError
from render.pictures import MeasureTask, measure, opened, reading
from render.samples import sample_photo
from tests.render.test_draw import MAX_PIXELS, grid_picture, plan_of
from tests.render.test_inputs import KINDS


@pytest.mark.parametrize(
    "error",
    [
        OSError("image file is truncated"),
        OSError(errno.EINVAL, "Invalid argument"),  # of a damaged file that sends its reader to a place below 0
        SyntaxError("broken PNG file"),
        ValueError("bad"),
        EOFError(),
        struct.error("unpack requires a buffer of 4 bytes"),
        KeyError(40965),
        IndexError("index out of range"),
        TypeError("nothing here"),
        ZeroDivisionError(),
        OverflowError(),
    ],
)
def test_what_a_reader_raises_is_the_files(error: Exception) -> None:
    with pytest.raises(PictureUnreadable, match=r"^a\.jpg: "), reading("a.jpg"):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.ESTALE, "Stale file handle"),
        OSError(errno.ENOSPC, "No space left on device"),
        TimeoutError(errno.ETIMEDOUT, "Connection timed out"),
        MemoryError(),
        PictureMissing("a.jpg: gone"),
        KeyboardInterrupt(),
    ],
)
def test_what_the_system_raises_is_not(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, reading("a.jpg"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("error", "raised", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), PictureUnreadable, "the box may not read the file"),
        (FileNotFoundError(errno.ENOENT, "No such file"), PictureMissing, "no longer where it was"),
        (OSError(errno.EIO, "Input/output error"), OSError, "Input/output error"),
    ],
)
def test_a_disk_that_fails_while_a_file_is_opened_is_no_fault_of_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: OSError, raised: type[Exception], words: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    path = tmp_path / "a.jpg"
    path.write_bytes(sample_photo(1, 30, 20))
    monkeypatch.setattr("PIL.Image.open", fails)
    with pytest.raises(raised, match=words):
        opened(path, "a.jpg", MAX_PIXELS)


def test_a_plan_that_we_made_wrong_is_no_fault_of_the_file() -> None:
    """A sheet of no width: whatever is raised, nobody is told to save the picture again."""
    wrong = plan_of((0, 0, 30, 20), 90, 60)
    wrong = wrong.with_(placements=(wrong.placements[0].with_(shown_px=(90, 0)),))
    with pytest.raises(Exception) as caught:
        draw(DrawTask((Source("a.jpg", sample_photo(1, 30, 20)),), MAX_PIXELS, ((wrong, None, None),)))
    assert not isinstance(caught.value, RenderError)


def test_a_sheet_that_its_format_cannot_hold_is_no_fault_of_the_file(capfd: pytest.CaptureFixture[str]) -> None:
    """Planning refuses it; here a plan of an older version comes along."""
    wide = plan_of((0, 0, 30, 20), 65_501, 1)
    with pytest.raises(OSError, match="broken data stream"):
        draw(DrawTask((Source("a.jpg", sample_photo(1, 30, 20)),), MAX_PIXELS, ((wide, None, None),)))


MEMORY = """
import resource, sys
from pathlib import Path
from render.draw import DrawTask, Source, draw
from tests.render.test_draw import plan_of
task = DrawTask((Source("a.jpg", Path(sys.argv[1])),), 10**9, ((plan_of((0, 0, 9000, 9000), 90, 90), None, None),))
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 40_000_000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    draw(task)
except Exception as error:
    print(repr(error))
"""


def test_a_picture_for_which_there_is_no_memory_is_not_called_damaged(tmp_path: Path) -> None:
    Image.new("1", (9_000, 9_000)).save(tmp_path / "a.png")
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "a.png")],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout.strip() == "MemoryError()"


@pytest.mark.filterwarnings("ignore")  # readers tell of what they find as well
def test_however_a_file_is_bent_it_is_drawn_or_refused_by_name(capfd: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(20)
    with Image.open(io.BytesIO(sample_photo(1, 120, 80))) as photo:
        files = {kind: write(photo.convert("RGB")) for kind, write in KINDS.items()}
    files["with camera data"] = sample_photo(1, 160, 100, 6)
    reasons = set()
    for _ in range(2_000):
        data = bent(files[chance.choice(list(files))], chance)
        try:
            picture = measure(MeasureTask(data, "a.jpg", 10**6))
            plan = plan_of((0, 0, picture.width_px, picture.height_px), 50, 40)
            draw(DrawTask((Source("a.jpg", data),), 10**6, ((plan, None, None),)))
        except RenderError as error:
            assert str(error).startswith("a.jpg: ")
            reasons.add(str(error))
    assert len(reasons) > 20


def bent(data: bytes, chance: random.Random) -> bytes:
    """A file with some bytes changed, lost, or cut off."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        at = chance.randrange(min(len(changed), chance.choice((64, 400, len(changed)))))
        match chance.randrange(8):
            case 0:
                del changed[at + 1 :]
            case 1:
                del changed[at + 1 : at + chance.randrange(2, 50)]
            case 2:
                changed[at : at + 4] = chance.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\x80\0\0\0"))
            case _:
                changed[at] = chance.randrange(256)
    return bytes(changed)


def test_a_color_profile_with_letters_that_are_none_is_refused_as_a_profile(tmp_path: Path) -> None:
    profile = bytearray(srgb_profile())
    profile[16:20] = b"\xf6GB "  # ICC.1:2022 §7.2.6: the color space
    path = tmp_path / "a.png"
    grid_picture(["RG"]).save(path, icc_profile=bytes(profile))
    with pytest.raises(PictureUnreadable, match=r"a\.jpg: its colour profile does not work"):
        draw(DrawTask((Source("a.jpg", path),), MAX_PIXELS, ((plan_of((0, 0, 80, 40), 80, 40), None, None),)))
    with pytest.raises(ValueError, match="this is not an ICC profile that works"):
        check_output_profile(bytes(profile))
