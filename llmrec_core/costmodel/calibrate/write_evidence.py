"""Leave everything out in turn, and record how far the predictions were off.

    python -m llmrec_core.costmodel.calibrate.write_evidence REFERENCE_FOLDER

writes the two tables that `evidence.py` reads; some minutes.
"""

from __future__ import annotations

import bisect
import math
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from llmrec_core.costmodel.calibrate import fit, validate
from llmrec_core.costmodel.calibrate.evidence import KINDS
from llmrec_core.costmodel.calibrate.examples import Example, examples, read_folder
from llmrec_core.costmodel.calibrate.fit import LeftOut
from llmrec_core.costmodel.facts import csv_facts
from llmrec_core.files import write_csv


def ranks(errors_of: Sequence[tuple[str, str, float]]) -> list[float]:
    """For each error the level from which on its interval holds it.

    The share of errors of the regime's other groups that are smaller than its own, once that is
    made smaller by what few groups widen an interval of 80 % by.

    Args:
        errors_of: (regime, group, logarithm of predicted over measured).
    """
    by: dict[tuple[str, str], list[float]] = defaultdict(list)
    for regime, group, error in errors_of:
        by[regime, group].append(error)
    ordered, wider = {}, {}
    for regime, group in by:
        rest = validate.others(by, regime, group)
        ordered[regime, group] = sorted(abs(error) for errors in rest.values() for error in errors)
        sizes = [len(errors) for errors in rest.values()]
        wider[regime, group] = validate.few_groups(sizes) if sizes else 1.0
    places = []
    for regime, group, error in errors_of:
        rest_of_it = ordered[regime, group]
        smaller = bisect.bisect_left(rest_of_it, abs(error) / wider[regime, group])
        places.append(smaller / (len(rest_of_it) + 1))
    return places


def write(reference: Path, folder: Path = csv_facts.FOLDER) -> tuple[Path, Path]:
    """Leave everything out in turn and write both tables.

    Args:
        reference: the folder with the published measurements.
        folder: where the tables go.

    Returns:
        The paths of the errors and of the residuals.
    """
    measured = examples(read_folder(reference))
    results = {kind: fit.left_out(measured, validate.GROUPS[kind]) for kind in KINDS}
    errors = [
        line for kind in KINDS for line in _errors(kind, results[kind], measured) if line["rows"]
    ]
    first = _write(folder / "errors.csv", errors)
    second = _write(folder / "residuals.csv", _residuals(results["gpu"]))
    csv_facts.rows.cache_clear()
    return first, second


def _errors(kind: str, results: LeftOut, measured: Sequence[Example]) -> list[dict[str, object]]:
    """Lines of the table of errors for one way to leave out."""
    naive = fit.summary(validate.roofline(measured, validate.GROUPS[kind]))
    covered = validate.coverage(results)
    return [
        {
            "left_out": kind,
            "regime": regime,
            "rows": rows,
            "error_percent": f"{error:.2f}",
            "naive_percent": f"{naive[regime][0]:.2f}" if regime in naive else "",
            "coverage80": f"{covered[regime]:.4f}" if regime in covered else "",
        }
        for regime, (error, rows) in fit.summary(results).items()
    ]


def _residuals(results: LeftOut) -> list[dict[str, object]]:
    places = ranks([(example.regime, group, error) for example, group, error in results])
    return [
        {
            "regime": example.regime,
            "gpu": group,
            "model": example.query.model.name,
            "framework": example.row["framework"],
            "ratio": f"{math.exp(error):.4f}",
            "rank": f"{place:.4f}",
            "ok": int(example.ok),
            "source": example.row["source"].partition(":")[0],
        }
        for (example, group, error), place in zip(results, places, strict=True)
    ]


def _write(path: Path, lines: Sequence[dict[str, object]]) -> Path:
    write_csv(path, list(lines[0]), lines)
    return path


if __name__ == "__main__":
    for written in write(Path(sys.argv[1])):
        print(written)
