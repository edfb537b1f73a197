"""IPP messages to bytes and back (RFC 8010 §3). No I/O, no opinion about what a message means.

Every value keeps its tag, text keeps bytes that are not UTF-8 (surrogateescape), values of unknown tags or odd
lengths stay bytes: so encode(decode(x)) == x for every well-formed x.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from ipp.errors import MessageError, MessageIncomplete

MAX_DEPTH = 16  # collections within collections; media-col-database needs 3
MAX_ATTRIBUTES = 20_000  # a media-col-database of a large printer has some 5,000 members


class GroupTag(IntEnum):
    """Delimiter tags (RFC 8010 §3.5.1)."""

    OPERATION = 0x01
    JOB = 0x02
    END = 0x03
    PRINTER = 0x04
    UNSUPPORTED = 0x05
    SUBSCRIPTION = 0x06
    EVENT_NOTIFICATION = 0x07
    RESOURCE = 0x08
    DOCUMENT = 0x09
    SYSTEM = 0x0A


class Tag(IntEnum):
    """Value tags (RFC 8010 §3.5.2)."""

    UNSUPPORTED = 0x10
    UNKNOWN = 0x12
    NO_VALUE = 0x13
    NOT_SETTABLE = 0x15
    DELETE_ATTRIBUTE = 0x16
    INTEGER = 0x21
    BOOLEAN = 0x22
    ENUM = 0x23
    OCTET_STRING = 0x30
    DATE_TIME = 0x31
    RESOLUTION = 0x32
    RANGE = 0x33
    BEGIN_COLLECTION = 0x34
    TEXT_WITH_LANGUAGE = 0x35
    NAME_WITH_LANGUAGE = 0x36
    END_COLLECTION = 0x37
    TEXT = 0x41
    NAME = 0x42
    KEYWORD = 0x44
    URI = 0x45
    URI_SCHEME = 0x46
    CHARSET = 0x47
    NATURAL_LANGUAGE = 0x48
    MIME_MEDIA_TYPE = 0x49
    MEMBER_NAME = 0x4A


@dataclass(frozen=True)
class Resolution:
    """Units as on the wire: 3 dots per inch, 4 dots per centimetre."""

    x: int
    y: int
    units: int = 3


@dataclass(frozen=True)
class Range:
    """Both ends belong to it."""

    lower: int
    upper: int


@dataclass(frozen=True)
class LanguageString:
    """Text or name with its own language."""

    language: str
    text: str

    def __str__(self) -> str:
        return self.text


Collection = tuple["Attribute", ...]
Content = int | bool | str | bytes | Resolution | Range | LanguageString | Collection | None


@dataclass(frozen=True)
class Value:
    """One value with its tag; out-of-band values have the content None."""

    tag: int
    content: Content


@dataclass(frozen=True)
class Attribute:
    """A name and its values; an attribute of a group, or a member of a collection."""

    name: str
    values: tuple[Value, ...]


@dataclass
class Group:
    """A row of attributes under a delimiter tag."""

    tag: int
    attributes: list[Attribute] = field(default_factory=list)

    def attribute(self, name: str) -> Attribute | None:
        """The attribute of that name."""
        return next((attribute for attribute in self.attributes if attribute.name == name), None)

    def all(self, name: str) -> list[Content]:
        """The contents of an attribute's values; empty when it is missing or out of band."""
        found = self.attribute(name)
        return [value.content for value in found.values if value.content is not None] if found else []

    def first(self, name: str) -> Content:
        """The content of an attribute's first value, or None."""
        return next(iter(self.all(name)), None)

    def text(self, name: str) -> str:
        """An attribute's first value as text, or ''."""
        content = self.first(name)
        return str(content) if isinstance(content, (str, LanguageString)) else ""

    def texts(self, name: str) -> list[str]:
        """An attribute's values as text."""
        return [str(content) for content in self.all(name) if isinstance(content, (str, LanguageString))]

    def number(self, name: str) -> int | None:
        """An attribute's first value as a whole number, or None."""
        content = self.first(name)
        return content if isinstance(content, int) and not isinstance(content, bool) else None


