"""A sheet as the document that a printer takes: as it was drawn, or made into another format in a drawing process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from ipp.client import JobRequest
from ipp.codec import Group
from ipp.documents import Conversion, DocumentFormat, choose, raster_types
from ipp.errors import DocumentImpossible, DocumentLater
from ipp.slips import Slip
from store.profiles import PrintQuality, RenderProfile
from store.records import PrintJob, Sheet
from store.tables import Store

Convert = Callable[[Conversion | Slip], Future[None]]


class SheetDocuments:
    """Makes documents, one for each time that a sheet is sent."""

    def __init__(self, store: Store, convert: Convert | None) -> None:
        """
        Args:
            store: the open store.
            convert: makes sheets in other formats than JPEG, in a drawing process; None where all printers take JPEG.
        """
        self._store, self._convert = store, convert

    def request(self, print_job: PrintJob) -> JobRequest:
        """What the printer is asked for."""
        sheet = self._store.sheets.get(print_job.sheet_id)
        profiles = self._store.instructions.get(print_job.ticket_id).profiles
        return job_request(print_job, sheet, next(one for one in profiles if one.id == sheet.profile_id))

    async def document(self, print_job: PrintJob, description: Group) -> tuple[Path, DocumentFormat]:
        """The sheet in a format that the printer takes.

        Raises:
            DocumentImpossible: it cannot be made.
            DocumentLater: it cannot be made now.
        """
        drawn = self._store.folder.sheet(print_job.sheet_id)
        sheet = self._store.sheets.get(print_job.sheet_id)
        if sheet.slip and not drawn.is_file():
            await self._made(Slip(drawn, sheet.size, sheet.slip))
        wanted = choose(description.texts("document-format-supported")) or DocumentFormat.JPEG
        if wanted is DocumentFormat.JPEG or self._convert is None or not drawn.is_file():
            return drawn, DocumentFormat.JPEG
        types = "pwg-raster-document-type-supported" if wanted is DocumentFormat.PWG_RASTER else "urf-supported"
        request = self.request(print_job)
        target = self._store.folder.converted(print_job.sheet_id, wanted.name.lower())
        conversion = Conversion(
            drawn, target, wanted, raster_types(description.texts(types)), request.size, request.dpi,
            request.media_type, request.quality,
        )  # fmt: skip
        await self._made(conversion)
        return target, wanted

    async def _made(self, task: Conversion | Slip) -> None:
        if self._convert is None:
            raise DocumentImpossible("nothing can be drawn here")
        what = task.format.value if isinstance(task, Conversion) else "a separator slip"
        try:
            await asyncio.wrap_future(self._convert(task))
        except (OSError, BrokenProcessPool, MemoryError) as error:  # a full disk, or the system ended the process
            raise DocumentLater(f"the sheet could not be turned into {what} just now ({error})") from error
        except Exception as error:
            raise DocumentImpossible(f"the sheet could not be turned into {what} ({error})") from error


_QUALITIES = {PrintQuality.DRAFT: 3, PrintQuality.NORMAL: 4, PrintQuality.HIGH: 5}


def job_request(print_job: PrintJob, sheet: Sheet, profile: RenderProfile) -> JobRequest:
    """What the printer is asked for: the paper is the sheet's, and bleed falls over its edge."""
    plan = sheet.plan
    trim_px = round(sheet.size.width_um * plan["dpi"] / 25_400)
    return JobRequest(
        name=print_job.job_name,
        copies=print_job.copies,
        size=sheet.size,
        dpi=plan["dpi"],
        has_bleed=plan["width_px"] > trim_px,
        media_type=profile.media_type,
        media_source=profile.media_source,
        output_bin=profile.output_bin,
        quality=_QUALITIES[profile.print_quality],
    )
