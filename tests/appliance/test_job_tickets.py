"""Job tickets beside the pictures: what they may say, and what is told when they are wrong."""

from __future__ import annotations

import pytest

from appliance.job_tickets import JobTicketWrong, read
from store.pushed import Crop


def test_csv_lines_of_one_number_are_one_record() -> None:
    text = (
        "Number,client,image,size,quantity,crop_left,crop_top,crop_width,crop_height\n"
        "1183,Avery Lindqvist,0042.jpg,8x10,2,0,0.1,1,0.8\n"
        "1183,,0043.jpg,20x30cm,,,,,\n"
        "\n"
        "1184,Kim Osei,0101.jpg,,4\n"
    )
    first, second = read("order.csv", text.encode())
    assert (first.number, first.client, len(first.items)) == ("1183", "Avery Lindqvist", 2)
    assert first.items[0].crop == Crop(left=0, top=0.1, width=1, height=0.8) and first.items[0].quantity == 2
    assert str(first.items[1].size) == "200x300mm" and first.items[1].quantity is None
    assert (second.client, second.items[0].size, second.items[0].quantity) == ("Kim Osei", None, 4)


@pytest.mark.parametrize(
    "content",
    [
        b"image;size\nbride's veil.jpg;8x10\n",
        b"image\tsize\nbride's veil.jpg\t8x10\n",
        "\ufeffimage,size\r\nbride's veil.jpg,8x10\r\n".encode(),
        b'image,size\n"bride\'s veil.jpg","8x10"\n',
        b'{"items": [{"image": "bride\'s veil.jpg", "size": "8x10"}]}',
        b'[{"items": [{"image": "bride\'s veil.jpg", "size": "8x10"}]}]',
    ],
)
def test_what_programs_write_is_read(content: bytes) -> None:
    name = "t.json" if content[:1] in b"[{" else "t.csv"
    (ticket,) = read(name, content)
    assert ticket.number == "" and ticket.items[0].image == "bride's veil.jpg" and str(ticket.items[0].size) == "8x10"


def test_letters_of_old_windows_programs_are_read() -> None:
    (ticket,) = read("t.csv", "image,client\nMüller.jpg,Müller\n".encode("cp1252"))
    assert (ticket.items[0].image, ticket.client) == ("Müller.jpg", "Müller")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"", "no column 'image'"),
        ("a.csv", b"file,size\na.jpg,8x10\n", "column 'file' is not known"),
        ("a.csv", b"image,size\n", "no line below"),
        ("a.csv", b"image,size\na.jpg,huge\n", "line 2: size: .*width x height"),
        ("a.csv", b"image,quantity\na.jpg,1\nb.jpg,0\n", "line 3: quantity"),
        ("a.csv", b"image,size\na.jpg,8x10,5\n", "line 2 has more cells"),
        ("a.csv", b"image,crop_left,crop_width\na.jpg,0.6,0.6\n", "line 2: crop: .*outside the picture"),
        ("a.json", b"{", "is not JSON"),
        ("a.json", b'{"items": []}', "items: "),
        ("a.json", b'{"items": [{"image": "a.jpg", "paper": "lustre"}]}', "items.0.paper"),
        ("a.json", b"x" * 5_000_000, "larger than 4 MB"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(name: str, content: bytes, told: str) -> None:
    with pytest.raises(JobTicketWrong, match=told) as wrong:
        read(name, content)
    assert str(wrong.value).startswith(name)
