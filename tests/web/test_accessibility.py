"""Every screen, light and narrow, dark and wide, as axe-core sees it: WCAG 2.2 A and AA."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from store import intake, webhooks
from store.hot_folders import HotFolder
from store.pushed import RecordKind
from store.queue_setup import offer
from store.records import Change, Outcome, RenderJob, Timing
from store.tables import Store
from store.webhooks import Delivery
from tests.appliance.conftest import Appliance, Studio
from tests.appliance.conftest import appliance as appliance
from tests.lab import until
from tests.studio import ERROR, FINISH, SELECT, photo, push
from tests.web.browser import page as page
from tests.web.conftest import PASSWORD

SCREENS = (
    "/", "/tickets/1", "/tickets/2", "/records/", "/records/1", "/history/", "/history/report", "/profiles/",
    "/profiles/1", "/profiles/new", "/profiles/layouts", "/assets/", "/render-jobs/", "/render-jobs/1",
    "/render-jobs/1/rehearse", "/printers/", "/printers/1", "/printers/pools/1", "/queues/", "/queues/1",
    "/hot-folders/", "/hot-folders/new", "/clients/", "/webhooks/", "/alerts/", "/people/", "/people/1",
    "/people/own", "/audit/", "/help/sync", "/help/hot-folders", "/release", "/nothing-here",
)  # fmt: skip
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}


def studio(data: Path) -> Studio:
    """One of everything: a failed ticket, one that waits for a person, printers, a queue, given-up deliveries."""
    made = Studio(data, {"Front printer": "ipp://127.0.0.1:1/ipp/print", "Back printer": "ipp://127.0.0.1:2/ipp/print"})
    store, now = Store(data), datetime.now(UTC)
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
    intake.accept(store, push([photo(store, 1), photo(store, 2)], number="S-1", status=SELECT), now)
    intake.accept(store, push(photo(store, 3), number="S-2", status="Proof"), now)
    offer(store, "Lab", now, pool_id=1)
    store.hot_folders.add(HotFolder(name="Lustre", profile_id=1))
    webhook = webhooks.add(store, "Dashboard", "http://127.0.0.1:1/hook", now)
    fields = {"record_id": 1, "ticket_id": 1, "kind": "session", "number": "S-0", "status": FINISH, "at": now}
    change = store.changes.add(Change.model_validate({**fields, "previous_status": SELECT, "outcome": Outcome.DONE}))
    late = {"due_at": now, "first_at": now, "tries": 6, "error": "it answered 410", "is_dead": True}
    store.deliveries.add(Delivery.model_validate({"webhook_id": webhook.id, "change_id": change.id, **late}))
    store.close()
    return made


@pytest.mark.timeout(300)
def test_no_screen_keeps_anybody_out(page: Page, appliance: Callable[..., Appliance], tmp_path: Path) -> None:
    made = studio(tmp_path / "data")
    box = appliance(made.data)
    axe = Axe()
    found: list[str] = []

    def look(path: str, what: str) -> None:
        page.goto(box.url + path)
        for violation in axe.run(page, options=RULES).response["violations"]:
            where = [node["target"] for node in violation["nodes"][:3]]
            found.append(f"{path} ({what}): {violation['id']}: {violation['help']}: {where}")

    look("/login", "light, 1440")
    page.fill("[name=name]", "kim")
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    desktop = made.desktop(box)
    until(lambda: desktop.ticket(1)["state"] != "waiting", "the first ticket is drawn")
    page.goto(box.url + "/clients/")
    page.fill("[name=name]", "Front desk")
    page.get_by_role("button", name="Show a pairing code").click()
    # What a theme changes (colours) does not depend on the width, nor the other way round.
    for theme, width in (("light", 390), ("dark", 1440)):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 900})
        for path in SCREENS:
            look(path, f"{theme}, {width}")
            if page.evaluate("document.documentElement.scrollWidth") > width:
                found.append(f"{path} ({theme}, {width}): wider than the screen")
    assert not found, "\n".join(found)
