"""Two versions side by side: what is there, what may be installed, what going back renames."""

from __future__ import annotations

import pytest

from appliance.box.bundle import File, Manifest
from appliance.box.slots import Slot, refusal, slots, turned_back

LABELS = ["esp", "printroom_1.0.0", "printroom_1.10.0", "printroom-data"]
MB = 1 << 20


def manifest(version: str = "1.2.0", architecture: str = "amd64", root_mb: int = 300) -> Manifest:
    files = {
        "root.squashfs": File(size_bytes=root_mb * MB, sha256="0" * 64),
        "kernel.efi": File(size_bytes=MB, sha256="0" * 64),
    }
    return Manifest(version=version, architecture=architecture, schema_version=2, files=files)


def test_a_version_is_there_when_both_of_its_parts_are() -> None:
    found = slots(
        LABELS, ["printroom_1.10.0+2-1.efi", "printroom_1.0.0.efi", "printroom_3.0.0.efi", "old.efi"], "1.0.0"
    )
    assert [(one.version, one.tries_left, one.is_running) for one in found] == [
        ("1.10.0", 2, False),
        ("1.0.0", None, True),
    ]


def test_one_without_tries_is_given_up() -> None:
    found = slots(LABELS, ["printroom_1.10.0+0-3.efi", "printroom_1.0.0.efi"], "1.0.0")
    assert [(one.tries_left, one.has_failed) for one in found] == [(0, True), (None, False)]


def test_one_that_somebody_went_back_from_has_not_failed() -> None:
    found = slots(LABELS, ["printroom_1.10.0+0.efi", "printroom_1.0.0.efi"], "1.0.0")
    assert [(one.tries_left, one.has_failed) for one in found] == [(0, False), (None, False)]


@pytest.mark.parametrize(
    ("update", "words"),
    [
        (manifest(), ""),
        (manifest(version="1.10.0"), ""),
        (manifest(version="1.1.9"), "1.1.9; 1.1.9 runs already"),
        (manifest(version="1.1.10"), ""),
        (manifest(version="0.9.0"), "0.9.0; 1.1.9 runs already"),
        (manifest(architecture="arm64"), "is for arm64, this box is amd64"),
        (manifest(root_mb=700), "needs a slot of 700 MB, this disk's have 640"),
        (manifest(root_mb=600), "651 MB for a moment, 600 MB are free"),
    ],
)
def test_what_may_be_installed(update: Manifest, words: str) -> None:
    found = refusal(update, "amd64", "1.1.9", 640 * MB, 600 * MB)
    assert words in found and bool(words) == bool(found)


def test_going_back_gives_the_newer_one_up() -> None:
    now = slots(LABELS, ["printroom_1.10.0.efi", "printroom_1.0.0.efi"], "1.10.0")
    here, here_name, other, other_name = turned_back(now)
    assert (here.version, here_name) == ("1.10.0", "printroom_1.10.0+0.efi")
    assert (other.version, other_name) == ("1.0.0", "printroom_1.0.0.efi")


def test_going_forward_again_lets_the_newer_one_show_that_it_works() -> None:
    now = slots(LABELS, ["printroom_1.10.0+0.efi", "printroom_1.0.0.efi"], "1.0.0")
    assert [name for name in turned_back(now) if isinstance(name, str)] == [
        "printroom_1.0.0.efi",
        "printroom_1.10.0+3.efi",
    ]


def test_with_one_version_there_is_nowhere_to_go() -> None:
    with pytest.raises(ValueError, match="no other version"):
        turned_back([Slot("1.0.0", "printroom_1.0.0.efi", None, True)])
