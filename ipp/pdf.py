"""A JPEG as the one page of a PDF (ISO 32000-1), untouched, for printers that take neither JPEG nor raster. No I/O."""

from __future__ import annotations


def page_of_jpeg(jpeg: bytes, width_px: int, height_px: int, dpi: int) -> bytes:
    """A PDF whose page is exactly the picture.

    Args:
        jpeg: an RGB picture.
        width_px: its width.
        height_px: its height.
        dpi: how many of its pixels are an inch.
    """
    width_pt, height_pt = (f"{side * 72 / dpi:.4f}" for side in (width_px, height_px))
    drawing = f"{width_pt} 0 0 {height_pt} 0 0 cm /Im Do".encode()
    image = (
        f"<< /Type /XObject /Subtype /Image /Width {width_px} /Height {height_px} /ColorSpace /DeviceRGB "
        f"/BitsPerComponent 8 /Filter /DCTDecode /Length {len(jpeg)} >>"
    ).encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width_pt} {height_pt}] /Contents 4 0 R "
            "/Resources << /XObject << /Im 5 0 R >> >> >>"
        ).encode(),
        f"<< /Length {len(drawing)} >>\nstream\n".encode() + drawing + b"\nendstream",
        image + b"\nstream\n" + jpeg + b"\nendstream",
    ]
    document = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(document))
        document += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    table = len(document)
    document += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    document += b"".join(f"{offset:010d} 00000 n \n".encode() for offset in offsets)
    document += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n".encode()
    return bytes(document)
