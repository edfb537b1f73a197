"""Announcing: what is told of the box, and that it moves along when the box gets another address."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

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
