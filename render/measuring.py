"""A ticket's pictures before it is planned: whether they are all here and whole, and what is known of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta

from render.blame import named
from render.errors import RenderError
from render.fetching import Fetcher
from render.frames import Picture
from render.looking import Look, Looked
from render.sources import SETTLE_S, FoundFile
from store.clock import Clock
from store.pushed import ImageRef

LOOK_EVERY_S = 1.0


class Measuring:
    """One ticket's."""

    def __init__(self, images: Sequence[ImageRef], fetcher: Fetcher, clock: Clock, image_wait: timedelta) -> None:
        """
        Args:
            images: those that its profiles use.
            fetcher: finds them.
            clock: the store's. How long something is waited for does not depend on the time of day.
            image_wait: for pictures that are not there yet.
        """
        self._images, self._fetcher, self._clock, self._image_wait = images, fetcher, clock, image_wait
        self._began_s = clock.monotonic()
        self._look: Look | None = None
        self._next_look_s = self._began_s
        self._seen: dict[str, tuple[FoundFile, float]] = {}  # since when a file has been as it is
        self.looked: Looked | None = None  # once all are here, or nobody waits any more
        self.left: deque[ImageRef] = deque()  # to be measured
        self.known: dict[str, Picture | RenderError] = {}

    @property
    def is_done(self) -> bool:
        """Whether everything is known."""
        return self.looked is not None and len(self.known) == len(self._images)

    @property
    def look(self) -> Look | None:
        """The look that is under way."""
        return self._look

    def why_it_waits(self, now: datetime) -> str | None:
        """Look again, when it is time to; returns what is waited for, '' while that is not known, and None when
        everything is here.

        Args:
            now: the time, in the studio's zone: people read until when it waits.

        Raises:
            OSError: a folder does not answer, or fails.
        """
        now_s = self._clock.monotonic()
        if self._look is None:
            if now_s < self._next_look_s:
                return ""
            self._look = self._fetcher.look(self._images)
        looked = self._look.result()
        if looked is None:
            return ""
        self._look, self._next_look_s = None, now_s + LOOK_EVERY_S
        if looked.trouble is not None:
            raise looked.trouble
        unsettled = [name for name, file in looked.found.items() if not self._is_settled(name, file, now_s)]
        if unsettled:
            self._next_look_s = now_s + SETTLE_S / 4
            return f"waits until {named(tuple(unsettled))} {'is' if len(unsettled) == 1 else 'are'} completely copied"
        waited = timedelta(seconds=now_s - self._began_s)
        if looked.missing and waited < self._image_wait:
            return _why_without(tuple(looked.missing), now + self._image_wait - waited)
        self.looked = looked
        self.known.update(looked.missing)
        self.left.extend(image for image in self._images if image.name not in looked.missing)
        return None

    def _is_settled(self, name: str, file: FoundFile, now_s: float) -> bool:
        """Whether a file is whole, as far as can be seen: an old one is; a new one has stayed the same for a while."""
        if not file.is_new(self._clock.machine_time().timestamp()):
            return True
        seen, since_s = self._seen.get(name, (file, now_s))
        if not seen.is_as(file):
            since_s = now_s
        self._seen[name] = (file, since_s)
        return now_s - since_s >= SETTLE_S


def _why_without(missing: tuple[str, ...], until: datetime) -> str:
    """Why a ticket waits whose pictures are not all there."""
    verb = "is" if len(missing) == 1 else "are"
    return (
        f"waits until {until:%H:%M} for {named(missing)}, which {verb} not here yet: "
        "look whether the studio's program still uploads"
    )
