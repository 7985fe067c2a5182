"""Choices for all files of an import that none of its files would read: refused, never dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llmrec_core.data.importing.described_table import Options, Table
from llmrec_core.errors import UsageError
from llmrec_core.language import marked, t

DELIMITED = ("delimited", "atomic", "id-lists")
"""Formats whose columns stand between separators."""
REASONS = {
    "format": marked("the first bytes of each file say another format"),
    "separator": marked("only delimited text has separators"),
    "header": marked("only delimited text has a first line that may name the columns"),
    "encoding": marked("Parquet has an encoding of its own"),
    "time_unit": marked("no column of times is read with it"),
    "time_format": marked("no column of times is read with it"),
}


def refuse_unread(options: Options, tables: Sequence[Table]) -> None:
    """Refuse the first choice for all files that no file reads.

    Args:
        options: the choices; those for one file are not looked at.
        tables: every table of the import, as described.

    Raises:
        UsageError: naming the choice and why nothing reads it.
    """
    for name, is_read in _readers(options).items():
        if not any(is_read(table) for table in tables):
            raise UsageError(
                t(
                    "--{option} would change nothing here: {why}",
                    option=name.replace("_", "-"),
                    why=t(REASONS[name]),
                )
            )


def _readers(options: Options) -> dict[str, Callable[[Table], bool]]:
    """Each choice that was made, and whether a table reads it."""
    readers: dict[str, Callable[[Table], bool]] = {}
    if options.format:
        readers["format"] = lambda table: table.format == options.format
    if options.separator:
        readers["separator"] = lambda table: table.format in DELIMITED
    if options.header is not None:
        readers["header"] = lambda table: table.format == "delimited"
    if options.encoding:
        readers["encoding"] = lambda table: table.format != "parquet"
    if options.time_unit:
        readers["time_unit"] = lambda table: _has_times(table) and not options.time_format
    if options.time_format:
        readers["time_format"] = _has_times
    return readers


def _has_times(table: Table) -> bool:
    return "time" in table.roles and table.kind in ("interactions", "sequences")
