"""What a job's attributes ask for, in our terms: papers, turns, ranges, copies. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ipp.attributes import member
from ipp.codec import Content, Group, GroupTag, Range
from ipp.media import upright
from ipp.queue_attributes import MOST_COPIES, NUMBERS_UP, paper_of
from store.profiles import Fit, LowResolution, PrintQuality, RenderProfile
from store.pushed import Colorization
from store.queues import PrintQueue
from store.sizes import PrintSize

_QUALITIES = {3: PrintQuality.DRAFT, 4: PrintQuality.NORMAL, 5: PrintQuality.HIGH}


@dataclass(frozen=True)
class PageWish:
    """How one page is to be printed."""

    paper: PrintSize  # upright
    orientation: int = 0  # RFC 8011 §5.2.10; 0: turned to the paper
    is_grey: bool = False


@dataclass(frozen=True)
class JobTicket:
    """What a job asks for."""

    page: PageWish  # of pages without an override
    copies: int = 1
    is_collated: bool = False
    ranges: tuple[tuple[int, int], ...] = ()  # of each document's pages; empty: all
    number_up: int = 1
    scaling: str = "auto"
    media_type: str = ""
    quality: PrintQuality = PrintQuality.HIGH
    has_header_sheet: bool = False
    overrides: tuple[tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...], PageWish], ...] = ()

    def wants(self, page: int) -> bool:
        """Whether a page (from 1) of a document is to be printed."""
        return not self.ranges or _is_in(self.ranges, page)

    def wish(self, document: int, page: int) -> PageWish:
        """How a page is to be printed; numbers from 1."""
        for documents, pages, wish in self.overrides:
            if (not documents or _is_in(documents, document)) and (not pages or _is_in(pages, page)):
                return wish
        return self.page


def read(ticket: Group, default_paper: PrintSize) -> JobTicket:
    """What a job's attributes ask for; what is odd is as if it had not been said (the server told the client)."""
    page = _page(ticket, PageWish(upright(default_paper)))
    copies = ticket.number("copies") or 1
    number_up = ticket.number("number-up") or 1
    kind = member(ticket.first("media-col"), "media-type")
    return JobTicket(
        page=page,
        copies=min(max(1, copies), MOST_COPIES),
        is_collated=ticket.text("multiple-document-handling") == "separate-documents-collated-copies",
        ranges=_ranges(ticket.all("page-ranges")),
        number_up=number_up if number_up in NUMBERS_UP else 1,
        scaling=ticket.text("print-scaling") or "auto",
        media_type=kind if isinstance(kind, str) and kind != "auto" else "",
        quality=_QUALITIES.get(ticket.number("print-quality") or 5, PrintQuality.HIGH),
        has_header_sheet=ticket.text("job-sheets") == "standard",
        overrides=tuple(
            (_ranges(group.all("document-numbers") or group.all("document-number")), _ranges(group.all("pages")), wish)
            for content in ticket.all("overrides")
            if isinstance(content, tuple)
            for group in [Group(GroupTag.JOB, list(content))]
            for wish in [_page(group, page)]
        ),
    )


def _page(group: Group, base: PageWish) -> PageWish:
    paper = paper_of(group)
    turn = group.number("orientation-requested")
    mode = group.text("print-color-mode")
    wish = replace(base, paper=upright(paper)) if paper else base
    if turn in (3, 4, 5, 6):
        wish = replace(wish, orientation=turn)
    return replace(wish, is_grey=mode == "monochrome") if mode else wish


def _ranges(contents: Sequence[Content]) -> tuple[tuple[int, int], ...]:
    found = [(one.lower, one.upper) for one in contents if isinstance(one, Range)]
    found += [(one, one) for one in contents if isinstance(one, int) and not isinstance(one, bool)]
    return tuple(found)


def _is_in(ranges: Sequence[tuple[int, int]], number: int) -> bool:
    return any(lower <= number <= upper for lower, upper in ranges)


def profile_of(queue: PrintQueue, base: RenderProfile | None, job: JobTicket, is_photo: bool) -> RenderProfile:
    """The render profile of a job: the queue's, or a plain one on its pool, with what the job asks.

    Args:
        queue: to which it was sent.
        base: the queue's render profile, where it has one.
        job: what it asks.
        is_photo: pictures, that fill their paper where nothing else is said; pages are shown whole.
    """
    fits = {"fill": Fit.FILL, "fit": Fit.FIT, "auto-fit": Fit.FIT, "none": Fit.FILL}
    fit = fits.get(job.scaling, Fit.FILL if is_photo else Fit.FIT)
    profile = base or RenderProfile(
        name=f"Print queue {queue.name}"[:200],
        pool_id=queue.pool_id,
        folder="Print queues/{number}",
        file_name="{number}_{image}_{size}",
        low_resolution=LowResolution.WARN,
        min_dpi=0,
    )
    changes = {"print_quality": job.quality, "fit": fit, "auto_rotate": job.page.orientation in (0, 7)}
    if job.media_type:
        changes["media_type"] = job.media_type
    if job.has_header_sheet:
        changes["header_sheet"] = True
    return profile.with_(**changes)


def colorization(wish: PageWish) -> Colorization:
    """Of a page."""
    return Colorization.BLACK_AND_WHITE if wish.is_grey else Colorization.COLOUR
