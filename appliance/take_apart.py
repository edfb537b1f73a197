"""The documents of a print queue's job become pictures, in a drawing process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path

from PIL import Image

from ipp import raster_reader
from ipp.job_ticket import JobTicket
from render import pages
from render.errors import PictureUnreadable
from render.pages import Arrangement
from render.pictures import reading
from store.queues import Page
from store.sizes import PrintSize

MAX_PAGES = 2_000
_PHOTOS = ("image/jpeg", "image/png")


@dataclass(frozen=True)
class TakeApart:
    """A job's documents, and what it asks."""

    documents: tuple[tuple[Path, str], ...]  # with their formats
    images: Path  # the folder of pictures by digest
    ticket: JobTicket
    dpi: int
    max_pixels: int


def take_apart(task: TakeApart) -> tuple[Page, ...]:
    """The pages that are wanted, in order, each kept as a picture.

    Raises:
        RenderError: a document is damaged, or has too many pages; nothing of the job is printed then.
    """
    found: list[Page] = []
    waiting: list[tuple[int, int, Image.Image]] = []  # for number-up
    up = task.ticket.number_up
    for number, (path, document_format) in enumerate(task.documents, 1):
        if document_format in _PHOTOS and up == 1 and not _needs_arranging(task, number):
            if task.ticket.wants(1):
                digest = pages.keep_file(path, task.images)
                found.append(Page(sha256=digest, document=number, page=1))
            continue
        for page, image, own_dpi in _pages(task, number, path, document_format):
            if len(found) >= MAX_PAGES:
                raise PictureUnreadable(f"the job has more than {MAX_PAGES} pages: send it in parts")
            how = _arrangement(task, number, page)
            if up == 1:
                found.append(_kept(task, pages.arranged(image, how, own_dpi), number, page))
                continue
            waiting.append((number, page, pages.arranged(image, how, own_dpi)))
            if len(waiting) == up:
                found.append(_imposed(task, waiting))
    if waiting:
        found.append(_imposed(task, waiting))
    if not found:
        raise PictureUnreadable("none of the document's pages was asked for: check page-ranges")
    return tuple(found)


def _needs_arranging(task: TakeApart, document: int) -> bool:
    wish = task.ticket.wish(document, 1)
    return wish.orientation in (4, 5, 6) or task.ticket.scaling == "none"


def _arrangement(task: TakeApart, document: int, page: int) -> Arrangement:
    wish = task.ticket.wish(document, page)
    is_unscaled = task.ticket.scaling == "none" and task.ticket.number_up == 1
    return Arrangement(_paper_px(wish.paper, task.dpi), wish.orientation, is_unscaled, task.dpi)


def _paper_px(paper: PrintSize, dpi: int) -> tuple[int, int]:
    return round(paper.width_um * dpi / 25_400), round(paper.height_um * dpi / 25_400)


def _pages(task: TakeApart, document: int, path: Path, document_format: str) -> Iterator[tuple[int, Image.Image, int]]:
    """(page, picture, its dots per inch) of the pages that are wanted."""
    if document_format in _PHOTOS:
        if task.ticket.wants(1):
            yield 1, pages.photo_page(path, task.max_pixels), task.dpi
    elif document_format == "application/pdf":
        wanted = [page for page in range(1, MAX_PAGES + 1) if task.ticket.wants(page)] if task.ticket.ranges else None
        paper_px = _paper_px(task.ticket.wish(document, 1).paper, task.dpi)
        for page, image in pages.pdf_pages(path, wanted, paper_px, task.dpi):
            yield page, image, task.dpi
    else:
        with path.open("rb") as file, reading("the raster document"):
            try:
                for page, one in enumerate(raster_reader.pages(file), 1):
                    if task.ticket.wants(page):
                        finer = max(1, one.dpi // task.dpi)  # than the paper can show
                        image = pages.raw_page(one.width_px, one.height_px, one.kind, one.pixels, finer)
                        yield page, image, one.dpi // finer
            except raster_reader.RasterDamaged as error:
                raise PictureUnreadable(f"the raster document is damaged: {error}") from error


def _kept(task: TakeApart, image: Image.Image, document: int, page: int) -> Page:
    return Page(sha256=pages.keep(image, task.images), document=document, page=page)


def _imposed(task: TakeApart, waiting: list[tuple[int, int, Image.Image]]) -> Page:
    document, page, _ = waiting[0]
    up = task.ticket.number_up
    columns = ceil(sqrt(up)) if up not in (2, 6) else {2: 1, 6: 2}[up]
    paper_px = _paper_px(task.ticket.wish(document, page).paper, task.dpi)
    made = pages.imposed([image for _, _, image in waiting], columns, ceil(up / columns), paper_px)
    waiting.clear()
    return _kept(task, made, document, page)
