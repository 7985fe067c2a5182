"""The entries of a zip, refused as a whole when any of them is not what a table may be.

Archives are never unpacked to disk, so no entry can leave its folder.
"""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path, PurePosixPath

from llmrec_core.data.importing.expansion import check_expansion
from llmrec_core.data.importing.sources import Source
from llmrec_core.data.text import printable
from llmrec_core.errors import DataError
from llmrec_core.language import t

MAX_ENTRIES = 1_000
_PICKLES = (".pkl", ".pickle", "/data.pkl")
_ARCHIVES = (".zip", ".tar", ".tgz", ".7z", ".rar")


def find_entries(path: Path) -> list[Source]:
    """The files in a zip.

    Raises:
        DataError: when it is damaged, holds too much, or holds what is no table.
    """
    name = printable(path.name)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
    except Exception as error:
        # zipfile raises many sorts of errors on crafted directories; none of them is ours.
        raise DataError(
            t(
                "{name} begins like a zip but cannot be read ({error}); make it again",
                name=name,
                error=printable(str(error) or type(error).__name__),
            )
        ) from error
    _check_whole(name, entries)
    for entry in entries:
        _check_entry(name, entry)
    packed = max(sum(entry.compress_size for entry in entries), 1)
    check_expansion(name, sum(entry.file_size for entry in entries), packed)
    kept = [entry.filename for entry in entries if entry.file_size and _is_plain(entry.filename)]
    if not kept:
        raise DataError(
            t(
                "{name}: the zip has no files with content; expected tables such as ratings.csv",
                name=name,
            )
        )
    return [Source(path, member) for member in kept]


def _check_whole(name: str, entries: list[zipfile.ZipInfo]) -> None:
    names = [entry.filename for entry in entries]
    if "[Content_Types].xml" in names:
        raise DataError(
            t("{name} is an Office document; save the sheet as CSV and import that", name=name)
        )
    if any(entry.endswith(_PICKLES) for entry in names):
        raise DataError(
            t(
                "{name} holds a pickle, which runs code when it is read; export the table as "
                "CSV or Parquet",
                name=name,
            )
        )
    if len(entries) > MAX_ENTRIES:
        raise DataError(
            t(
                "{name} has {count:,} entries; at most {MAX_ENTRIES:,} are read",
                name=name,
                count=len(entries),
                MAX_ENTRIES=MAX_ENTRIES,
            )
        )


def _check_entry(name: str, entry: zipfile.ZipInfo) -> None:
    member = entry.filename
    parts = PurePosixPath(member.replace("\\", "/")).parts
    fault = ""
    if member.startswith(("/", "\\")) or ".." in parts or ":" in member or "\0" in member:
        fault = t("points outside the archive; nothing was read")
    elif stat.S_ISLNK(entry.external_attr >> 16):
        fault = t("is a link; nothing was read")
    elif entry.flag_bits & 1:
        fault = t("is encrypted; unpack it and import the folder")
    elif member.lower().endswith(_ARCHIVES):
        fault = t("is an archive in an archive; unpack it first")
    if fault:
        raise DataError(
            t(
                "{name}: entry {member!r} {fault}",
                name=name,
                member=printable(member),
                fault=fault,
            )
        )


def _is_plain(member: str) -> bool:
    """Whether an entry is a file of the user's, not of the system that packed it."""
    return not PurePosixPath(member).name.startswith(".") and not member.startswith("__MACOSX")
