"""Parquet → frames of strings, with what it decodes to known before and while it is decoded.

A Parquet file of a megabyte can stand for gigabytes: a value is stored once and pointed to by many
rows. So text is read as its dictionary and pointers, which take what the file says they take, and
is spelled out in pieces of bounded size.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from llmrec_core.data.importing.described_table import Table
from llmrec_core.data.importing.expansion import check_expansion
from llmrec_core.data.importing.json_rows import as_text
from llmrec_core.data.importing.opening import open_source
from llmrec_core.data.importing.problems import ImportDataError
from llmrec_core.data.importing.sources import Source
from llmrec_core.data.importing.text_stream import MAX_LINE_BYTES
from llmrec_core.data.text import printable
from llmrec_core.errors import DataError
from llmrec_core.language import t

ROWS = 100_000
PIECE_BYTES = 64 << 20
"""Decoded text in one frame."""
MAX_IN_ARCHIVE = 1 << 30
_FOOTER_BYTES, _FOOTER_PARTS = 16 << 20, 200_000
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
_POINTER_BYTES = 8


@contextmanager
def open_parquet(source: Source) -> Iterator[tuple[pq.ParquetFile, int]]:
    """The file and its bytes, once its own figures say that it decodes to no more than that allows.

    Raises:
        DataError: for damage, or when it would decode to too much.
    """
    with tempfile.TemporaryFile() as spool:
        try:
            if source.member:
                _copy_member(source, spool)
            plain = source.path.open("rb") if not source.member else spool
            with plain as content:
                content.seek(0, 2)
                packed = content.tell()
                content.seek(0)
                yield _checked(content, source.label, packed), packed
        except (pa.ArrowException, OSError, ValueError, KeyError, NotImplementedError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(
                t(
                    "{label} cannot be read as Parquet ({error}); write it again or import CSV",
                    label=source.label,
                    error=printable(str(error), 160),
                )
            ) from error


def read_parquet(table: Table) -> Iterator[pd.DataFrame]:
    """Frames of the table's columns; the index is the row number from 1.

    Args:
        table: a Parquet table; `keys` are its columns inside the file.

    Raises:
        DataError: for damage, a cell that is too long, or more content than its size allows.
    """
    label, done, decoded = table.source.label, 0, 0
    with open_parquet(table.source) as (parquet, packed):
        rows = _rows_at_once(parquet)
        for batch in parquet.iter_batches(batch_size=rows, columns=table.keys, use_threads=False):
            for piece, size in _pieces(batch, label, done):
                decoded += size
                check_expansion(label, decoded, packed)
                frame = pd.DataFrame(
                    {name: _strings(piece.column(n)) for n, name in enumerate(table.columns)}
                )
                frame.index = pd.RangeIndex(done + 1, done + 1 + len(frame))
                done += len(frame)
                yield frame


def readable_columns(parquet: pq.ParquetFile) -> list[str]:
    """Names of the columns that a table can be made of: values, texts and lists of them."""
    return [str(field.name) for field in parquet.schema_arrow if _is_readable(field.type)]


def _is_readable(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_readable(kind.value_type) and not pa.types.is_nested(kind.value_type)
    return not pa.types.is_nested(kind)


def _copy_member(source: Source, spool: IO[bytes]) -> None:
    with open_source(source) as stream:
        while piece := stream.read(1 << 20):
            spool.write(piece)
            if spool.tell() > MAX_IN_ARCHIVE:
                raise DataError(
                    t(
                        "{label}: Parquet above 1 GiB inside an archive; unpack it first",
                        label=source.label,
                    )
                )


def _checked(content: IO[bytes], label: str, packed: int) -> pq.ParquetFile:
    limits = {
        "thrift_string_size_limit": _FOOTER_BYTES,
        "thrift_container_size_limit": _FOOTER_PARTS,
    }
    plain = pq.ParquetFile(content, **limits)
    groups = range(plain.metadata.num_row_groups)
    check_expansion(label, sum(plain.metadata.row_group(g).total_byte_size for g in groups), packed)
    for group in groups:
        # A column whose own figures contradict each other is an error of a read, but ends the
        # process when its metadata is asked for (pyarrow 26.0.1). A row too large to be read is
        # past that, and its size is refused below.
        with suppress(MemoryError):
            next(plain.iter_batches(1, row_groups=[group]), None)
    decoded = sum(_decoded_bytes(plain.metadata, g) for g in groups)
    check_expansion(label, decoded, packed)
    content.seek(0)
    return pq.ParquetFile(content, read_dictionary=_text_paths(plain), **limits)


def _decoded_bytes(metadata: pq.FileMetaData, group: int) -> int:
    """What a row group takes when text stays a dictionary, by the file's own figures."""
    columns = metadata.row_group(group)
    total = 0
    for number in range(metadata.num_columns):
        column = columns.column(number)
        width = _WIDTHS.get(column.physical_type, _POINTER_BYTES)
        total += column.num_values * width
        if column.physical_type.endswith("BYTE_ARRAY"):
            total += column.total_uncompressed_size
    return total


