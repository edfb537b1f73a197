"""Download links: a page and a zip for somebody without a password, and what the studio sees of them."""

from __future__ import annotations

from flask import Blueprint, Response, abort, redirect, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from store import downloads
from web import now, output_files, services

pages = Blueprint("downloads", __name__)

OPEN = ("downloads.show", "downloads.fetch", "downloads.one")  # for whoever has the link


@pages.get(downloads.PREFIX + "<token>")
def show(token: str) -> AnyResponse:
    """What there is to download."""
    link = downloads.find_link(services().store, token, now())
    files = output_files.find(link.files)
    ticket = services().store.tickets.find(link.ticket_id)
    page = render_template(
        "download.html", link=link, files=files, total=sum(file.size for file in files), ticket=ticket
    )
    return Response(page, headers=output_files.PRIVATE)


@pages.get(downloads.PREFIX + "<token>/all.zip")
def fetch(token: str) -> AnyResponse:
    """All files as one zip, made while it is sent: nothing is written, and its length is known beforehand."""
    store = services().store
    link = downloads.find_link(store, token, now())
    answer = output_files.zip_of(output_files.find(link.files), "photos.zip")
    downloads.count_download(store, link, now())
    return answer


@pages.get(downloads.PREFIX + "<token>/<int:number>")
def one(token: str, number: int) -> AnyResponse:
    """One file."""
    link = downloads.find_link(services().store, token, now())
    name = link.files[number] if number < len(link.files) else ""
    found = output_files.find([name]) if name else []
    if not found:
        abort(404, "this file is no longer on the box: ask the studio to render it again")
    return output_files.send(found[0])


@pages.post("/downloads/<int:download_id>/revoke")
def revoke(download_id: int) -> AnyResponse:
    """Withdraw a link."""
    link = downloads.revoke(services().store, download_id)
    return redirect(url_for("tickets.show", ticket_id=link.ticket_id))
