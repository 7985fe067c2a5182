"""JSON lists, JSON lines, lines of Python dictionaries → frames of strings, a piece at a time."""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Iterator
from typing import Any, NoReturn

import pandas as pd

from llmrec_core.data.importing.described_table import Table
from llmrec_core.data.importing.opening import open_source
from llmrec_core.data.importing.problems import ImportDataError
from llmrec_core.data.importing.row_tally import RowTally
from llmrec_core.data.importing.sources import Source
from llmrec_core.data.importing.text_stream import MAX_LINE_BYTES, utf8_stream
from llmrec_core.data.text import printable
from llmrec_core.errors import DataError
from llmrec_core.language import t

ROWS = 100_000
PIECE_CHARACTERS = 32 << 20
"""Characters of records in one frame."""
MAX_PYTHON_LINE = 1 << 20
"""A dictionary in Python's own form takes a hundred times its size while it is parsed."""
_READ = 1 << 20
PARSE_ERRORS = (ValueError, SyntaxError, RecursionError, MemoryError, TypeError)

Record = dict[str, Any]


def read_records(table: Table, tally: RowTally) -> Iterator[pd.DataFrame]:
    """Frames of the table's fields; the index is the record's number, or its line, from 1.

    Args:
        table: a table in one of the JSON forms.
        tally: counts lines that are no object.

    Raises:
        DataError: for damage in a list, with line and column.
    """
    records = json_list(table) if table.format == "json" else json_lines(table, tally)
    rows: list[list[str]] = []
    numbers: list[int] = []
    size = 0
    for number, record in records:
        row = [as_text(record.get(key)) for key in table.keys]
        rows.append(row)
        numbers.append(number)
        size += sum(map(len, row))
        if len(rows) >= ROWS or size > PIECE_CHARACTERS:
            yield pd.DataFrame(rows, columns=table.columns, index=numbers, dtype=str)
            rows, numbers, size = [], [], 0
    if rows:
        yield pd.DataFrame(rows, columns=table.columns, index=numbers, dtype=str)


def json_lines(table: Table, tally: RowTally) -> Iterator[tuple[int, Record]]:
    """Line number and object of each line; lines that are none are counted."""
    is_python = table.format == "python-lines"
    with open_source(table.source) as raw:
        stream = utf8_stream(raw, table.source.label, table.encoding)
        for number, line in enumerate(stream, 1):
            text = line.decode("utf-8").strip()
            if not text:
                continue
            try:
                yield number, parse_record(text, is_python)
            except PARSE_ERRORS as error:
                tally.add(
                    t("no JSON object"),
                    t(
                        "{label}, line {number}: not a JSON object ({error})",
                        label=table.source.label,
                        number=number,
                        error=printable(str(error) or type(error).__name__, 100),
                    ),
                )


def parse_record(text: str, is_python: bool) -> Record:
    """The object in a line.

    Raises:
        ValueError: or another of `PARSE_ERRORS`, when there is none.
    """
    if is_python and len(text) > MAX_PYTHON_LINE:
        raise ValueError(t("a line of {count:,} characters", count=len(text)))
    record = ast.literal_eval(text) if is_python else json.loads(text)
    if not isinstance(record, dict):
        raise ValueError(t("not an object"))
    return record


def json_list(table: Table) -> Iterator[tuple[int, Record]]:
    """Number from 1 and object of each element of a JSON list, read piece by piece.

    Raises:
        DataError: for damage, with line and column, or when it is no list of objects.
    """
    with open_source(table.source) as raw:
        binary = utf8_stream(raw, table.source.label, table.encoding)
        text = io.TextIOWrapper(binary, encoding="utf-8")
        yield from _Elements(text, table.source).numbered()


class _Elements:
    """A reader of the elements of one JSON list that holds one element and a little more."""

    def __init__(self, text: io.TextIOBase, source: Source) -> None:
        self.text, self.source = text, source
        self.buffer, self.position = "", 0
        self.lines, self.column = 1, 1  # of the buffer's first character
        self.is_over = False
        self.decoder = json.JSONDecoder()

    def numbered(self) -> Iterator[tuple[int, Record]]:
        if self._next_character() != "[":
            self._refuse(t("expected a list of objects"))
        self.position += 1
        number = 0
        if self._next_character() == "]":
            self._refuse(t("the list is empty"))
        while True:
            record = self._element()
            number += 1
            if not isinstance(record, dict):
                self._refuse(t("element {number} is no object", number=number))
            yield number, record
            separator = self._next_character()
            if separator == "]":
                return
            if separator != ",":
                self._refuse(t("expected a comma or the end of the list"))
            self.position += 1

    def _next_character(self) -> str:
        """The next character that is no blank, "" at the end; it stays in the buffer."""
        while True:
            while self.position < len(self.buffer) and self.buffer[self.position] in " \t\r\n":
                self.position += 1
            if self.position < len(self.buffer):
                return self.buffer[self.position]
            if not self._fill():
                return ""

    def _element(self) -> object:
        self._next_character()
        while True:
            try:
                record, end = self.decoder.raw_decode(self.buffer, self.position)
            except json.JSONDecodeError as error:
                if not self.is_over and len(self.buffer) - self.position <= MAX_LINE_BYTES:
                    self._fill()
                    continue
                self.position = min(error.pos, len(self.buffer))
                self._refuse(error.msg)
            except RecursionError as error:
                raise DataError(
                    t(
                        "{label}: JSON nested too deeply; expected a list of objects",
                        label=self.source.label,
                    )
                ) from error
            # A number at the end of the buffer may go on in the next piece.
            if end == len(self.buffer) and not self.is_over:
                self._fill()
                continue
            self.position = end
            return record

    def _fill(self) -> bool:
        """Read on; False at the end of the text."""
        passed = self.buffer[: self.position]
        newline = passed.rfind("\n")
        self.lines += passed.count("\n")
        self.column = self.column + len(passed) if newline < 0 else len(passed) - newline
        piece = self.text.read(_READ)
        self.buffer, self.position = self.buffer[self.position :] + piece, 0
        self.is_over = not piece
        return bool(piece)

    def _refuse(self, what: str) -> NoReturn:
        passed = self.buffer[: self.position]
        newline = passed.rfind("\n")
        raise ImportDataError(
            t(
                "{label}, line {line}, column {column}: {what}; the JSON is damaged, or no list of "
                "objects",
                label=self.source.label,
                line=self.lines + passed.count("\n"),
                column=self.column + len(passed) if newline < 0 else len(passed) - newline,
                what=what,
            )
        )


def as_text(value: object) -> str:
    r"""A JSON value as a cell: lists joined with |, objects left out.

    >>> as_text(["a", ["b", None]]), as_text(True), as_text({"x": 1}), as_text("\ud800!")
    ('a|b', '1', '', '?!')
    """
    match value:
        case None | dict():
            return ""
        case str():
            # JSON can write half a character, which no UTF-8 can hold.
            return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
        case bool():
            return "1" if value else "0"
        case list() | tuple():
            return "|".join(filter(None, map(as_text, value)))
        case _:
            return str(value)
