"""Pixels: where each part of a picture lands, colour, and files that are not pictures."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image, ImageCms, ImageOps

from render import colour
from render.draw import DrawTask, Source, draw
from render.errors import PictureMissing, PictureUnreadable
from render.pictures import DEEP, MeasureTask, measure
from render.samples import sample_photo
from render.sheets import Placement, SheetPlan
from store.sizes import PrintSize

MAX_PIXELS = 100_000_000
COLOURS = {
    "R": (200, 30, 30),
    "G": (30, 160, 60),
    "B": (40, 60, 200),
    "Y": (230, 210, 60),
    "W": (255, 255, 255),
    "K": (0, 0, 0),
}
CELL_PX = 40


def grid_picture(rows: list[str]) -> Image.Image:
    """A picture of coloured cells, one letter each."""
    image = Image.new("RGB", (len(rows[0]) * CELL_PX, len(rows) * CELL_PX))
    for y, row in enumerate(rows):
        for x, letter in enumerate(row):
            image.paste(COLOURS[letter], (x * CELL_PX, y * CELL_PX, (x + 1) * CELL_PX, (y + 1) * CELL_PX))
    return image


def seen(image: Image.Image, columns: int, rows: int) -> list[str]:
    """The letters at the centres of a grid laid over a picture."""

    def letter(pixel: tuple[int, int, int]) -> str:
        return min(COLOURS, key=lambda name: sum((a - b) ** 2 for a, b in zip(COLOURS[name], pixel, strict=True)))

    pixels = image.convert("RGB")
    return [
        "".join(
            letter(pixels.getpixel((int((x + 0.5) * image.width / columns), int((y + 0.5) * image.height / rows))))  # type: ignore[arg-type]
            for x in range(columns)
        )
        for y in range(rows)
    ]


def plan_of(box: tuple[float, float, float, float], width_px: int, height_px: int, turn: bool = False) -> SheetPlan:
    return SheetPlan(
        profile_id=1,
        item="1",
        image="a.jpg",
        quantity=1,
        size=PrintSize(width_um=100_000, height_um=100_000),
        width_px=width_px,
        height_px=height_px,
        dpi=300,
        placements=(Placement(image="a.jpg", source_box=box, shown_px=(width_px, height_px), at_px=(0, 0)),),
        turn_for_paper=turn,
        jpeg_quality=95,
        file="a.jpg",
    )


def drawn(tmp_path: Path, picture: Path, plan: SheetPlan) -> Image.Image:
    target = tmp_path / "sheet.jpg"
    sizes = draw(DrawTask((Source("a.jpg", picture),), MAX_PIXELS, ((plan, target, tmp_path / "thumb.jpg"),)))
    image = Image.open(target)
    image.load()
    assert [one.size_px for one in sizes] == [image.size]
    return image


def saved(tmp_path: Path, image: Image.Image, name: str = "a.png", **how: object) -> Path:
    path = tmp_path / name
    image.save(path, **how)  # type: ignore[arg-type]
    return path


def test_the_source_box_fills_the_sheet(tmp_path: Path) -> None:
    picture = saved(tmp_path, grid_picture(["RGBY", "YBGR", "RGBY"]))
    sheet = drawn(tmp_path, picture, plan_of((CELL_PX, CELL_PX, 3 * CELL_PX, 3 * CELL_PX), 300, 300))
    assert seen(sheet, 2, 2) == ["BG", "GB"]


def test_bleed_beyond_the_picture_is_its_mirror_image_corners_included(tmp_path: Path) -> None:
    picture = saved(tmp_path, grid_picture(["RG", "BY"]))
    box = (-CELL_PX, -CELL_PX, 3 * CELL_PX, 3 * CELL_PX)
    sheet = drawn(tmp_path, picture, plan_of(box, 400, 400))
    assert seen(sheet, 4, 4) == ["RRGG", "RRGG", "BBYY", "BBYY"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_drawn_upright(tmp_path: Path, orientation: int) -> None:
    upright = Image.open(io.BytesIO(sample_photo(3, 300, 200, 1)))
    width, height = (200, 300) if orientation >= 5 else (300, 200)
    path = tmp_path / "a.jpg"
    path.write_bytes(sample_photo(3, width, height, orientation))
    picture = measure(MeasureTask(path, "a.jpg", MAX_PIXELS))
    assert (picture.width_px, picture.height_px) == (300, 200)
    sheet = drawn(tmp_path, path, plan_of((0, 0, 300, 200), 300, 200))
    difference = [
        abs(a - b)
        for a, b in zip(
            sheet.convert("L").resize((30, 20)).tobytes(), upright.convert("L").resize((30, 20)).tobytes(), strict=True
        )
    ]
    assert max(difference) < 25


def test_a_wide_sheet_is_turned_for_paper_and_its_thumbnail_is_not(tmp_path: Path) -> None:
    picture = saved(tmp_path, grid_picture(["RG"]))
    sheet = drawn(tmp_path, picture, plan_of((0, 0, 80, 40), 600, 300, turn=True))
    assert sheet.size == (300, 600) and seen(sheet, 1, 2) == ["G", "R"]
    with Image.open(tmp_path / "thumb.jpg") as thumbnail:
        assert thumbnail.size == (480, 240)


def test_dpi_and_profile_are_written_and_chroma_is_not_subsampled(tmp_path: Path) -> None:
    sheet = drawn(tmp_path, saved(tmp_path, grid_picture(["RG"])), plan_of((0, 0, 80, 40), 600, 300))
    assert sheet.info["dpi"] == (300, 300)
    assert sheet.info["icc_profile"] == colour.srgb_profile()
    assert all(layer[1:3] == (1, 1) for layer in sheet.layer)  # type: ignore[attr-defined]


def test_an_embedded_profile_is_honoured(tmp_path: Path) -> None:
    swapped = ImageCms.ImageCmsProfile(io.BytesIO(_swapped_primaries()))
    image = Image.new("RGB", (60, 60), (200, 40, 40))
    path = saved(tmp_path, image, icc_profile=swapped.tobytes())
    sheet = drawn(tmp_path, path, plan_of((0, 0, 60, 60), 60, 60))
    pixel = sheet.getpixel((30, 30))
    assert isinstance(pixel, tuple) and pixel[1] > pixel[0]  # the file's "red" is another colour, and was converted


def _swapped_primaries() -> bytes:
    """sRGB's profile with the red and green primaries exchanged."""
    data = bytearray(colour.srgb_profile())
    count = int.from_bytes(data[128:132], "big")
    tags = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    data[red : red + 4], data[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(data)


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("RGBA", (60, 60), (0, 0, 0, 0)))
    assert seen(drawn(tmp_path, path, plan_of((0, 0, 60, 60), 60, 60)), 1, 1) == ["W"]


