"""Lines of ids, a user and then their items (as LightGCN's train.txt) → user and history."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from llmrec_core.data.importing.described_table import Table
from llmrec_core.data.importing.opening import open_source
from llmrec_core.data.importing.row_tally import RowTally
from llmrec_core.data.importing.text_stream import utf8_stream

ROWS = 50_000


def read_id_lists(table: Table, tally: RowTally) -> Iterator[pd.DataFrame]:
    """Frames of user and history; the index is the line, from 1.

    Args:
        table: a table of the format `id-lists`.
        tally: not used, as every line of ids is a row.
    """
    del tally
    rows: list[tuple[str, str]] = []
    numbers: list[int] = []
    with open_source(table.source) as raw:
        stream = utf8_stream(raw, table.source.label, table.encoding)
        for number, line in enumerate(stream, 1):
            user, _, items = line.decode("utf-8").strip().partition(table.separator)
            if not user:
                continue
            rows.append((user, items))
            numbers.append(number)
            if len(rows) >= ROWS:
                yield pd.DataFrame(rows, columns=table.columns, index=numbers, dtype=str)
                rows, numbers = [], []
    if rows:
        yield pd.DataFrame(rows, columns=table.columns, index=numbers, dtype=str)