@dataclass
class Message:
    """A request (code: operation-id) or a response (code: status-code)."""

    code: int
    request_id: int
    groups: list[Group] = field(default_factory=list)
    version: tuple[int, int] = (2, 0)

    def group(self, tag: int) -> Group:
        """The first group with this tag; an empty one when there is none."""
        return next((group for group in self.groups if group.tag == tag), Group(tag))

    def all_groups(self, tag: int) -> list[Group]:
        """Every group with this tag, such as one for each job."""
        return [group for group in self.groups if group.tag == tag]


_HEADER = struct.Struct(">bbHi")
_TEXT_TAGS = frozenset(
    {Tag.TEXT, Tag.NAME, Tag.KEYWORD, Tag.URI, Tag.URI_SCHEME, Tag.CHARSET, Tag.NATURAL_LANGUAGE, Tag.MIME_MEDIA_TYPE}
)


# -- encoding ---------------------------------------------------------------------------------------------------


def encode(message: Message) -> bytes:
    """The bytes of a message, end-of-attributes tag included; a document follows them as it is.

    Raises:
        MessageError: a value that does not fit its tag; names the attribute.
    """
    parts = [_HEADER.pack(*message.version, message.code, message.request_id)]
    for group in message.groups:
        parts.append(bytes([group.tag]))
        for attribute in group.attributes:
            parts.extend(_encode_attribute(attribute))
    parts.append(bytes([GroupTag.END]))
    return b"".join(parts)


def _encode_attribute(attribute: Attribute) -> Iterator[bytes]:
    name = attribute.name.encode("utf-8", "surrogateescape")
    if not attribute.values:
        raise MessageError(f"{attribute.name}: an attribute needs at least one value")
    for value in attribute.values:
        yield from _encode_value(attribute.name, name, value)
        name = b""  # further values of the same attribute have an empty name


def _encode_value(label: str, name: bytes, value: Value) -> Iterator[bytes]:
    if value.tag == Tag.BEGIN_COLLECTION and isinstance(value.content, tuple):
        yield _field(value.tag, name, b"")
        for member in value.content:
            yield _field(Tag.MEMBER_NAME, b"", member.name.encode("utf-8", "surrogateescape"))
            for member_value in member.values:
                yield from _encode_value(f"{label}.{member.name}", b"", member_value)
        yield _field(Tag.END_COLLECTION, b"", b"")
        return
    try:
        content = _encode_content(value)
    except (struct.error, UnicodeEncodeError, AttributeError, TypeError) as error:
        raise MessageError(f"{label}: {value.content!r} does not fit tag 0x{value.tag:02x}: {error}") from error
    yield _field(value.tag, name, content)


def _encode_content(value: Value) -> bytes:
    content = value.content
    if content is None:
        return b""
    if isinstance(content, bytes):
        return content
    if isinstance(content, bool):
        return b"\x01" if content else b"\x00"
    if isinstance(content, int):
        return struct.pack(">i", content)
    if isinstance(content, Resolution):
        return struct.pack(">iib", content.x, content.y, content.units)
    if isinstance(content, Range):
        return struct.pack(">ii", content.lower, content.upper)
    if isinstance(content, LanguageString):
        language, text = (part.encode("utf-8", "surrogateescape") for part in (content.language, content.text))
        return struct.pack(">H", len(language)) + language + struct.pack(">H", len(text)) + text
    if isinstance(content, str):
        return content.encode("utf-8", "surrogateescape")
    raise TypeError("a collection needs the collection tag")


def _field(tag: int, name: bytes, content: bytes) -> bytes:
    return struct.pack(">BH", tag, len(name)) + name + struct.pack(">H", len(content)) + content


# -- decoding ---------------------------------------------------------------------------------------------------


