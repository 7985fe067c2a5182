"""How a file is written: format, encoding, separator, header. Every decision leaves evidence."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter

from llmrec_core.data.importing.described_table import FileChoices, Table
from llmrec_core.data.importing.encodings import find_encoding
from llmrec_core.data.importing.json_rows import (
    PARSE_ERRORS,
    json_list,
    parse_record,
)
from llmrec_core.data.importing.opening import open_source
from llmrec_core.data.importing.parquet_rows import open_parquet, readable_columns
from llmrec_core.data.importing.problems import ImportDataError, ImportQuestionError
from llmrec_core.data.importing.role_names import EXACT, names_role, squeezed
from llmrec_core.data.importing.sources import Source
from llmrec_core.data.importing.text_stream import (
    DOUBLE_COLON,
    MAX_LINE_BYTES,
    REPLACE,
    utf8_stream,
)
from llmrec_core.data.text import printable
from llmrec_core.errors import DataError, UsageError
from llmrec_core.language import t

SEPARATORS = ("\t", "::", ",", ";", "|", "\x01", " ")
MAX_COLUMNS = 1_000
SAMPLE_CHARACTERS = 1 << 19
HEADER_ROWS = 50
_LINES = 300
_LINES_ABOVE = 10
"""Rows among which a header is looked for that is not the first one."""
_RECORDS = 2_000
_JSON_FORMATS = ("json-lines", "python-lines", "json")
_EXACT_NAMES = {name for names in EXACT.values() for name in names} | {"id"}


def describe_form(source: Source, choices: FileChoices) -> Table:
    """The table behind a source, its columns named but not yet understood.

    Args:
        source: what to look at.
        choices: what a person has fixed.

    Raises:
        DataError: damage, with file, line and column where known.
        UsageError: when a choice is needed.
    """
    with open_source(source) as stream:
        start = stream.read(4)
    if not start:
        raise DataError(
            t("{label} is empty; expected a table with at least one row", label=source.label)
        )
    if start == b"PAR1" or choices.format == "parquet":
        table = _describe_parquet(source)
    else:
        table = _describe_text(source, choices)
    _check_columns(table)
    return table


def _check_columns(table: Table) -> None:
    if len(table.columns) > MAX_COLUMNS:
        raise DataError(
            t(
                "{label}, line 1: {count:,} columns or more; at most {MAX_COLUMNS:,} are read. "
                "Expected one row an interaction: user, item, and perhaps rating and time",
                label=table.source.label,
                count=len(table.columns),
                MAX_COLUMNS=MAX_COLUMNS,
            )
        )
    twice = [name for name, count in Counter(table.columns).items() if count > 1]
    if twice:
        first, second = [n for n, name in enumerate(table.columns, 1) if name == twice[0]][:2]
        raise DataError(
            t(
                "{label}, line 1, columns {first} and {second}: both are called {name!r}; rename "
                "one",
                label=table.source.label,
                first=first,
                second=second,
                name=twice[0],
            )
        )


def _describe_parquet(source: Source) -> Table:
    with open_parquet(source) as (parquet, _):
        names = [str(name) for name in parquet.schema_arrow.names]
        keys = readable_columns(parquet)
    evidence = [t("begins with PAR1: Parquet")]
    nested = [printable(name) for name in names if name not in keys]
    if nested:
        evidence.append(
            t("not read, as they hold tables: {columns}", columns=", ".join(nested[:8]))
        )
    if len(set(names)) < len(names):
        raise DataError(
            t(
                "{label}: two columns have one name; expected a name of its own for each",
                label=source.label,
            )
        )
    columns = [printable(key) for key in keys]
    return Table(source, "parquet", columns=columns, keys=keys, evidence=evidence)


def _describe_text(source: Source, choices: FileChoices) -> Table:
    encoding, why = _encoding(source, choices)
    with open_source(source) as raw:
        start = utf8_stream(raw, source.label, encoding).read(SAMPLE_CHARACTERS)
    text = start.decode("utf-8", "ignore")
    if not text.strip():
        raise DataError(
            t(
                "{label} holds only blank space; expected a table with at least one row",
                label=source.label,
            )
        )
    form = choices.format or _text_format(source, text)
    table = Table(source, form, encoding=encoding, evidence=[why])
    if form in _JSON_FORMATS:
        table.keys = _json_keys(table, text)
        table.columns = [printable(key) for key in table.keys]
        table.evidence.append(
            t("{form}: fields {columns}", form=form, columns=", ".join(table.columns[:12]))
        )
    else:
        lines = text.split("\n")
        if len(start) >= SAMPLE_CHARACTERS and len(lines) > 1:
            lines = lines[:-1]
        _describe_delimited(table, lines, choices)
    return table


def _encoding(source: Source, choices: FileChoices) -> tuple[str, str]:
    if not choices.encoding:
        judged = find_encoding(source)
        return judged.name, judged.evidence
    try:
        "".encode(choices.encoding)
    except (LookupError, UnicodeError, ValueError) as error:
        raise UsageError(
            t(
                "the encoding is {encoding!r}, which is not known; expected e.g. utf-8, cp1252 or "
                "utf-16",
                encoding=printable(choices.encoding),
            )
        ) from error
    # A person who names an encoding has decided what damaged letters mean.
    return choices.encoding + REPLACE, t("the encoding was chosen: {name}", name=choices.encoding)


def _text_format(source: Source, text: str) -> str:
    start = text.lstrip()
    if start.startswith(("{'", '{u"', "{u'")):
        return "python-lines"
    first = start.split("\n", 1)[0]
    if start.startswith("{"):
        if re.match(r"\{\s*$", first) or first.rstrip().endswith(","):
            raise ImportQuestionError(
                t(
                    "{label} is one JSON object over several lines; expected a list of objects, "
                    "or one a line",
                    label=source.label,
                )
            )
        return "json-lines"
    if re.match(r"\[\s*(\{|$)", start[:200]):
        return "json"
    return "atomic" if re.search(r"\w:(token|float)(_seq)?(\t|\r|$)", first) else "delimited"


def _json_keys(table: Table, text: str) -> list[str]:
    """Names of the fields of the first records, in order of appearance."""
    keys: dict[str, None] = {}
    if table.format == "json":
        for number, record in json_list(table):
            keys.update(dict.fromkeys(map(str, record)))
            if number >= _RECORDS or len(keys) > MAX_COLUMNS:
                break
        return list(keys)
    is_python = table.format == "python-lines"
    lines = text.split("\n")
    whole = lines if len(text) < SAMPLE_CHARACTERS - 4 or len(lines) == 1 else lines[:-1]
    for number, line in enumerate(whole[:_RECORDS], 1):
        if not line.strip():
            continue
        try:
            record = parse_record(line.strip(), is_python)
        except PARSE_ERRORS as error:
            if number == 1:
                raise ImportDataError(
                    t(
                        "{label}, line 1: not a JSON object ({error}); expected one object a line",
                        label=table.source.label,
                        error=printable(str(error), 100),
                    ),
                    "format",
                ) from error
            continue
        keys.update(dict.fromkeys(map(str, record)))
    return list(keys)


def _describe_delimited(table: Table, lines: list[str], choices: FileChoices) -> None:
    if choices.separator:
        table.separator = _given_separator(choices.separator)
    elif table.format == "atomic":
        table.separator = "\t"
    elif _is_id_lists(lines):
        table.format, table.header, table.separator = "id-lists", False, " "
        table.columns = ["column 1", "column 2"]
        table.evidence.append(t("lines of ids of different length: a user, then their items"))
        return
    else:
        table.separator = _separator(table, lines)
    rows = _parse(lines[: 10 * HEADER_ROWS], table.separator)
    first = [cell.strip() for cell in rows[0]]
    if table.format == "atomic":
        table.header, first = True, [cell.rpartition(":")[0] or cell for cell in first]
        table.evidence.append(t("header with RecBole types (name:token)"))
    elif choices.header is not None:
        table.header = choices.header
        table.evidence.append(t("whether there is a header was chosen"))
    else:
        table.header, why = _has_header(first, rows[1:])
        table.evidence.append(why)
        if not table.header:
            _refuse_lines_above_a_header(table, rows)
    numbered = [t("column {number}", number=number) for number in range(1, len(first) + 1)]
    table.columns = [
        (printable(name) if table.header else "") or numbered[place]
        for place, name in enumerate(first)
    ]


def _given_separator(text: str) -> str:
    separator = text.replace("\\t", "\t")
    if separator != "::" and (
        len(separator) != 1 or not separator.isascii() or separator in '\r\n"'
    ):
        raise UsageError(
            t(
                "the separator is {separator!r}; expected one character of ASCII, \\t or ::",
                separator=printable(text),
            )
        )
    return separator


def _parse(lines: list[str], separator: str) -> list[list[str]]:
    if separator in ",;":
        csv.field_size_limit(MAX_LINE_BYTES)
        reader = csv.reader(io.StringIO("\n".join(lines), newline=""), delimiter=separator)
        return [row for row in reader if row]
    separator = separator.replace("::", DOUBLE_COLON)
    texts = (
        [line.replace("::", DOUBLE_COLON) for line in lines] if separator == DOUBLE_COLON else lines
    )
    return [text.rstrip("\r").split(separator) for text in texts if text.strip()]


def _is_id_lists(lines: list[str]) -> bool:
    """Whether every line is whole numbers between blanks, in numbers that differ."""
    rows = [line.split() for line in lines[:_LINES] if line.strip()]
    lengths = {len(words) for words in rows}
    return (
        len(lengths) > 2
        and len(rows) > 3
        and all(word.isdigit() for words in rows for word in words)
    )


def _separator(table: Table, lines: list[str]) -> str:
    best: tuple[float, int, str] = (0.0, 0, "")
    for separator in SEPARATORS:
        try:
            counts = Counter(len(row) for row in _parse(lines[:_LINES], separator))
        except csv.Error:
            continue
        if not counts:
            continue
        usual, times = counts.most_common(1)[0]
        share = times / sum(counts.values())
        width = usual if separator != " " else 0
        if usual >= 2 and share > 0.5 and (round(share, 1), width) > best[:2]:
            best = (round(share, 1), width, separator)
            if separator in ("\t", "::") and share > 0.95:
                break
    if not best[2]:
        raise ImportDataError(
            t(
                "{label}: one column only, none of tab :: , ; | gives two or more; expected at "
                "least a user and an item",
                label=table.source.label,
            ),
            "separator",
        )
    table.evidence.append(
        t(
            "separator {separator!r}: {share:.0%} of the first lines have the same number of "
            "columns",
            separator=best[2],
            share=best[0],
        )
    )
    return best[2]


def _has_header(first: list[str], rest: list[list[str]]) -> tuple[bool, str]:
    """Whether the first row names the columns, and why."""
    below = rest[:HEADER_ROWS]
    if not any(_is_number(cell) for cell in first):
        usual_names, worded = _known_names(first, below)
        if usual_names or len(worded) >= 2:
            return True, t("header: {names} are known names", names=_listed(usual_names or worded))
        above = [
            name
            for place, name in enumerate(first)
            if not re.search(r"\d", name)
            and below
            and all(len(row) > place and re.search(r"\d", row[place]) for row in below)
        ]
        if above:
            return True, t("header: {first!r} stands above numbers", first=printable(above[0]))
    return False, t(
        "no header: the first row looks like the others ({first})", first=_listed(first)
    )


def _known_names(row: list[str], below: list[list[str]]) -> tuple[list[str], list[str]]:
    """Cells of a row that are names of columns to the letter, and those that read like some."""
    usual_names = [name for name in row if squeezed(name) in _EXACT_NAMES]
    worded = [name for name in row if names_role(name) and not _recurs(name, row, below)]
    return usual_names, worded


def _refuse_lines_above_a_header(table: Table, rows: list[list[str]]) -> None:
    """Refuse a file whose header stands below a title, a date of the export or the like.

    Read without a header, these lines would become interactions.
    """
    for place, cells in enumerate(rows[1:_LINES_ABOVE], 1):
        row = [cell.strip() for cell in cells]
        named = {
            name for names in _known_names(row, rows[place + 1 :][:HEADER_ROWS]) for name in names
        }
        is_header = all(row) and len(named) >= 2 and not any(_is_number(cell) for cell in row)
        if is_header and not all(all(map(str.strip, above)) for above in rows[:place]):
            raise ImportDataError(
                t(
                    "{label}: the header ({names}) is not the first row; remove what stands above "
                    "it ({above})",
                    label=table.source.label,
                    names=_listed(row),
                    above=_listed([cell for cell in rows[0] if cell.strip()]),
                )
            )


def _recurs(name: str, first: list[str], below: list[list[str]]) -> bool:
    """Whether a cell of the first row is a value of its column as well."""
    place = first.index(name)
    return any(len(row) > place and row[place].strip() == name for row in below)


def _listed(names: list[str]) -> str:
    return ", ".join(printable(name, 30) for name in names[:6])


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", cell.strip()))
