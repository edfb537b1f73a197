"""Every setting, once: name, default, unit, help.

A setting comes from (first one wins) the command line, the environment (PRINTROOM_HTTP_PORT), the file printroom.toml
in the data folder, the panel where it has it, its default.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, IPvAnyNetwork, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from ipp.box_names import box_names
from render.sources import ImageFolders, PathMapping
from store.housekeeping import Retention
from store.settings import BoxSettings

FILE_NAME = "printroom.toml"
SHARED_IMAGES = "images"
MOST_BOXES = 9  # of one studio, for which names are made ready
# Settings that people may change in the panel too (store/settings), where nothing else says them.
PANEL = (
    "max_memory_mb", "workers", "archive_after_days", "keep_archive_days", "keep_records_days", "image_roots",
    "path_mappings",
)  # fmt: skip


def _split_paths(value: Any) -> Any:
    return tuple(part for part in value.split(os.pathsep) if part) if isinstance(value, str) else value


def _split_commas(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _split_semicolons(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(";") if part.strip()) if isinstance(value, str) else value


def default_data() -> Path:
    """Where a checkout keeps its data when nothing else is said."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "printroom"


def _setting(default: Any, text: str, unit: str = "", **limits: Any) -> Any:
    return Field(default, description=text, json_schema_extra={"unit": unit}, **limits)