def decode(data: bytes | bytearray | memoryview) -> tuple[Message, int]:
    """A message from its bytes, and where the document behind it begins.

    Raises:
        MessageIncomplete: the bytes end before the end-of-attributes tag; feed more.
        MessageError: they cannot become a message.
    """
    reader = _Reader(bytes(data))
    major, minor, code, request_id = _HEADER.unpack(reader.take(_HEADER.size))
    message = Message(code, request_id, [], (major, minor))
    while (tag := reader.tag()) != GroupTag.END:
        if tag > 0x0F:
            raise MessageError(f"an attribute (tag 0x{tag:02x}) before any group")
        group = Group(tag)
        message.groups.append(group)
        while reader.peek() > 0x0F:
            tag, name, content = reader.field()
            value = reader.value(tag, content, MAX_DEPTH)
            if name:
                group.attributes.append(Attribute(_text(name), (value,)))
            elif group.attributes:
                last = group.attributes[-1]
                group.attributes[-1] = Attribute(last.name, (*last.values, value))
            else:
                raise MessageError("a further value without an attribute before it")
    return message, reader.position


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


class _Reader:
    """Walks over the bytes of one message."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0
        self._fields = 0

    def take(self, count: int) -> bytes:
        piece = self._data[self.position : self.position + count]
        if len(piece) < count:
            raise MessageIncomplete(f"the message ends after {len(self._data)} bytes")
        self.position += count
        return piece

    def peek(self) -> int:
        if self.position >= len(self._data):
            raise MessageIncomplete(f"the message ends after {len(self._data)} bytes")
        return self._data[self.position]

    def tag(self) -> int:
        return self.take(1)[0]

    def field(self) -> tuple[int, bytes, bytes]:
        self._fields += 1
        if self._fields > MAX_ATTRIBUTES:
            raise MessageError(f"more than {MAX_ATTRIBUTES} values in one message")
        tag = self.tag()
        if tag <= 0x0F:
            raise MessageError(f"a collection is not closed before group tag 0x{tag:02x}")
        name = self.take(int.from_bytes(self.take(2), "big"))
        return tag, name, self.take(int.from_bytes(self.take(2), "big"))

    def value(self, tag: int, content: bytes, depth: int) -> Value:
        if tag == Tag.BEGIN_COLLECTION:
            if depth == 0:
                raise MessageError(f"collections nested deeper than {MAX_DEPTH}")
            if content:
                raise MessageError("a collection begins with a value of its own, which it must not have")
            return Value(tag, self._members(depth - 1))
        return Value(tag, _decode_content(tag, content))

    def _members(self, depth: int) -> Collection:
        members: list[tuple[str, list[Value]]] = []
        while True:
            tag, name, content = self.field()
            if name:
                raise MessageError("a collection's member has a name outside its member-name field")
            if tag == Tag.END_COLLECTION and content:
                raise MessageError("a collection ends with a value of its own, which it must not have")
            if tag == Tag.END_COLLECTION:
                return tuple(Attribute(member, tuple(values)) for member, values in members)
            if tag == Tag.MEMBER_NAME:
                members.append((_text(content), []))
            elif members:
                members[-1][1].append(self.value(tag, content, depth))
            else:
                raise MessageError("a collection's value without a member name")


def _decode_content(tag: int, content: bytes) -> Content:
    size = len(content)
    if tag in (Tag.INTEGER, Tag.ENUM) and size == 4:
        return int.from_bytes(content, "big", signed=True)
    if tag == Tag.BOOLEAN and content in (b"\x00", b"\x01"):
        return content == b"\x01"
    if tag in _TEXT_TAGS:
        return _text(content)
    if tag == Tag.RESOLUTION and size == 9:
        return Resolution(*struct.unpack(">iib", content))
    if tag == Tag.RANGE and size == 8:
        return Range(*struct.unpack(">ii", content))
    if tag in (Tag.TEXT_WITH_LANGUAGE, Tag.NAME_WITH_LANGUAGE) and size >= 4:
        language_size = int.from_bytes(content[:2], "big")
        text_at = 2 + language_size + 2
        if size >= text_at and size == text_at + int.from_bytes(content[text_at - 2 : text_at], "big"):
            return LanguageString(_text(content[2 : 2 + language_size]), _text(content[text_at:]))
    if 0x10 <= tag <= 0x1F and not content:
        return None
    return content  # unknown tag or odd length: kept as it came
