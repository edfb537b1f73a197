"""Job tickets beside the pictures in a hot folder: CSV or JSON with number, client, sizes, quantities, crops. Pure.

CSV, with these column names in its first line (only `image` must be there; any order; comma, semicolon or tab):
    number, client, image, size, quantity, crop_left, crop_top, crop_width, crop_height, product
Lines of the same number are one record. JSON, one record or a list of them:
    {"number": "1183", "client": "Lindqvist", "items": [{"image": "a.jpg", "size": "8x10", "quantity": 2,
     "crop": {"left": 0, "top": 0.1, "width": 1, "height": 0.8}}]}
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from store.model import Name
from store.pushed import Crop
from store.sizes import Size

ENDINGS = (".csv", ".json")
MAX_BYTES = 4_000_000
MAX_LINES = 5_000
_CROP = ("left", "top", "width", "height")
_COLUMNS = ("number", "client", "image", "size", "quantity", "product", *(f"crop_{side}" for side in _CROP))


class JobTicketWrong(Exception):
    """A job ticket cannot be used; says where and why."""


class Line(BaseModel):
    """One picture, so many times."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: Name
    size: Size | None = None  # None: the hot folder's
    quantity: int | None = Field(None, ge=1, le=9999)  # None: the hot folder's
    crop: Crop | None = None
    product: str = Field("", max_length=200)


class JobTicket(BaseModel):
    """One record to be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: str = Field("", max_length=150)  # empty: the file's name
    client: str = Field("", max_length=200)
    items: tuple[Line, ...] = Field(min_length=1, max_length=MAX_LINES)


@dataclass(frozen=True)
class _Text:
    name: str
    content: str


def read(name: str, content: bytes) -> list[JobTicket]:
    """The records that a job ticket asks for.

    Args:
        name: the file's, for messages, and for what it is.
        content: of the file; UTF-8, with or without a byte-order mark, or Windows' Latin letters.

    Raises:
        JobTicketWrong: names line or field.
    """
    if len(content) > MAX_BYTES:
        raise JobTicketWrong(f"{name}: larger than {MAX_BYTES // 1_000_000} MB: split it")
    try:
        text = _Text(name, content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        text = _Text(name, content.decode("cp1252", errors="replace"))
    return _from_json(text) if name.lower().endswith(".json") else _from_csv(text)


def _from_json(text: _Text) -> list[JobTicket]:
    try:
        found = from_json(text.content, allow_inf_nan=False)
    except ValueError as error:
        raise JobTicketWrong(f"{text.name}: is not JSON ({error})") from error
    return [_checked(text, "", one) for one in (found if isinstance(found, list) else [found])]


def _from_csv(text: _Text) -> list[JobTicket]:
    first = text.content.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text.content), delimiter=delimiter)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise JobTicketWrong(f"{text.name}: line {reader.line_num}: {error}") from error
    columns = [cell.strip().lower().replace(" ", "_") for cell in rows[0][1]] if rows else []
    unknown = [column for column in columns if column not in _COLUMNS]
    if "image" not in columns or unknown:
        wrong = f"the column '{unknown[0]}' is not known" if unknown else "there is no column 'image'"
        raise JobTicketWrong(f"{text.name}: {wrong}: the first line names columns among {', '.join(_COLUMNS)}")
    if len(rows) - 1 > MAX_LINES:
        raise JobTicketWrong(f"{text.name}: more than {MAX_LINES} lines: split it")
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
    return [_checked(text, f"number '{number}': ", record) for number, record in records.items()]


def _checked(text: _Text, where: str, raw: Any) -> JobTicket:
    try:
        return JobTicket.model_validate(raw)
    except ValidationError as error:
        raise JobTicketWrong(f"{text.name}: {where}{_first(error)}") from error


def _first(error: ValidationError) -> str:
    detail = error.errors(include_url=False)[0]
    place = ".".join(str(step) for step in detail["loc"])
    return f"{place}: {detail['msg'].removeprefix('Value error, ')}" if place else str(detail["msg"])
