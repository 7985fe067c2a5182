"""The content of a source: uncompressed, counted, and refused when it is no table.

Formats are told by content, not by name. Pickles (also joblib and .pt files) are refused whatever
they are called, and nothing of a stranger's file is ever executed.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from llmrec_core.data.importing.expansion import check_expansion
from llmrec_core.data.importing.sources import Source
from llmrec_core.data.text import printable
from llmrec_core.errors import DataError
from llmrec_core.language import marked, t

_MAGIC = {
    b"\x89HDF": marked("an HDF5 file"),
    b"\x93NUMPY": marked("a NumPy array"),
    b"SQLite format 3": marked("an SQLite database"),
    b"\xd0\xcf\x11\xe0": marked("an old Excel workbook"),
    b"%PDF": marked("a PDF"),
    b"\x7fELF": marked("a program"),
    b"\x89PNG": marked("a picture"),
    b"BZh": marked("a bzip2 file"),
    b"\xfd7zXZ": marked("an xz file"),
    b"\x28\xb5\x2f\xfd": marked("a zstd file"),
    b"7z\xbc\xaf": marked("a 7z archive"),
    b"Rar!": marked("a RAR archive"),
}
_TEXT_PICKLES = (
    b"(lp",
    b"(dp",
    b"(tp",
    b"ccopy_reg\n",
    b"cos\n",
    b"cposix\n",
    b"c__builtin__\n",
    b"cbuiltins\n",
    b"csubprocess\n",
)
_GZIP = b"\x1f\x8b"


@contextmanager
def open_source(source: Source) -> Iterator[IO[bytes]]:
    """The content as a bounded stream that starts with no refused magic.

    Raises:
        DataError: for pickles and other known non-tables, and while reading for damage or a bomb.
    """
    with _unpacked(source) as (stream, packed):
        bounded = io.BufferedReader(
            cast(io.RawIOBase, _Bounded(stream, source.label, packed)), buffer_size=1 << 20
        )
        _refuse_magic(source.label, bounded.peek(64)[:64])
        yield cast(IO[bytes], bounded)


@contextmanager
def _unpacked(source: Source) -> Iterator[tuple[IO[bytes], int]]:
    """The stream below gzip and zip, and the packed size that bounds it (0 = not packed)."""
    if not source.member:
        with source.path.open("rb") as file:
            if file.peek(2)[:2] == _GZIP:
                yield cast(IO[bytes], gzip.GzipFile(fileobj=file)), source.path.stat().st_size
            else:
                yield file, 0
        return
    try:
        archive = zipfile.ZipFile(source.path)
        entry = archive.open(source.member)
    except Exception as error:
        # Crafted entries make zipfile raise many sorts of errors; none of them is ours.
        raise DataError(
            t(
                "{label} is damaged ({error}); make the archive again",
                label=source.label,
                error=printable(str(error) or type(error).__name__),
            )
        ) from error
    with archive, entry:
        packed = max(archive.getinfo(source.member).compress_size, 1)
        buffered = io.BufferedReader(
            cast(io.RawIOBase, _Bounded(entry, source.label, packed)), buffer_size=1 << 16
        )
        is_gzip = buffered.peek(2)[:2] == _GZIP
        yield cast(IO[bytes], gzip.GzipFile(fileobj=buffered) if is_gzip else buffered), packed


def _refuse_magic(label: str, start: bytes) -> None:
    is_pickle = start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
    if is_pickle or start.startswith(_TEXT_PICKLES):
        raise DataError(
            t(
                "{label} is a pickle, which runs code when it is read; export the table as CSV "
                "or Parquet",
                label=label,
            )
        )
    for magic, what in _MAGIC.items():
        if start.startswith(magic):
            raise DataError(
                t(
                    "{label} is {what}; expected CSV, TSV, JSON, JSON lines or Parquet, also as gz "
                    "or zip",
                    label=label,
                    what=t(what),
                )
            )
    if start.startswith(b"PK"):
        raise DataError(t("{label} is an archive in an archive; unpack it first", label=label))
    if start.startswith(_GZIP):
        raise DataError(
            t("{label} is compressed twice; unpack it once and import that", label=label)
        )


class _Bounded(io.RawIOBase):
    """Reads through, counts, and turns damage into sentences."""

    def __init__(self, stream: IO[bytes], label: str, packed: int) -> None:
        self.stream, self.label, self.packed, self.count = stream, label, packed, 0

    def readable(self) -> bool:
        """Say that this can be read from, as `io.BufferedReader` wants to know."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override] # typeshed: any buffer
        """Fill the buffer with the next bytes; 0 at the end."""
        try:
            piece = self.stream.read(len(buffer))
        except DataError:
            raise
        except (EOFError, OSError, zlib.error, zipfile.BadZipFile, ValueError) as error:
            raise DataError(
                t(
                    "{label} is damaged after {count:,} bytes of content ({error}); download or "
                    "pack it again",
                    label=self.label,
                    count=self.count,
                    error=printable(str(error) or type(error).__name__),
                )
            ) from error
        self.count += len(piece)
        if self.packed:
            check_expansion(self.label, self.count, self.packed)
        buffer[: len(piece)] = piece
        return len(piece)
