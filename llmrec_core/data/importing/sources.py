"""Files of strangers found at a path: one file, the files of a folder, the entries of a zip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from llmrec_core.data.text import printable
from llmrec_core.errors import DataError, UsageError
from llmrec_core.language import t

DOCUMENTATION = (".md", ".rst", ".pdf", ".html", ".htm", ".sha256", ".yaml", ".yml")


@dataclass(frozen=True)
class Source:
    """One table-to-be: a file, or one entry of a zip."""

    path: Path
    member: str = ""

    @property
    def label(self) -> str:
        """What messages and evidence call it; safe to print."""
        name = printable(self.path.name)
        return f"{name}: {printable(self.member)}" if self.member else name

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
    from llmrec_core.data.importing.archives import find_entries

    name = printable(path.name)
    if not path.exists():
        raise UsageError(
            t("nothing at {path}; give the path of a file, a folder or a zip", path=path)
        )
    if path.is_dir():
        return _in_folder(path)
    if not path.is_file():
        raise DataError(
            t(
                "{name} is neither a file nor a folder; expected a table, a folder of tables "
                "or a zip",
                name=name,
            )
        )
    if not path.stat().st_size:
        raise DataError(
            t("{name} is empty (0 bytes); expected a table with at least one row", name=name)
        )
    with path.open("rb") as file:
        start = file.read(8)
    return find_entries(path) if start.startswith(b"PK") else [Source(path)]


def is_documentation(source: Source) -> bool:
    """Whether the name says that it is text for people or a checksum, not a table."""
    name = source.stem
    return name.endswith(DOCUMENTATION) or (
        name.endswith(".txt") and ("readme" in name or "license" in name)
    )


def _in_folder(path: Path) -> list[Source]:
    files = [file for file in sorted(path.iterdir()) if _is_plain(file)]
    if not files:
        raise DataError(
            t(
                "{name}: the folder has no files; expected tables such as ratings.csv",
                name=printable(path.name),
            )
        )
    return [source for file in files for source in find_sources(file)]


def _is_plain(file: Path) -> bool:
    return (
        file.is_file()
        and not file.is_symlink()
        and not file.name.startswith(".")
        and file.stat().st_size > 0
    )
