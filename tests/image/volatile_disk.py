"""A disk that forgets: what is written stays in its cache until the guest says FLUSH; a power cut leaves of the cache
what a seeded coin decides, sector by sector, so that writes are lost, torn and out of order as on a real drive.

Served over NBD (the fixed newstyle handshake and simple replies of the NBD project's doc/proto.md) on a Unix socket.
"""

from __future__ import annotations

import os
import random
import socket
import struct
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

SECTOR = 512
_READ, _WRITE, _END, _FLUSH, _TRIM = range(5)
_FUA = 1
_FLAGS = 1 | 4 | 8 | 32  # has flags, FLUSH, FUA, TRIM
_OPTION_EXPORT, _OPTION_ABORT, _OPTION_INFO, _OPTION_GO = 1, 2, 6, 7
_REPLY_MAGIC, _SIMPLE_REPLY = 0x3E889045565A9, 0x67446698


class VolatileDisk:
    """A file behind a volatile cache, until the power is cut."""

    def __init__(self, file: Path, address: Path) -> None:
        """
        Args:
            file: the disk; its length is a whole number of sectors.
            address: of the Unix socket.
        """
        self._file = os.open(file, os.O_RDWR)
        self._size = os.fstat(self._file).st_size
        self._cache: dict[int, bytes] = {}  # by sector
        self._lock = threading.Lock()
        self._is_off = False
        self._waits_for_flush: random.Random | None = None
        self.was_cut = threading.Event()
        self.counts: Counter[str] = Counter()
        address.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(address))
        self._listener.listen(1)
        threading.Thread(target=self._serve, daemon=True).start()

    def cut_at_the_next_flush(self, seed: int) -> None:
        """The worst moment: the guest has asked for its data to be safe, and has not been told yet that it is."""
        self._waits_for_flush = random.Random(seed)

    def cut(self, seed: int) -> None:
        """Power off, now."""
        with self._lock:
            self._lose(random.Random(seed))

    def _lose(self, coin: random.Random) -> None:
        if self._is_off:
            return
        self._is_off = True
        for sector, content in sorted(self._cache.items()):
            if coin.random() < 0.5:
                os.pwrite(self._file, content, sector * SECTOR)
                self.counts["kept"] += 1
            else:
                self.counts["lost"] += 1
        self._cache.clear()
        os.close(self._file)
        self._listener.close()
        self.was_cut.set()

    def _serve(self) -> None:
        with suppress(OSError, struct.error):
            while not self._is_off:
                link, _ = self._listener.accept()
                with link, suppress(ConnectionError):
                    if self._agree(link):
                        self._answer(link)

    def _agree(self, link: socket.socket) -> bool:
        link.sendall(b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3))
        _receive(link, 4)
        while True:
            _, option, length = struct.unpack(">QII", _receive(link, 16))
            _receive(link, length)
            if option == _OPTION_EXPORT:
                link.sendall(struct.pack(">QH", self._size, _FLAGS))
                return True
            if option in (_OPTION_INFO, _OPTION_GO):
                told = struct.pack(">HQH", 0, self._size, _FLAGS)
                link.sendall(struct.pack(">QIII", _REPLY_MAGIC, option, 3, len(told)) + told)
                link.sendall(struct.pack(">QIII", _REPLY_MAGIC, option, 1, 0))
                if option == _OPTION_GO:
                    return True
            else:
                is_end = option == _OPTION_ABORT
                link.sendall(struct.pack(">QIII", _REPLY_MAGIC, option, 1 if is_end else 0x80000001, 0))
                if is_end:
                    return False

    def _answer(self, link: socket.socket) -> None:
        while True:
            _, flags, command, handle, offset, length = struct.unpack(">IHHQQI", _receive(link, 28))
            data = _receive(link, length) if command == _WRITE else b""
            content = b""
            with self._lock:
                if self._is_off or command == _END:
                    return
                if command == _READ:
                    content = self._read(offset, length)
                elif command == _WRITE:
                    self._write(offset, data, bool(flags & _FUA))
                elif command == _FLUSH:
                    if self._waits_for_flush is not None and self._cache:
                        self._lose(self._waits_for_flush)
                        return
                    self._flush()
            link.sendall(struct.pack(">IIQ", _SIMPLE_REPLY, 0, handle) + content)

    def _read(self, offset: int, length: int) -> bytes:
        content = bytearray(os.pread(self._file, length, offset))
        for sector in range(offset // SECTOR, (offset + length) // SECTOR):
            cached = self._cache.get(sector)
            if cached is not None:
                content[sector * SECTOR - offset : (sector + 1) * SECTOR - offset] = cached
        return bytes(content)

    def _write(self, offset: int, data: bytes, is_forced: bool) -> None:
        self.counts["writes"] += 1
        self.counts["bytes"] += len(data)
        for at in range(0, len(data), SECTOR):
            self._cache[(offset + at) // SECTOR] = data[at : at + SECTOR]
        if is_forced:  # this write alone is to be safe
            for sector in range(offset // SECTOR, (offset + len(data)) // SECTOR):
                os.pwrite(self._file, self._cache.pop(sector), sector * SECTOR)

    def _flush(self) -> None:
        self.counts["flushes"] += 1
        for sector, content in self._cache.items():
            os.pwrite(self._file, content, sector * SECTOR)
        self._cache.clear()


def _receive(link: socket.socket, length: int) -> bytes:
    content = b""
    while len(content) < length:
        piece = link.recv(length - len(content))
        if not piece:
            raise ConnectionError
        content += piece
    return content
