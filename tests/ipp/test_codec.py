"""Messages to bytes and back, bit for bit, and bytes that are not messages."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipp import codec
from ipp.attributes import SYNTAX, attribute, collection
from ipp.codec import (
    MAX_DEPTH,
    Attribute,
    Group,
    GroupTag,
    LanguageString,
    Message,
    Range,
    Resolution,
    Tag,
    Value,
    decode,
    encode,
)
from ipp.errors import MessageError, MessageIncomplete

integers = st.integers(-(2**31), 2**31 - 1)
short_text = st.text(st.characters(codec="utf-8"), max_size=40)
names = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=20)
plain_values = st.one_of(
    st.builds(Value, st.sampled_from([Tag.INTEGER, Tag.ENUM]), integers),
    st.builds(Value, st.just(Tag.BOOLEAN), st.booleans()),
    st.builds(Value, st.sampled_from([Tag.TEXT, Tag.NAME, Tag.KEYWORD, Tag.URI, Tag.MIME_MEDIA_TYPE]), short_text),
    st.builds(Value, st.sampled_from([Tag.OCTET_STRING, Tag.DATE_TIME, 0x7F]), st.binary(max_size=40)),
    st.builds(Value, st.just(Tag.RANGE), st.builds(Range, integers, integers)),
    st.builds(Value, st.just(Tag.RESOLUTION), st.builds(Resolution, integers, integers, st.integers(3, 4))),
    st.builds(Value, st.just(Tag.TEXT_WITH_LANGUAGE), st.builds(LanguageString, short_text, short_text)),
    st.builds(Value, st.sampled_from([Tag.NO_VALUE, Tag.UNKNOWN, Tag.UNSUPPORTED]), st.none()),
)
values = st.recursive(
    plain_values,
    lambda inner: st.builds(
        Value,
        st.just(Tag.BEGIN_COLLECTION),
        st.lists(st.builds(Attribute, names, st.lists(inner, min_size=1, max_size=3).map(tuple)), max_size=3).map(
            tuple
        ),
    ),
    max_leaves=8,
)
attributes = st.builds(Attribute, names, st.lists(values, min_size=1, max_size=4).map(tuple))
groups = st.builds(Group, st.sampled_from([1, 2, 4, 5, 6, 7, 9, 10]), st.lists(attributes, max_size=5))
messages = st.builds(
    Message,
    st.integers(0, 0xFFFF),
    integers,
    st.lists(groups, max_size=4),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
)


@given(messages, st.binary(max_size=50))
def test_every_message_comes_back_as_it_was_and_the_document_behind_it_is_found(
    message: Message, document: bytes
) -> None:
    raw = encode(message)
    back, end = decode(raw + document)
    assert back == message
    assert raw[end:] + document == document
    assert encode(back) == raw


@given(messages, st.data())
def test_any_beginning_of_a_message_asks_for_more(message: Message, data: st.DataObject) -> None:
    raw = encode(message)
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(MessageIncomplete):
        decode(raw[:cut])


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_or_round_trip(raw: bytes) -> None:
    try:
        message, end = decode(raw)
    except MessageError:
        return
    assert encode(message) == raw[:end]


def test_mutated_real_messages_never_do_anything_but_decode_or_refuse() -> None:
    media_col = collection(media_size=collection(x_dimension=10160, y_dimension=15240), media_top_margin=0)
    head = [attribute("attributes-charset", "utf-8"), attribute("attributes-natural-language", "en")]
    raw = encode(
        Message(2, 1, [Group(GroupTag.OPERATION, head), Group(GroupTag.JOB, [attribute("media-col", media_col)])])
    )
    dice = random.Random(7)
    for _ in range(3000):
        broken = bytearray(raw)
        for _ in range(dice.randrange(1, 4)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        try:
            message, end = decode(broken)
        except MessageError:
            continue
        assert encode(message) == bytes(broken[:end])


def test_the_bytes_of_rfc_8010_appendix_a() -> None:
    """RFC 8010 §A.1: a Print-Job request, field by field."""
    raw = (
        b"\x01\x01\x00\x02\x00\x00\x00\x01\x01"
        b"\x47\x00\x12attributes-charset\x00\x05utf-8"
        b"\x48\x00\x1battributes-natural-language\x00\x05en-us"
        b"\x45\x00\x0bprinter-uri\x00\x15ipp://printer.example"
        b"\x42\x00\x08job-name\x00\x06foobar"
        b"\x22\x00\x16ipp-attribute-fidelity\x00\x01\x01"
        b"\x02\x21\x00\x06copies\x00\x04\x00\x00\x00\x14"
        b"\x44\x00\x05sides\x00\x13two-sided-long-edge\x03"
    )
    message, end = decode(raw)
    assert (message.version, message.code, message.request_id, end) == ((1, 1), 2, 1, len(raw))
    assert message.group(GroupTag.OPERATION).text("job-name") == "foobar"
    assert message.group(GroupTag.JOB).number("copies") == 20
    assert encode(message) == raw


def test_collections_nested_without_end_are_refused() -> None:
    level = b"\x34\x00\x00\x00\x00\x4a\x00\x00\x00\x01a"
    raw = b"\x02\x00\x00\x02\x00\x00\x00\x01\x02\x34\x00\x01a\x00\x00\x4a\x00\x00\x00\x01a" + level * 10_000
    with pytest.raises(MessageError, match=f"nested deeper than {MAX_DEPTH}"):
        decode(raw)


def test_too_many_values_are_refused() -> None:
    one = b"\x21\x00\x01a\x00\x04\x00\x00\x00\x01"
    with pytest.raises(MessageError, match="more than"):
        decode(b"\x02\x00\x00\x02\x00\x00\x00\x01\x02" + one * (codec.MAX_ATTRIBUTES + 1))


def test_a_value_that_does_not_fit_its_tag_is_named() -> None:
    wrong = Message(2, 1, [Group(GroupTag.JOB, [Attribute("copies", (Value(Tag.INTEGER, 2**40),))])])
    with pytest.raises(MessageError, match="copies"):
        encode(wrong)


def test_nothing_is_sent_with_a_guessed_tag() -> None:
    with pytest.raises(KeyError):
        attribute("no-such-attribute", 1)
    assert SYNTAX["media-col"] is Tag.BEGIN_COLLECTION
