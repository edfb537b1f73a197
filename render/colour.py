"""Colour: what a file says of its colours, and the way to the output profile."""

from __future__ import annotations

import io
import struct
from functools import cache

from PIL import Image, ImageCms

from render.errors import PictureUnreadable

UNTAGGED = "no colour profile in the file: taken for sRGB"


@cache
def srgb_profile() -> bytes:
    """The ICC profile that is written into sheets: the same bytes whenever and wherever it is made."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)  # ICC.1:2022 §7.2: littleCMS writes the time of day,
    profile[84:100] = bytes(16)  # and a checksum over it; zero means "not computed"
    return bytes(profile)


def to_srgb(image: Image.Image, name: str) -> Image.Image:
    """An RGB picture in sRGB, by the embedded profile where there is one.

    Relative colorimetric with black-point compensation: in-gamut colours stay, shadows keep their detail.

    Raises:
        PictureUnreadable: colours whose meaning cannot be known, such as CMYK without a profile.
    """
    icc = image.info.get("icc_profile")
    image = _flattened(image, name)
    if icc:
        try:
            converted = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(icc)),
                ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())),
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
        except ImageCms.PyCMSError as error:
            raise PictureUnreadable(
                f"{name}: its colour profile does not work ({error}): save it again with a valid profile, such as sRGB"
            ) from error
        assert converted is not None  # noqa: S101  (profileToProfile returns None only with inPlace)
        return converted
    if image.mode == "CMYK":
        raise PictureUnreadable(f"{name}: CMYK without a colour profile: save it as sRGB, or embed its profile")
    return image if image.mode == "RGB" else image.convert("RGB")


def _flattened(image: Image.Image, name: str) -> Image.Image:
    """One of RGB, L or CMYK; transparency laid on white, as it would look on paper."""
    if image.mode in ("RGB", "L", "CMYK"):
        return image
    if image.mode in ("P", "PA", "RGBA", "LA", "La", "RGBa", "1"):
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    raise PictureUnreadable(f"{name}: {image.mode} pixels are not supported: save it as 8-bit sRGB JPEG or TIFF")
