"""Published measurements as the fit takes them: the question, its terms, the total they mean."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from llmrec_core.costmodel.predict import work
from llmrec_core.costmodel.predict.query import Query
from llmrec_core.costmodel.predict.query_rows import from_row
from llmrec_core.errors import LlmrecError

MEASUREMENTS = ("hardware_measurements_calibration.csv", "hardware_measurements_more.csv")
"""The files of a reference folder that the fit reads; the first one must be there."""
WEIGHT = {"ok": 1.0, "uncertain": 0.35}
"""What a row counts for by its quality."""


@dataclass(frozen=True)
class Example:
    """A measurement ready to fit."""

    query: Query
    ideal: dict[str, float]
    """Its terms on an ideal device."""
    total: float
    """The total of the terms that the measured figure means; of energy the figure itself."""
    weight: float
    value: float
    row: dict[str, str]

    @property
    def regime(self) -> str:
        """The regime of the question."""
        return self.query.regime

    @property
    def ok(self) -> bool:
        """Whether the source states all conditions of the measurement."""
        return self.row["quality"] == "ok"


def read(path: Path) -> list[dict[str, str]]:
    """Rows of a table with the columns of the published measurements."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_folder(reference: Path) -> list[dict[str, str]]:
    """Rows of all files of a reference folder, in the order of `MEASUREMENTS`."""
    first, *others = (reference / name for name in MEASUREMENTS)
    return [*read(first), *(row for path in others if path.exists() for row in read(path))]


def examples(rows: Iterable[dict[str, str]]) -> list[Example]:
    """Rows that can be fitted on: not suspect, understood, with a value."""
    usable = []
    for row in rows:
        if row.get("quality") == "suspect" or not row.get("value"):
            continue
        try:
            query = from_row(row)
            ideal = work.terms(query)
        except LlmrecError:
            continue
        value = float(row["value"])
        total = value if query.metric == "energy_j" else work.total_of(query, value)
        weight = WEIGHT.get(row.get("quality", "ok"), WEIGHT["uncertain"])
        usable.append(Example(query, ideal, total, weight, value, row))
    return usable
