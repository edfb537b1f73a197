"""What is set for the box as a whole, and what it changes: hours, locations, priorities."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from pydantic import ValidationError

from store import intake
from store.intake import Answer
from store.settings import BoxSettings
from store.tables import Store
from tests.studio import NOW, add_render_job, photo, push


def test_what_was_never_set_is_as_a_new_box(store: Store) -> None:
    assert store.settings == BoxSettings(id=1) and not store.is_resting(NOW)


def test_settings_are_kept_and_those_not_named_stay(store: Store) -> None:
    store.set(studio_name="Lindqvist", locations=("Uptown",))
    store.pause(True)
    assert (store.settings.studio_name, store.settings.locations, store.settings.is_paused) == (
        "Lindqvist",
        ("Uptown",),
        True,
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"time_zone": "Mars/Olympus"}, "is not a time zone"),
        ({"time_zone": "../../etc/passwd"}, "is not a time zone"),
        ({"opens_at": time(8)}, "write both, or neither"),
        ({"opens_at": time(8), "closes_at": time(8)}, "write both, or neither"),
        ({"image_roots": ("images",)}, "begin it with /"),
        ({"path_mappings": ("server",)}, "is not PREFIX=/folder"),
        ({"workers": 0}, "greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_refused_with_a_remedy(store: Store, changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        store.set(**changes)
    assert store.settings == BoxSettings(id=1)


def test_out_of_hours_the_box_rests(store: Store) -> None:
    local = NOW.astimezone()
    store.set(opens_at=(local + timedelta(hours=1)).time(), closes_at=(local + timedelta(hours=2)).time())
    assert store.is_resting(NOW) and not store.is_resting(NOW + timedelta(minutes=90))


def test_records_of_another_location_are_another_boxs(store: Store) -> None:
    add_render_job(store)
    store.set(locations=("Uptown", "Harbour"))
    picture = photo(store)
    refused = intake.accept(store, push(picture, number="S-1", location="Downtown"), NOW)
    assert (refused.answer, refused.tickets) == (Answer.ELSEWHERE, ()) and not len(store.records)
    assert intake.accept(store, push(picture, number="S-2", location="uptown"), NOW).tickets == (1,)


def test_a_record_that_is_here_already_is_taken_on_whatever_its_location_becomes(store: Store) -> None:
    picture = photo(store)
    intake.accept(store, push(picture, location="Uptown"), NOW)
    store.set(locations=("Harbour",))
    receipt = intake.accept(store, push(picture, location="Uptown", revision=2), NOW)
    assert receipt.answer is Answer.ACCEPTED and store.records.get(1).revision == 2


def test_starting_processing_ends_the_word_of_a_restore(store: Store) -> None:
    store.set(is_paused=True, restored_from=datetime.now(UTC).isoformat())
    store.pause(False)
    assert not store.settings.is_paused and store.settings.restored_from == ""
