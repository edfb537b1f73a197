"""Hot folders: watched folders of render profiles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from store.hot_folders import HotFolder, sentences
from web import forms, services

pages = Blueprint("hot_folders", __name__, url_prefix="/hot-folders")


@pages.get("/")
def index() -> str:
    """Every hot folder, with where it lies and what waits in it."""
    store = services().store
    profiles = {profile.id: profile.name for profile in store.render_profiles.all()}
    rows = [
        {
            "folder": one,
            "profile": profiles.get(one.profile_id, "a render profile that was removed"),
            "told": _told(one),
            "place": _root() / one.name,
        }
        for one in store.hot_folders.all()
    ]
    return render_template("hot_folders.html", rows=rows, has_profiles=bool(profiles))


def _root() -> Path:
    root = services().hot_folder_root
    return root if root is not None else services().store.folder.root / "hot"


def _told(folder: HotFolder) -> list[str]:
    """What people should know of a hot folder. Nobody looks into it for that: its share may hang."""
    store = services().store
    notice = store.hot_folder_notices.find(folder.id)
    told = list(sentences(folder, notice).values()) if notice else []
    if store.reach.is_silent(_root() / folder.name):
        told.insert(0, f"Hot folder {folder.name} does not answer: look whether the share that it lies on is there")
    return told


@pages.route("/new", methods=["GET", "POST"], defaults={"folder_id": 0})
@pages.route("/<int:folder_id>", methods=["GET", "POST"])
def edit(folder_id: int) -> str | AnyResponse | tuple[str, int]:
    """A hot folder's name, render profile and defaults."""
    store = services().store
    known = store.hot_folders.get(folder_id) if folder_id else None
    if request.method == "GET":
        typed = (
            {**dict(known), "size": str(known.size)} if known else {"size": "8x10", "quantity": 1, "keeps_files": True}
        )
        return _form(typed, {}, known)
    form = request.form
    values = {
        **{name: form.get(name, "").strip() for name in ("name", "profile_id", "size", "quantity")},
        **{name: name in form for name in ("needs_job_ticket", "keeps_files", "inactive")},
        "id": folder_id,
    }
    checked, errors = forms.build(HotFolder, values)
    if "name" in errors and values["name"]:
        errors["name"] = "A folder’s name has no slashes and does not begin with a dot; at most 60 letters."
    if checked is not None and any(
        one.name.casefold() == checked.name.casefold() and one.id != folder_id for one in store.hot_folders.all()
    ):
        checked, errors = None, {"name": "There is a hot folder of that name already."}
    if checked is None:
        return _form(form, errors, known), 422
    kept, errors = forms.keep(store.hot_folders, checked, form)
    if kept is None:
        return _form(form, errors, store.hot_folders.find(folder_id)), 409
    return redirect(url_for("hot_folders.index"))


def _form(form: Mapping[str, Any], errors: forms.Errors, known: HotFolder | None) -> str:
    store = services().store
    return render_template(
        "hot_folder_form.html",
        form=form,
        errors=errors,
        known=known,
        profiles=store.render_profiles.all(),
        told=_told(known) if known else [],
        notice=store.hot_folder_notices.find(known.id) if known else None,
    )


@pages.post("/<int:folder_id>/remove")
def remove(folder_id: int) -> AnyResponse:
    """Stop watching; the folder and what lies in it stay."""
    store = services().store
    store.hot_folders.remove(store.hot_folders.get(folder_id).id)
    return redirect(url_for("hot_folders.index"))
