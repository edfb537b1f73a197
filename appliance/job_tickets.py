"""Job tickets beside the pictures in a hot folder: CSV or JSON with number, client, sizes, quantities, crops. Pure.

CSV, with these column names in its first line (only `image` must be there; any order; comma, semicolon or tab):
    number, client, image, size, quantity, crop_left, crop_top, crop_width, crop_height, product
Lines of the same number are one record. JSON, one record or a list of them:
    {"number": "1183", "client": "Lindqvist", "items": [{"image": "a.jpg", "size": "8x10", "quantity": 2,
     "crop": {"left": 0, "top": 0.1, "width": 1, "height": 0.8}}]}

They come from strangers: nothing is read that is larger than MAX_BYTES, and whatever is in it, it is either understood
or refused with a reason.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from appliance.names import MOST_FILE_BYTES, MOST_NUMBER, readable
from store.pushed import Crop
from store.sizes import Size

ENDINGS = (".csv", ".json")
MAX_BYTES = 4_000_000
MAX_LINES = 5_000
_CROP = ("left", "top", "width", "height")
_COLUMNS = ("number", "client", "image", "size", "quantity", "product", *(f"crop_{side}" for side in _CROP))
_MARKS = (  # byte-order marks; the longer ones first, as one begins with another
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_LONGEST_SHOWN = 300


class JobTicketWrong(Exception):
    """A job ticket cannot be used; says where and why."""


def _picture(name: str) -> str:
    if "\0" in name:
        raise ValueError("there is no such name")
    if "/" in name or "\\" in name:
        raise ValueError("write the picture's name only, without the folder that it lies in")
    return name


def _legible(text: str) -> str:
    return readable(text, len(text) + 1)


Picture = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_FILE_BYTES),
    AfterValidator(_picture),
]
Text = Annotated[str, StringConstraints(max_length=200), AfterValidator(_legible)]


class Line(BaseModel):
    """One picture, so many times."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: Picture
    size: Size | None = None  # None: the hot folder's
    quantity: int | None = Field(None, ge=1, le=9999)  # None: the hot folder's
    crop: Crop | None = None
    product: Text = ""


class JobTicket(BaseModel):
    """One record to be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: Annotated[str, StringConstraints(max_length=MOST_NUMBER), AfterValidator(_legible)] = (
        ""  # empty: the file's
    )
    client: Text = ""
    items: tuple[Line, ...] = Field(min_length=1, max_length=MAX_LINES)


@dataclass(frozen=True)
class _Text:
    name: str
    content: str


def read(name: str, content: bytes) -> list[JobTicket]:
    """The records that a job ticket asks for.

    Args:
        name: the file's, for messages, and for what it is.
        content: of the file: Unicode with a byte-order mark, UTF-8, or Windows' Latin letters.

    Raises:
        JobTicketWrong: names line or field.
    """
    shown = readable(name)
    if len(content) > MAX_BYTES:
        raise JobTicketWrong(f"{shown}: larger than {MAX_BYTES // 1_000_000} MB: split it")
    text = _Text(shown, _decoded(shown, content))
    try:
        tickets = _from_json(text) if name.lower().strip().endswith(".json") else _from_csv(text)
    except UnicodeError as error:  # halves of letters, which JSON can write
        raise JobTicketWrong(f"{shown}: has letters in it that there are not: save it as UTF-8") from error
    if sum(len(ticket.items) for ticket in tickets) > MAX_LINES:
        raise JobTicketWrong(f"{shown}: more than {MAX_LINES} lines: split it")
    return tickets


def _decoded(name: str, content: bytes) -> str:
    encoding = next((one for mark, one in _MARKS if content.startswith(mark)), "")
    try:
        text = content.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        if encoding:
            raise JobTicketWrong(f"{name}: its letters cannot be read: save it as UTF-8") from None
        text = content.decode("cp1252", errors="replace")
    if "\0" in text:  # UTF-16 without its mark, or no text at all
        raise JobTicketWrong(f"{name}: is not a text file, or its letters cannot be read: save it as UTF-8")
    return text


def _from_json(text: _Text) -> list[JobTicket]:
    try:
        found = json.loads(text.content, object_pairs_hook=_once_each, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:  # among them: nested too deep, numbers of thousands of digits
        raise JobTicketWrong(f"{text.name}: is not JSON that the box takes ({str(error)[:_LONGEST_SHOWN]})") from error
    many = found if isinstance(found, list) else [found]
    if not many:
        raise JobTicketWrong(f"{text.name}: there is no record in it")
    if len(many) > MAX_LINES:
        raise JobTicketWrong(f"{text.name}: more than {MAX_LINES} records: split it")
    return [_checked(text, "", one) for one in many]


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Which of two values was meant nobody can tell."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"'{readable(name, 50)}' is there twice")
        found[name] = value
    return found


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is not a number")


def _from_csv(text: _Text) -> list[JobTicket]:
    first = next(iter(text.content.splitlines()), "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text.content, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((reader.line_num, row))
            if len(rows) > MAX_LINES + 1:
                raise JobTicketWrong(f"{text.name}: more than {MAX_LINES} lines: split it")
    except csv.Error as error:
        raise JobTicketWrong(f"{text.name}: line {reader.line_num}: {error}") from error
    columns = [cell.strip().lower().replace(" ", "_") for cell in rows[0][1]] if rows else []
    unknown = [column for column in columns if column not in _COLUMNS]
    twice = [column for column in _COLUMNS if columns.count(column) > 1]
    if "image" not in columns or unknown or twice:
        wrong = "there is no column 'image'"
        if unknown or twice:
            column, why = (unknown[0], "is not known") if unknown else (twice[0], "is there twice")
            wrong = f"the column '{readable(column, 50)}' {why}"
        raise JobTicketWrong(f"{text.name}: {wrong}: the first line names columns among {', '.join(_COLUMNS)}")
    records: dict[str, dict[str, Any]] = {}
    for number, row in rows[1:]:
        if len(row) > len(columns):
            raise JobTicketWrong(f"{text.name}: line {number} has more cells than the first line has names")
        cells = {column: cell.strip() for column, cell in zip(columns, row, strict=False) if cell.strip()}
        line: dict[str, Any] = {name: cells[name] for name in ("image", "size", "quantity", "product") if name in cells}
        if any(f"crop_{side}" in cells for side in _CROP):
            line["crop"] = {side: cells[f"crop_{side}"] for side in _CROP if f"crop_{side}" in cells}
        try:
            checked = Line.model_validate(line)
        except ValidationError as error:
            raise JobTicketWrong(f"{text.name}: line {number}: {_first(error)}") from error
        record = records.setdefault(cells.get("number", ""), {"number": cells.get("number", ""), "items": []})
        record["client"] = record.get("client") or cells.get("client", "")
        record["items"].append(checked)
    if not records:
        raise JobTicketWrong(f"{text.name}: there is no line below the first one")
    return [_checked(text, f"number '{readable(number, 50)}': ", record) for number, record in records.items()]


def _checked(text: _Text, where: str, raw: Any) -> JobTicket:
    try:
        return JobTicket.model_validate(raw)
    except ValidationError as error:
        raise JobTicketWrong(f"{text.name}: {where}{_first(error)}") from error


def _first(error: ValidationError) -> str:
    detail = error.errors(include_url=False)[0]
    place = ".".join(str(step) for step in detail["loc"])
    wrong = str(detail["msg"]).removeprefix("Value error, ")
    return readable(f"{place}: {wrong}" if place else wrong, _LONGEST_SHOWN)
