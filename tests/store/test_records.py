"""What desktops may send, and how it is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from store.profiles import RenderProfile
from store.pushed import Crop
from store.records import RenderJob
from store.sizes import PrintSize, parse_size
from tests.studio import push

DIGEST = "0" * 64


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"number": ""}, "at least 1 character"),
        ({"kind": "wedding"}, "'session', 'invoice', 'order', 'print job', 'hot folder' or 'test page'"),
        ({"revision": -1}, "greater than or equal to 0"),
        ({"colour": "red"}, "not permitted"),
        ({"items": [{"id": "1", "image": "nine.jpg", "size": "4x6"}]}, "not the name of an image of this record"),
        ({"items": [{"id": "1", "image": "0001.jpg", "size": "huge"}]}, "is not a print size"),
        ({"items": [{"id": "1", "image": "0001.jpg", "size": "4x6", "quantity": 0}]}, "greater than or equal to 1"),
        ({"images": [{"name": "a.jpg"}], "items": []}, "either sha256"),
        ({"images": [{"name": "a.jpg", "path": "x"}] * 2, "items": []}, "two images are named 'a.jpg'"),
    ],
)
def test_a_malformed_record_is_refused_with_the_reason(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        push(DIGEST, **changes)


def test_a_crop_must_stay_inside_the_picture() -> None:
    with pytest.raises(ValidationError, match="reaches outside"):
        Crop(left=0.5, width=0.6)


@pytest.mark.parametrize(
    ("text", "size_um"),
    [("8x10", (203_200, 254_000)), ("2.5 x 3.5 in", (63_500, 88_900)), ("20×30cm", (200_000, 300_000))],
)
def test_sizes_are_read_as_people_write_them(text: str, size_um: tuple[int, int]) -> None:
    size = parse_size(text)
    assert (size.width_um, size.height_um) == size_um


def test_the_same_paper_whichever_side_is_up_and_however_a_printer_rounds() -> None:
    four_by_six = parse_size("4x6")
    assert four_by_six.is_same_paper(PrintSize(width_um=152_000, height_um=102_000))
    assert not four_by_six.is_same_paper(parse_size("4x7"))


def test_a_profile_for_all_images_needs_a_size() -> None:
    with pytest.raises(ValidationError, match="needs a size"):
        RenderProfile(name="proofs", selection="all images")  # type: ignore[arg-type]


def test_a_render_job_may_not_start_itself() -> None:
    with pytest.raises(ValidationError, match="would start itself again"):
        RenderJob(
            name="loop",
            kind="session",  # type: ignore[arg-type]
            select_status="A",
            profile_ids=(1,),
            finish_status="A",
            error_status="B",
        )
