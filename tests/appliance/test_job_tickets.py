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
        "image\tsize\r\nbride's veil.jpg\t8x10\r\n".encode("utf-16"),  # as Excel saves "Unicode text"
        b"image,size\rbride's veil.jpg,8x10\r",
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
        ("a.json", b"[" * 100_000, "is not JSON that the box takes"),
        ("a.json", b'{"a":' * 100_000, "is not JSON that the box takes"),
        ("a.json", b'{"number": ' + b"9" * 100_000 + b"}", "is not JSON that the box takes"),
        ("a.json", b'{"items": [{"image": "a.jpg", "quantity": 1e999}]}', "items.0.quantity"),
        ("a.json", b'{"items": [{"image": "a.jpg", "quantity": NaN}]}', "NaN is not a number"),
        ("a.json", b'{"items": [{"image": "a.jpg", "size": "' + b"9" * 3_000_000 + b'x1"}]}', "is not a print size"),
        ("a.json", b'{"items": [{"image": "a.jpg", "quantity": 1, "quantity": 9}]}', "'quantity' is there twice"),
        ("a.json", b'{"items": [{"image": "\\ud800.jpg"}]}', "items.0.image"),
        ("a.json", b'{"items": [{"image": "a.jpg", "size": "\\udc80"}]}', "letters in it that there are not"),
        ("a.json", b'{"items": [{"image": "\\u0000.jpg"}]}', "items.0.image: there is no such name"),
        ("a.json", b'{"items": [{"image": "../a.jpg"}]}', "without the folder"),
        ("a.json", b'{"number": "' + b"x" * 10_000 + b'", "items": [{"image": "a.jpg"}]}', "number: "),
        ("a.json", b"[" + b",".join([b'{"items": [{"image": "a.jpg"}]}'] * 5_001) + b"]", "more than 5000 records"),
        ("a.json", b"[" + b",".join([b'{"items": [{"image": "a"}, {"image": "a"}]}'] * 2_501) + b"]", "5000 lines"),
        ("a.json", b"[]", "no record in it"),
        ("a.csv", b"," * 3_999_999, "no column 'image'"),
        ("a.csv", b"image\n" + b"," * 3_999_000, "no line below"),
        ("a.csv", b"image\n" + b"a\n" * 1_999_000, "more than 5000 lines"),
        ("a.csv", b'image\n"' + b"a" * 3_999_000, "field larger"),
        ("a.csv", b'image\n"a.jpg', "unexpected end of data"),
        ("a.csv", b"image\na\0b.jpg\n", "is not a text file"),
        ("a.csv", "image\na.jpg\n".encode("utf-16-le"), "save it as UTF-8"),
        ("a.csv", b"\xff\xfe\0", "save it as UTF-8"),
        ("a.csv", b"image,size,Image\na.jpg,8x10,b.jpg\n", "the column 'image' is there twice"),
        ("a.csv", b"image,client\na.jpg," + b"x" * 10_000, "client: "),
        ("a.csv", b"image,crop_left\na.jpg,nan\n", "line 2: crop"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(name: str, content: bytes, told: str) -> None:
    with pytest.raises(JobTicketWrong, match=told) as wrong:
        read(name, content)
    assert str(wrong.value).startswith(name) and len(str(wrong.value)) < 600 and "\n" not in str(wrong.value)


def test_what_is_said_of_a_record_can_be_read() -> None:
    item = r'{"image": "a.jpg", "product": "\u200b"}'
    content = r'{"number": "1\u202e2\n3", "client": " M\u00fcller\t", "items": [' + item + "]}"
    (ticket,) = read("a.json", content.encode())
    assert (ticket.number, ticket.client, ticket.items[0].product) == ("12 3", "Müller", "")
