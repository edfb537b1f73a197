"""A small studio for tests: records as desktops push them, profiles, render jobs, pictures."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from render.samples import sample_photo
from store.profiles import RenderProfile
from store.pushed import RecordKind, RecordPush
from store.records import Instructions, RenderJob
from store.tables import Store

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
SELECT, FINISH, ERROR = "Ready to print", "Printed", "Print problem"


def upload(store: Store, picture: bytes) -> str:
    """Put a picture where an upload would; returns its digest."""
    digest = hashlib.sha256(picture).hexdigest()
    path = store.folder.image(digest)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(picture)
    return digest


def photo(store: Store, seed: int = 1, width_px: int = 900, height_px: int = 600, orientation: int = 1) -> str:
    return upload(store, sample_photo(seed, width_px, height_px, orientation))


def cut_photo(store: Store, seed: int = 1) -> str:
    """A picture whose head is whole and whose end is missing: it is measured, and cannot be drawn."""
    whole = sample_photo(seed, 900, 600)
    return upload(store, whole[: len(whole) // 2])


def add_render_job(store: Store, **changes: Any) -> RenderJob:
    """A profile and a render job on sessions that are Ready to print."""
    own = [name for name in changes if name in RenderProfile.model_fields and name not in RenderJob.model_fields]
    profile = store.render_profiles.add(RenderProfile(name="Lab prints", **{name: changes.pop(name) for name in own}))
    fields = {
        "name": "Print sessions",
        "kind": RecordKind.SESSION,
        "select_status": SELECT,
        "profile_ids": (profile.id,),
        "finish_status": FINISH,
        "error_status": ERROR,
        **changes,
    }
    return store.render_jobs.add(RenderJob(**fields))


def push(digests: list[str] | str, items: list[dict[str, Any]] | None = None, **changes: Any) -> RecordPush:
    """A session with pictures 0001.jpg, 0002.jpg …; by default one 4x6 of each."""
    digests = [digests] if isinstance(digests, str) else digests
    images = [{"name": f"{n:04d}.jpg", "sha256": digest} for n, digest in enumerate(digests, 1)]
    if items is None:
        items = [{"id": str(n), "image": image["name"], "size": "4x6"} for n, image in enumerate(images, 1)]
    fields = {
        "kind": "session",
        "number": "S-1",
        "revision": 1,
        "status": SELECT,
        "client_name": "Avery Lindqvist",
        "images": images,
        "items": items,
        **changes,
    }
    return RecordPush.model_validate(fields)


def instructions(record: RecordPush, profile: RenderProfile, ticket_id: int = 1) -> Instructions:
    """What a ticket freezes: a record under a render job with one profile."""
    render_job = RenderJob(
        name="Print sessions",
        kind=RecordKind.SESSION,
        select_status=SELECT,
        profile_ids=(profile.id,),
        finish_status=FINISH,
        error_status=ERROR,
    )
    return Instructions(id=ticket_id, record=record, render_job=render_job, profiles=(profile,))
