"""Render profiles: how prints are produced."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import sha256 as sha256_of
from urllib.parse import quote

from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for
from pydantic import ValidationError
from werkzeug.wrappers import Response as AnyResponse

from render.colour import check_output_profile
from render.draw import save
from render.errors import SheetImpossible
from render.names import FIELDS
from render.pictures import check_overlay
from render.ready_made import PROFILES
from store.profiles import RenderProfile
from store.records import Asset, AssetKind
from store.settings import Units
from web import forms, now, profile_form, rehearsals, services
from web.errors import problems_of
from web.layouts import known_layouts
from web.profile_form import check_profile

pages = Blueprint("profiles", __name__, url_prefix="/profiles")


@pages.get("/")
def index() -> str:
    """All profiles."""
    return _index("")


def _index(error: str) -> str:
    store = services().store
    return render_template(
        "profiles.html",
        error=error,
        ready_made=[(name, what) for name, (what, _) in PROFILES.items()],
        profiles=store.render_profiles.all(),
        pools={pool.id: pool.name for pool in store.printer_pools.all()},
        printers={printer.id: printer.name for printer in store.printers.all()},
    )


@pages.route("/new", methods=["GET", "POST"], defaults={"profile_id": 0})
@pages.route("/<int:profile_id>", methods=["GET", "POST"])
def edit(profile_id: int) -> str | AnyResponse | tuple[str, int]:
    """Make or change a profile."""
    store = services().store
    known = store.render_profiles.get(profile_id) if profile_id else None
    if request.method == "GET":
        begin = known or _begun()
        return _form(profile_form.typed(begin, store.assets.all(), _units()) if begin else {}, {}, known)
    profile, errors = _parsed(profile_id)
    if profile is None:
        return _form(request.form, errors, known), 422
    kept, errors = forms.keep(store.render_profiles, profile, request.form)
    if kept is None:
        return _form(request.form, errors, store.render_profiles.find(profile_id)), 409
    return redirect(url_for("profiles.index"))


def _begun() -> RenderProfile | None:
    """What a new profile begins with: a ready-made one, or a copy of another."""
    copied = services().store.render_profiles.find(forms.number_or_none(request.values.get("copy", "")) or 0)
    if copied is not None:
        return copied.with_(name=_free_name(copied.name))
    found = PROFILES.get(request.values.get("like", ""))
    return found[1].with_(name=_free_name(found[1].name)) if found else None


def _free_name(name: str) -> str:
    taken, number = {one.name for one in services().store.render_profiles.all()}, 1
    while (candidate := name if number == 1 else f"{name} ({number})") in taken:
        number += 1
    return candidate


@pages.get("/<int:profile_id>.json")
def export(profile_id: int) -> AnyResponse:
    """A profile as a file for another box, with the colour profile and the overlay that it uses."""
    store = services().store
    profile = store.render_profiles.get(profile_id)
    text = json.dumps(
        {
            "printroom_profile": 1,
            "profile": profile.model_dump(mode="json", exclude={"id", "pool_id", "printer_id"}, exclude_defaults=True),
            "files": {
                one.sha256: b64encode(store.folder.asset(one.sha256).read_bytes()).decode() for one in profile.assets
            },
        },
        indent=1,
        ensure_ascii=False,
    )
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(profile.name)}.json"}
    return Response(text, mimetype="application/json", headers=headers)


@pages.post("/import")
def take() -> AnyResponse | tuple[str, int]:
    """Take a profile from a file; where it prints is chosen here."""
    store = services().store
    file = request.files.get("file")
    try:
        told = json.loads(file.stream.read() if file else b"")
        profile = RenderProfile.model_validate({**told["profile"], "pool_id": None, "printer_id": None})
        contents = {sha256: b64decode(content, validate=True) for sha256, content in told["files"].items()}
        check_profile(profile)
        for one in profile.assets:
            if sha256_of(contents.get(one.sha256, b"")).hexdigest() != one.sha256:
                raise ValueError(f"the file of “{one.name}” is missing or damaged")
            (check_overlay if one is not profile.colour.profile else check_output_profile)(contents[one.sha256])
    except (ValueError, KeyError, TypeError, AttributeError, SheetImpossible) as error:
        reason = problems_of(error)[0]["message"] if isinstance(error, ValidationError) else error
        return _index(f"This is not the file of a render profile ({reason}): export it again."), 422
    with store.transaction():
        for one in profile.assets:
            save(contents[one.sha256], store.folder.asset(one.sha256))
            if not any(asset.sha256 == one.sha256 for asset in store.assets.all()):
                is_profile = one == profile.colour.profile
                kind = AssetKind.COLOUR_PROFILE if is_profile else AssetKind.OVERLAY
                store.assets.add(Asset(kind=kind, name=one.name, sha256=one.sha256, added_at=now()))
        kept = store.render_profiles.add(profile.with_(id=0, name=_free_name(profile.name)))
    return redirect(url_for("profiles.edit", profile_id=kept.id))


@pages.post("/<int:profile_id>/remove")
def remove(profile_id: int) -> AnyResponse | tuple[str, int]:
    """Take a profile away, unless a render job uses it."""
    store = services().store
    profile = store.render_profiles.get(profile_id)
    users = [f"render job {one.name}" for one in store.render_jobs.all() if profile_id in one.profile_ids]
    users += [f"hot folder {one.name}" for one in store.hot_folders.all() if one.profile_id == profile_id]
    users += [f"print queue {one.name}" for one in store.print_queues.all() if one.profile_id == profile_id]
    if users:
        error = f"These use this profile: {', '.join(users)}. Choose another in them, or remove them, first."
        return _form(profile_form.typed(profile, store.assets.all(), _units()), {"": error}, profile), 409
    store.render_profiles.remove(profile_id)
    return redirect(url_for("profiles.index"))


@pages.post("/rehearse")
def rehearse() -> AnyResponse | tuple[AnyResponse, int]:
    """What the profile in the form, stored or not, would make of a record or of sample photos: sheets with previews,
    paper, failures. Nothing is written or printed."""
    profile, errors = _parsed(forms.number_or_none(request.form.get("profile_id", "")) or 0, "New profile")
    if profile is None:
        return jsonify(errors=errors), 422
    return jsonify(rehearsals.as_json(rehearsals.of_record(request.form.get("record", ""), [profile])))


def _parsed(profile_id: int, name: str = "") -> tuple[RenderProfile | None, forms.Errors]:
    store = services().store
    known = store.render_profiles.find(profile_id) if profile_id else _begun()
    form = request.form if request.form.get("name", "").strip() or not name else {**request.form, "name": name}
    return profile_form.parse(form, profile_id, known_layouts(known), store.assets.all(), _units())


def _units() -> Units:
    return services().store.settings.units


def _form(form: Mapping[str, str], errors: forms.Errors, known: RenderProfile | None) -> str:
    store = services().store
    assets = store.assets.all()
    return render_template(
        "profile_form.html",
        form={**profile_form.typed(RenderProfile(name="-"), assets, _units()), "name": "", **form},
        errors=errors,
        known=known,
        choices={
            **profile_form.CHOICES,
            "colour_profile": profile_form.asset_choices(assets, AssetKind.COLOUR_PROFILE, "sRGB"),
            "overlay": profile_form.asset_choices(assets, AssetKind.OVERLAY, "None"),
            "layout": [("", "One picture on a sheet"), *((name, name) for name in known_layouts(known or _begun()))],
            "destination": [
                ("", "Do not print, only write files"),
                *((f"pool:{pool.id}", f"Pool {pool.name}") for pool in store.printer_pools.all()),
                *((f"printer:{printer.id}", f"Printer {printer.name}") for printer in store.printers.all()),
            ],
            "record": rehearsals.record_choices(),
        },
        fields=FIELDS,
        copy=request.values.get("copy", ""),
        like=request.values.get("like", ""),
    )
