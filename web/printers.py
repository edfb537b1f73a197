"""Printers and printer pools."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from ipp.access import Access
from ipp.codec import GroupTag, encode
from ipp.errors import PrinterError, PrinterWantsTls
from render.check_page import CheckPage
from store import intake, printer_identity
from store.queue_setup import offer
from store.records import AllocationMethod, Printer, PrinterPool
from store.sizes import parse_size
from store.states import OPEN_PRINT_JOBS
from web import forms, services
from web.errors import Problem
from web.overview import printer_rows
from web.units import read_sizes, typed_size

pages = Blueprint("printers", __name__, url_prefix="/printers")


@pages.get("/")
def index() -> str:
    """Printers with their states, and the pools."""
    return render_template("printers.html", **_all())


@pages.get("/live")
def index_live() -> str:
    """The part that changes."""
    return render_template("_printers.html", **_all())


def _all() -> dict[str, Any]:
    return {"printers": printer_rows(), "pools": services().store.printer_pools.all()}


@pages.post("/add")
def add() -> AnyResponse | tuple[str, int]:
    """Add a printer by its address, after asking it what it is."""
    store = services().store
    try:
        uri = _as_uri(request.form.get("uri", ""))
        if not uri:
            raise PrinterError("write the printer's address, such as ipp://192.168.1.20/ipp/print")
        login = {name: request.form.get(name, "") for name in ("username", "password")}
        try:
            description = services().room.describe(uri, Access(**login))
        except PrinterWantsTls:
            uri = uri.replace("ipp:", "ipps:", 1)
            description = services().room.describe(uri, Access(**login))
    except (PrinterError, ValueError, TimeoutError) as error:
        return render_template("printers.html", **_all(), typed=request.form.get("uri", ""), error=str(error)), 422
    known = store.printers.by("uuid", description.uuid) if description.uuid else []
    # One that answers elsewhere, too, is another device with the same UUID, or the same one entered once more.
    known = [one for one in known if one.uri == uri or not _answers_at_its_own(one)]
    with store.transaction():
        name = description.attributes.text("printer-info") or description.attributes.text("printer-name") or uri
        if known:
            printer = known[0].with_(uri=uri, added_by_hand=True, **login)
            store.printers.put(printer)
        else:
            printer = store.printers.add(
                Printer(name=name, uuid=description.uuid, uri=uri, added_by_hand=True, **login)
            )
    return redirect(url_for("printers.edit", printer_id=printer.id))


def _answers_at_its_own(printer: Printer) -> bool:
    """Whether a printer is where its entry says."""
    try:
        return services().room.describe(printer.uri, Access.of(printer)).uuid == printer.uuid
    except (PrinterError, TimeoutError):
        return False


def _as_uri(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    if "://" not in text:
        text = f"ipp://{text}"
    scheme, _, rest = text.partition("://")
    if scheme not in ("ipp", "ipps"):
        raise PrinterError(f"'{scheme}' is not a way to a printer: write ipp:// or ipps://")
    return text if "/" in rest else f"{text}/ipp/print"


@pages.route("/<int:printer_id>", methods=["GET", "POST"])
def edit(printer_id: int) -> str | AnyResponse | tuple[str, int]:
    """A printer's name, pool, priority and sizes."""
    store = services().store
    known = store.printers.get(printer_id)
    if request.method == "GET":
        return _printer_form(_typed(known), {}, known)
    form = request.form
    errors: forms.Errors = {}
    sizes: tuple[Any, ...] = ()
    try:
        sizes = read_sizes(form.get("allowable_print_sizes", ""), store.settings.units)
    except ValueError as error:
        errors["allowable_print_sizes"] = f"{error}."
    values = {
        **dict(known),
        "name": form.get("name", ""),
        "pool_id": forms.number_or_none(form.get("pool_id", "")),
        "priority_code": form.get("priority_code", "") or 0,
        "allowable_print_sizes": sizes,
        "inactive": "inactive" in form,
        "username": form.get("username", "").strip(),
        # Never shown, so an empty field keeps what is there; without a user there is none.
        "password": (form.get("password") or known.password) if form.get("username", "").strip() else "",
        "fingerprint": "" if "trust" in form else known.fingerprint,
    }
    printer, found = forms.build(Printer, values)
    errors = {**found, **errors}
    if printer is None or errors:
        return _printer_form(form, errors, known), 422
    kept, errors = forms.keep(store.printers, printer, form)
    if kept is None:
        return _printer_form(form, errors, store.printers.get(printer_id)), 409
    return redirect(url_for("printers.index"))