def _text_paths(parquet: pq.ParquetFile) -> list[str]:
    """Columns of text that can be read as dictionaries."""
    metadata = parquet.metadata
    if not metadata.num_row_groups:
        return []
    columns = [metadata.row_group(0).column(n) for n in range(metadata.num_columns)]
    return [
        column.path_in_schema
        for column in columns
        if column.physical_type == "BYTE_ARRAY" and "DELTA_BYTE_ARRAY" not in column.encodings
    ]


def _rows_at_once(parquet: pq.ParquetFile) -> int:
    """Rows in a batch: few where text is stored as differences, as reading spells them out."""
    metadata, rows = parquet.metadata, ROWS
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            if "DELTA_BYTE_ARRAY" in column.encodings:
                rows = min(rows, PIECE_BYTES // max(column.total_uncompressed_size, 1))
    return max(rows, 1)


def _pieces(batch: pa.RecordBatch, label: str, done: int) -> Iterator[tuple[pa.RecordBatch, int]]:
    """The batch in parts of about `PIECE_BYTES` once spelled out, each with its decoded bytes."""
    sizes = sum((_cell_bytes(column) for column in batch.columns), np.zeros(len(batch), np.int64))
    if len(sizes) and sizes.max() > MAX_LINE_BYTES:
        raise ImportDataError(
            t(
                "{label}, row {row:,}: {size:,} bytes; a row takes at most {mebibytes} MiB",
                label=label,
                row=done + int(np.argmax(sizes)) + 1,
                size=int(sizes.max()),
                mebibytes=MAX_LINE_BYTES >> 20,
            )
        )
    start, ends = 0, np.cumsum(sizes)
    while start < len(batch):
        spent = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, spent + PIECE_BYTES, side="right")), start + 1)
        yield batch.slice(start, stop - start), int(ends[stop - 1] - spent)
        start = stop


def _cell_bytes(column: pa.Array) -> np.ndarray:
    """Bytes of each cell once it is spelled out, int64."""
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = np.concatenate([[0], np.cumsum(_cell_bytes(column.flatten()))])
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        ends = np.cumsum(lengths)
        sizes: np.ndarray = inner[ends] - inner[ends - lengths]
        return sizes
    if pa.types.is_dictionary(kind):
        of_value = _cell_bytes(column.dictionary)
        pointers = pc.fill_null(column.indices, 0).to_numpy(zero_copy_only=False)
        return of_value[pointers] if len(of_value) else np.zeros(len(column), np.int64)
    if pa.types.is_binary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        lengths = pc.fill_null(pc.binary_length(column), 0)
        spelled: np.ndarray = lengths.to_numpy(zero_copy_only=False).astype(np.int64)
        return spelled
    return np.full(len(column), _POINTER_BYTES, np.int64)


def _strings(column: pa.Array) -> pd.Series:
    """A column as text, "" where a value is missing; instants become seconds since 1970."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zone = kind.tz if pa.types.is_timestamp(kind) else None
        instants = column.cast(pa.timestamp("us", tz=zone))
        seconds = pc.divide(instants.cast(pa.int64()).cast(pa.float64()), 1e6)
        values = pd.Series(seconds.to_numpy(zero_copy_only=False))
        return values.map(
            lambda value: "" if value != value else f"{value:.6f}".rstrip("0").rstrip(".")
        )
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pc.fill_null(column, "").to_pandas().astype(str)
    if pa.types.is_integer(kind):
        return pc.fill_null(column.cast(pa.string()), "").to_pandas().astype(str)
    return pd.Series([_as_cell(value) for value in column.to_pylist()], dtype=str)


def _as_cell(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float):
        # Whole numbers with gaps are stored as fractions; as identifiers they are whole.
        return "" if value != value else str(int(value)) if value.is_integer() else str(value)
    return as_text(value)
