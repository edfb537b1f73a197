"""Tasks whose pictures are on their way: as many as processes will want soon, and few that read one folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from render.draw import DrawTask
from render.fetching import Bringing, Fetched, Fetcher
from render.looking import Looked
from render.pictures import MeasureTask
from store.pushed import ImageRef
from store.records import Sheet

READ_AT_ONCE = 2  # tasks whose pictures are read from one folder at the same time


@dataclass(eq=False)
class Order:
    """A task that waits for its pictures."""

    ticket_id: int
    images: tuple[str, ...]  # their names
    roots: set[Path]  # the folders in which they may lie
    bringing: Bringing
    task: Callable[[Fetched], MeasureTask | DrawTask]
    sheets: tuple[Sheet, ...] = ()
    needs_bytes: int = 0


class Orders:
    """In their order."""

    def __init__(self, fetcher: Fetcher, most_ready: int) -> None:
        """
        Args:
            fetcher: brings the pictures.
            most_ready: for which nothing more is brought.
        """
        self._fetcher, self._most_ready = fetcher, most_ready
        self._orders: list[Order] = []

    def __iter__(self) -> Iterator[Order]:
        return iter(tuple(self._orders))

    def __contains__(self, order: Order) -> bool:
        return order in self._orders

    @property
    def futures(self) -> list[Future[Any]]:
        """Whose end is news."""
        return [future for order in self._orders for future in order.bringing.futures]

    @property
    def sheet_ids(self) -> set[int]:
        """The sheets whose pictures are on their way."""
        return {sheet.id for order in self._orders for sheet in order.sheets}

    @property
    def ticket_ids(self) -> set[int]:
        """Whose they are."""
        return {order.ticket_id for order in self._orders}

    def has_enough(self) -> bool:
        """Whether more is ready than processes will want soon."""
        return sum(not order.bringing.futures for order in self._orders) > self._most_ready

    def may_add(self, images: Sequence[ImageRef]) -> bool:
        """Whether pictures may be read: a folder that is slow, or begins to hang, keeps nobody else waiting."""
        reading = [root for order in self._orders if order.bringing.futures for root in order.roots]
        return not self.has_enough() and all(reading.count(root) < READ_AT_ONCE for root in self._fetcher.roots(images))

    def add(
        self,
        ticket_id: int,
        images: Sequence[ImageRef],
        task: Callable[[Fetched], MeasureTask | DrawTask],
        looked: Looked | None = None,
        sheets: tuple[Sheet, ...] = (),
        needs_bytes: int = 0,
    ) -> None:
        """Begin to bring a task's pictures.

        Args:
            ticket_id: whose it is.
            images: the pictures.
            task: the task, when they are here.
            looked: what was found of them just now.
            sheets: that it draws.
            needs_bytes: of memory.
        """
        bringing, roots = self._fetcher.bring(images, looked), self._fetcher.roots(images)
        names = tuple(image.name for image in images) or ("a header or separator sheet",)
        self._orders.append(Order(ticket_id, names, roots, bringing, task, sheets, needs_bytes))

    def remove(self, order: Order) -> None:
        """Its pictures are in other hands now."""
        self._orders.remove(order)

    def drop(self, ticket_id: int | None = None) -> None:
        """Nobody wants a ticket's any more; None: anybody's."""
        for order in self:
            if ticket_id is None or order.ticket_id == ticket_id:
                self._orders.remove(order)
                order.bringing.drop()