@pages.post("/<int:printer_id>/identify")
def identify(printer_id: int) -> str | AnyResponse | tuple[str, int]:
    """Let the printer show which one it is."""
    printer = services().store.printers.get(printer_id)
    try:
        services().room.identify(printer)
    except (PrinterError, TimeoutError) as error:
        return _printer_form(_typed(printer), {"": f"{error}."}, printer), 409
    return redirect(url_for("printers.edit", printer_id=printer_id))


_IDENTITY = {
    "take-its-place": printer_identity.take_its_place,
    "add-as-another": printer_identity.add_as_another,
    "tell-apart": printer_identity.tell_apart,
    "is-one-device": printer_identity.is_one_device,
}


@pages.post("/<int:printer_id>/<any('take-its-place', 'add-as-another', 'tell-apart', 'is-one-device'):what>")
def identity(printer_id: int, what: str) -> AnyResponse:
    """A person says which device is which."""
    printer = _IDENTITY[what](services().store, printer_id)
    return redirect(url_for("printers.edit", printer_id=printer.id))


@pages.post("/<int:printer_id>/test-page")
def test_page(printer_id: int) -> AnyResponse:
    """Print a page with greys, colours and the trim's edge, on the paper that is loaded."""
    parts = services()
    store = parts.store
    now = store.clock.now()
    printer = store.printers.get(printer_id)
    status = store.printer_status.find(printer_id)
    loaded = (status.media_ready or ()) if status else ()
    allowed = [one for one in loaded if any(one.is_same_paper(size) for size in printer.allowable_print_sizes)]
    size = next(iter((*allowed, *loaded, *printer.allowable_print_sizes)), parse_size("4x6"))
    lines = (printer.name, store.settings.studio_name or "Printroom", f"{store.local(now):%Y-%m-%d %H:%M} · {size}")
    picture = parts.rehearser.check_page(CheckPage(size.width_um, size.height_um, lines))
    ticket = intake.print_test_page(store, printer, size, picture, now)
    return redirect(url_for("tickets.show", ticket_id=ticket.id))


@pages.get("/<int:printer_id>/answers.json")
def answers(printer_id: int) -> AnyResponse:
    """Everything that a printer says of itself, for whoever helps the studio: to read, and bit for bit to replay."""
    printer = services().store.printers.get(printer_id)
    try:
        answer = services().room.everything(printer)
    except (PrinterError, TimeoutError) as error:
        raise Problem(502, "printer", str(error)) from error
    told = answer.group(GroupTag.PRINTER).attributes
    return jsonify(
        name=printer.name,
        uri=printer.uri,
        attributes={item.name: [_plain(value.content) for value in item.values] for item in told},
        message=b64encode(encode(answer)).decode(),
    )


def _plain(content: Any) -> Any:
    """An IPP value as JSON has it."""
    if isinstance(content, bytes):
        return content.decode(errors="replace")
    if isinstance(content, tuple) and all(hasattr(item, "values") for item in content):
        return {item.name: [_plain(value.content) for value in item.values] for item in content}
    return content if isinstance(content, (str, int, bool)) or content is None else str(content)


