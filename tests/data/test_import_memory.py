"""Small files that stand for much: the child refuses each with a sentence and stays below 1 GB."""

import gzip
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llmrec_core.data.importing.described_table import Options
from llmrec_core.data.importing.request import ImportOutcome, ImportRequest
from llmrec_core.errors import DataError, UsageError

ROOT = Path(__file__).parents[2]
MOST_BYTES = 1e9
BIG = "x" * 20_000_000


LAUNCHER = """
import os, resource, subprocess, sys
done = subprocess.run([sys.executable, "-m", "llmrec_core.data.importing.child"], input=sys.stdin.read(),
                      capture_output=True, text=True)
print(done.stdout.strip())
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""
"""The system counts a process's memory before it starts a program as the program's own, so the child
is started by a small process and not by pytest, which made the files and is large."""


def run_child(path: Path, home: Path) -> tuple[str, float]:
    """What the child says is wrong, and its largest resident memory in bytes."""
    request = ImportRequest(path=str(path), name="toy", options=Options())
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER],
        input=request.model_dump_json(),
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "LLMREC_HOME": str(home), "OMP_NUM_THREADS": "1"},
        text=True,
        check=True,
    )
    *_, answer, usage = done.stdout.strip().splitlines()
    status, peak_bytes = usage.split()
    assert status == "0"
    body = json.loads(answer)
    if "error" in body:
        return body["error"]["sentence"], float(peak_bytes)
    with pytest.raises((DataError, UsageError)) as caught:
        ImportOutcome.model_validate(body).raise_problems()
    return str(caught.value), float(peak_bytes)


def one_value(path: Path, rows: int = 1_100) -> None:
    """A text of 20 MB stored once, in 1,100 rows: 1 MB that spells out to 21 GB."""
    pointers = pa.array(np.zeros(rows, np.int32))
    title = pa.DictionaryArray.from_arrays(pointers, pa.array([BIG]))
    ids = [f"i{n}" for n in range(rows)]
    pq.write_table(pa.table({"user_id": ids, "item_id": ids, "title": title}), path)


def many_small_values(path: Path) -> None:
    """A text of 1 MB in 100,000 rows: none is too long, together they are 100 GB."""
    pointers = pa.array(np.zeros(100_000, np.int32))
    title = pa.DictionaryArray.from_arrays(pointers, pa.array(["y" * 1_000_000]))
    ids = np.arange(100_000).astype(str)
    pq.write_table(pa.table({"user_id": ids, "item_id": ids, "title": title}), path)


def lists_of_one_value(path: Path) -> None:
    title = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1_100, np.int32)), pa.array([BIG]))
    lists = pa.ListArray.from_arrays(pa.array(np.arange(1_101, dtype=np.int32)), title)
    ids = [f"i{n}" for n in range(1_100)]
    pq.write_table(pa.table({"user_id": ids, "item_id": ids, "categories": lists}), path)


def many_rows(path: Path) -> None:
    """200 million rows of a byte each, in 1.3 MB."""
    zeros = pa.array(np.zeros(50_000_000, np.int8))
    table = pa.table({"user_id": zeros, "item_id": zeros})
    with pq.ParquetWriter(path, table.schema) as writer:
        for _ in range(4):
            writer.write_table(table, row_group_size=50_000_000)


def one_long_list(path: Path) -> None:
    ends = pa.array([0, 100_000_000, 100_000_000], pa.int32())
    lists = pa.ListArray.from_arrays(ends, pa.array(np.zeros(100_000_000, np.int8)))
    pq.write_table(pa.table({"user_id": ["a", "b"], "item_id": ["x", "y"], "tags": lists}), path)


def differences(path: Path) -> None:
    """Text stored as its difference to the row before: 1,000 × 20 MB in 1 MB."""
    texts = pa.array([BIG] * 50)
    table = pa.table({"user_id": ["a"] * 50, "item_id": ["x"] * 50, "title": texts})
    schema = table.schema
    encoding = {"title": "DELTA_BYTE_ARRAY", "user_id": "PLAIN", "item_id": "PLAIN"}
    with pq.ParquetWriter(
        path, schema, use_dictionary=False, column_encoding=encoding, write_statistics=False
    ) as writer:
        for _ in range(20):
            writer.write_table(table)


def a_quoted_cell_of_line_breaks(path: Path) -> None:
    path.write_bytes(b'user_id,item_id,title\nu1,i1,"' + b"\n" * 41_000_000 + b'"\nu2,i2,x\n')


def a_cell_that_never_ends(path: Path) -> None:
    path.write_bytes(b'user_id,item_id,title\nu1,i1,"' + b'"",\n' * 10_000_000)


def packed_line_breaks(path: Path) -> None:
    path.write_bytes(gzip.compress(b'user_id,item_id\nu1,"' + b"\n" * 90_000_000 + b'"\n'))


def deep_json(path: Path) -> None:
    path.write_bytes(b'[{"user_id": 1, "item_id": ' + b"[" * 40_000_000)


def many_json_objects(path: Path) -> None:
    path.write_bytes(b'[{"user_id": 1, "item_id": 1}' + b",{}" * 25_000_000 + b"]")


def one_json_string(path: Path) -> None:
    path.write_bytes(b'[{"user_id": 1, "item_id": "' + b"a" * 90_000_000 + b'"}]')


def python_brackets(path: Path) -> None:
    path.write_bytes(b"{'user_id': 1, 'item_id': 2}\n{'a': " + b"(" * 7_000_000 + b"\n")


def columns_without_end(path: Path) -> None:
    path.write_bytes(b"user_id,item_id\n" + b"," * 8_000_000 + b"\n")


CASES = {
    "one value": (one_value, "20,000,.* bytes"),
    "many small values": (many_small_values, "expands"),
    "lists of one value": (lists_of_one_value, "20,000,.* bytes"),
    "many rows": (many_rows, "expands"),
    "one long list": (one_long_list, "expands"),
    "differences": (differences, "bytes; a row takes at most|more memory|expands"),
    "a quoted cell of line breaks": (a_quoted_cell_of_line_breaks, "longer than 8 MiB"),
    "a cell that never ends": (a_cell_that_never_ends, "longer than 8 MiB"),
    "packed line breaks": (packed_line_breaks, "longer than 8 MiB|expands"),
    "deep JSON": (deep_json, "nested|damaged"),
    "many JSON objects": (many_json_objects, "user or the item"),
    "one JSON string": (one_json_string, "damaged|nested|longer"),
    "Python brackets": (python_brackets, "not a JSON object"),
    "columns without end": (columns_without_end, "user or the item"),
}


ALSO_PACKED = ("one value", "many rows", "a quoted cell of line breaks")


@pytest.mark.threat("decoded-size", "zip-bomb")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "packing"),
    [*((case, "file") for case in CASES), *((case, "zip") for case in ALSO_PACKED)],
)
def test_the_child_refuses_with_a_sentence_below_1_gb(case, packing, tmp_path):
    write, told = CASES[case]
    path = tmp_path / "upload"
    write(path)
    if packing == "zip":
        with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, "tables/upload")
        path.unlink()
        path = tmp_path / "all.zip"
    sentence, peak_bytes = run_child(path, tmp_path / "home")
    print(
        f"{case} ({packing}): {path.stat().st_size:,} bytes, peak {peak_bytes / 1e6:,.0f} MB: {sentence}"
    )
    assert "\n" not in sentence
    assert len(sentence) < 500
    assert peak_bytes < MOST_BYTES
    assert re.search(told, sentence), sentence
    datasets = tmp_path / "home" / "datasets"
    assert not datasets.exists() or not list(datasets.iterdir())
