"""`estimate --csv`: every row of a table predicted, in order, one row in memory at a time."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from llmrec_core.costmodel.facts.devices import Device
from llmrec_core.costmodel.predict import predictor
from llmrec_core.costmodel.predict.query_rows import check_columns, from_row
from llmrec_core.errors import DataError, LlmrecError
from llmrec_core.files import write_csv
from llmrec_core.language import t

ADDED = ("predicted", "low80", "high80", "unit", "regime", "note")


def predict_row(
    row: Mapping[str, str],
    catalogue: dict[str, Device] | None = None,
    coefficients: predictor.Coefficients | None = None,
) -> dict[str, str]:
    """The six added columns of one row; a row that cannot be predicted says why in `note`.

    Args:
        row: its cells by column.
        catalogue: devices by name; the shipped ones when not given.
        coefficients: pulled by own runs; the product's when not given.
    """
    try:
        answer = predictor.predict(from_row(row, catalogue), coefficients)
    except LlmrecError as error:
        return dict.fromkeys(ADDED, "") | {"note": t("not predicted: {error}", error=error)}
    return {
        "predicted": f"{answer.value:.6g}",
        "low80": f"{answer.low80:.6g}",
        "high80": f"{answer.high80:.6g}",
        "unit": answer.unit,
        "regime": answer.regime,
        "note": answer.note,
    }


def run(
    source: Path,
    out: Path,
    *,
    catalogue: dict[str, Device] | None = None,
    coefficients: predictor.Coefficients | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[int, int]:
    """Predict every row of a CSV.

    Args:
        source: the table.
        out: where the table with its added columns goes.
        catalogue: devices by name; the shipped ones when not given.
        coefficients: pulled by own runs; the product's when not given.
        progress: called with the number of rows read, every ten thousand.

    Returns:
        Rows, and rows that were predicted.

    Raises:
        DataError: for a file that cannot be read, is the output itself, or lacks columns.
    """
    if source.resolve() == out.resolve():
        raise DataError(t("{out} is the input; give --out another name", out=out))
    rows = predicted = 0

    def answered(table: Iterable[dict[str, str]]) -> Iterator[dict[str, str]]:
        nonlocal rows, predicted
        for row in table:
            added = predict_row(row, catalogue, coefficients)
            rows += 1
            predicted += bool(added["predicted"])
            if progress and rows % 10_000 == 0:
                progress(rows)
            yield {**row, **added}

    try:
        with source.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            check_columns(list(reader.fieldnames or []))
            columns = [name for name in reader.fieldnames or [] if name not in ADDED]
            write_csv(out, [*columns, *ADDED], answered(reader))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            t("{source} is no readable CSV in UTF-8: {error}", source=source, error=error)
        ) from error
    return rows, predicted
