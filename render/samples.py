"""Sample photos for the demo and the tests: generated, camera-like, each different and upright recognisable."""

from __future__ import annotations

import colorsys
import io
import math
import random
from functools import cache

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from render.colour import srgb_profile


def sample_photo(seed: int, width_px: int = 3000, height_px: int = 2000, orientation: int = 1) -> bytes:
    """A landscape with sky, hills and sun as JPEG bytes with an sRGB profile.

    Args:
        seed: another number, another picture.
        width_px: width as stored in the file.
        height_px: height as stored in the file.
        orientation: EXIF orientation, 1 to 8, written into the file; the stored pixels are turned so that a reader
            that honours it sees the picture upright.
    """
    turned = orientation in (5, 6, 7, 8)
    upright = _scene(seed, *((height_px, width_px) if turned else (width_px, height_px)))
    stored = upright.transpose(_STORED_AS[orientation]) if orientation != 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F], exif[0x0110] = "Printroom", "Sample"
    buffer = io.BytesIO()
    stored.save(buffer, "JPEG", quality=92, exif=exif, icc_profile=srgb_profile(), dpi=(240, 240))
    return buffer.getvalue()


# How upright pixels are stored for each EXIF orientation: the inverse of what a reader does.
_STORED_AS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def _scene(seed: int, width: int, height: int) -> Image.Image:
    rng = random.Random(seed)
    hue = rng.random()
    sky = Image.linear_gradient("L").resize((width, height))
    top, bottom = _colour(hue, 0.55, 0.55), _colour(hue + 0.12, 0.35, 0.98)
    picture = Image.merge(
        "RGB", [sky.point([int(t + (b - t) * v / 255) for v in range(256)]) for t, b in zip(top, bottom, strict=True)]
    )
    pen = ImageDraw.Draw(picture)
    radius = min(width, height) * rng.uniform(0.06, 0.11)
    x, y = width * rng.uniform(0.2, 0.8), height * rng.uniform(0.15, 0.4)
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_colour(hue + 0.15, 0.2, 1.0))
    for layer in range(4):
        base = height * (0.5 + 0.13 * layer)
        waves = [
            (rng.uniform(0.5, 3) * (layer + 1), rng.uniform(0, 7), height * rng.uniform(0.01, 0.06)) for _ in range(4)
        ]
        ridge = [
            (px, base + sum(size * math.sin(px / width * math.tau * f + phase) for f, phase, size in waves))
            for px in range(0, width + 8, 8)
        ]
        fill = _colour(hue + 0.3 + 0.05 * layer, 0.45, 0.62 - 0.13 * layer)
        pen.polygon([*ridge, (width, height), (0, height)], fill=fill)
    picture = picture.filter(ImageFilter.GaussianBlur(max(1, width // 2000)))
    return ImageChops.add(picture, _grain(width, height), 1, -128)


@cache
def _grain(width: int, height: int) -> Image.Image:
    return Image.effect_noise((width, height), 10).convert("RGB")


def _colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return int(red * 255), int(green * 255), int(blue * 255)
