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


class Photo:
    """A decoded picture in its own colours, and the way from them to sRGB, made once for all its sheets."""

    def __init__(self, image: Image.Image, name: str) -> None:
        """
        Args:
            image: decoded and upright; `info` still has the embedded profile.
            name: for messages.

        Raises:
            PictureUnreadable: colours whose meaning cannot be known, such as CMYK without a profile.
        """
        self._icc = image.info.get("icc_profile")
        self._name = name
        self.pixels = _flattened(image, name)
        self._transform: ImageCms.ImageCmsTransform | None = None
        if not self._icc:
            if self.pixels.mode == "CMYK":
                raise PictureUnreadable(f"{name}: CMYK without a colour profile: save it as sRGB, or embed its profile")
        elif self._icc != srgb_profile():
            self._transform = self._build()

    def _build(self) -> ImageCms.ImageCmsTransform:
        """Relative colorimetric with black-point compensation: in-gamut colours stay, shadows keep their detail."""
        try:
            return ImageCms.buildTransform(
                ImageCms.ImageCmsProfile(io.BytesIO(self._icc or b"")),
                ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())),
                self.pixels.mode,
                "RGB",
                ImageCms.Intent.RELATIVE_COLORIMETRIC,
                ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
        except ImageCms.PyCMSError as error:
            raise PictureUnreadable(
                f"{self._name}: its colour profile does not work ({error}): save it again as sRGB"
            ) from error

    def to_srgb(self, part: Image.Image) -> Image.Image:
        """A part of the picture (any size, the picture's mode) as RGB in sRGB."""
        if self._transform is not None:
            converted = ImageCms.applyTransform(part, self._transform)
            assert converted is not None  # noqa: S101  (None only with inPlace)
            return converted
        return part if part.mode == "RGB" else part.convert("RGB")


def _flattened(image: Image.Image, name: str) -> Image.Image:
    """One of RGB, L, CMYK or Lab; transparency laid on white, as it would look on paper."""
    if image.mode in ("RGB", "L", "CMYK", "LAB"):
        return image
    if image.mode in ("P", "PA", "RGBA", "LA", "La", "RGBa", "1"):
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    raise PictureUnreadable(f"{name}: {image.mode} pixels are not supported: save it as 8-bit sRGB JPEG or TIFF")
