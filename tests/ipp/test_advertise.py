"""Announcing: what is told of the box, and that it moves along when the box gets another address."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from zeroconf import AddressResolverIPv4, IPVersion, Zeroconf
from zeroconf.asyncio import AsyncZeroconf

from appliance.desktop_client import find
from ipp import advertise
from ipp.advertise import Advertiser
from store.tables import Store
from tests.lab import until

pytestmark = pytest.mark.networked


def test_the_box_is_announced_anew_when_its_address_changes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    address = "127.0.0.1"

    def addresses(_: Sequence[str]) -> tuple[str, ...]:
        return (address,)

    monkeypatch.setattr(advertise, "addresses", addresses)
    monkeypatch.setattr(advertise, "LOOK_EVERY_S", 0.2)
    print_of_it = "ab" * 32
    loop = asyncio.new_event_loop()
    running = loop.create_task(Advertiser(store, 8631, ("127.0.0.1",), 8080, fingerprint=print_of_it).run())

    def serve() -> None:
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(running)
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()

    def urls() -> list[str]:
        return [box.url for box in find.boxes(2, print_of_it, (address,))]

    try:
        until(lambda: urls() == ["https://127.0.0.1:8080"], "it is announced")
        address = "127.0.0.2"
        until(lambda: urls() == ["https://127.0.0.2:8080"], "it is announced where it is now")
    finally:
        loop.call_soon_threadsafe(running.cancel)
        thread.join(20)


class Box:
    """An advertiser on a loop of its own."""

    def __init__(self, store: Store, address: str, name_before: str = "") -> None:
        self.advertiser = Advertiser(store, 8631, (address,), 8080, fingerprint="ab" * 32, local_name="printroom")
        self.advertiser.name_taken = name_before
        self._loop = asyncio.new_event_loop()
        self._running = self._loop.create_task(self.advertiser.run())
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with pytest.raises(asyncio.CancelledError):
            self._loop.run_until_complete(self._running)
        self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._running.cancel)
        self._thread.join(20)


@pytest.mark.parametrize("together", [False, True], ids=["one after the other", "at the same moment"])
def test_two_boxes_on_a_network_have_names_of_their_own(
    store: Store, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    monkeypatch.setattr(advertise, "LOOK_EVERY_S", 0.2)
    boxes = [Box(store, "127.0.0.2")]
    try:
        if not together:
            until(lambda: boxes[0].advertiser.name_taken == "printroom", "the first has the name")
        boxes.append(Box(store, "127.0.0.3"))
        until(
            lambda: [box.advertiser.name_taken for box in boxes] == ["printroom", "printroom-2"],
            "the one with the higher address has another name",
        )
        time.sleep(2)
        assert [box.advertiser.name_taken for box in boxes] == ["printroom", "printroom-2"]
        with Zeroconf(interfaces=["127.0.0.1"], ip_version=IPVersion.V4Only) as network:
            found = {}
            for name in ("printroom", "printroom-2"):
                resolver = AddressResolverIPv4(f"{name}.local.")
                resolver.request(network, 3000)
                found[name] = resolver.parsed_addresses(IPVersion.V4Only)
        assert found == {"printroom": ["127.0.0.2"], "printroom-2": ["127.0.0.3"]}
    finally:
        for box in boxes:
            box.stop()


def test_a_name_that_was_taken_while_the_network_was_away_is_asked_for_once_more(store: Store) -> None:
    boxes = [Box(store, "127.0.0.2")]
    try:
        until(lambda: boxes[0].advertiser.name_taken == "printroom", "the first has the name")
        time.sleep(2)  # what it announced has been said
        boxes.append(Box(store, "127.0.0.3", name_before="printroom"))
        until(lambda: boxes[1].advertiser.name_taken == "printroom-2", "the second has another one")
        assert boxes[0].advertiser.name_taken == "printroom"
    finally:
        for box in boxes:
            box.stop()


def test_two_boxes_that_did_not_hear_each_other_find_out_later(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advertise, "LOOK_EVERY_S", 0.2)
    monkeypatch.setattr(advertise, "ASK_EVERY_S", 4.0)
    hears = Advertiser._who_has
    boxes = [Box(store, "127.0.0.2")]

    async def is_deaf(self: Advertiser, network: AsyncZeroconf, name: str, *more: Any) -> set[str]:
        if self is boxes[0].advertiser:
            return await hears(self, network, name, *more)
        cache = network.zeroconf.cache
        cache.async_remove_records(cache.entries_with_name(f"{name}.local."))
        return set()

    try:
        until(lambda: boxes[0].advertiser.name_taken == "printroom", "the first has the name")
        time.sleep(2)  # what it announced has been said
        monkeypatch.setattr(Advertiser, "_who_has", is_deaf)
        boxes.append(Box(store, "127.0.0.3"))
        until(lambda: boxes[1].advertiser.name_taken == "printroom", "the second takes it, too")
        time.sleep(4)  # what the two announced has been said
        monkeypatch.setattr(Advertiser, "_who_has", hears)
        until(lambda: boxes[1].advertiser.name_taken == "printroom-2", "it finds out that the other one has it")
        assert boxes[0].advertiser.name_taken == "printroom"
    finally:
        for box in boxes:
            box.stop()
