"""A described table → frames of text columns, in bounded memory; every format ends in one form.

This is the one boundary behind which a stranger's bytes are parsed: whatever goes wrong there
becomes a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from llmrec_core.data.importing.delimited import read_delimited
from llmrec_core.data.importing.described_table import Table
from llmrec_core.data.importing.id_lists import read_id_lists
from llmrec_core.data.importing.json_rows import read_records
from llmrec_core.data.importing.limits import allow_growth
from llmrec_core.data.importing.parquet_rows import read_parquet
from llmrec_core.data.importing.row_tally import RowTally
from llmrec_core.data.text import printable
from llmrec_core.errors import DataError, LlmrecError
from llmrec_core.language import t

_NUMBERED_BY_ROW = ("json", "parquet")


def chunks(
    table: Table, tally: RowTally | None = None, limit: int | None = None
) -> Iterator[pd.DataFrame]:
    """Frames of strings, "" where a value is missing.

    Args:
        table: how to read it.
        tally: counts the rows that are left out; None where nobody asks.
        limit: stop after that many rows.

    Yields:
        Frames with the table's columns; the index is the row number from 1 without the header.

    Raises:
        DataError: naming file and line of what cannot be parsed.
    """
    done = 0
    frames = _read(table, tally or RowTally())
    while limit is None or done < limit:
        allow_growth()
        frame = _next(frames, table.source.label)
        if frame is None:
            return
        if limit is not None:
            frame = frame.iloc[: limit - done]
        done += len(frame)
        if len(frame):
            yield frame


def line_of(table: Table, row: int) -> str:
    """Where a row stands in its file, for messages.

    Empty lines, and line breaks inside quotes, shift it.
    """
    if table.format in _NUMBERED_BY_ROW:
        return t("{label}, row {row}", label=table.source.label, row=row)
    header = int(table.header and table.format in ("delimited", "atomic"))
    return t("{label}, line {line}", label=table.source.label, line=row + header)


def read_failure(label: str, error: Exception) -> DataError:
    """The sentence for a file that a parser could not take."""
    if isinstance(error, MemoryError):
        return DataError(
            t(
                "{label} takes more memory than a table of its size may; it is damaged or crafted",
                label=label,
            )
        )
    return DataError(
        t(
            "{label} cannot be read ({kind}: {error}); write it again, as CSV if it is another "
            "form",
            label=label,
            kind=type(error).__name__,
            error=printable(str(error), 160),
        )
    )


def _read(table: Table, tally: RowTally) -> Iterator[pd.DataFrame]:
    match table.format:
        case "delimited" | "atomic":
            return read_delimited(table, tally)
        case "json" | "json-lines" | "python-lines":
            return read_records(table, tally)
        case "id-lists":
            return read_id_lists(table, tally)
    return read_parquet(table)


def _next(frames: Iterator[pd.DataFrame], label: str) -> pd.DataFrame | None:
    try:
        return next(frames, None)
    except LlmrecError:
        raise
    except Exception as error:
        raise read_failure(label, error) from error