class Settings(BaseSettings):
    """What can be set. Lengths of time in seconds, sizes in megabytes or megapixels, as the unit says."""

    model_config = SettingsConfigDict(env_prefix="PRINTROOM_", extra="forbid", frozen=True)
    config_file: ClassVar[Path | None] = None

    data: Path = Field(default_factory=default_data, description="folder for everything that Printroom keeps")
    http_host: str = _setting("0.0.0.0", "address on which panel and sync API listen")  # noqa: S104  (a LAN appliance)
    http_port: int = _setting(8080, "port of panel and sync API", ge=0, le=65535)
    https_port: int = _setting(0, "a second port for the panel, such as 443; each speaks http and https; 0: none", ge=0)
    ipp_port: int = _setting(8631, "port of the IPP front end, for print queues; 0 takes a free one", ge=0, le=65535)
    ipp_networks: Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(_split_commas)] = _setting(
        (), "networks from which may be printed, such as 192.168.1.0/24, separated by commas; empty for private ones"
    )
    ipp_requests_per_s: int = _setting(500, "IPP requests of one computer on average", "1/s", ge=1)
    max_document_mb: int = _setting(1000, "largest document that a print queue takes", "MB", ge=1)
    threads: int = _setting(128, "requests answered at the same time, live pages included", ge=8, le=512)
    connections: int = _setting(
        1000, "connections to the panel's port at the same time; one computer has a quarter of them at most", ge=32
    )
    slow_client_s: float = _setting(
        20, "a browser or program that sends or takes next to nothing for so long is cut off", "s", ge=1, le=600
    )
    image_roots: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split_paths)] = _setting(
        (), "folders below which records may name pictures; separated by ':' in the environment"
    )
    max_image_mb: int = _setting(512, "largest picture that may be uploaded", "MB", ge=1)
    path_mappings: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_semicolons)] = _setting(
        (), r"what the studio's paths mean here, such as \\server\images=/srv/images; separated by ';'"
    )
    image_wait_s: int = _setting(4 * 3600, "a ticket waits so long for pictures that are not there yet", "s", ge=0)
    hot_folders: Path | None = _setting(None, "folder in which the hot folders lie (default: hot in the data folder)")
    require_tls: bool = _setting(False, "desktop clients must use https")
    max_wait_s: int = _setting(60, "a desktop client may wait so long for changes in one request", "s", ge=1, le=3600)
    sync_requests_per_s: int = _setting(200, "requests of one desktop client on average", "1/s", ge=1)
    one_core: bool = _setting(True, "panel, sync and print queues share one processor core; drawing uses all")
    max_memory_mb: int = _setting(
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2_000_000,
        "what all drawing processes may take together",
        "MB",
        ge=500,
    )
    render_limit_s: int = _setting(600, "a picture that takes longer to draw fails", "s", ge=10)
    cluster: str = _setting("", "address of a Dask scheduler whose workers draw, such as tcp://drawing.local:8786")
    workers: int = _setting(os.cpu_count() or 1, "drawing processes", ge=1, le=64)
    max_megapixels: int = _setting(250, "pictures with more pixels are refused before decoding", "MP", ge=1, le=2000)
    discovery: bool = _setting(True, "look for printers on the network")
    interfaces: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_commas)] = _setting(
        (), "IP addresses of the interfaces to look on, separated by commas; empty for all"
    )
    unreachable_limit_s: int = _setting(
        4 * 3600, "a sheet that no printer could take for so long fails, so that the studio hears of it", "s", ge=10
    )
    min_free_mb: int = _setting(300, "with less room on the disk no new work is taken", "MB", ge=10)
    archive_after_days: int = _setting(30, "finished tickets move from the store to the archive", "days", ge=1)
    keep_archive_days: int = _setting(1095, "archived tickets are deleted", "days", ge=31)
    keep_records_days: int = _setting(
        180, "records without tickets in the store are deleted, and their uploaded pictures", "days", ge=1
    )
    share: Path | None = _setting(None, "folder that the box shows to computers: images, hot; in the box image only")
    box: Path | None = _setting(None, "folder with the machine's own service, in the box image only")
    local_name: str = _setting(
        "", "name below .local at which browsers find the panel; empty: none", pattern="^[a-z0-9-]*$"
    )
    log_level: str = _setting("info", "debug, info, warning or error", pattern="^(debug|info|warning|error)$")

    @classmethod
    def load(cls, **given: Any) -> Settings:
        """The settings, with those given on the command line (None: not given) above all others.

        Raises:
            pydantic.ValidationError: names each setting that is wrong.
        """
        known = {name: value for name, value in given.items() if value is not None}
        data = Path(known.get("data") or os.environ.get("PRINTROOM_DATA") or default_data())
        cls.config_file = data / FILE_NAME
        return cls(**known)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, environment, file; see pydantic-settings."""
        del dotenv_settings, file_secret_settings
        file = cls.config_file
        toml = (TomlConfigSettingsSource(settings_cls, file),) if file is not None and file.is_file() else ()
        return init_settings, env_settings, *toml

    @field_validator("path_mappings")
    @classmethod
    def _are_mappings(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            prefix, _, folder = one.rpartition("=")
            if not prefix.strip() or not Path(folder.strip()).is_absolute():
                raise ValueError(rf"'{one}' is not PREFIX=/folder, such as \\server\images=/srv/images")
        return value

    @property
    def fixed(self) -> frozenset[str]:
        """Those that the panel cannot change, because the command line, the environment or the file says them."""
        return frozenset(self.model_fields_set & set(PANEL))

    def with_panel(self, box: BoxSettings) -> Settings:
        """These settings, with what people set in the panel where nothing else says it."""
        said = {name: getattr(box, name) for name in PANEL if name not in self.fixed and getattr(box, name) is not None}
        if "image_roots" in said:
            said["image_roots"] = tuple(Path(one) for one in said["image_roots"])
        return self.model_copy(update=said)

    @property
    def image_folders(self) -> ImageFolders:
        """Where pictures may lie that records name by path."""
        pairs = (one.rpartition("=") for one in self.path_mappings)
        mappings = tuple(PathMapping(prefix.strip(), Path(folder.strip())) for prefix, _, folder in pairs)
        if self.share is None:
            return ImageFolders(self.image_roots, mappings)
        images = self.share / SHARED_IMAGES
        return ImageFolders((*self.image_roots, images), (*mappings, *self._share_mappings(images)))

    def _share_mappings(self, images: Path) -> Iterator[PathMapping]:
        local = (name for one in self.local_names for name in (one, f"{one}.local"))
        for name in dict.fromkeys((*local, socket.gethostname())):
            yield PathMapping(rf"\\{name}\{SHARED_IMAGES}", images)

    @property
    def local_names(self) -> tuple[str, ...]:
        """What the box may be called below .local: which of them is seen when it meets others, after its start."""
        return tuple(islice(box_names(self.local_name), MOST_BOXES)) if self.local_name else ()

    @property
    def shared_folders(self) -> tuple[Path, ...]:
        """What the share shows, and Printroom makes."""
        return (self.share / SHARED_IMAGES, self.share / "hot") if self.share else ()

    @property
    def retention(self) -> Retention:
        """How long things are kept."""
        return Retention(
            tickets=timedelta(days=self.archive_after_days),
            archive=timedelta(days=self.keep_archive_days),
            records=timedelta(days=self.keep_records_days),
        )

    @property
    def unreachable_limit(self) -> timedelta:
        """As a duration."""
        return timedelta(seconds=self.unreachable_limit_s)


def explained() -> Iterator[tuple[str, str, str, str]]:
    """(name, environment variable, default with unit, help) of every setting, for `printroom settings` and the docs."""
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        unit = f" {extra['unit']}" if extra.get("unit") else ""
        default = "~/.local/share/printroom" if name == "data" else _plain(field.default)
        default = {"workers": "number of cores", "max_memory_mb": "half of what there is, in"}.get(name, default)
        yield name, f"PRINTROOM_{name.upper()}", f"{default}{unit}", field.description or ""


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "(empty)" if value == () else str(value)
