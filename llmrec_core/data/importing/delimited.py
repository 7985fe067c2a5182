"""Delimited text → frames of strings through Arrow's CSV reader, in bounded memory.

A block is a fixed number of bytes and a row must fit into one, also a row with line breaks inside
quotes. Rows with fewer cells than the header are filled up, as spreadsheets leave out empty cells
at the end of a row; rows with more cells are counted as bad.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv

from llmrec_core.data.importing.described_table import Table
from llmrec_core.data.importing.opening import open_source
from llmrec_core.data.importing.problems import ImportDataError
from llmrec_core.data.importing.row_tally import RowTally
from llmrec_core.data.importing.text_stream import DOUBLE_COLON, MAX_LINE_BYTES, utf8_stream
from llmrec_core.errors import DataError
from llmrec_core.language import t

QUOTING_SEPARATORS = ",;"
"""Separators of files in which quotation marks hold cells together."""
_END = "\x7fendoftable\x7f"
"""A row of one cell after the last one: when it does not arrive, a quotation mark is open."""


def read_delimited(table: Table, tally: RowTally) -> Iterator[pd.DataFrame]:
    """Frames of the table's columns; the index is the row number from 1, without the header.

    Args:
        table: a delimited table, its form known.
        tally: counts rows with too many cells.

    Raises:
        DataError: for a single column, an open quotation mark, a row that is too long, or damage
            below.
    """
    if len(table.columns) < 2:
        raise ImportDataError(
            t(
                "{label} has one column where {separator!r} separates them; expected two or more: "
                "give the separator that stands in its lines",
                label=table.source.label,
                separator=table.separator,
            )
        )
    irregular = _Irregular(table, tally)
    with open_source(table.source) as raw:
        stream = utf8_stream(
            raw,
            table.source.label,
            table.encoding,
            double_colon=table.separator == "::",
            end=f"\n{_END}\n".encode(),
        )
        try:
            for batch in _open(stream, table, irregular):
                yield irregular.in_place(batch.to_pandas())
        except pa.ArrowInvalid as error:
            _raise_sentence(table, irregular, str(error), error)
    if not irregular.has_ended:
        raise ImportDataError(
            t(
                "{label}: a quotation mark is opened and never closed, at or after row {row:,}; "
                "repair it",
                label=table.source.label,
                row=irregular.last_row,
            )
        )
    yield irregular.in_place(pd.DataFrame(columns=table.columns, dtype=str))


def _open(stream: IO[bytes], table: Table, irregular: _Irregular) -> arrow_csv.CSVStreamingReader:
    is_quoting = table.separator in QUOTING_SEPARATORS
    return arrow_csv.open_csv(
        stream,
        read_options=arrow_csv.ReadOptions(
            use_threads=False,
            block_size=MAX_LINE_BYTES,
            column_names=table.columns,
            skip_rows_after_names=int(table.header),
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=DOUBLE_COLON if table.separator == "::" else table.separator,
            quote_char='"' if is_quoting else False,
            newlines_in_values=is_quoting,
            invalid_row_handler=irregular,
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types={column: pa.string() for column in table.columns},
            strings_can_be_null=False,
        ),
    )


def _raise_sentence(
    table: Table, irregular: _Irregular, complaint: str, error: pa.ArrowInvalid
) -> None:
    label = table.source.label
    if "Empty CSV" in complaint or "no rows" in complaint.lower():
        raise DataError(
            t("{label} has a header at most; expected rows below it", label=label)
        ) from error
    if "straddling" in complaint:
        raise ImportDataError(
            t(
                "{label}: after row {row:,} comes one longer than {mebibytes} MiB: a quotation "
                "mark that is never closed, or cells that are no table; repair it",
                label=label,
                row=irregular.last_row,
                mebibytes=MAX_LINE_BYTES >> 20,
            )
        ) from error
    raise ImportDataError(
        t("{label}: {complaint}; repair the file", label=label, complaint=complaint[:200]),
        "separator",
    ) from error


@dataclass
class _Irregular:
    """Rows whose number of cells is not the header's, as Arrow hands them over, in file order."""

    table: Table
    tally: RowTally
    waiting: deque[tuple[int, list[str] | None]] = field(default_factory=deque)
    """Row number and filled-up cells, None for a row that is left out; not yet in a frame."""
    has_ended: bool = False
    last_row: int = 0
    """Number of the last row that is in a frame or left out."""

    def __call__(self, row: arrow_csv.InvalidRow) -> str:
        """Take a row that does not fit; Arrow goes on with the next one."""
        if row.text == _END:
            self.has_ended = True
            return "skip"
        number = row.number - int(self.table.header)
        cells, wanted = self._cells(row.text), len(self.table.columns)
        if len(cells) > wanted and any(cells[wanted:]):
            self._count(number, len(cells))
            self.waiting.append((number, None))
        else:
            self.waiting.append((number, cells[:wanted] + [""] * (wanted - len(cells))))
        return "skip"

    def in_place(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with row numbers as index, and with the waiting rows that stand among its own.

        Args:
            frame: the next regular rows; without any, the waiting rows that come next.
        """
        numbers: list[int] = []
        filled: dict[int, list[str]] = {}
        left, last = len(frame), self.last_row
        while self.waiting:
            number, cells = self.waiting[0]
            between = number - last - 1
            if between > left or (between == left and left):
                break
            numbers += range(last + 1, number)
            left, last = left - between, number
            self.waiting.popleft()
            if cells is not None:
                filled[number] = cells
        if not numbers:
            frame.index = pd.RangeIndex(last + 1, last + 1 + len(frame))
        else:
            frame.index = pd.Index([*numbers, *range(last + 1, last + 1 + left)])
        self.last_row = last + left
        if not filled:
            return frame
        extra = pd.DataFrame.from_dict(filled, orient="index", columns=frame.columns, dtype=str)
        return pd.concat([frame, extra]).sort_index() if len(frame) else extra

    def _count(self, number: int, columns: int) -> None:
        self.tally.add(
            t("more columns than the others"),
            t(
                "{label}, line {line}: {columns} columns where the others have {wanted} (separator "
                "{separator!r})",
                label=self.table.source.label,
                line=number + int(self.table.header),
                columns=columns,
                wanted=len(self.table.columns),
                separator=self.table.separator,
            ),
            "separator",
        )

    def _cells(self, text: str) -> list[str]:
        separator = DOUBLE_COLON if self.table.separator == "::" else self.table.separator
        if separator not in QUOTING_SEPARATORS:
            return text.rstrip("\r\n").split(separator)
        csv.field_size_limit(MAX_LINE_BYTES)
        return next(csv.reader(io.StringIO(text), delimiter=separator), [])
