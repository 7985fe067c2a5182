"""A described table → chunks of text columns, in bounded memory. Every format ends in the same frames of strings."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import pandas as pd

from llmrec_core.data.sources import MAX_PARQUET_IN_ARCHIVE, Source, open_source
from llmrec_core.data.tables import Table
from llmrec_core.data.textstream import DOUBLE_COLON, Utf8Stream
from llmrec_core.errors import DataError

CHUNK_ROWS = 500_000
MAX_JSON_BYTES = 1 << 30
PARQUET_CHECK_BYTES = 4 << 30
PARQUET_CHECK_S = 120


def chunks(
    table: Table, rows: int = CHUNK_ROWS, limit: int | None = None, skip_bad_rows: bool = False
) -> Iterator[pd.DataFrame]:
    """Frames of at most `rows` rows, all columns strings ("" = missing), index = row number from 1 without the header.

    Args:
        limit: stop after that many rows.

    Raises:
        DataError: naming file and line of what cannot be parsed.
    """
    reader = {
        "delimited": _delimited,
        "atomic": _delimited,
        "json": _json,
        "json-lines": _lines,
        "python-lines": _lines,
    }.get(table.format, _parquet)
    done = 0
    for frame in reader(table, min(rows, limit) if limit else rows, skip_bad_rows):
        if limit:
            frame = frame.iloc[: limit - done]
        if len(frame):
            frame.index = pd.RangeIndex(done + 1, done + 1 + len(frame))
            yield frame
        done += len(frame)
        if limit and done >= limit:
            return


def line_of(table: Table, row: int) -> str:
    """Where a row stands in its file, for messages (rows with line breaks inside quotes shift it)."""
    if table.format in ("json", "parquet"):
        return f"{table.source.label}, row {row}"
    return f"{table.source.label}, line {row + int(table.header and table.format in ('delimited', 'atomic'))}"


def text_stream(source: Source, stream: IO[bytes], encoding: str, double_colon: bool = False) -> IO[bytes]:
    """The stream as checked UTF-8; an encoding with `:replace` at its end accepts damaged letters."""
    name, _, damaged = encoding.partition(":")
    checked = Utf8Stream(stream, source.label, name, double_colon=double_colon, damaged=damaged or "strict")
    return cast(IO[bytes], io.BufferedReader(cast(io.RawIOBase, checked), buffer_size=1 << 20))


def _delimited(table: Table, rows: int, skip_bad_rows: bool) -> Iterator[pd.DataFrame]:
    separator = DOUBLE_COLON if table.separator == "::" else table.separator
    with open_source(table.source) as raw:
        stream = text_stream(table.source, raw, table.encoding, table.separator == "::")
        try:
            with pd.read_csv(
                stream,
                sep=separator,
                header=0 if table.header else None,
                names=table.columns,
                index_col=False,
                dtype=str,
                keep_default_na=False,
                quoting=0 if separator in ",;" else 3,
                chunksize=rows,
                encoding="utf-8",
                encoding_errors="replace",
                on_bad_lines="skip" if skip_bad_rows else "error",
                engine="c",
                low_memory=True,
            ) as reader:
                for frame in reader:
                    yield frame.fillna("")
        except pd.errors.ParserError as error:
            raise DataError(_parser_sentence(table, str(error))) from error
        except pd.errors.EmptyDataError as error:
            raise DataError(f"{table.source.label} has a header at most; expected rows below it") from error


def _parser_sentence(table: Table, told: str) -> str:
    match = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", told)
    if match:
        expected, line, saw = match.groups()
        return (
            f"{table.source.label}, line {line}: {saw} columns where the others have {expected} (separator "
            f"{table.separator!r}); repair the "
            "line, name the separator with --separator, or leave such lines out with --skip-bad-rows"
        )
    if "EOF inside string" in told:
        row = re.search(r"row (\d+)", told)
        where = f"line {int(row.group(1)) + 1}" if row else "near the end"
        return f"{table.source.label}, {where}: a quotation mark is opened and never closed; repair it"
    return f"{table.source.label}: {told.strip()[:200]}; repair the file or name its form with --format and --separator"


def _lines(table: Table, rows: int, skip_bad_rows: bool) -> Iterator[pd.DataFrame]:
    records: list[dict[str, str]] = []
    parse = json.loads if table.format == "json-lines" else ast.literal_eval
    with open_source(table.source) as raw:
        for number, line in enumerate(text_stream(table.source, raw, table.encoding), 1):
            text = line.decode("utf-8").strip()
            if not text:
                continue
            try:
                record = parse(text)
                if not isinstance(record, dict):
                    raise ValueError("not an object")
            except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError) as error:
                if skip_bad_rows:
                    continue
                raise DataError(
                    f"{table.source.label}, line {number}: not a JSON object ({str(error)[:100]}); repair it or use "
                    "--skip-bad-rows"
                ) from error
            records.append(flatten(record, table.columns))
            if len(records) >= rows:
                yield _frame(records, table.columns)
                records = []
    if records:
        yield _frame(records, table.columns)


def _json(table: Table, rows: int, skip_bad_rows: bool) -> Iterator[pd.DataFrame]:
    records = json_records(table.source, table.encoding)
    for start in range(0, len(records), rows):
        yield _frame([flatten(record, table.columns) for record in records[start : start + rows]], table.columns)


def json_records(source: Source, encoding: str) -> list[dict[str, Any]]:
    """The objects of a JSON array.

    Raises:
        DataError: for damage (with line and column), another shape, or more than 1 GiB.
    """
    with open_source(source) as raw:
        content = text_stream(source, raw, encoding).read(MAX_JSON_BYTES + 1)
    if len(content) > MAX_JSON_BYTES:
        raise DataError(f"{source.label} is one JSON document above 1 GiB; write it as JSON lines, one object a line")
    try:
        records = json.loads(content)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{source.label}, line {error.lineno}, column {error.colno}: {error.msg}; the JSON is damaged"
        ) from error
    except RecursionError as error:
        raise DataError(f"{source.label}: JSON nested too deeply; expected a list of objects") from error
    if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
        raise DataError(f"{source.label} is JSON but no list of objects; expected [{{…}}, {{…}}] or one object a line")
    return records


def flatten(record: dict[str, Any], columns: list[str]) -> dict[str, str]:
    """The wanted fields as text: lists joined with |, objects left out."""
    return {column: _text(record.get(column)) for column in columns}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (list, tuple)):
        return "|".join(filter(None, map(_text, value)))
    return "" if isinstance(value, dict) else str(value)


def _frame(records: list[dict[str, str]], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(records, columns=columns, dtype=str).fillna("")


def check_parquet(source: Source) -> None:
    """Reads the whole file once in a child with limits, so that a crafted one cannot take this process.

    Raises:
        DataError: when the child fails or dies.
    """
    if source.member:
        return
    command = [
        sys.executable,
        "-m",
        "llmrec_core.data.parquet_check",
        str(source.path),
        str(PARQUET_CHECK_BYTES),
        str(PARQUET_CHECK_S),
    ]
    root = str(Path(__file__).parents[2])
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=2 * PARQUET_CHECK_S, cwd=root, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(
            f"{source.label}: reading the Parquet file took too long; write it again or import CSV"
        ) from error
    if done.returncode:
        told = done.stdout.strip().splitlines()
        why = told[-1] if told else f"the reader was stopped, exit {done.returncode}"
        raise DataError(f"{source.label} cannot be read as Parquet ({why[:160]}); write it again or import CSV")


def open_parquet(source: Source) -> Any:
    """The file as pyarrow sees it, dictionary and schema not yet trusted."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if not source.member:
            return pq.ParquetFile(source.path)
        with open_source(source) as stream:
            content = stream.read(MAX_PARQUET_IN_ARCHIVE + 1)
        if len(content) > MAX_PARQUET_IN_ARCHIVE:
            raise DataError(f"{source.label}: Parquet above 1 GiB inside an archive; unpack it first")
        return pq.ParquetFile(pa.BufferReader(content))
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{source.label} cannot be read as Parquet ({str(error)[:160]}); write it again or import CSV"
        ) from error


def _parquet(table: Table, rows: int, skip_bad_rows: bool) -> Iterator[pd.DataFrame]:
    import pyarrow as pa

    try:
        for batch in open_parquet(table.source).iter_batches(batch_size=rows, columns=table.columns):
            # Metadata that pandas left in a file of strangers is not needed and may be damaged.
            frame = pa.Table.from_batches([batch]).replace_schema_metadata(None).to_pandas()
            yield pd.DataFrame({column: _column_text(frame[column]) for column in table.columns})
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{table.source.label} is damaged ({str(error)[:160]}); write it again or import CSV"
        ) from error


def _column_text(values: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(values):
        seconds = (values.dt.tz_localize(None) if values.dt.tz else values).astype("datetime64[s]").astype("int64")
        return seconds.astype(str).where(values.notna(), "")
    if values.dtype == object:
        return values.map(lambda value: _text(value.tolist() if hasattr(value, "tolist") else value)).astype(str)
    return values.astype(str).replace({"nan": "", "<NA>": "", "None": ""})
