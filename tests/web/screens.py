"""Every screen of the panel, by the name under which its picture is kept, and a studio in which each has something to
show."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Page

from render.rehearse import SAMPLES
from render.samples import sample_photo
from store import intake, webhooks
from store.hot_folders import HotFolder
from store.profiles import LayoutTemplate, StudioLayout
from store.pushed import RecordKind
from store.queue_setup import offer
from store.records import Change, Outcome, Person, RenderJob, Role, Timing
from store.settings import SetupStep
from store.tables import Store
from store.webhooks import Delivery
from tests.appliance.conftest import Studio
from tests.studio import ERROR, FINISH, SELECT, photo, push
from tests.web.conftest import PASSWORD_HASH
from web import sample_studio

FOLDER = os.environ.get("PRINTROOM_SCREENSHOTS", "")
WIDTHS = {1440: 900, 390: 844}

SCREENS: dict[str, str] = {
    "today": "/",
    "ticket": "/tickets/1",
    "ticket-asks": "/tickets/2",
    "ticket-waits": "/tickets/4",
    "sheet": "/sheets/1",
    "records": "/records/",
    "record": "/records/1",
    "history": "/history/",
    "report": "/history/report",
    "profiles": "/profiles/",
    "profile": "/profiles/1",
    "profile-new": "/profiles/new?like=Lab prints with bleed",
    "layouts": "/layouts/",
    "layout-editor": "/layouts/1",
    "layout-new": "/layouts/new",
    "assets": "/assets/",
    "render-jobs": "/render-jobs/",
    "render-job": "/render-jobs/1",
    "rehearsal": "/render-jobs/1/rehearse",
    "printers": "/printers/",
    "printer": "/printers/1",
    "pool": "/printers/pools/1",
    "queues": "/queues/",
    "queue": "/queues/1",
    "hot-folders": "/hot-folders/",
    "hot-folder": "/hot-folders/new",
    "clients": "/clients/",
    "webhooks": "/webhooks/",
    "alerts": "/alerts/",
    "people": "/people/",
    "person": "/people/1",
    "own-password": "/people/own",
    "audit": "/audit/",
    "settings": "/settings/",
    "box-settings": "/settings/box",
    "backup": "/backup/",
    "box": "/box/",
    "health": "/health/",
    "log": "/health/log",
    "setup-studio": "/setup/studio",
    "setup-folders": "/setup/folders",
    "setup-printers": "/setup/printers",
    "setup-pool": "/setup/pool",
    "setup-profile": "/setup/profile",
    "setup-render-job": "/setup/render-job",
    "setup-client": "/setup/client",
    "setup-done": "/setup/done",
    "help": "/help/",
    **{
        f"help-{page}": f"/help/{page}"
        for page in (
            "start", "today", "ticket", "records", "profiles", "layouts", "render-jobs", "printers", "queues",
            "hot-folders", "clients", "people", "settings", "backup", "box", "trouble", "sync",
        )
    },
    "release": "/release",
    "not-found": "/nothing-here",
}  # fmt: skip


def keep_picture(page: Page, name: str) -> None:
    """Keep what the page shows now where PRINTROOM_SCREENSHOTS says, for looking at and for the manual."""
    if FOLDER:
        width = page.viewport_size["width"] if page.viewport_size else 0
        page.screenshot(path=Path(FOLDER) / f"{name}-{width}.png")


def studio(data: Path) -> Studio:
    """One of everything: a session that prints, a sheet that waits for a person's word, a ticket that waits, a printer
    that is off, a queue, given-up deliveries."""
    store, now = Store(data), datetime.now(UTC)
    store.set(studio_name="Lindqvist Studio", time_zone="America/Chicago", setup=SetupStep.DONE)
    sample_studio.load(store, lambda number: sample_photo(*SAMPLES[number]), now)
    store.close()
    made = Studio(data, {"DNP in the back room": "ipp://127.0.0.1:1/ipp/print"}, bleed_um=3_175)
    store = Store(data)
    by_hand = RenderJob(
        name="Proofs",
        kind=RecordKind.SESSION,
        select_status="Proof",
        profile_ids=(1,),
        timing=Timing.BY_HAND,
        finish_status=FINISH,
        error_status=ERROR,
    )
    store.render_jobs.add(by_hand)
    images = [photo(store, 11), photo(store, 12)]
    intake.accept(store, push(images, number="2026-0418", status=SELECT, client_name="Mara and Theo"), now)
    intake.accept(store, push(photo(store, 13), number="2026-0419", status="Proof", client_name="Priya Nair"), now)
    offer(store, "Lab", now, pool_id=2)
    store.hot_folders.add(HotFolder(name="Lustre", profile_id=1))
    template = LayoutTemplate.model_validate(
        {
            "name": "Two and a line",
            "size": "8x10",
            "cells": [
                {"left_um": 12_700, "top_um": 12_700, "width_um": 177_800, "height_um": 101_600},
                {"left_um": 12_700, "top_um": 120_650, "width_um": 177_800, "height_um": 101_600, "next_image": True},
            ],
            "texts": [
                {"left_um": 12_700, "top_um": 228_600, "width_um": 177_800, "height_um": 12_700, "text": "{client}"}
            ],
        }
    )
    store.studio_layouts.add(StudioLayout(template=template))
    webhook = webhooks.add(store, "Dashboard", "http://127.0.0.1:1/hook", now)
    fields = {"record_id": 1, "ticket_id": 1, "kind": "session", "number": "2026-0411", "status": FINISH, "at": now}
    change = store.changes.add(Change.model_validate({**fields, "previous_status": SELECT, "outcome": Outcome.DONE}))
    late = {"due_at": now, "first_at": now, "tries": 6, "error": "it answered 410", "is_dead": True}
    store.deliveries.add(Delivery.model_validate({"webhook_id": webhook.id, "change_id": change.id, **late}))
    store.people.add(Person(name="sam", password_hash=PASSWORD_HASH, role=Role.OPERATOR, created_at=now))
    store.close()
    return made
