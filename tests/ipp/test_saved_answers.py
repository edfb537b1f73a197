"""What printers once said of themselves, as the panel saves it for support, said again: files in answers/."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path

import pytest

from ipp.attributes import attribute
from ipp.client import Description, JobRequest, description_in, job_attributes
from ipp.codec import Attribute, Group, GroupTag, Message, Tag, Value, decode, encode
from ipp.documents import DocumentFormat, choose
from ipp.errors import PrinterRefused
from store.records import PrinterState
from store.sizes import parse_size
from tests.studio import NOW

ANSWERS = Path(__file__).parent / "answers"
PHOTO = JobRequest("printroom-1", 2, parse_size("4x6"), 300, has_bleed=True, media_type="photographic-glossy")


def replayed(name: str) -> Description:
    saved = json.loads((ANSWERS / f"{name}.json").read_text())
    answer, _ = decode(b64decode(saved["message"]))
    return description_in(answer, NOW)


def asked_for(description: Description, job: JobRequest = PHOTO) -> dict[str, list[object]]:
    wanted = job_attributes(job, description.attributes)
    return {item.name: [value.content for value in item.values] for item in wanted}


@pytest.mark.parametrize("path", sorted(ANSWERS.glob("*.json")), ids=lambda path: path.stem)
def test_every_saved_answer_is_understood_and_written_again_bit_for_bit(path: Path) -> None:
    raw = b64decode(json.loads(path.read_text())["message"])
    answer, end = decode(raw)
    assert encode(answer) == raw and end == len(raw)
    description = replayed(path.stem)
    assert description.status.state is PrinterState.IDLE and description.uuid
    assert choose(description.status.document_formats) is not None
    assert asked_for(description)["media-col"]


@pytest.mark.parametrize(
    ("name", "copies", "loaded", "document"),
    [
        ("ippeveprinter", 999, ["8.5x11", "4x6"], DocumentFormat.JPEG),
        ("ippeveprinter-dye-sub", 99, ["4x6", "8x10"], DocumentFormat.PWG_RASTER),
        ("cups-2.4-everywhere", 1, None, DocumentFormat.JPEG),  # see ipp/client: what CUPS says of these is not so
        ("cups-2.4-raw", 1, None, DocumentFormat.JPEG),
        ("virtual", 999, ["4x6", "8x10"], DocumentFormat.JPEG),
    ],
)
def test_what_decides_over_printing_is_read_from_them(
    name: str, copies: int, loaded: list[str] | None, document: DocumentFormat
) -> None:
    status = replayed(name).status
    assert status.max_copies == copies and choose(status.document_formats) is document
    if loaded is None:
        assert status.media_ready is None
    else:
        assert all(any(parse_size(size).is_same_paper(one) for one in status.media_ready or ()) for size in loaded), (
            status.media_ready
        )


def test_a_printer_is_asked_only_for_what_it_says_it_knows() -> None:
    wanted = asked_for(replayed("ippeveprinter-dye-sub"))
    assert wanted["print-quality"] == [5] and wanted["print-scaling"] == ["none"]
    virtual = replayed("virtual")
    assert "output-bin" not in asked_for(virtual, JobRequest("n", 1, PHOTO.size, 300, False, output_bin="face-up"))
    with_bin = JobRequest("n", 1, PHOTO.size, 300, False, output_bin="face-up", media_source="photo")
    wanted = asked_for(replayed("ippeveprinter-dye-sub"), with_bin)
    assert wanted["output-bin"] == ["face-up"]
    assert attribute("media-source", "photo") in wanted["media-col"][0]  # type: ignore[operator]


def answer_with(*attributes: Attribute) -> Message:
    head = Group(GroupTag.OPERATION, [attribute("attributes-charset", "utf-8")])
    return Message(0, 1, [head, Group(GroupTag.PRINTER, list(attributes))])


def test_numbers_and_attributes_that_nobody_has_heard_of_do_no_harm() -> None:
    odd = answer_with(
        Attribute("printer-state", (Value(Tag.ENUM, 99),)),
        Attribute("operations-supported", (Value(Tag.ENUM, 0x4027), Value(Tag.ENUM, 2), Value(Tag.ENUM, 0x7FFFFFFF))),
        Attribute("x-acme-colour-drum", (Value(0x7F, b"\x00\x01\x02"),)),
        Attribute("media-col-ready", (Value(Tag.UNKNOWN, None),)),
        Attribute("copies-supported", (Value(Tag.INTEGER, 1),)),
        Attribute("printer-supply", (Value(Tag.OCTET_STRING, b"\xff\xfe;level=lots"),)),
        Attribute("printer-uuid", (Value(Tag.URI, "URN:UUID:ABC"),)),
        Attribute("print-quality-supported", (Value(Tag.NO_VALUE, None),)),
    )
    again, _ = decode(encode(odd))
    description = description_in(again, NOW)
    assert description.status.state is PrinterState.UNKNOWN and description.status.max_copies == 1
    assert description.status.media_ready == ()
    assert "print-quality" not in asked_for(description)


def test_what_is_missing_is_not_made_up() -> None:
    bare = description_in(answer_with(attribute("printer-state", 3)), NOW).status
    assert bare.media_ready is None and bare.max_copies == 1 and bare.accepting and bare.impressions_completed is None
    with pytest.raises(PrinterRefused, match="does not describe a printer"):
        description_in(answer_with(attribute("printer-name", "a web server")), NOW)
