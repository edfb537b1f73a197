"""Colour: what a file says of its colours, and the way from them to the sheet's, in as few passes as it takes.

Everything that a tone goes through between two colour spaces (ICC conversion, adjustments, colorization, conversion to
the output profile) is a function of one pixel. Where it is more than one step, or where the imaging library has vector
code for it, it becomes one table of 52³ colours that pixels are looked up in.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import cache, lru_cache

from PIL import Image, ImageCms, ImageFilter, features

from render import tones
from render.errors import PictureUnreadable
from store.model import Model
from store.profiles import Intent, Untagged
from store.pushed import Adjustments, Colorization

UNTAGGED = "no colour profile in the file: taken for {}"
SAYS_ADOBE_RGB = "no colour profile in the file, but its camera data says Adobe RGB: taken for that"
GRID = 52  # 255 is 51 steps of 5, so that the table's corners are exact 8-bit colours
HAS_FAST_TABLES = "post" in (features.version("pil") or "")  # pillow-simd; elsewhere littleCMS alone is as quick
_INTENTS = {
    Intent.PERCEPTUAL: ImageCms.Intent.PERCEPTUAL,
    Intent.RELATIVE: ImageCms.Intent.RELATIVE_COLORIMETRIC,
    Intent.SATURATION: ImageCms.Intent.SATURATION,
    Intent.ABSOLUTE: ImageCms.Intent.ABSOLUTE_COLORIMETRIC,
}
_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}  # ICC's names to Pillow's modes


@cache
def srgb_profile() -> bytes:
    """The ICC profile that is written into sheets: the same bytes whenever and wherever it is made."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)  # ICC.1:2022 §7.2: littleCMS writes the time of day,
    profile[84:100] = bytes(16)  # and a checksum over it; zero means "not computed"
    return bytes(profile)


@cache
def adobe_rgb_profile() -> bytes:
    """An ICC profile of Adobe RGB (1998), made from its definition: primaries adapted to D50, gamma 563/256."""
    profile = bytearray(srgb_profile())
    primaries = {
        b"rXYZ": (0.60974, 0.31111, 0.01947),
        b"gXYZ": (0.20528, 0.62567, 0.06087),
        b"bXYZ": (0.14919, 0.06322, 0.74457),
    }
    for entry in range(int.from_bytes(profile[128:132], "big")):
        signature, offset, _ = struct.unpack_from(">4sII", profile, 132 + 12 * entry)
        if signature in primaries:
            struct.pack_into(">3i", profile, offset + 8, *(round(value * 65536) for value in primaries[signature]))
        elif signature in (
            b"rTRC",
            b"gTRC",
            b"bTRC",
        ):  # "para" type 0: a plain power; it is shorter than what was there
            struct.pack_into(">4sIHHi", profile, offset, b"para", 0, 0, 0, round(563 / 256 * 65536))
    return bytes(profile)


def is_adobe_rgb(profile: bytes) -> bool:
    """Whether an ICC profile is Adobe RGB's: ours, or by its name."""
    if not profile or profile == adobe_rgb_profile():
        return bool(profile)
    try:
        return "adobe rgb" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).lower()
    except (OSError, ImageCms.PyCMSError):
        return False


def adobe_to_srgb(pixels: Image.Image) -> Image.Image:
    """Adobe RGB pixels as sRGB; what sRGB cannot show is brought into it."""
    return _step("RGB", adobe_rgb_profile(), srgb_profile(), None)(pixels)


class Look(Model):
    """What is to become of a picture's colours."""

    adjustments: Adjustments = Adjustments()
    colorization: Colorization = Colorization.COLOUR
    tint: str = "#b09070"
    output: bytes = b""  # ICC profile; empty for sRGB
    intent: Intent = Intent.RELATIVE
    black_point_compensation: bool = True

    @property
    def changes_tones(self) -> bool:
        """Whether more is asked than another colour space."""
        return self.adjustments != Adjustments() or self.colorization is not Colorization.COLOUR

    @property
    def output_profile(self) -> bytes:
        """The ICC profile of the result."""
        return self.output or srgb_profile()


