"""Hot folders: what is dropped into them becomes records and tickets, once, whatever is cut off in between.

    drops       what belongs together, and what is to become of it
    claims      what is taken away, and where on the disk it goes
    watching    one hot folder's look

Shares do not tell of changes on them, so folders are looked at again and again. Each is looked at in a thread of its
own (store/reach): one that hangs, or that is slow, holds only itself. What one drop raises stays with the drop, what
one folder raises with the folder.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from datetime import datetime
from math import inf
from pathlib import Path

import structlog

from appliance import strangers
from appliance.claims import Place, PlaceFailed
from appliance.drops import SETTLE_S
from appliance.keeping import Limits
from appliance.watching import Ended, Findings, Watch
from store import intake
from store.errors import StoreUnavailable
from store.hot_folders import MOST_NAMED, HotFolder, HotFolderNotice, LeftLying
from store.pulse import Items
from store.pushed import RecordPush
from store.reach import OutOfReach
from store.records import Ticket
from store.tables import Store

log = structlog.get_logger("hot_folders")

LOOK_EVERY_S, MORE_S = 1.0, 0.05
REST = 2.0  # times what a look took, until the next one: looking never takes more than half the time
PATIENCE_S = 1.0  # a look that takes longer goes on without being waited for
WRITE_EVERY_S = 10.0  # figures that change are written down no more often


class HotFolders:
    """Looks into every hot folder."""

    def __init__(
        self,
        store: Store,
        root: Path,
        limits: Limits | None = None,
        is_stopping: Callable[[], bool] = lambda: False,
        patience_s: float = PATIENCE_S,
        settle_s: float = SETTLE_S,
    ) -> None:
        """
        Args:
            store: the open store.
            root: below it each hot folder has its own.
            limits: on pictures.
            is_stopping: whether the process is about to end.
            patience_s: how long one step waits for the looks that it begins.
            settle_s: how long a file must have stayed the same.
        """
        self._store, self._root, self._limits, self._settle_s = store, root, limits or Limits(), settle_s
        self._patience_s, self._is_stopping = patience_s, is_stopping
        self._items = Items("hot_folder", store.clock.monotonic)
        self._watches: dict[int, Watch] = {}
        self._silent: set[int] = set()  # that do not answer
        self._under_way: dict[int, tuple[Watch, Future[Findings], float]] = {}
        self._next_s: dict[int, float] = {}
        self._latest: dict[int, HotFolderNotice] = {}
        self._written_s: dict[int, float] = {}
        self._has_more = False
        self._gate = threading.Lock()  # nothing is taken into a store that is being closed
        self._has_ended = False

    def step(self, now: datetime) -> float:
        """One look into each; those that take long are not waited for."""
        active = {one.id: one for one in self._store.hot_folders.all() if not one.inactive}
        for gone in self._watches.keys() - active.keys():
            del self._watches[gone]
        self._forget_notices(set(active))
        for hot_folder in active.values():
            self._begin(hot_folder)
            self._log_silence(hot_folder)
        wait([future for _, future, _ in self._under_way.values()], self._patience_s)
        failed: StoreUnavailable | None = None
        self._has_more = False
        for folder_id, (watch, future, began_s) in list(self._under_way.items()):
            if future.done():
                del self._under_way[folder_id]
                known = active.get(folder_id)
                if known is None or self._watches.get(folder_id) is not watch:
                    continue  # removed, or renamed, meanwhile
                try:
                    self._collect(known, future, began_s, now)
                except StoreUnavailable as error:
                    failed = error
        if failed is not None:
            raise failed
        return MORE_S if self._has_more else LOOK_EVERY_S

    def stop(self) -> None:
        """Let looks that are under way take nothing more."""
        with self._gate:
            self._has_ended = True

    def _begin(self, hot_folder: HotFolder) -> None:
        now_s = self._store.clock.monotonic()
        if hot_folder.id in self._under_way or now_s < self._next_s.get(hot_folder.id, -inf):
            return
        if not self._items.may(hot_folder.id):
            return
        place = self._root / hot_folder.name
        watch = self._watches.get(hot_folder.id)
        if watch is None or watch.place.path != place:
            watch = Watch(self._store, Place(place), self._accept, self._limits, self._is_ending, self._settle_s)
            self._watches[hot_folder.id] = watch
        try:
            future = self._store.reach.begin(place, watch.look(hot_folder))
        except OutOfReach:
            return  # it is named, and looked at when it answers
        self._under_way[hot_folder.id] = (watch, future, now_s)

    def _log_silence(self, hot_folder: HotFolder) -> None:
        """People are told by the store, as of every folder that does not answer."""
        is_silent = self._store.reach.is_silent(self._root / hot_folder.name)
        if is_silent and hot_folder.id not in self._silent:
            self._silent.add(hot_folder.id)
            log.warning("hot_folder.silent", name=hot_folder.name)
        elif not is_silent and hot_folder.id in self._silent:
            self._silent.remove(hot_folder.id)
            log.info("hot_folder.answers_again", name=hot_folder.name)

    def _collect(self, hot_folder: HotFolder, future: Future[Findings], began_s: float, now: datetime) -> None:
        error = future.exception()
        if isinstance(error, StoreUnavailable):
            raise error
        if isinstance(error, Ended):
            return
        with self._items.guard(hot_folder.id, hot_folder.name):
            if error is not None:
                raise error
        findings = Findings(trouble=_trouble(error)) if error else future.result()
        took_s = self._store.clock.monotonic() - began_s
        self._has_more = self._has_more or findings.has_more
        self._next_s[hot_folder.id] = began_s + (0 if findings.has_more else REST * took_s)
        self._tell(hot_folder, findings, now)

    def _is_ending(self) -> bool:
        return self._has_ended or self._is_stopping()

    def _accept(self, hot_folder: HotFolder, push: RecordPush, drop: str) -> Ticket:
        with self._gate:
            if self._has_ended:
                raise Ended
            return intake.accept_drop(self._store, hot_folder, push, drop, self._store.clock.now())

    # -- telling --------------------------------------------------------------------------------------------------

    def _tell(self, hot_folder: HotFolder, findings: Findings, now: datetime) -> None:
        """Keep what people should know where the panel and the alerts find it: when it changes, and not too often."""
        kept = self._store.hot_folder_notices.find(hot_folder.id)
        old = self._latest.get(hot_folder.id, kept)
        left = tuple(LeftLying(name=name, why=why) for name, why in list(findings.left.items())[:MOST_NAMED])
        new = HotFolderNotice(
            id=hot_folder.id,
            trouble=findings.trouble,
            problems=findings.problems if findings.problems is not None else (old.problems if old else 0),
            problem=findings.problem or (old.problem if old else ""),
            problem_at=now if findings.problem else (old.problem_at if old else None),
            left=left,
            left_count=len(findings.left),
            since=old.since if old else now,
        )
        self._latest[hot_folder.id] = new
        if new.is_empty:
            self._forget_notice(hot_folder.id)
        elif new != kept:
            now_s = self._store.clock.monotonic()
            is_other = kept is None or _about(kept) != _about(new)
            if is_other or now_s - self._written_s.get(hot_folder.id, -inf) >= WRITE_EVERY_S:
                self._store.hot_folder_notices.put(new)
                self._written_s[hot_folder.id] = now_s

    def _forget_notices(self, active: set[int]) -> None:
        for notice in self._store.hot_folder_notices.all():
            if notice.id not in active:
                self._forget_notice(notice.id)

    def _forget_notice(self, folder_id: int) -> None:
        self._latest.pop(folder_id, None)
        if self._store.hot_folder_notices.find(folder_id) is not None:
            self._store.hot_folder_notices.remove(folder_id)


def _about(notice: HotFolderNotice) -> tuple[bool, ...]:
    return bool(notice.trouble), bool(notice.problems), bool(notice.left_count)


def _trouble(error: BaseException) -> str:
    """Why a hot folder cannot be looked into, after its name."""
    if isinstance(error, PlaceFailed):
        return str(error)
    if isinstance(error, OSError):
        return f"cannot be looked into ({strangers.why(error)}): look whether the share that it lies on is there"
    return f"met a fault in Printroom ({repr(error)[:200]}): send the support file from Health and log"
