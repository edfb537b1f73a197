"""Download links: a page and a zip for somebody without a password, and what the studio sees of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from flask import Blueprint, Response, abort, redirect, render_template, send_file, url_for
from werkzeug.wrappers import Response as AnyResponse
from zipstream import ZIP_STORED, ZipStream

from store import downloads
from store.records import Download
from web import now, services

pages = Blueprint("downloads", __name__)

OPEN = ("downloads.show", "downloads.fetch", "downloads.one")  # for whoever has the link
_PRIVATE = {"Cache-Control": "private, no-store", "X-Robots-Tag": "noindex"}


@pages.get(downloads.PREFIX + "<token>")
def show(token: str) -> AnyResponse:
    """What there is to download."""
    link = downloads.find_link(services().store, token, now())
    files = [(number, path.name, path.stat().st_size) for number, path in _files(link)]
    ticket = services().store.tickets.find(link.ticket_id)
    page = render_template(
        "download.html", link=link, files=files, total=sum(size for _, _, size in files), ticket=ticket
    )
    return Response(page, headers=_PRIVATE)


@pages.get(downloads.PREFIX + "<token>/all.zip")
def fetch(token: str) -> AnyResponse:
    """All files as one zip, made while it is sent: nothing is written, and its length is known beforehand."""
    store = services().store
    link = downloads.find_link(store, token, now())
    answer = zip_of([path for _, path in _files(link)], "photos.zip")
    downloads.count_download(store, link, now())
    return answer


def zip_of(paths: Sequence[Path], name: str) -> AnyResponse:
    """Files as one zip that is made while it is sent; 404 when there are none."""
    archive = ZipStream(compress_type=ZIP_STORED, sized=True)
    for path in paths:
        archive.add_path(path, _unique(path.name, archive))
    if not archive:
        abort(404, "the files are no longer on the box: have them rendered again")
    headers = {
        **_PRIVATE,
        "Content-Length": str(len(archive)),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
    }
    return Response(_chunks(archive), mimetype="application/zip", headers=headers)


@pages.get(downloads.PREFIX + "<token>/<int:number>")
def one(token: str, number: int) -> AnyResponse:
    """One file."""
    link = downloads.find_link(services().store, token, now())
    path = dict(_files(link)).get(number)
    if path is None:
        abort(404, "this file is no longer on the box: ask the studio to render it again")
    response = send_file(path, download_name=path.name)
    response.headers.update(_PRIVATE)
    return response


@pages.post("/downloads/<int:download_id>/revoke")
def revoke(download_id: int) -> AnyResponse:
    """Withdraw a link."""
    link = downloads.revoke(services().store, download_id)
    return redirect(url_for("tickets.show", ticket_id=link.ticket_id))


def _files(link: Download) -> Iterator[tuple[int, Path]]:
    """The link's files that are still there, numbered. People may have moved some."""
    root = services().store.folder.output.resolve()
    for number, relative in enumerate(link.files):
        path = (root / relative).resolve()
        if path.is_relative_to(root) and path.is_file():
            yield number, path


def _unique(name: str, archive: ZipStream) -> str:
    """A name that the zip does not have yet: files of several folders may share theirs."""
    taken = {info["name"] for info in archive.info_list()}
    path, number = Path(name), 1
    while name in taken:
        number += 1
        name = f"{path.stem} ({number}){path.suffix}"
    return name


def _chunks(archive: ZipStream) -> Iterator[bytes]:
    yield from archive
