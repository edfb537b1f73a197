"""Subscriptions to what happens at a queue, fetched by Get-Notifications (RFC 3995, RFC 3996). In memory: a
subscription lives as long as its lease and the process, which RFC 3995 §5.3.8 allows for those with a lease.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ipp.attributes import ENDED_JOBS, JobState, Status, attribute
from ipp.codec import Attribute, Group, GroupTag, Tag, Value
from ipp.served import Asker, Refusal, ServedJob

EVENTS = (
    "job-completed", "job-config-changed", "job-created", "job-progress", "job-state-changed", "job-stopped",
    "printer-config-changed", "printer-state-changed", "printer-stopped",
)  # fmt: skip
MAX_EVENTS = 10  # in one subscription's notify-events
MAX_LEASE_S, DEFAULT_LEASE_S = 86_400, 3_600
EVENT_LIFE_S = 300
MAX_SUBSCRIPTIONS = 200
MAX_KEPT = 200  # events for one subscription
POLL_AGAIN_S = 5


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    names: frozenset[str]  # the events of EVENTS that it is
    text: str
    attributes: tuple[Attribute, ...]
    job_id: int | None = None


@dataclass
class Subscription:
    """Who wants to hear what."""

    id: int
    user: str
    events: tuple[str, ...]
    job_id: int | None
    user_data: bytes
    lease_s: int
    ends_at: float  # monotonic; infinite for a job's
    sequence: int = 0
    kept: deque[tuple[float, int, str, Event]] = field(default_factory=lambda: deque(maxlen=MAX_KEPT))
    is_over: bool = False  # its job has ended


class Subscriptions:
    """All subscriptions of one queue; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: dict[int, Subscription] = {}
        self._next = 1

    def __bool__(self) -> bool:
        return bool(self._all)

    # -- what happens ---------------------------------------------------------------------------------------------

    def publish(self, event: Event) -> None:
        """Keep an event for all who want it."""
        now = time.monotonic()
        with self._lock:
            self._expire(now)
            for one in self._all.values():
                name = next((name for name in one.events if name in event.names), None)
                if name is None or (one.job_id is not None and one.job_id != event.job_id):
                    continue
                one.sequence += 1
                one.kept.append((now, one.sequence, name, event))
                if one.job_id is not None and "job-completed" in event.names:
                    one.is_over = True

    def _expire(self, now: float) -> None:
        for one in [one for one in self._all.values() if one.ends_at < now]:
            del self._all[one.id]
        for one in self._all.values():
            while one.kept and one.kept[0][0] < now - EVENT_LIFE_S:
                one.kept.popleft()

    # -- operations -----------------------------------------------------------------------------------------------

    def create(self, wanted: Sequence[Group], user: str, job_id: int | None) -> list[Group]:
        """One group for each that was wanted: its id, or why not."""
        return [self._create(group, user, job_id) for group in wanted]

    def _create(self, wanted: Group, user: str, job_id: int | None) -> Group:
        events = wanted.texts("notify-events") or ["job-completed"]
        method = wanted.text("notify-pull-method")
        if wanted.attribute("notify-recipient-uri") is not None or method != "ippget":
            return _refused(Status.ATTRIBUTES_OR_VALUES_NOT_SUPPORTED)
        known = tuple(dict.fromkeys(name for name in events if name in EVENTS))
        user_data = wanted.first("notify-user-data")
        if not known or (isinstance(user_data, bytes) and len(user_data) > 63):
            return _refused(Status.ATTRIBUTES_OR_VALUES_NOT_SUPPORTED)
        lease = wanted.number("notify-lease-duration")
        lease_s = _lease(DEFAULT_LEASE_S if lease is None else lease)
        now = time.monotonic()
        with self._lock:
            self._expire(now)
            if len(self._all) >= MAX_SUBSCRIPTIONS:
                return _refused(Status.TOO_MANY_SUBSCRIPTIONS)
            ends = now + (MAX_LEASE_S if job_id is not None else lease_s)
            data = user_data if isinstance(user_data, bytes) else b""
            one = Subscription(self._next, user, known[:MAX_EVENTS], job_id, data, lease_s, ends)
            self._next += 1
            self._all[one.id] = one
        told = [attribute("notify-subscription-id", one.id)]
        if job_id is None:
            told.append(attribute("notify-lease-duration", lease_s))
        if len(known) < len(set(events)):
            told.append(Attribute("notify-status-code", (Value(Tag.ENUM, Status.OK_IGNORED_OR_SUBSTITUTED),)))
        return Group(GroupTag.SUBSCRIPTION, told)

    def _find(self, operation: Group) -> Subscription:
        number = operation.number("notify-subscription-id")
        if number is None:
            raise Refusal(Status.BAD_REQUEST, "notify-subscription-id is missing")
        self._expire(time.monotonic())
        if number not in self._all:
            raise Refusal(Status.NOT_FOUND, f"there is no subscription {number} here: it may have expired")
        return self._all[number]

    def listed(self, operation: Group, user: str, uri: str) -> list[Group]:
        """Get-Subscriptions: a job's, or the printer's."""
        job_id = operation.number("notify-job-id")
        is_mine = operation.first("my-subscriptions") is True
        wanted = operation.texts("requested-attributes") or ["notify-subscription-id"]
        with self._lock:
            self._expire(time.monotonic())
            some = [one for one in self._all.values() if one.job_id == job_id and (not is_mine or one.user == user)]
            return [_described(one, uri, wanted) for one in some[: operation.number("limit") or None]]

    def described(self, operation: Group, uri: str) -> Group:
        """Get-Subscription-Attributes."""
        with self._lock:
            return _described(self._find(operation), uri, operation.texts("requested-attributes") or ["all"])

    def renew(self, operation: Group, asker: Asker, lease: int | None) -> Group:
        """Renew-Subscription."""
        with self._lock:
            one = self._find(operation)
            _check_owner(one, asker)
            if one.job_id is not None:
                raise Refusal(Status.NOT_POSSIBLE, "a job's subscription lasts as long as the job: it has no lease")
            one.lease_s = _lease(DEFAULT_LEASE_S if lease is None else lease)
            one.ends_at = time.monotonic() + one.lease_s
            return Group(GroupTag.SUBSCRIPTION, [attribute("notify-lease-duration", one.lease_s)])

    def cancel(self, operation: Group, asker: Asker) -> None:
        """Cancel-Subscription."""
        with self._lock:
            one = self._find(operation)
            _check_owner(one, asker)
            del self._all[one.id]

    def notifications(self, operation: Group, up_time_s: int) -> tuple[Group, list[Group], bool]:
        """Get-Notifications: when to ask again, the events, and whether no more can come."""
        numbers = [number for number in operation.all("notify-subscription-ids") if isinstance(number, int)]
        if not numbers:
            raise Refusal(Status.BAD_REQUEST, "notify-subscription-ids is missing")
        firsts = [number for number in operation.all("notify-sequence-numbers") if isinstance(number, int)]
        with self._lock:
            self._expire(time.monotonic())
            known = [self._all[number] for number in numbers if number in self._all]
            if not known:
                raise Refusal(Status.NOT_FOUND, "there is no such subscription here: it may have expired")
            first_of = dict(zip(numbers, firsts, strict=False))
            events = [
                _notified(one, sequence, name, event, up_time_s)
                for one in known
                for _, sequence, name, event in one.kept
                if sequence >= first_of.get(one.id, 1)
            ]
            is_over = all(one.is_over for one in known)
        head = Group(GroupTag.OPERATION, [attribute("printer-up-time", up_time_s)])
        if not is_over:
            head.attributes.insert(0, attribute("notify-get-interval", POLL_AGAIN_S))
        return head, events, is_over


