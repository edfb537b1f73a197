"""Log lines: time, level, event name, then key=value; one line each, on standard error and in the data folder."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
FILE_BYTES, FILES = 1_000_000, 5
OURS = "printroom.lines"


class _Layout(logging.Formatter):
    """Our own lines are made already; the libraries' get the same shape."""

    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage() if record.name == OURS else super().format(record)


def configure(level: str, file: Path | None = None) -> None:
    """Set up logging for this process, for our events and for the libraries'.

    Args:
        level: of LEVELS, for our events; the libraries' are kept from warnings on.
        file: where the lines are kept too; a few files of a megabyte, the oldest goes.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if file is not None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        how = {"encoding": "utf-8", "errors": "backslashreplace"}  # names of files may hold what is no letter
        handlers.append(RotatingFileHandler(file, maxBytes=FILE_BYTES, backupCount=FILES - 1, delay=True, **how))
    logging.raiseExceptions = False  # a full disk takes no lines: standard error has them
    for handler in handlers:
        handler.setFormatter(_Layout("ts=%(asctime)s level=%(levelname)s logger=%(name)s %(message)s"))
    lines = logging.getLogger(OURS)
    lines.setLevel(logging.DEBUG)
    lines.propagate = False
    logging.getLogger().handlers = lines.handlers = handlers
    logging.getLogger().setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["ts", "level", "event"], drop_missing=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
