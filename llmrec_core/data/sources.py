"""Files of strangers, opened with a limit on everything: what is inside a path, a gzip or a zip, and nothing executed.

Formats are told by content, not by name. Pickles (also joblib, .pt) are refused whatever they are called; archives
are never unpacked to disk, so no entry can leave its folder.
"""

from __future__ import annotations

import gzip
import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from llmrec_core.errors import DataError, UsageError

MAX_ENTRIES = 1_000
MAX_EXPANDED_BYTES = 20 << 30
FREE_BYTES = 100 << 20  # below this no ratio is suspicious
MAX_RATIO = 100  # text of interactions compresses 3 to 20 ×
MAX_PARQUET_IN_ARCHIVE = 1 << 30
DOCUMENTATION = (".md", ".rst", ".pdf", ".html", ".htm", ".sha256", ".yaml", ".yml")
_MAGIC = {
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"SQLite format 3": "an SQLite database",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF",
    b"\x7fELF": "a program",
    b"\x89PNG": "a picture",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
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


@dataclass(frozen=True)
class Source:
    """One table-to-be: a file, or one entry of a zip."""

    path: Path
    member: str = ""

    @property
    def label(self) -> str:
        """How messages and evidence call it."""
        return f"{self.path.name}: {self.member}" if self.member else self.path.name

    @property
    def stem(self) -> str:
        """Name without compression, lower case: a hint of what the table is."""
        name = PurePosixPath(self.member or self.path.name).name.lower()
        return name.removesuffix(".gz")


def find_sources(path: Path) -> list[Source]:
    """The files of a folder (one level), the entries of a zip, or the one file.

    Raises:
        UsageError: when there is nothing at that path.
        DataError: for an archive that is damaged, too large, or points outside itself.
    """
    if not path.exists():
        raise UsageError(f"nothing at {path}; give the path of a file, a folder or a zip")
    if path.is_dir():
        found = [source for file in sorted(path.iterdir()) if _is_plain(file) for source in find_sources(file)]
        if not found:
            raise DataError(f"{path.name}: the folder has no files; expected tables such as ratings.csv")
        return found
    if not path.is_file():
        raise DataError(f"{path.name} is neither a file nor a folder; expected a table, a folder of tables or a zip")
    if not path.stat().st_size:
        raise DataError(f"{path.name} is empty (0 bytes); expected a table with at least one row")
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(b"PK"):
        return _entries(path)
    return [Source(path)]


def is_documentation(source: Source) -> bool:
    """Whether the name says that it is text for people or a checksum, not a table."""
    name = source.stem
    return name.endswith(DOCUMENTATION) or (name.endswith(".txt") and ("readme" in name or "license" in name))


def _is_plain(file: Path) -> bool:
    return file.is_file() and not file.is_symlink() and not file.name.startswith(".") and file.stat().st_size > 0


def _entries(path: Path) -> list[Source]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise DataError(f"{path.name} begins like a zip but cannot be read ({error}); make it again") from error
    names = [entry.filename for entry in entries]
    if any(name == "[Content_Types].xml" for name in names):
        raise DataError(f"{path.name} is an Office document; save the sheet as CSV and import that")
    if any(name.endswith((".pkl", ".pickle", "/data.pkl")) for name in names):
        raise DataError(
            f"{path.name} holds a pickle, which runs code when it is read; export the table as CSV or Parquet"
        )
    if len(entries) > MAX_ENTRIES:
        raise DataError(f"{path.name} has {len(entries)} entries; at most {MAX_ENTRIES} are read")
    for entry in entries:
        name = entry.filename
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if name.startswith(("/", "\\")) or ".." in parts or ":" in name or "\0" in name:
            raise DataError(f"{path.name}: entry {name[:80]!r} points outside the archive; nothing was read")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise DataError(f"{path.name}: entry {name[:80]!r} is a link; nothing was read")
        if entry.flag_bits & 1:
            raise DataError(f"{path.name}: entry {name[:80]!r} is encrypted; unpack it and import the folder")
        if name.lower().endswith((".zip", ".tar", ".tgz", ".7z", ".rar")):
            raise DataError(f"{path.name}: entry {name[:80]!r} is an archive in an archive; unpack it first")
    expanded, packed = sum(e.file_size for e in entries), max(sum(e.compress_size for e in entries), 1)
    _check_expansion(path.name, expanded, packed)
    kept = [e for e in entries if e.file_size and not PurePosixPath(e.filename).name.startswith((".", "__MACOSX"))]
    if not kept:
        raise DataError(f"{path.name}: the zip has no files with content; expected tables such as ratings.csv")
    return [Source(path, entry.filename) for entry in kept if not entry.filename.startswith("__MACOSX")]


def _check_expansion(label: str, expanded: int, packed: int) -> None:
    if expanded > MAX_EXPANDED_BYTES or (expanded > FREE_BYTES and expanded / packed > MAX_RATIO):
        raise DataError(
            f"{label} expands {packed:,} bytes to {expanded:,} or more ({expanded / packed:.0f} ×); more than "
            f"{MAX_RATIO} × beyond "
            f"{FREE_BYTES >> 20} MiB, or {MAX_EXPANDED_BYTES >> 30} GiB in all, is refused. Unpack it yourself if "
            "you trust it"
        )


@contextmanager
def open_source(source: Source) -> Iterator[IO[bytes]]:
    """The content, uncompressed, as a bounded stream that starts with no refused magic.

    Raises:
        DataError: for pickles and other known non-tables, and while reading for damage or a bomb.
    """
    with _layers(source) as (stream, packed):
        bounded = io.BufferedReader(cast(io.RawIOBase, _Bounded(stream, source.label, packed)), buffer_size=1 << 20)
        _refuse_magic(source, bounded.peek(64)[:64])
        yield cast(IO[bytes], bounded)


@contextmanager
def _layers(source: Source) -> Iterator[tuple[Any, int]]:
    """The stream below gzip and zip, and the packed size that bounds its expansion (0 = not packed)."""
    try:
        if source.member:
            with zipfile.ZipFile(source.path) as archive, archive.open(source.member) as entry:
                packed = max(archive.getinfo(source.member).compress_size, 1)
                zipped = io.BufferedReader(cast(io.RawIOBase, entry))
                yield (gzip.GzipFile(fileobj=zipped) if zipped.peek(2)[:2] == b"\x1f\x8b" else zipped), packed
        else:
            with source.path.open("rb") as file:
                if file.peek(2)[:2] == b"\x1f\x8b":
                    yield gzip.GzipFile(fileobj=file), source.path.stat().st_size
                else:
                    yield file, 0
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise DataError(f"{source.label} is damaged ({error}); make the archive again") from error


def _refuse_magic(source: Source, start: bytes) -> None:
    if (start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05") or start.startswith(_TEXT_PICKLES):
        raise DataError(
            f"{source.label} is a pickle, which runs code when it is read; export the table as CSV or Parquet"
        )
    for magic, what in _MAGIC.items():
        if start.startswith(magic):
            raise DataError(
                f"{source.label} is {what}; expected CSV, TSV, JSON, JSON lines or Parquet, also as gz or zip"
            )
    if start.startswith(b"PK"):
        raise DataError(f"{source.label} is an archive in an archive; unpack it first")
    if start.startswith(b"\x1f\x8b"):
        raise DataError(f"{source.label} is compressed twice; unpack it once and import that")


class _Bounded(io.RawIOBase):
    """Reads through, counts, and turns damage into sentences."""

    def __init__(self, stream: IO[bytes], label: str, packed: int) -> None:
        self.stream, self.label, self.packed, self.count = stream, label, packed, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        try:
            piece = self.stream.read(len(buffer))
        except (EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
            raise DataError(
                f"{self.label} is damaged after {self.count:,} bytes of content ({error}); download or pack it again"
            ) from error
        self.count += len(piece)
        if self.packed:
            _check_expansion(self.label, self.count, self.packed)
        buffer[: len(piece)] = piece
        return len(piece)
