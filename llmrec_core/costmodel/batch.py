"""`estimate --csv`: every row of a table predicted, in order, streaming."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmrec_core.costmodel import model
from llmrec_core.costmodel.devices import Device
from llmrec_core.costmodel.query import check_columns, from_row
from llmrec_core.errors import DataError, LlmrecError

ADDED = ("predicted", "low80", "high80", "unit", "regime", "note")


def predict_row(
    row: dict[str, str], known: dict[str, Device] | None = None, coefficients: model.Coefficients | None = None
) -> dict[str, Any]:
    """The six added columns of one row; a row that cannot be predicted says why in `note`."""
    try:
        found = model.predict(from_row(row, known), coefficients)
    except (LlmrecError, ValueError) as error:
        return dict.fromkeys(ADDED, "") | {"note": f"not predicted: {error}"}
    return {
        "predicted": f"{found.value:.6g}",
        "low80": f"{found.low80:.6g}",
        "high80": f"{found.high80:.6g}",
        "unit": found.unit,
        "regime": found.regime,
        "note": found.note,
    }


def run(
    source: Path,
    out: Path,
    *,
    known: dict[str, Device] | None = None,
    coefficients: model.Coefficients | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[int, int]:
    """Predict every row of a CSV; (rows, rows predicted). One row is in memory at a time.

    Raises:
        DataError: a file that cannot be read, is the output itself, or lacks columns.
    """
    if source.resolve() == out.resolve():
        raise DataError(f"{out} is the input; give --out another name")
    rows = predicted = 0
    try:
        with source.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            check_columns(list(reader.fieldnames or []))
            kept = [name for name in reader.fieldnames or [] if name not in ADDED]
            with out.open("w", newline="", encoding="utf-8") as target:
                writer = csv.DictWriter(target, [*kept, *ADDED], extrasaction="ignore", lineterminator="\n")
                writer.writeheader()
                for row in reader:
                    found = predict_row(row, known, coefficients)
                    writer.writerow({**row, **found})
                    rows += 1
                    predicted += bool(found["predicted"])
                    if progress and rows % 10_000 == 0:
                        progress(rows)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{source} is no readable CSV in UTF-8: {error}") from error
    return rows, predicted
