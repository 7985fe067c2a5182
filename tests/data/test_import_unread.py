"""A choice for all files of an import is read by one of them, or refused by its name."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from llmrec_core.data.importing.described_table import Options
from llmrec_core.data.importing.plan import plan_import
from llmrec_core.errors import UsageError

ROWS = [
    {"user_id": f"u{user}", "item_id": f"i{(3 * user + n) % 17}", "timestamp": 1_700_000_000 + n}
    for user in range(9)
    for n in range(6)
]
TEXTS = {
    "log.csv": pd.DataFrame(ROWS).to_csv(index=False),
    "timeless.csv": pd.DataFrame(ROWS).drop(columns="timestamp").to_csv(index=False),
    "log.json": json.dumps(ROWS),
    "log.jsonl": "\n".join(map(json.dumps, ROWS)),
    "log.inter": pd.DataFrame(ROWS)
    .rename(columns={"user_id": "user_id:token", "item_id": "item_id:token"})
    .to_csv(index=False, sep="\t"),
}


@pytest.fixture
def place(tmp_path):
    """A file of the given name, in a folder of its own."""

    def write(name):
        path = tmp_path / name
        if name.endswith(".parquet"):
            pd.DataFrame(ROWS).to_parquet(path)
        else:
            path.write_text(TEXTS[name], encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    "name, choices, sentence",
    [
        ("log.parquet", {"format": "delimited"}, "--format would change nothing here: the first"),
        ("log.parquet", {"separator": ";"}, "--separator would change nothing here: only delim"),
        ("log.parquet", {"encoding": "cp1252"}, "--encoding would change nothing here: Parquet"),
        ("log.json", {"separator": ";"}, "--separator would"),
        ("log.json", {"header": False}, "--header would change nothing here: only delimited text"),
        ("log.jsonl", {"header": True}, "--header would"),
        ("log.inter", {"header": False}, "--header would"),
        ("timeless.csv", {"time_unit": "ms"}, "--time-unit would change nothing here: no column"),
        ("timeless.csv", {"time_format": "%d/%m/%Y"}, "--time-format would"),
        ("log.csv", {"time_unit": "s", "time_format": "%s"}, "--time-unit would"),
    ],
)
def test_a_choice_that_no_file_reads_is_refused(place, name, choices, sentence):
    with pytest.raises(UsageError, match=sentence):
        plan_import(place(name), Options(**choices))


@pytest.mark.parametrize(
    "name, choices, read",
    [
        ("log.csv", {"encoding": "cp1252"}, {"encoding": "cp1252:replace"}),
        ("log.csv", {"time_unit": "ms"}, {"time_unit": "ms"}),
        ("log.inter", {"format": "delimited"}, {"format": "delimited"}),
        ("log.json", {"time_unit": "ms"}, {"time_unit": "ms"}),
        ("log.parquet", {"time_unit": "us"}, {"time_unit": "us"}),
    ],
)
def test_a_choice_that_a_file_reads_changes_what_is_found(place, name, choices, read):
    path = place(name)
    (found,), (chosen,) = (
        plan_import(path, Options()).tables,
        plan_import(path, Options(**choices)).tables,
    )
    for field, value in read.items():
        assert getattr(found, field) != value
        assert getattr(chosen, field) == value


def test_one_file_of_several_is_enough(place):
    place("log.parquet")
    folder = place("timeless.csv").parent
    plan = plan_import(folder, Options(separator=",", header=True, time_unit="s"))
    assert {table.format for table in plan.tables} == {"delimited", "parquet"}
