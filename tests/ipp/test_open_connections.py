"""Who has to go when there are too many connections."""

from __future__ import annotations

import resource
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ipp.open_connections import OpenConnections, Stage, TooMany, descriptors_for


@dataclass(eq=False)
class Guest:
    address: str
    stage: Stage = Stage.WAITING
    since: float = 0.0
    ended: list[str] = field(default_factory=list)
    name: str = ""

    def end(self) -> None:
        self.ended.append(self.name)


def crowd(most: int, *guests: Guest) -> OpenConnections[Guest]:
    there: OpenConnections[Guest] = OpenConnections(most)
    for guest in guests:
        there.add(guest)
    return there


def test_the_one_that_has_waited_longest_goes_and_only_of_the_address_that_has_too_many() -> None:
    ended: list[str] = []
    there = crowd(64, *(Guest("b", since=0, ended=ended, name=f"b{n}") for n in range(5)))
    for number in range(20):
        there.add(Guest("a", since=10 + number, ended=ended, name=f"a{number}"))
    assert ended == ["a0", "a1", "a2", "a3"] and len(there) == 5 + 16 and there.ended == 4


def test_when_all_places_are_taken_whoever_has_most_gives_one_up() -> None:
    ended: list[str] = []
    there = crowd(32, *(Guest(f"few{n}", since=0, ended=ended, name="few") for n in range(24)))
    for number in range(8):
        there.add(Guest("many", since=100 + number, ended=ended, name=f"many{number}"))
    there.add(Guest("new", since=200, ended=ended, name="new"))
    there.add(Guest("other", since=200, ended=ended, name="other"))
    assert ended == ["many0", "many1"] and len(there) == 32


def test_who_waits_goes_before_who_moves_and_that_before_who_is_queued_and_work_is_never_cut_off() -> None:
    ended: list[str] = []
    stages = (Stage.WORKING, Stage.QUEUED, Stage.MOVING, Stage.WAITING)
    there = crowd(32, *(Guest("a", stage, at, ended, stage.name) for at, stage in enumerate(stages) for _ in range(2)))
    for number in range(6):
        there.add(Guest("a", Stage.WORKING, 9 + number, ended, "new"))
    assert ended == ["WAITING"] * 2 + ["MOVING"] * 2 + ["QUEUED"] * 2
    with pytest.raises(TooMany):
        there.add(Guest("a"))
    there.add(Guest("b"))


def test_when_the_most_crowded_are_all_worked_for_the_next_gives_a_place_up() -> None:
    ended: list[str] = []
    working = [Guest("a", Stage.WORKING) for _ in range(8)]
    there = crowd(32, *working, *(Guest(f"b{n}", since=n, ended=ended, name=f"b{n}") for n in range(24)))
    there.add(Guest("c"))
    assert ended == ["b0"]


def test_one_that_has_gone_leaves_its_place_and_may_say_so_twice() -> None:
    guests = [Guest("a") for _ in range(8)]
    there = crowd(32, *guests)
    there.remove(guests[0])
    there.remove(guests[0])
    assert len(there) == 7 and guests[0] not in list(there)
    there.add(Guest("a"))
    assert not any(guest.ended for guest in guests)


def test_shrinking_ends_what_can_be_ended() -> None:
    there = crowd(32, *(Guest("a", stage) for stage in (Stage.WORKING, Stage.WAITING, Stage.MOVING)), Guest("b"))
    there.shrink(2)
    assert len(there) == 2
    there.shrink(0)
    assert [guest.stage for guest in there] == [Stage.WORKING]


def test_descriptors_are_left_for_all_else() -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(list(Path("/proc/self/fd").iterdir()))
    assert limit - used - 140 <= descriptors_for(0) <= limit - used - 100