def _lease(wanted_s: int) -> int:
    """RFC 3995 §5.3.8: 0 asks for no end, which is the longest that there is here."""
    return MAX_LEASE_S if wanted_s <= 0 else min(wanted_s, MAX_LEASE_S)


def _check_owner(one: Subscription, asker: Asker) -> None:
    if one.user != asker.user and not asker.is_operator:
        raise Refusal(Status.NOT_AUTHORIZED, f"subscription {one.id} is somebody else's")


def _refused(status: Status) -> Group:
    return Group(GroupTag.SUBSCRIPTION, [Attribute("notify-status-code", (Value(Tag.ENUM, status),))])


def _described(one: Subscription, uri: str, wanted: Sequence[str]) -> Group:
    told = [
        attribute("notify-subscription-id", one.id),
        attribute("notify-sequence-number", one.sequence),
        attribute("notify-subscriber-user-name", one.user),
        attribute("notify-printer-uri", uri),
        attribute("notify-events", *one.events),
        attribute("notify-pull-method", "ippget"),
        attribute("notify-charset", "utf-8"),
        attribute("notify-natural-language", "en"),
        attribute("notify-user-data", one.user_data),
    ]
    if one.job_id is not None:
        told.append(attribute("notify-job-id", one.job_id))
    else:
        left_s = max(0, round(one.ends_at - time.monotonic()))
        told += [attribute("notify-lease-duration", one.lease_s), attribute("notify-lease-expiration-time", left_s)]
    groups = {"all", "subscription-template", "subscription-description"}
    return Group(GroupTag.SUBSCRIPTION, [item for item in told if item.name in wanted or groups & set(wanted)])


def _notified(one: Subscription, sequence: int, name: str, event: Event, up_time_s: int) -> Group:
    return Group(
        GroupTag.EVENT_NOTIFICATION,
        [
            attribute("notify-subscription-id", one.id),
            attribute("notify-sequence-number", sequence),
            attribute("notify-subscribed-event", name),
            attribute("notify-charset", "utf-8"),
            attribute("notify-natural-language", "en"),
            attribute("notify-user-data", one.user_data),
            attribute("printer-up-time", up_time_s),
            attribute("notify-text", event.text),
            *event.attributes,
        ],
    )


# -- from what there was to what there is: events -----------------------------------------------------------------

Seen = dict[int, tuple[JobState, tuple[str, ...], int]]


def seen(jobs: Iterable[ServedJob]) -> Seen:
    """What job_events() compares."""
    return {job.id: (job.state, job.reasons, job.impressions_completed) for job in jobs}


def job_events(before: Seen, jobs: Iterable[ServedJob]) -> Iterable[Event]:
    """What happened to jobs."""
    for job in jobs:
        was = before.get(job.id)
        now = (job.state, job.reasons, job.impressions_completed)
        if was == now:
            continue
        names: set[str] = set()
        if was is None:
            names |= {"job-created", "job-state-changed"}
        elif was[:2] != now[:2]:
            names.add("job-state-changed")
        else:
            names.add("job-progress")
        if job.state in ENDED_JOBS:
            names.add("job-completed")
        if job.state is JobState.PROCESSING_STOPPED:
            names.add("job-stopped")
        told = (
            attribute("notify-job-id", job.id),
            attribute("job-id", job.id),
            attribute("job-name", job.name),
            attribute("job-state", job.state),
            attribute("job-state-reasons", *(job.reasons or ("none",))),
            attribute("job-impressions-completed", job.impressions_completed),
        )
        text = f"job {job.id} ({job.name}): {job.message or job.state.name.lower().replace('_', '-')}"
        yield Event(frozenset(names), text[:255], told, job.id)
