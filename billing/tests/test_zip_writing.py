"""A ZIP that is written while it is sent: others read it, and its memory does not grow with what is in it."""

import io
import tracemalloc
import zipfile
from datetime import date

from billing import zip_writing
from billing.zip_writing import ZipWriter

DAY = date(2026, 11, 26)


def test_python_reads_what_was_written_compressed_and_not() -> None:
    with ZipWriter() as archive:
        written = archive.file("a/é.pdf", b"one", on=DAY) + archive.file("b.xml", b"two" * 99, on=DAY, compressed=True)
        written += b"".join(archive.end())
    with zipfile.ZipFile(io.BytesIO(written)) as read:
        assert read.testzip() is None
        assert {entry.filename: (entry.date_time, read.read(entry)) for entry in read.infolist()} == {
            "a/é.pdf": ((2026, 11, 26, 0, 0, 0), b"one"),
            "b.xml": ((2026, 11, 26, 0, 0, 0), b"two" * 99),
        }


def test_what_the_old_form_cannot_count_is_written_in_the_long_one(monkeypatch) -> None:
    monkeypatch.setattr(zip_writing, "_FEW", 2)
    with ZipWriter() as archive:
        pieces = [archive.file(f"{number}.txt", b"%d" % number, on=DAY) for number in range(3)]
        archive._offset += 5 * 2**30  # as if so much had gone out before the last one
        archive.file("far.txt", b"far", on=DAY)
        end = b"".join(archive.end())
    assert end.count(b"PK\6\6") == 1
    far = (5 * 2**30 + sum(map(len, pieces[:3]))).to_bytes(8, "little")
    assert b"far.txt\1\0\x08\0" + far in end


def test_memory_does_not_grow_with_the_number_of_entries() -> None:
    def peak(entries: int) -> int:
        tracemalloc.start()
        try:
            with ZipWriter() as archive:
                for number in range(entries):
                    archive.file(f"invoice/{number:06}.pdf", b"x", on=DAY)
                for _ in archive.end():
                    pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(2_000), peak(8_000)
    assert many < few * 1.05
