"""Files of the output folder, for whoever fetches them. It may be a share: nothing here waits for one that hangs."""

from __future__ import annotations

import io
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from flask import Response, abort, request, send_file
from werkzeug.wrappers import Response as AnyResponse
from zipstream import ZIP_STORED, ZipStream

from store.reach import OutOfReach, Reach, Steps
from web import services
from web.errors import Problem

PRIVATE = {"Cache-Control": "private, no-store", "X-Robots-Tag": "noindex"}
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class OutputFile:
    """A file that is there."""

    number: int  # its place among those that were asked for
    path: Path
    size: int
    mtime: float

    @property
    def name(self) -> str:
        """As it is called in its folder."""
        return self.path.name


def find(names: Sequence[str]) -> list[OutputFile]:
    """Those that are still there: people may have moved some.

    Raises:
        OutOfReach: the output folder does not answer.
        Problem: it fails.
    """
    root = services().store.folder.output
    try:
        return services().store.reach.finish(root, _find(root, names))
    except OutOfReach:
        raise
    except OSError as error:
        raise Problem(503, "folder-fails", f"the output folder cannot be read: {error.strerror}") from error


def _find(root: Path, names: Sequence[str]) -> Steps[list[OutputFile]]:
    found: list[OutputFile] = []
    real_root = root.resolve()
    for number, name in enumerate(names):
        yield
        try:
            path = (real_root / name).resolve()
            seen = path.stat()
        except (FileNotFoundError, NotADirectoryError, RuntimeError):  # the last: a loop of links
            continue
        if path.is_relative_to(real_root) and stat.S_ISREG(seen.st_mode):
            found.append(OutputFile(number, path, seen.st_size, seen.st_mtime))
    return found


def send(file: OutputFile) -> AnyResponse:
    """One file, or the range of it that was asked for.

    Raises:
        OutOfReach: the output folder does not answer.
    """
    store = services().store
    opened = store.reach.open(store.folder.output, file.path)
    etag = f"{int(file.mtime * 1e6):x}-{opened.size:x}"
    response = send_file(
        io.BufferedReader(opened, _CHUNK_BYTES),
        download_name=file.name,
        conditional=False,
        etag=etag,
        last_modified=file.mtime,
    )
    response.content_length = opened.size
    response.make_conditional(request.environ, accept_ranges=True, complete_length=opened.size)
    response.headers.update(PRIVATE)
    return response


def zip_of(files: Iterable[OutputFile], name: str) -> AnyResponse:
    """Files as one zip that is made while it is sent, its length known beforehand; 404 when there are none."""
    archive = ZipStream(compress_type=ZIP_STORED, sized=True)
    for file in files:
        archive.add(_content(file), _unique(file.name, archive), size=file.size)
    if not archive:
        abort(404, "the files are no longer on the box: have them rendered again")
    headers = {
        **PRIVATE,
        "Content-Length": str(len(archive)),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
    }
    return Response(_chunks(archive), mimetype="application/zip", headers=headers)


def _content(file: OutputFile) -> Iterator[bytes]:
    store = services().store  # asked for now: there is no request any more when the zip is on its way
    return _read(store.reach, store.folder.output, file.path)


def _read(reach: Reach, root: Path, path: Path) -> Iterator[bytes]:
    with reach.open(root, path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


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