@pages.post("/<int:printer_id>/remove")
def remove(printer_id: int) -> AnyResponse | tuple[str, int]:
    """Forget a printer, unless it has work in hand."""
    store = services().store
    printer = store.printers.get(printer_id)
    if any(store.print_jobs.by("printer_state", (printer_id, state.value)) for state in OPEN_PRINT_JOBS):
        error = "This printer has print jobs in hand. Make it inactive and remove it when they are done."
        return _printer_form(_typed(printer), {"": error}, printer), 409
    users = [f"render profile {one.name}" for one in store.render_profiles.all() if one.printer_id == printer_id]
    if users:
        error = f"These print on this printer: {', '.join(users)}. Choose another in them first."
        return _printer_form(_typed(printer), {"": error}, printer), 409
    with store.transaction():
        store.printers.remove(printer_id)
        if store.printer_status.find(printer_id):
            store.printer_status.remove(printer_id)
    return redirect(url_for("printers.index"))


def _typed(printer: Printer) -> dict[str, str]:
    units = services().store.settings.units
    form = {
        "name": printer.name,
        "pool_id": str(printer.pool_id or ""),
        "priority_code": str(printer.priority_code),
        "username": printer.username,
        "allowable_print_sizes": ", ".join(typed_size(size, units) for size in printer.allowable_print_sizes),
    }
    return {**form, "inactive": "on"} if printer.inactive else form


def _printer_form(form: Mapping[str, str], errors: forms.Errors, known: Printer) -> str:
    store = services().store
    return render_template(
        "printer_form.html",
        form=form,
        errors=errors,
        known=known,
        status=store.printer_status.find(known.id),
        pools=store.printer_pools.all(),
    )


@pages.route("/pools/new", methods=["GET", "POST"], defaults={"pool_id": 0})
@pages.route("/pools/<int:pool_id>", methods=["GET", "POST"])
def edit_pool(pool_id: int) -> str | AnyResponse | tuple[str, int]:
    """A pool: name, allocation method, job split, and its printers."""
    store = services().store
    known = store.printer_pools.get(pool_id) if pool_id else None
    if request.method == "GET":
        return _pool_form(dict(known) if known else {"job_split": "on", "separator_slips": "on"}, {}, known)
    form = request.form
    values = {
        "id": pool_id,
        "name": form.get("name", ""),
        "allocation_method": form.get("allocation_method", ""),
        "job_split": "job_split" in form,
        "separator_slips": "separator_slips" in form,
        "inactive": "inactive" in form,
    }
    pool, errors = forms.build(PrinterPool, values)
    if pool is None:
        return _pool_form(form, errors, known), 422
    chosen = {int(number) for number in form.getlist("printers") if number.isdecimal()}
    with store.transaction():
        kept, errors = forms.keep(store.printer_pools, pool, form)
        if kept is None:
            return _pool_form(form, errors, store.printer_pools.find(pool_id)), 409
        pool = kept
        if not known:
            offer(store, pool.name, store.clock.now(), pool_id=pool.id)
        for printer in store.printers.all():
            if printer.id in chosen and printer.pool_id != pool.id:
                store.printers.put(printer.with_(pool_id=pool.id))
            elif printer.id not in chosen and printer.pool_id == pool.id:
                store.printers.put(printer.with_(pool_id=None))
    return redirect(url_for("printers.index"))


@pages.post("/pools/<int:pool_id>/remove")
def remove_pool(pool_id: int) -> AnyResponse | tuple[str, int]:
    """Take a pool away, unless a profile prints on it."""
    store = services().store
    pool = store.printer_pools.get(pool_id)
    users = [f"render profile {one.name}" for one in store.render_profiles.all() if one.pool_id == pool_id]
    users += [f"print queue {one.name}" for one in store.print_queues.all() if one.pool_id == pool_id]
    if users:
        error = f"These print on this pool: {', '.join(users)}. Choose another pool in them, or remove them, first."
        return _pool_form(dict(pool), {"": error}, pool), 409
    with store.transaction():
        store.printer_pools.remove(pool_id)
        for printer in store.printers.all():
            if printer.pool_id == pool_id:
                store.printers.put(printer.with_(pool_id=None))
    return redirect(url_for("printers.index"))


def _pool_form(form: Mapping[str, Any], errors: forms.Errors, known: PrinterPool | None) -> str:
    return render_template(
        "pool_form.html",
        form=form,
        errors=errors,
        known=known,
        methods=list(AllocationMethod),
        printers=services().store.printers.all(),
    )
