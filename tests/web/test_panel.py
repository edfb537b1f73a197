"""The panel: who gets in, what can be set up, and what is said when something is wrong."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ipp.dispatch import Dispatch
from store import intake, progress
from store.hot_folders import HotFolder
from store.profiles import RenderProfile
from store.queue_setup import offer
from store.records import Person, Printer, PrinterPool, PrinterState, PrinterStatus, Supply
from store.sizes import parse_size
from store.states import PrintJobState, SheetState, TicketState
from store.tables import Store
from tests.ipp.test_sender import drawn_ticket, left_behind
from tests.lab import EvePrinter, VirtualPrinterProcess, free_port
from tests.store.test_history import finished
from tests.studio import NOW, SELECT, add_render_job, photo, push
from tests.web.conftest import PASSWORD, PASSWORD_HASH
from web.auth import TRIES

PROFILE = {
    "name": "8x10 lustre",
    "selection": "items",
    "dpi": "300",
    "bleed": "0.125",
    "folder": "{number}",
    "file_name": "{image}_{size}",
    "destination": "",
}
RENDER_JOB = {
    "name": "Print orders",
    "kind": "order",
    "select_status": "In-house printing",
    "profile_ids": "1",
    "timing": "at once",
    "finish_status": "Printed",
    "error_status": "Problem",
}


# -- who gets in ------------------------------------------------------------------------------------------------


def test_a_fresh_box_leads_to_the_first_run(anybody: FlaskClient) -> None:
    assert anybody.get("/").headers["Location"] == "/first-run"
    assert anybody.get("/login").headers["Location"] == "/first-run"


def test_the_first_run_needs_the_code_of_the_console(anybody: FlaskClient, store: Store) -> None:
    form = {"code": "0000-0000", "name": "kim", "password": PASSWORD}
    assert anybody.post("/first-run", data=form | {"code": "1234567²"}).status_code == 422
    answer = anybody.post("/first-run", data=form)
    assert (
        answer.status_code == 422
        and b"not the code that the box shows" in answer.data
        and b'value="kim"' in answer.data
    )
    assert anybody.post("/first-run", data=form | {"code": "1234 5678"}).headers["Location"] == "/setup/"
    assert anybody.get("/").status_code == 200
    assert store.people.get(1).password_hash.startswith("$argon2id$")


def test_nobody_becomes_administrator_twice(panel: FlaskClient, app: Flask) -> None:
    form = {"code": "12345678", "name": "eve", "password": PASSWORD}
    assert app.test_client().post("/first-run", data=form).headers["Location"] == "/login"


@pytest.mark.parametrize(
    "path", ["/", "/tickets/1", "/sheets/1.thumb.jpg", "/profiles/", "/printers/", "/clients/", "/events"]
)
def test_without_logging_in_there_is_nothing_to_see(app: Flask, store: Store, path: str) -> None:
    store.people.add(Person(name="kim", password_hash=PASSWORD_HASH))
    assert app.test_client().get(path).headers["Location"] == "/login"


def test_guessing_passwords_ends_soon(app: Flask, store: Store) -> None:
    store.people.add(Person(name="kim", password_hash=PASSWORD_HASH))
    client = app.test_client()
    for _ in range(TRIES):
        assert client.post("/login", data={"name": "kim", "password": "guess"}).status_code == 401
    answer = client.post("/login", data={"name": "kim", "password": PASSWORD})
    assert answer.status_code == 429 and answer.headers["Retry-After"]


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}])
def test_a_form_from_another_site_changes_nothing(panel: FlaskClient, store: Store, headers: dict[str, str]) -> None:
    assert panel.post("/profiles/new", data=PROFILE, headers=headers).status_code == 403
    assert len(store.render_profiles) == 0


def test_pages_forbid_foreign_scripts(panel: FlaskClient) -> None:
    policy = panel.get("/").headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy and "unsafe" not in policy


# -- setting up -------------------------------------------------------------------------------------------------


def test_a_profile_is_made_changed_and_removed(panel: FlaskClient, store: Store) -> None:
    assert panel.post("/profiles/new", data=PROFILE).status_code == 302
    profile = store.render_profiles.get(1)
    assert (profile.dpi, profile.bleed_um, profile.prints) == (300, 3_175, False)
    page = panel.get("/profiles/1").data.decode()
    assert 'value="0.125"' in page and 'value="{image}_{size}"' in page
    panel.post("/profiles/1", data=PROFILE | {"dpi": "600", "size": "8x10"})
    assert (store.render_profiles.get(1).dpi, store.render_profiles.get(1).size) == (600, parse_size("8x10"))
    panel.post("/profiles/1/remove")
    assert len(store.render_profiles) == 0


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("dpi", "12", "greater than or equal to 36"),
        ("dpi", "many", "valid integer"),
        ("bleed", "a bit", "in inches, such as 0.125 or 1/8"),
        ("size", "huge", "is not a print size"),
        ("folder", "../up", "leaves the output folder"),
        ("file_name", "{nummer}", "there is no field {nummer}"),
        ("name", "", "at least 1 character"),
        ("selection", "all images", "needs a size"),
        ("longest_edge_px", "3", "greater than or equal to 16"),
        ("sharpening_amount_percent", "900", "less than or equal to 500"),
        ("border_colour", "blue", "should match pattern"),
    ],
)
def test_a_wrong_field_is_named_and_what_was_typed_is_kept(
    panel: FlaskClient, store: Store, field: str, value: str, words: str
) -> None:
    answer = panel.post("/profiles/new", data=PROFILE | {field: value, "media_type": "typed by hand"})
    page = answer.data.decode()
    assert answer.status_code == 422 and words in page and "typed by hand" in page
    assert len(store.render_profiles) == 0


def test_every_option_of_a_profile_is_kept_and_shown_again(panel: FlaskClient, store: Store) -> None:
    options = {
        "sizing": "longest edge",
        "longest_edge_px": "1600",
        "fit": "fit",
        "border_colour": "#102030",
        "colorization": "sepia",
        "tint": "#405060",
        "sharpening_amount_percent": "120",
        "sharpening_radius_px": "1.5",
        "sharpening_threshold": "3",
        "output_format": "png",
        "jpeg_quality": "88",
        "only_sizes": "4x6, 20x30cm",
        "only_products": "Lustre print, Metal",
        "auto_rotate": "no",
        "min_dpi": "120",
        "low_resolution": "hold",
        "colour_intent": "perceptual",
        "colour_black_point_compensation": "no",
        "colour_embed": "no",
        "colour_untagged": "refuse",
        "watermark_text": "PROOF {number}",
        "watermark_opacity_percent": "60",
        "chroma": "4:2:0",
        "if_exists": "replace",
        "download_days": "30",
        "print_quality": "normal",
        "folder": "",
    }
    assert panel.post("/profiles/new", data=PROFILE | options).status_code == 302
    before = store.render_profiles.get(1)
    assert (before.sharpening.radius_px, before.border_colour, before.output_format) == (1.5, "#102030", "png")
    assert (before.colour.embed, before.colour.untagged, before.watermark.opacity_percent) == (False, "refuse", 60)
    assert ([str(size) for size in before.only_sizes], before.folder) == (["4x6", "200x300mm"], "")
    unchanged = {name for name, value in RenderProfile(name="-") if value == getattr(before, name)}
    of_prints = {"size", "layout", "gang_paper", "gang_gap_um", "paper", "crop_marks", "slug", "media_type", "overlay"}
    of_prints |= {"header_sheet", "separator_sheets", "pool_id", "printer_id", "media_source", "output_bin"}
    assert unchanged == of_prints | {"selection", "dpi"}, "an option is not in the form"
    assert_kept(panel, store)


def test_every_option_of_a_print_is_kept_and_shown_again(panel: FlaskClient, store: Store) -> None:
    options = {
        "size": "5x7",
        "gang_gap": "4.5mm",
        "paper": "8x10",
        "crop_marks": "yes",
        "slug": "{number} {sheet}",
        "media_type": "photographic-glossy",
        "header_sheet": "yes",
        "separator_sheets": "yes",
    }
    assert panel.post("/profiles/new", data=PROFILE | options).status_code == 302
    before = store.render_profiles.get(1)
    assert (before.gang_gap_um, before.crop_marks, before.header_sheet, before.slug) == (
        4_500,
        True,
        True,
        "{number} {sheet}",
    )
    assert_kept(panel, store)


def assert_kept(panel: FlaskClient, store: Store) -> None:
    """What the form shows, posted again, is the same profile."""
    before = store.render_profiles.get(1)
    page = panel.get("/profiles/1").data.decode()
    typed = dict(re.findall(r'<input id="(\w+)"[^>]* value="([^"]*)"', page))
    typed |= dict(re.findall(r'<select id="(\w+)".*?<option value="([^"]*)" selected', page, re.DOTALL))
    assert panel.post("/profiles/1", data={name: unescape(value) for name, value in typed.items()}).status_code == 302
    assert store.render_profiles.get(1) == before


def test_a_ready_made_layout_is_chosen_and_kept(panel: FlaskClient, store: Store) -> None:
    panel.post("/profiles/new", data=PROFILE | {"layout": "8 wallets on 8x10"})
    layout = store.render_profiles.get(1).layout
    assert layout is not None and len(layout.cells) == 8
    store.render_profiles.put(store.render_profiles.get(1).with_(layout=layout.with_(name="Our own wallets")))
    assert "Our own wallets" in panel.get("/profiles/1").data.decode()
    panel.post("/profiles/1", data=PROFILE | {"layout": "Our own wallets"})
    assert store.render_profiles.get(1).layout == layout.with_(name="Our own wallets")
    panel.post("/profiles/1", data=PROFILE)
    assert store.render_profiles.get(1).layout is None


def test_what_is_printed_is_a_print_in_jpeg(panel: FlaskClient, store: Store) -> None:
    store.printer_pools.add(PrinterPool(name="Lab"))
    for field, value, words in [("sizing", "original", "needs a print size"), ("output_format", "png", "as JPEG")]:
        answer = panel.post("/profiles/new", data=PROFILE | {"destination": "pool:1", field: value})
        assert answer.status_code == 422 and words in answer.data.decode()


def test_a_profile_in_use_is_not_removed_and_says_by_what(panel: FlaskClient, store: Store) -> None:
    add_render_job(store)
    answer = panel.post("/profiles/1/remove")
    assert answer.status_code == 409 and b"Print sessions" in answer.data
    assert len(store.render_profiles) == 1


def test_a_render_job_is_made_and_changed(panel: FlaskClient, store: Store) -> None:
    store.render_profiles.add(RenderProfile(name="p"))
    assert panel.post("/render-jobs/new", data=RENDER_JOB).status_code == 302
    assert store.render_jobs.get(1).select_status == "In-house printing"
    page = panel.get("/render-jobs/1").data.decode()
    assert 'value="1" checked' in page and 'value="In-house printing"' in page
    panel.post("/render-jobs/1", data=RENDER_JOB | {"inactive": "on", "timing": "within hours", "start_time": "21:30"})
    assert store.render_jobs.get(1).inactive and store.render_jobs.get(1).start_time.hour == 21


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"profile_ids": ""}, "Choose at least one render profile"),
        ({"finish_status": "In-house printing"}, "would start itself again"),
        ({"select_status": " "}, "at least 1 character"),
        ({"start_time": "25:99"}, "valid time"),
    ],
)
def test_a_render_job_that_cannot_work_is_refused(
    panel: FlaskClient, store: Store, changes: dict[str, str], words: str
) -> None:
    store.render_profiles.add(RenderProfile(name="p"))
    answer = panel.post("/render-jobs/new", data=RENDER_JOB | changes)
    assert answer.status_code == 422 and words in answer.data.decode()


def test_a_printer_is_added_by_its_address_after_it_has_answered(
    panel: FlaskClient, store: Store, virtual_printer: Callable[..., VirtualPrinterProcess]
) -> None:
    printer = virtual_printer("By hand")
    answer = panel.post("/printers/add", data={"uri": f"127.0.0.1:{printer.port}"})
    assert answer.headers["Location"] == "/printers/1"
    added = store.printers.get(1)
    assert (added.name, added.uri, added.added_by_hand, len(added.uuid)) == ("By hand", printer.uri, True, 36)


@pytest.mark.parametrize("uri", ["", "http://x/", "ipp://127.0.0.1:{port}/ipp/print", "ipp://", "ipp://a b:c/"])
def test_a_printer_that_does_not_answer_is_not_added(panel: FlaskClient, store: Store, uri: str) -> None:
    answer = panel.post("/printers/add", data={"uri": uri.format(port=free_port())})
    assert answer.status_code == 422 and b'class="error"' in answer.data
    assert len(store.printers) == 0


def test_pools_printers_and_what_they_allow(panel: FlaskClient, store: Store) -> None:
    store.printers.add(Printer(name="Lab One"))
    form = {"name": "Lab", "allocation_method": "priority code", "job_split": "on", "printers": "1"}
    panel.post("/printers/pools/new", data=form)
    assert store.printers.get(1).pool_id == 1 and store.printer_pools.get(1).job_split
    panel.post("/printers/1", data={"name": "Lab One", "pool_id": "1", "allowable_print_sizes": "4x6, 5x7"})
    assert store.printers.get(1).allowable_print_sizes == (parse_size("4x6"), parse_size("5x7"))
    answer = panel.post("/printers/1", data={"name": "Lab One", "allowable_print_sizes": "4x6, large"})
    assert answer.status_code == 422 and "&#39;large&#39; is not a print size" in answer.data.decode()
    store.render_profiles.add(RenderProfile(name="On the pool", pool_id=1))
    assert b"On the pool" in panel.post("/printers/pools/1/remove").data
    store.render_profiles.remove(1)
    assert b"print queue Lab" in panel.post("/printers/pools/1/remove").data
    panel.post("/queues/1/remove")
    panel.post("/printers/pools/1/remove")
    assert store.printers.get(1).pool_id is None


def test_a_clients_token_is_shown_once_and_kept_as_a_hash(panel: FlaskClient, store: Store) -> None:
    page = panel.post(
        "/clients/", data={"name": "Front desk", "push": "on", "follow": "on", "token": "1"}
    ).data.decode()
    token = page.split('class="token">')[1].split("<")[0]
    assert token.startswith("prt_") and token not in panel.get("/clients/").data.decode()
    journal = b"".join(path.read_bytes() for path in store.folder.store.iterdir())
    assert token.encode() not in journal
    assert panel.get("/sync/v1/changes", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    panel.post("/clients/1/revoke")
    assert panel.get("/sync/v1/changes", headers={"Authorization": f"Bearer {token}"}).status_code == 401


# -- watching and answering -------------------------------------------------------------------------------------


def test_today_says_what_to_do_first(panel: FlaskClient) -> None:
    page = panel.get("/").data.decode()
    assert "No printer has been found yet" in page and "Go on with the set-up" in page


def test_a_ticket_shows_its_sheets_its_instructions_and_its_way(panel: FlaskClient, store: Store) -> None:
    pool = store.printer_pools.add(PrinterPool(name="Lab"))
    drawn_ticket(store, pool, [2])
    page = panel.get("/tickets/1").data.decode()
    assert "0001.jpg · 4x6 · 2×" in page and SELECT in page and "rendered" in page
    with panel.get("/sheets/1.full.jpg") as picture:
        assert picture.status_code == 200 and picture.mimetype == "image/jpeg"
    assert panel.get("/sheets/1.thumb.jpg").status_code == 404
    assert panel.get("/tickets/2").status_code == 404


@pytest.mark.parametrize(("ending", "mime"), [("png", "image/png"), ("tif", "image/tiff")])
def test_a_sheet_is_handed_out_as_what_it_is(panel: FlaskClient, store: Store, ending: str, mime: str) -> None:
    drawn_ticket(store, store.printer_pools.add(PrinterPool(name="Lab")), [1])
    store.sheets.put(store.sheets.get(1).with_(file=f"a.{ending}"))
    with panel.get("/sheets/1.full.jpg") as picture:
        assert picture.mimetype == mime
        assert ("attachment" in picture.headers["Content-Disposition"]) == (ending == "tif")
    assert panel.get("/sheets/99.full.jpg").status_code == 404


def test_names_from_outside_are_shown_as_text(panel: FlaskClient, store: Store) -> None:
    add_render_job(store)
    intake.accept(store, push(photo(store), client_name="<script>alert(1)</script>"), NOW)
    for path in ("/", "/tickets/1"):
        assert b"<script>alert" not in panel.get(path).data


def test_an_unsure_sheet_is_asked_about_and_the_answer_taken_once(panel: FlaskClient, store: Store) -> None:
    pool = store.printer_pools.add(PrinterPool(name="Lab"))
    printer = store.printers.add(Printer(name="Lab One", pool_id=pool.id))
    drawn_ticket(store, pool, [1])
    job = left_behind(store, printer, PrintJobState.SENDING, "x")
    progress.settle_print_job(store, job, "doubt", NOW, reason="the link broke")
    assert store.tickets.get(1).state is TicketState.HELD
    page = panel.get("/tickets/1").data.decode()
    assert "Did this come out?" in page and "the link broke" in page
    for nothing in ({}, {"copies": ""}, {"copies": "all"}):
        assert panel.post("/sheets/1/answer", data=nothing).status_code == 422
    assert panel.post("/sheets/1/answer", data={"copies": "1"}).status_code == 302
    assert store.sheets.get(1).state is SheetState.PRINTED
    assert store.tickets.get(1).state is TicketState.FINISHED
    assert panel.post("/sheets/1/answer", data={"copies": "0"}).status_code == 409


def test_by_hand_tickets_are_started_and_tickets_canceled_in_the_panel(panel: FlaskClient, store: Store) -> None:
    add_render_job(store, timing="by hand")
    intake.accept(store, push(photo(store)), NOW)
    panel.post("/tickets/1/start")
    assert store.tickets.get(1).state is TicketState.RENDERING
    panel.post("/tickets/1/cancel")
    assert store.tickets.get(1).state is TicketState.CANCELED
    answer = panel.post("/tickets/1/start")
    assert answer.status_code == 409 and b"not possible now" in answer.data


def test_trouble_with_the_disk_stands_on_top_of_today(panel: FlaskClient, store: Store) -> None:
    assert b"The box needs you" not in panel.get("/").data
    panel.application.extensions["printroom"].min_free_bytes = 10**18
    assert b"The disk is nearly full" in panel.get("/").data
    store._database.journal.damage = ["journal-00000001.prj: commit 7 cannot be read any more; all others were kept"]
    assert b"commit 7 cannot be read any more" in panel.get("/").data


def test_history_finds_tickets_in_the_store_and_in_the_archive(panel: FlaskClient, store: Store) -> None:
    from datetime import timedelta

    from store.housekeeping import Housekeeper, Retention
    from tests.store.test_history import finished

    add_render_job(store)
    finished(store, "S-old", "Robin Archive")
    Housekeeper(store, Retention()).step(NOW + timedelta(days=40))
    intake.accept(store, push(photo(store), number="S-new"), NOW)
    page = panel.get("/history/").data.decode()
    assert "S-old" in page and "S-new" in page
    page = panel.get("/history/?q=robin").data.decode()
    assert "S-old" in page and "S-new" not in page
    month = store.archive.months()[0]
    assert "Robin Archive" in panel.get(f"/history/{month}/1").data.decode()
    assert "No ticket has" in panel.get("/history/?q=nobody").data.decode()
    assert panel.get("/history/2001-01/1").status_code == 404 and panel.get("/history/x/1").status_code == 404


def test_a_sheet_is_printed_again_with_copies_and_a_reason(panel: FlaskClient, store: Store) -> None:
    store.printer_pools.add(PrinterPool(name="Lab"))  # without printers: what is printed again waits
    add_render_job(store, pool_id=1)
    ticket_id = finished(store, "S-1")
    (sheet,) = store.sheets.by("ticket", ticket_id)
    store.sheets.put(sheet.with_(prints=True))
    assert "Print again" in panel.get(f"/tickets/{ticket_id}").data.decode()
    wanted = {f"copies-{sheet.id}": "3", "reason": "lost"}
    answer = panel.post(f"/tickets/{ticket_id}/reprint", data=wanted)
    assert answer.headers["Location"] == "/tickets/2"
    assert store.sheets.by("ticket", 2)[0].quantity == 3
    assert "Prints again what" in panel.get("/tickets/2").data.decode()
    for wrong in ({f"copies-{sheet.id}": "0"}, {f"copies-{sheet.id}": "-2"}, {}, {"reason": "because"}):
        assert (
            panel.post(f"/tickets/{ticket_id}/reprint", data=wanted | {f"copies-{sheet.id}": ""} | wrong).status_code
            == 422
        )
    (running,) = store.sheets.by("ticket", 2)
    assert panel.post("/tickets/2/reprint", data={f"copies-{running.id}": "1", "reason": "lost"}).status_code == 409


def test_a_sheet_is_printed_again_on_another_printer(panel: FlaskClient, store: Store) -> None:
    store.printer_pools.add(PrinterPool(name="Lab"))
    other = store.printers.add(Printer(name="The other one"))
    add_render_job(store, pool_id=1)
    ticket_id = finished(store, "S-1")
    (sheet,) = store.sheets.by("ticket", ticket_id)
    store.sheets.put(sheet.with_(prints=True))
    wanted = {f"copies-{sheet.id}": "1", "reason": "colour is wrong", "destination": f"printer:{other.id}"}
    assert panel.post(f"/tickets/{ticket_id}/reprint", data=wanted).headers["Location"] == "/tickets/2"
    (profile,) = store.instructions.get(2).profiles
    assert (profile.pool_id, profile.printer_id) == (None, other.id)
    gone = wanted | {"destination": "pool:99"}
    assert "is gone" in panel.post(f"/tickets/{ticket_id}/reprint", data=gone).data.decode()


def test_the_report_is_shown(panel: FlaskClient, store: Store) -> None:
    add_render_job(store, pool_id=1)
    finished(store, "S-1", at=datetime.now(UTC))
    page = panel.get("/history/report?days=7").data.decode()
    assert "Printed in the last 7 days" in page and "4x6" in page
    assert "Nothing was printed" not in page


def test_a_printer_shows_itself_and_its_answers_are_saved_for_support(
    panel: FlaskClient, store: Store, eve_printer: Callable[..., EvePrinter]
) -> None:
    eve = eve_printer("Eve")
    store.printers.add(Printer(name="Eve", uri=eve.uri, added_by_hand=True))
    assert panel.post("/printers/1/identify").status_code == 302
    told = panel.get("/printers/1/answers.json").get_json()["attributes"]
    assert told["printer-state"] == [3] and "image/jpeg" in told["document-format-supported"]
    assert told["media-col-ready"][0]["media-size"][0]["x-dimension"]
    eve.stop()
    answer = panel.post("/printers/1/identify")
    assert answer.status_code == 409 and "does not answer" in answer.data.decode()


def test_today_says_what_runs_out_before_the_work_is_done(panel: FlaskClient, store: Store) -> None:
    pool = store.printer_pools.add(PrinterPool(name="Lab"))
    store.printers.add(Printer(name="DS620", pool_id=pool.id))
    ribbon = Supply(name="Ribbon", sheets_left=38)
    store.printer_status.put(PrinterStatus(id=1, state=PrinterState.IDLE, since=NOW, supplies=(ribbon,)))
    drawn_ticket(store, pool, [52])
    page = panel.get("/").data.decode()
    assert "DS620: Ribbon ends in 38 sheets, and 52 wait" in page


def test_alerts_are_set_up_tested_and_their_password_is_not_shown(panel: FlaskClient, store: Store) -> None:
    from web import Services

    sent: list[str] = []
    parts: Services = panel.application.extensions["printroom"]
    parts.send_alert = lambda settings, text: sent.append(f"{settings.mail_to}: {text}")
    form = {"mail_to": "owner@studio.example", "smtp_host": "smtp.example", "smtp_username": "box", "after_s": "30"}
    assert panel.post("/alerts/", data={**form, "smtp_password": "secret"}).status_code == 302
    page = panel.post("/alerts/", data={**form, "test": "1"}).data.decode()
    assert "test message was sent" in page and "secret" not in page
    assert sent == ["owner@studio.example: This is a test: alerts of this box arrive here."]
    (settings,) = store.alert_settings.all()
    assert (settings.smtp_password, settings.after_s) == ("secret", 30)
    answer = panel.post("/alerts/", data={"mail_to": "owner@studio.example", "webhook_url": "ftp://x"})
    assert answer.status_code == 422 and "owner@studio.example" in answer.data.decode()


def test_a_sheet_of_the_archive_is_printed_again_from_its_recipe(panel: FlaskClient, store: Store) -> None:
    from datetime import timedelta

    from store.housekeeping import Housekeeper, Retention

    store.printer_pools.add(PrinterPool(name="Lab"))
    add_render_job(store, pool_id=1)
    (sheet,) = store.sheets.by("ticket", finished(store, "S-old"))
    store.sheets.put(sheet.with_(prints=True))
    Housekeeper(store, Retention()).step(NOW + timedelta(days=40))
    month = store.archive.months()[0]
    assert "Print again" in panel.get(f"/history/{month}/1").data.decode()
    answer = panel.post(f"/history/{month}/1/sheets/{sheet.id}/reprint", data={"copies": "2", "reason": "lost"})
    assert answer.headers["Location"] == "/tickets/2"
    (again,) = store.sheets.by("ticket", 2)
    assert (again.quantity, again.state, store.tickets.get(2).state) == (2, "planned", "rendering")
    assert "archived ticket 1" in panel.get("/tickets/2").data.decode()
    wrong = {"copies": "1", "reason": "lost"}
    assert panel.post(f"/history/{month}/1/sheets/99/reprint", data=wrong).status_code == 404


def test_a_new_pool_is_a_print_queue_at_once_and_queues_are_changed_held_and_removed(
    panel: FlaskClient, store: Store
) -> None:
    from store import queue_jobs
    from store.queues import QueueDocument

    panel.post("/printers/pools/new", data={"name": "Lab", "allocation_method": "round robin"})
    (queue,) = store.print_queues.all()
    assert (queue.name, queue.path, queue.access.value) == ("Lab", "lab", "open")
    assert "/ipp/print/lab" in panel.get("/queues/").data.decode()
    form = {"name": "Lab, upstairs", "target": "pool:1", "access": "password", "operators": "nobody"}
    wrong = panel.post("/queues/1", data=form)
    assert wrong.status_code == 422 and "user and the password" in wrong.data.decode()
    assert panel.post("/queues/1", data={**form, "username": "lab", "password": "lustre"}).status_code == 302
    changed = store.print_queues.get(1)
    assert (changed.path, changed.username) == ("lab", "lab") and changed.password_hash.startswith("$argon2")
    assert panel.post("/queues/1", data={**form, "username": "lab", "holds_new_jobs": "on"}).status_code == 302
    assert store.print_queues.get(1).password_hash == changed.password_hash  # an empty field keeps it
    document = QueueDocument(token="t", format="image/jpeg", size=1, at=NOW)
    queue_jobs.begin_whole(store, changed, {"name": "album", "user": "kim"}, document, "held", NOW)
    page = panel.get("/queues/1").data.decode()
    assert "album" in page and "kim" in page
    assert (
        panel.post("/queues/1/remove").status_code == 409 and panel.post("/printers/pools/1/remove").status_code == 409
    )
    panel.post("/queues/jobs/1/release")
    assert store.queue_jobs.get(1).state == "pending"
    assert panel.post("/queues/jobs/1/release").status_code == 409
    panel.post("/queues/1/pause")
    assert store.print_queues.get(1).is_paused and "paused" in panel.get("/queues/").data.decode()
    panel.post("/queues/jobs/1/cancel")
    assert panel.post("/queues/1/remove").status_code == 302 and len(store.print_queues) == 0
    twice = [panel.post("/queues/new", data={**form, "access": "open"}) for _ in range(2)]
    assert [answer.status_code for answer in twice] == [302, 302]
    assert [one.path for one in store.print_queues.all()] == ["lab-upstairs", "lab-upstairs-2"]


def test_whoever_knows_the_pin_releases_the_job_without_logging_in(app: Flask, store: Store) -> None:
    from store import queue_jobs
    from store.queue_setup import offer
    from store.queues import QueueDocument

    store.people.add(Person(name="kim", password_hash=PASSWORD_HASH))
    queue = offer(store, "Lab", NOW, pool_id=store.printer_pools.add(PrinterPool(name="Lab")).id)
    document = QueueDocument(token="t", format="image/jpeg", size=1, at=NOW)
    fields = {"name": "album", "user": "kim", "pin_hash": queue_jobs.hash_pin("4711")}
    queue_jobs.begin_whole(store, queue, fields, document, "held for its PIN", NOW)
    stranger = app.test_client()
    wrong = stranger.post("/release", data={"pin": "1"})
    assert wrong.status_code == 422 and "No job waits for this PIN" in wrong.data.decode()
    assert "album" in stranger.post("/release", data={"pin": "4711"}).data.decode()
    assert store.queue_jobs.get(1).state == "pending"
    for _ in range(6):
        last = stranger.post("/release", data={"pin": "2"})
    assert last.status_code == 429


def test_what_is_in_use_is_not_removed_and_its_users_are_named(panel: FlaskClient, store: Store) -> None:
    printer = store.printers.add(Printer(name="DS620"))
    profile = store.render_profiles.add(RenderProfile(name="Lustre", printer_id=printer.id))
    store.hot_folders.add(HotFolder(name="Drop here", profile_id=profile.id))
    offer(store, "From any computer", NOW, profile_id=profile.id)
    page = unescape(panel.post("/profiles/1/remove").data.decode())
    assert "hot folder Drop here, print queue From any computer" in page and len(store.render_profiles) == 1
    page = unescape(panel.post("/printers/1/remove").data.decode())
    assert "These print on this printer: render profile Lustre" in page and len(store.printers) == 1


def test_a_ticket_goes_before_all_others(panel: FlaskClient, store: Store) -> None:
    pool = store.printer_pools.add(PrinterPool(name="Lab"))
    store.printers.add(Printer(name="DS620", uri="ipp://127.0.0.1:1/", pool_id=pool.id))
    first = drawn_ticket(store, pool, [1, 1, 1])
    second = store.tickets.add(first.with_(id=0))
    store.instructions.add(store.instructions.get(1).with_(id=second.id))
    for sheet in store.sheets.by("ticket", 1):
        store.sheets.add(sheet.with_(id=0, ticket_id=second.id))
    assert panel.post("/tickets/2/priority", data={"priority": "first"}).status_code == 302
    assert "before all others" in panel.get("/").data.decode()
    # Only now is there a printer for them: the room of this panel hands out sheets, too.
    store.printer_status.put(
        PrinterStatus(id=1, state=PrinterState.IDLE, since=NOW, document_formats=("image/jpeg",), max_copies=9)
    )
    Dispatch(store, timedelta(hours=4)).assign(NOW)
    assert {job.ticket_id for job in store.print_jobs.all()} == {2}
    assert panel.post("/tickets/2/priority", data={"priority": "at once"}).status_code == 422


def test_all_files_of_a_ticket_come_as_one_zip(panel: FlaskClient, store: Store) -> None:
    add_render_job(store)
    ticket_id = finished(store, "S-1")
    (sheet,) = store.sheets.by("ticket", ticket_id)
    (store.folder.output / "a").mkdir()
    (store.folder.output / "a" / "b.jpg").write_bytes(b"picture")
    store.sheets.put(sheet.with_(file="a/b.jpg"))
    answer = panel.get(f"/tickets/{ticket_id}/files.zip")
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.read("b.jpg") == b"picture"
    store.sheets.put(sheet.with_(file="../../etc/passwd"))
    assert panel.get(f"/tickets/{ticket_id}/files.zip").status_code == 404


def test_a_session_that_began_over_https_stays_there(app: Flask, store: Store) -> None:
    store.people.add(Person(name="kim", password_hash=PASSWORD_HASH))
    form = {"name": "kim", "password": PASSWORD}
    client = app.test_client()
    assert "; Secure" in client.post("/login", data=form, base_url="https://box").headers["Set-Cookie"]
    assert "; Secure" not in client.post("/login", data=form, base_url="http://box").headers["Set-Cookie"]
