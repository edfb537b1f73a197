"""Every kind of file that a studio sends, and every kind that is no picture."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image, ImageCms

from render.colour import srgb_profile
from render.draw import DrawTask, Source, draw
from render.errors import PictureChanged, PictureUnreadable
from render.pictures import DEEP, MeasureTask, digest_of, measure
from render.sheets import SheetPlan
from tests.render.test_draw import MAX_PIXELS, grid_picture, plan_of, seen

ROWS = ["RGB", "YBR"]


def shown(path: Path, rows: list[str] = ROWS, plan: SheetPlan | None = None) -> list[str]:
    """The letters of a grid picture after it went through measuring and drawing."""
    picture = measure(MeasureTask(path, path.name, MAX_PIXELS))
    box = (0.0, 0.0, float(picture.width_px), float(picture.height_px))
    target = path.with_name("sheet.jpg")
    sheet = plan or plan_of(box, 300, round(300 * picture.height_px / picture.width_px))
    draw(DrawTask((Source("a.jpg", path),), MAX_PIXELS, ((sheet, target, path.with_name("thumb.jpg")),)))
    with Image.open(target) as image:
        return seen(image, len(rows[0]), len(rows))


def psd(image: Image.Image, has_merged: bool = True, depth: int = 8) -> bytes:
    """A minimal Photoshop file with a merged picture (Adobe Photoshop File Formats, 2019)."""
    version_info = struct.pack(">IB", 1, has_merged) + bytes(16)
    resource = b"8BIM" + struct.pack(">HHI", 1057, 0, len(version_info)) + version_info + bytes(len(version_info) % 2)
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, image.height, image.width, depth, 3)
    planes = b"".join(band.tobytes() for band in image.split())
    return head + struct.pack(">I", 0) + struct.pack(">I", len(resource)) + resource + bytes(4) + bytes(2) + planes


def _heic(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=95)
    return buffer.getvalue()


def _saved(image: Image.Image, kind: str, **how: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)  # type: ignore[arg-type]
    return buffer.getvalue()


def _lab(image: Image.Image) -> Image.Image:
    lab = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    return lab


KINDS: dict[str, Callable[[Image.Image], bytes]] = {
    "jpeg": lambda image: _saved(image, "JPEG", quality=95),
    "progressive jpeg": lambda image: _saved(image, "JPEG", quality=95, progressive=True),
    "tiff": lambda image: _saved(image, "TIFF"),
    "tiff lzw": lambda image: _saved(image, "TIFF", compression="tiff_lzw"),
    "lab tiff": lambda image: _saved(_lab(image), "TIFF"),
    "png": lambda image: _saved(image, "PNG"),
    "png with a palette": lambda image: _saved(image.quantize(16), "PNG"),
    "png with alpha": lambda image: _saved(image.convert("RGBA"), "PNG"),
    "webp": lambda image: _saved(image, "WEBP", quality=95),
    "webp with alpha": lambda image: _saved(image.convert("RGBA"), "WEBP", lossless=True),
    "heic": _heic,
    "avif": lambda image: _saved(image, "AVIF", quality=95),
    "psd": psd,
}


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("ending", ["right", "wrong"])
def test_a_picture_of_every_kind_is_drawn_whatever_its_ending(tmp_path: Path, kind: str, ending: str) -> None:
    path = tmp_path / ("a.jpg" if ending == "wrong" else f"a.{kind.split()[0]}")
    path.write_bytes(KINDS[kind](grid_picture(ROWS)))
    assert shown(path) == ROWS


@pytest.mark.parametrize("kind", ["L", "LA", "1"])
def test_grey_pictures_are_drawn_grey(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.png"
    grid_picture(["KW", "WK"]).convert(kind).save(path)
    assert shown(path, ["KW", "WK"]) == ["KW", "WK"]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["TIFF", "PNG", "WEBP"])
def test_orientation_is_honoured_in_every_kind_that_has_it(tmp_path: Path, kind: str, orientation: int) -> None:
    inverse = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions
    upright = grid_picture(ROWS)
    stored = upright.transpose(Image.Transpose(inverse[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a"
    how = {"lossless": True} if kind == "WEBP" else {}
    path.write_bytes(_saved(stored, kind, exif=exif, **how))
    assert shown(path) == ROWS


def test_a_phones_turned_heic_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = grid_picture(ROWS).transpose(Image.Transpose.ROTATE_90)
    path = tmp_path / "a.heic"
    buffer = io.BytesIO()
    pillow_heif.from_pillow(stored).save(buffer, quality=95, exif=exif.tobytes())
    path.write_bytes(buffer.getvalue())
    assert shown(path) == ROWS


def test_a_psd_without_a_merged_picture_says_how_to_save_it(tmp_path: Path) -> None:
    path = tmp_path / "a.psd"
    path.write_bytes(psd(grid_picture(ROWS), has_merged=False))
    with pytest.raises(PictureUnreadable, match="Maximize compatibility"):
        measure(MeasureTask(path, "a.psd", MAX_PIXELS))


def test_a_16_bit_tiff_is_drawn_and_says_so(tmp_path: Path) -> None:
    """Written by hand: Pillow reads 16-bit RGB and cannot write it."""
    width, height, value = 8, 6, (0x8000, 0x4000, 0x2000)
    data = struct.pack(f"<{3 * width * height}H", *value * (width * height))
    entries = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, 0), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, 0), (277, 3, 1, 3), (278, 3, 1, height), (279, 4, 1, len(data)),
    ]  # fmt: skip
    after = 8 + 2 + 12 * len(entries) + 4
    values = {258: after, 273: after + 6}
    directory = b"".join(struct.pack("<HHII", tag, kind, n, values.get(tag, v)) for tag, kind, n, v in entries)
    path = tmp_path / "a.tif"
    path.write_bytes(
        b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + directory + bytes(4)
        + struct.pack("<3H", 16, 16, 16) + data
    )  # fmt: skip
    assert measure(MeasureTask(path, "a.tif", MAX_PIXELS)).flags == (DEEP,)
    target = tmp_path / "sheet.jpg"
    draw(DrawTask((Source("a.jpg", path),), MAX_PIXELS, ((plan_of((0, 0, 8, 6), 80, 60), target, tmp_path / "t.jpg"),)))
    with Image.open(target) as image:
        assert image.getpixel((40, 30)) == pytest.approx((0x80, 0x40, 0x20), abs=2)


def cmyk_profile() -> bytes:
    """A press whose inks mix like light does: a 2x2x2x2 table to Lab (ICC.1:2022 §10.10, lut8Type)."""
    corners = Image.new("RGB", (16, 1))
    corners.putdata(
        [
            tuple(255 * (1 - ink) * (1 - k) for ink in (c, m, y))
            for c in (0, 1)
            for m in (0, 1)
            for y in (0, 1)
            for k in (0, 1)
        ]
    )
    lab = bytes(value for pixel in _lab(corners).get_flattened_data() for value in pixel)  # type: ignore[union-attr]
    table = (
        b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
        + bytes(range(256)) * 4 + lab + bytes(range(256)) * 3
    )  # fmt: skip
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    text = b"text" + bytes(4) + b"none\0"
    tags, body, at = b"", b"", 132 + 12 * 3
    for name, data in ((b"wtpt", white), (b"cprt", text), (b"A2B0", table)):
        data += bytes(-len(data) % 4)
        tags, body = tags + name + struct.pack(">II", at + len(body), len(data)), body + data
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head + bytes(128 - len(head)) + struct.pack(">I", 3) + tags + body


def test_cmyk_goes_through_its_profile(tmp_path: Path) -> None:
    for ink, letter in [((0, 0, 0, 0), "W"), ((0, 0, 0, 255), "K"), ((0, 230, 230, 30), "R"), ((220, 190, 0, 30), "B")]:
        path = tmp_path / "a.tif"
        Image.new("CMYK", (60, 60), ink).save(path, icc_profile=cmyk_profile())
        assert shown(path, [letter]) == [letter]


@pytest.mark.parametrize("size", [(100, 100), (1, 1), (20_000, 10_000)])
def test_pictures_from_a_hundredth_of_a_megapixel_to_200(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "a.jpg"
    Image.new("L", size, 140).save(path, quality=60, icc_profile=None)
    plan = plan_of((0, 0, *size), 300, max(1, round(300 * size[1] / size[0])))
    target = tmp_path / "sheet.jpg"
    draw(DrawTask((Source("a.jpg", path),), 250_000_000, ((plan, target, tmp_path / "t.jpg"),)))
    with Image.open(target) as image:
        assert image.getpixel((image.width // 2, image.height // 2)) == pytest.approx((140, 140, 140), abs=2)


# -- what is wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["jpeg", "tiff", "png", "webp", "heic", "avif", "psd"])
def test_a_file_that_is_cut_off_fails_by_name_in_every_kind(tmp_path: Path, kind: str) -> None:
    noise = Image.effect_noise((300, 200), 90).convert("RGB")
    whole = KINDS[kind](noise)
    path = tmp_path / f"a.{kind}"
    path.write_bytes(whole[: len(whole) * 3 // 5])
    with pytest.raises(PictureUnreadable) as caught:
        shown(path)
    assert str(caught.value).startswith(("a.", f"a.{kind}"))


def test_a_png_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (30_000, 30_000)).save(path)
    assert path.stat().st_size < 200_000
    with pytest.raises(PictureUnreadable, match=r"900 megapixels are more than the 100"):
        measure(MeasureTask(path, "bomb.png", MAX_PIXELS))


def test_a_file_that_changed_after_planning_is_not_printed(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    grid_picture(ROWS).save(path)
    before = digest_of(path)
    grid_picture(ROWS[::-1]).save(path)
    task = DrawTask((Source("a.jpg", path, before),), MAX_PIXELS, ((plan_of((0, 0, 9, 9), 9, 9), None, None),))
    with pytest.raises(PictureChanged, match=r"a\.jpg: the file was changed after the ticket opened"):
        draw(task)


def test_the_same_recipe_gives_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    grid_picture(ROWS).save(path, icc_profile=srgb_profile())
    task = DrawTask((Source("a.jpg", path),), MAX_PIXELS, ((plan_of((0, 0, 120, 80), 300, 200), None, None),))
    assert draw(task) == draw(task)