def test_an_untagged_picture_is_flagged(tmp_path: Path) -> None:
    assert not measure(MeasureTask(saved(tmp_path, grid_picture(["R"])), "a.png", MAX_PIXELS)).is_tagged


def bad_files(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    photo = sample_photo(1, 600, 400)
    written = {
        "empty": (b"", "the file is empty"),
        "text": (b"not a picture at all", "not a picture"),
        "gif": (b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", "not a picture"),
        "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
        "cut in the head": (photo[:40], "not a picture"),
    }
    files = {}
    for name, (content, words) in written.items():
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(content)
        files[name] = (path, words)
    files["missing"] = (tmp_path / "nowhere.jpg", "no longer where it was")
    files["32 bit"] = (saved(tmp_path, Image.new("F", (9, 9)), "deep.tif"), "32 bits a colour")
    files["huge"] = (saved(tmp_path, Image.new("1", (11_000, 10_000)), "huge.png"), "megapixels")
    return files


@pytest.mark.parametrize("name", ["empty", "text", "gif", "eps", "cut in the head", "missing", "32 bit", "huge"])
def test_what_is_not_a_printable_picture_is_refused_by_name_and_reason(tmp_path: Path, name: str) -> None:
    path, words = bad_files(tmp_path)[name]
    with pytest.raises((PictureUnreadable, PictureMissing), match=words) as caught:
        measure(MeasureTask(path, "IMG_7.jpg", MAX_PIXELS))
    assert str(caught.value).startswith("IMG_7.jpg: ")


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_a_truncated_photo_never_becomes_a_half_grey_sheet(tmp_path: Path, kept: float) -> None:
    photo = sample_photo(1, 600, 400)
    path = tmp_path / "cut.jpg"
    path.write_bytes(photo[: int(len(photo) * kept)])
    with pytest.raises(PictureUnreadable, match="damaged or not complete"):
        drawn(tmp_path, path, plan_of((0, 0, 600, 400), 60, 40))
    assert not (tmp_path / "sheet.jpg").exists()


def test_a_16_bit_rgb_png_is_drawn_with_8_bits_and_says_so(tmp_path: Path) -> None:
    """Pillow opens it as 8-bit RGB without a word. Written by hand, because Pillow cannot."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + b"\x80\xff\x40\x00\x20\x00" * 4 for _ in range(4)))
    path = tmp_path / "deep.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    assert measure(MeasureTask(path, "deep.png", MAX_PIXELS)).flags == (DEEP,)
    pixel = drawn(tmp_path, path, plan_of((0, 0, 4, 4), 60, 60)).getpixel((30, 30))
    assert pixel == pytest.approx((0x80, 0x40, 0x20), abs=2)


def test_16_bits_of_grey_keep_their_tone(tmp_path: Path) -> None:
    image = Image.new("I;16", (60, 60), 0x8080)
    path = saved(tmp_path, image, "grey.tif")
    assert measure(MeasureTask(path, "grey.tif", MAX_PIXELS)).flags == (DEEP,)
    assert drawn(tmp_path, path, plan_of((0, 0, 60, 60), 60, 60)).getpixel((30, 30)) == (0x80, 0x80, 0x80)


def test_cmyk_without_a_profile_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.new("CMYK", (60, 60)), "print.jpg")
    with pytest.raises(PictureUnreadable, match="save it as sRGB"):
        drawn(tmp_path, path, plan_of((0, 0, 60, 60), 60, 60))


def test_borders_are_round_the_picture_in_their_colour(tmp_path: Path) -> None:
    placement = Placement(image="a.jpg", source_box=(0, 0, 80, 40), shown_px=(300, 150), at_px=(0, 75))
    plan = plan_of((0, 0, 80, 40), 300, 300).with_(placements=(placement,), background="#000000")
    sheet = drawn(tmp_path, saved(tmp_path, grid_picture(["RG"])), plan)
    assert seen(sheet, 2, 4) == ["KK", "RG", "RG", "KK"]


@pytest.mark.parametrize(("ending", "pillow_format"), [("jpg", "JPEG"), ("tif", "TIFF"), ("png", "PNG")])
def test_every_output_format_has_profile_and_dpi(tmp_path: Path, ending: str, pillow_format: str) -> None:
    plan = plan_of((0, 0, 80, 40), 600, 300).with_(output_format=ending)
    sheet = drawn(tmp_path, saved(tmp_path, grid_picture(["RG"])), plan)
    assert (sheet.format, sheet.info["icc_profile"]) == (pillow_format, colour.srgb_profile())
    assert [round(float(dpi)) for dpi in sheet.info["dpi"]] == [300, 300]


def test_item_and_profile_tones_reach_the_sheet(tmp_path: Path) -> None:
    plan = plan_of((0, 0, 40, 40), 60, 60)
    placement = plan.placements[0].with_(colorization="black & white", adjustments={"brightness": 0.1})
    plan = plan.with_(placements=(placement,))
    pixel = drawn(tmp_path, saved(tmp_path, grid_picture(["R"])), plan).getpixel((30, 30))
    luma = 0.2126 * (200 + 25.5) + 0.7152 * (30 + 25.5) + 0.0722 * (30 + 25.5)
    assert pixel == pytest.approx((luma, luma, luma), abs=3)


@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_a_scaled_decode_shows_what_a_full_one_shows(tmp_path: Path, orientation: int) -> None:
    """A JPEG is decoded no larger than needed; its sheet may not differ from one made from all its pixels."""
    path = tmp_path / "a.jpg"
    path.write_bytes(sample_photo(5, 2400, 1600, orientation))
    with Image.open(path) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    width, height = upright.size
    box = (0.13 * width, 0.07 * height, 0.93 * width, 0.87 * height)
    target = (300, round(300 * height / width))
    sheet = drawn(tmp_path, path, plan_of(box, *target))
    whole = upright.resize(target, Image.Resampling.LANCZOS, box=box)
    lab = [
        ImageCms.profileToProfile(i, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB")
        for i in (sheet.convert("RGB"), whole)
    ]
    pairs = zip(lab[0].get_flattened_data(), lab[1].get_flattened_data(), strict=True)  # type: ignore[union-attr]
    differences = [((a[0] - b[0]) * 100 / 255) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2 for a, b in pairs]
    assert (sum(differences) / len(differences)) ** 0.5 < 2.0  # ΔE*ab, root mean square; JPEG's own loss included


def test_a_lab_file_is_read_by_its_profile(tmp_path: Path) -> None:
    lab = ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(
        Image.new("RGB", (60, 60), (200, 40, 40)), ImageCms.createProfile("sRGB"), lab, outputMode="LAB"
    )
    assert image is not None
    path = saved(tmp_path, image, "lab.tif", icc_profile=ImageCms.ImageCmsProfile(lab).tobytes())
    assert drawn(tmp_path, path, plan_of((0, 0, 60, 60), 60, 60)).getpixel((30, 30)) == pytest.approx(
        (200, 40, 40), abs=4
    )
