"""Printers on the box's own USB ports: not announced to anybody, but listed in a file by who looks after the ports."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import structlog

from ipp.browse import Found
from ipp.client import Connection
from ipp.errors import PrinterError

log = structlog.get_logger("discovery")

LOOK_EVERY_S = 5.0


class LocalPrinters:
    """Watches the file and reports each printer in it, as the browser does with those on the network."""

    def __init__(self, file: Path, report: Callable[[Found], None]) -> None:
        """
        Args:
            file: a JSON list of {"uri", "name", "problem"}; need not exist.
            report: see Browser.
        """
        self._file, self._report = file, report

    async def run(self) -> None:
        """Look for ever; ends by cancellation. A printer that does not answer yet is asked again."""
        known = -1
        while True:
            try:
                changed = self._file.stat().st_mtime_ns
                if changed != known and await self._look():
                    known = changed
            except FileNotFoundError:
                known = -1
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self) -> bool:
        """Whether every printer has been reported."""
        is_whole = True
        for one in json.loads(self._file.read_text()):
            if one["problem"]:
                log.warning("printer.no_driver", name=one["name"], problem=one["problem"])
                continue
            try:
                async with Connection(one["uri"], None) as client:
                    described = await client.describe()
            except PrinterError as error:
                log.info("printer.not_yet", uri=one["uri"], error=str(error))
                is_whole = False
                continue
            own_name = described.attributes.text("printer-make-and-model") or "USB printer"
            self._report(Found(name=one["name"] or own_name, uuid=described.uuid, uri=one["uri"]))
        return is_whole
