"""Names from templates cannot leave their folder, whatever the values are."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from render.errors import SheetImpossible
from render.names import FIELDS, check_template, fill

texts = st.text(max_size=300)


@given(st.dictionaries(st.sampled_from(list(FIELDS)), texts))
def test_no_value_leads_out_of_the_folder(values: dict[str, str]) -> None:
    try:
        name = fill("{kind}/{number}/{client}_{image}_x", values)
    except SheetImpossible:
        return
    path = PurePosixPath(name)
    assert not path.is_absolute() and ".." not in path.parts
    assert all(len(part.encode()) <= 200 and part == part.strip(" .") for part in path.parts)
    assert not set(name) & set('\0\n\\:*?"<>|@#$&')


@pytest.mark.parametrize(
    "template",
    ["../{number}", "/etc/{number}", "{number}/../../x", "{nummer}", "{number!r}", "{number", "{number.__class__}"],
)
def test_a_template_that_could_is_refused(template: str) -> None:
    with pytest.raises(SheetImpossible):
        check_template(template)


def test_the_refusal_names_the_fields_there_are() -> None:
    with pytest.raises(SheetImpossible, match=r"no field \{nummer\}; there are: kind, number"):
        check_template("{nummer}")


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(SheetImpossible, match="empty name"):
        fill("{client}", {})