class Photo:
    """A decoded picture in its own colours."""

    def __init__(self, image: Image.Image, name: str, untagged: Untagged = Untagged.SRGB) -> None:
        """
        Args:
            image: decoded and upright; `info` still has the embedded profile.
            name: for messages.
            untagged: for what it is taken when it says nothing of its colours.

        Raises:
            PictureUnreadable: colours whose meaning cannot be known, such as CMYK without a profile.
        """
        self._name = name
        self.pixels = _flattened(image, name)
        embedded = image.info.get("icc_profile") or b""
        space = _space(embedded, name) if embedded else ""
        if space == "RGB" and self.pixels.mode == "L":
            self.pixels = self.pixels.convert("RGB")  # a grey file with an RGB profile: the same tone in each channel
        if embedded and space != self.pixels.mode:
            raise PictureUnreadable(
                f"{name}: its colour profile is for {space or 'other'} pixels, the picture has {self.pixels.mode}: "
                "save it again as sRGB"
            )
        if self.pixels.mode == "CMYK" and not embedded:
            raise PictureUnreadable(f"{name}: CMYK without a colour profile: save it as sRGB, or embed its profile")
        if not embedded:
            takes_adobe = says_adobe_rgb(image) or untagged is Untagged.ADOBE_RGB
            if self.pixels.mode == "RGB" and takes_adobe:
                embedded = adobe_rgb_profile()
            elif self.pixels.mode == "L":
                self.pixels = self.pixels.convert("RGB")
        self._profile = embedded or (b"" if self.pixels.mode == "LAB" else srgb_profile())

    def looking(self, part: Image.Image, look: Look) -> Image.Image:
        """A part of the picture (any size, the picture's mode) as RGB in the look's output space."""
        try:
            if part.mode != "RGB":
                if not look.changes_tones:
                    return _step(part.mode, self._profile, look.output_profile, look)(part)
                part = _step(part.mode, self._profile, srgb_profile(), None)(part)
                return _applied(part, srgb_profile(), look)
            return _applied(part, self._profile, look)
        except ImageCms.PyCMSError as error:
            raise PictureUnreadable(
                f"{self._name}: its colour profile does not work ({error}): save it again as sRGB"
            ) from error


def says_adobe_rgb(image: Image.Image) -> bool:
    """Whether the camera wrote Adobe RGB into EXIF: ColorSpace "uncalibrated" and interoperability R03 (DCF 2.0)."""
    exif = image.getexif()
    return exif.get_ifd(0x8769).get(0xA001) == 0xFFFF and exif.get_ifd(0xA005).get(1) == "R03"


def check_output_profile(data: bytes) -> str:
    """What an ICC profile calls itself.

    Raises:
        ValueError: it is not one that sheets can be converted to; says why.
    """
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        space, description = profile.profile.xcolor_space.strip(), profile.profile.profile_description or ""
        if space != "RGB":
            raise ValueError(f"this profile is for {space}, and sheets are RGB: use the printer's RGB profile")
        _transform(srgb_profile(), data, "RGB", Intent.RELATIVE, True)
    except (ImageCms.PyCMSError, OSError, UnicodeDecodeError) as error:
        raise ValueError(
            "this is not an ICC profile that works: upload the .icc or .icm file of the printer"
        ) from error
    return description


def _space(profile: bytes, name: str) -> str:
    try:
        space = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError, UnicodeDecodeError) as error:
        raise PictureUnreadable(f"{name}: its colour profile does not work ({error}): save it again as sRGB") from error
    return _SPACES.get(space, "")


# -- steps ------------------------------------------------------------------------------------------------------

Step = Callable[[Image.Image], Image.Image]


