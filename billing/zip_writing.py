"""A ZIP that is written while it is sent. `zipfile` remembers every entry until the end; here the directory waits on
disk, so that the memory does not grow with the number of entries."""

import struct
import zlib
from collections.abc import Iterator
from datetime import date
from tempfile import SpooledTemporaryFile
from typing import Self

PIECE_BYTES = 65_536
STORED, DEFLATED = 0, 8

_LOCAL = struct.Struct("<4s5H3I2H")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_END_64_AT = struct.Struct("<4sIQI")
_PLACE_64 = struct.Struct("<2HQ")
_VERSION, _VERSION_64 = 20, 45
_NAMES_ARE_UTF8 = 0x800
_MAKER_UNIX = 3 << 8
_READABLE = 0o100644 << 16  # a plain file, to whom it is unpacked
_FEW, _NEAR = 0xFFFF, 0xFFFF_FFFF  # the most that the old form can say


class ZipWriter:
    """Every method gives the bytes that come next; whoever calls it sends them."""

    def __init__(self) -> None:
        self._directory = SpooledTemporaryFile(PIECE_BYTES)  # noqa: SIM115 - closed by __exit__
        self._count = self._offset = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._directory.close()

    def file(self, name: str, body: bytes, *, on: date, compressed: bool = False) -> bytes:
        squeezed = _deflated(body) if compressed else body
        method = DEFLATED if compressed else STORED
        head = self.head(name, on=on, method=method, checksum=zlib.crc32(body), squeezed=len(squeezed), size=len(body))
        return head + squeezed

    def head(self, name: str, *, on: date, method: int, checksum: int, squeezed: int, size: int) -> bytes:
        """What stands before a file; `squeezed` bytes of it have to follow."""
        known = name.encode()
        day = on.year - 1980 << 9 | on.month << 5 | on.day
        alike = (_NAMES_ARE_UTF8, method, 0, day, checksum, squeezed, size, len(known))
        head = _LOCAL.pack(b"PK\3\4", _VERSION, *alike, 0) + known
        far = _PLACE_64.pack(1, 8, self._offset) if self._offset >= _NEAR else b""
        version = _VERSION_64 if far else _VERSION
        place = min(self._offset, _NEAR)
        self._directory.write(
            _ENTRY.pack(b"PK\1\2", _MAKER_UNIX | version, version, *alike, len(far), 0, 0, 0, _READABLE, place)
        )
        self._directory.write(known + far)
        self._count += 1
        self._offset += len(head) + squeezed
        return head

    def end(self) -> Iterator[bytes]:
        """The directory, and where it is to be found."""
        size = self._directory.tell()
        self._directory.seek(0)
        while piece := self._directory.read(PIECE_BYTES):
            yield piece
        count, begin = self._count, self._offset
        if count >= _FEW or begin >= _NEAR or size >= _NEAR:
            yield _END_64.pack(b"PK\6\6", _END_64.size - 12, _VERSION_64, _VERSION_64, 0, 0, count, count, size, begin)
            yield _END_64_AT.pack(b"PK\6\7", 0, begin + size, 1)
        count = min(count, _FEW)
        yield _END.pack(b"PK\5\6", 0, 0, count, count, min(size, _NEAR), min(begin, _NEAR), 0)


def _deflated(body: bytes) -> bytes:
    how = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return how.compress(body) + how.flush()
