"""What people set for the whole box in the panel; there is one of these in the store. Pure."""

from __future__ import annotations

from datetime import datetime, time
from enum import StrEnum
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from store.model import Model, Name, Stored


class Units(StrEnum):
    """In which lengths and sizes are shown and typed."""

    INCHES = "inches"
    CENTIMETRES = "centimetres"


class SetupStep(StrEnum):
    """Where the set-up of a new box stands, in order."""

    STUDIO = "studio"
    FOLDERS = "folders"
    PRINTERS = "printers"
    POOL = "pool"
    PROFILE = "profile"
    RENDER_JOB = "render-job"
    CLIENT = "client"
    DONE = "done"


class SampleStudio(Model):
    """What came with the sample studio, so that it can be taken away again: ids by kind of thing."""

    printers: tuple[int, ...] = ()
    pools: tuple[int, ...] = ()
    profiles: tuple[int, ...] = ()
    render_jobs: tuple[int, ...] = ()
    records: tuple[int, ...] = ()


class BoxSettings(Stored):
    """Everything that is set for the box as a whole while it runs. Fields that are None are as the box was started."""

    is_paused: bool = False  # nothing is started, drawn or given to printers; records and jobs are still taken
    setup: SetupStep = SetupStep.STUDIO
    sample: SampleStudio | None = None
    restored_from: str = ""  # the backup that this store came from, until somebody starts processing again
    # the box image
    update_url: str = Field("", max_length=500)  # where its publisher keeps updates
    update_channel: str = Field("stable", pattern="^[a-z]{1,20}$")
    # the studio
    studio_name: str = Field("", max_length=100)
    units: Units = Units.INCHES
    time_zone: str = Field("", max_length=60)  # as in the IANA's list; empty: the machine's
    locations: tuple[Name, ...] = ()  # whose records this box takes; empty: all
    # when it works
    auto_start: bool = True  # without it the box waits for a person after each start
    opens_at: time | None = None  # hours of operation, in the studio's time; may pass midnight
    closes_at: time | None = None
    # with what
    max_memory_mb: int | None = Field(None, ge=500, le=1_000_000)
    workers: int | None = Field(None, ge=1, le=64)
    archive_after_days: int | None = Field(None, ge=1, le=3650)
    keep_archive_days: int | None = Field(None, ge=31, le=36_500)
    keep_records_days: int | None = Field(None, ge=1, le=3650)
    image_roots: tuple[str, ...] | None = None
    path_mappings: tuple[str, ...] | None = None  # PREFIX=/folder

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            ZoneInfo(value or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"'{value}' is not a time zone: write it as in America/Chicago") from None
        return value

    @field_validator("image_roots")
    @classmethod
    def _are_folders(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for one in value or ():
            if not Path(one).is_absolute():
                raise ValueError(f"'{one}' is not a whole path: begin it with /")
        return value

    @field_validator("path_mappings")
    @classmethod
    def _are_mappings(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for one in value or ():
            prefix, _, folder = one.rpartition("=")
            if not prefix.strip() or not Path(folder.strip()).is_absolute():
                raise ValueError(rf"'{one}' is not PREFIX=/folder, such as \\server\images=/srv/images")
        return value

    @model_validator(mode="after")
    def _has_both_hours(self) -> Self:
        if (self.opens_at is None) != (self.closes_at is None) or (
            self.opens_at is not None and self.opens_at == self.closes_at
        ):
            raise ValueError("hours of operation have a beginning and an end: write both, or neither")
        return self

    @property
    def zone(self) -> ZoneInfo | None:
        """The studio's time zone; None: the machine's."""
        return ZoneInfo(self.time_zone) if self.time_zone else None

    def is_open(self, local: datetime) -> bool:
        """Whether a moment of the studio's time is within the hours of operation.

        >>> night = BoxSettings(opens_at=time(20), closes_at=time(6))
        >>> [night.is_open(datetime(2026, 5, 1, hour)) for hour in (23, 5, 12)]
        [True, True, False]
        """
        if self.opens_at is None or self.closes_at is None:
            return True
        return is_between(local.time(), self.opens_at, self.closes_at)

    def takes(self, location: str) -> bool:
        """Whether records of a location are this box's."""
        return not self.locations or location.casefold() in {one.casefold() for one in self.locations}


def is_between(local: time, start: time, end: time) -> bool:
    """Whether a time of day lies in a stretch that may pass midnight."""
    return start <= local < end if start <= end else local >= start or local < end