def _applied(part: Image.Image, profile: bytes, look: Look) -> Image.Image:
    steps = _steps(profile, look)
    if len(steps) > 1 or (steps and HAS_FAST_TABLES):
        return part.filter(_table(profile, look))
    for step in steps:
        part = step(part)
    return part


def _steps(profile: bytes, look: Look) -> list[Step]:
    """What an RGB pixel goes through. Tones are changed in sRGB; without that, there is one conversion only."""
    if not look.changes_tones:
        return [] if profile == look.output_profile else [_step("RGB", profile, look.output_profile, look)]
    steps: list[Step] = []
    if profile != srgb_profile():
        steps.append(_step("RGB", profile, srgb_profile(), None))
    if look.adjustments != Adjustments():
        steps.append(lambda image: tones.adjusted(image, look.adjustments))
    if look.colorization is not Colorization.COLOUR:
        steps.append(lambda image: tones.colorized(image, look.colorization, look.tint))
    if look.output_profile != srgb_profile():
        steps.append(_step("RGB", srgb_profile(), look.output_profile, look))
    return steps


def _step(mode: str, source: bytes, target: bytes, look: Look | None) -> Step:
    """One conversion; without a look relative colorimetric with black-point compensation, which harms least."""
    intent = look.intent if look else Intent.RELATIVE
    transform = _transform(source, target, mode, intent, look.black_point_compensation if look else True)

    def convert(image: Image.Image) -> Image.Image:
        converted = ImageCms.applyTransform(image, transform)
        assert converted is not None  # noqa: S101  (None only with inPlace)
        return converted

    return convert


@lru_cache(maxsize=16)
def _transform(
    source: bytes, target: bytes, mode: str, intent: Intent, compensated: bool
) -> ImageCms.ImageCmsTransform:
    opened = ImageCms.ImageCmsProfile(io.BytesIO(source)) if source else ImageCms.createProfile("LAB")
    return ImageCms.buildTransform(
        opened,
        ImageCms.ImageCmsProfile(io.BytesIO(target)),
        mode,
        "RGB",
        _INTENTS[intent],
        ImageCms.Flags.BLACKPOINTCOMPENSATION if compensated else ImageCms.Flags.NONE,
    )


@lru_cache(maxsize=32)
def _table(profile: bytes, look: Look) -> ImageFilter.Color3DLUT:
    """All steps as one table: they are applied to a picture of every corner of the grid."""
    levels = bytes(range(0, 256, 255 // (GRID - 1)))
    red = levels * (GRID * GRID)
    green = b"".join(bytes([level]) * GRID for level in levels) * GRID
    blue = b"".join(bytes([level]) * (GRID * GRID) for level in levels)
    size = (GRID, GRID * GRID)
    corners = Image.merge("RGB", [Image.frombytes("L", size, plane) for plane in (red, green, blue)])
    for step in _steps(profile, look):
        corners = step(corners)
    floats = Image.frombytes("L", (3 * GRID, GRID * GRID), corners.tobytes()).convert("F").point(lambda v: v / 255)
    table = ImageFilter.Color3DLUT(GRID, [0.0, 0.0, 0.0] * GRID**3, 3, _copy_table=False)
    table.table = memoryview(floats.tobytes()).cast("f")  # Pillow takes any buffer of floats
    return table


def _flattened(image: Image.Image, name: str) -> Image.Image:
    """One of RGB, L, CMYK or Lab; transparency laid on white, as it would look on paper."""
    if image.mode in ("RGB", "L", "CMYK", "LAB"):
        return image
    if image.mode in ("P", "PA", "RGBA", "LA", "La", "RGBa", "1"):
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    if image.mode.startswith("I"):  # 16 bits of grey, which measure() has told of
        return image.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")
    raise PictureUnreadable(f"{name}: {image.mode} pixels are not supported: save it as 8-bit sRGB JPEG or TIFF")
