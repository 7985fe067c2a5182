"""How far predictions were from measurements they had not seen: written once by the fit, read by the page.

    python -m llmrec_core.costmodel.evidence REFERENCE_FOLDER

writes `assets/costmodel/errors.csv` (median error and coverage by what was left out and regime, beside the naive
roofline) and `assets/costmodel/residuals.csv` (every row with whole GPUs left out). A row's `rank` is the share of
the errors of other GPUs, same regime, that are smaller than its own: its interval at level L held when rank < L.
"""

from __future__ import annotations

import bisect
import csv
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmrec_core.costmodel import tables
from llmrec_core.errors import AssetError

KINDS = {"gpu": "GPU", "chip": "chip", "model": "model", "framework": "framework"}
"""What is left out as a whole; `chip` takes all variants of a GPU away together."""
REGIMES = {
    "encoder": "Encoder latency and throughput",
    "training": "Training throughput",
    "decode": "Decoding at batch 1",
    "serving": "Serving throughput",
    "memory": "Memory",
    "prefill": "Reading a prompt",
    "energy": "Energy",
}
TARGETS = {"encoder": 12.0, "training": 15.0, "decode": 15.0, "serving": 25.0, "memory": 6.0}
"""Median absolute error in percent that was aimed at, whole GPUs left out."""
LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))
ENOUGH = 8
"""Errors of other groups that a regime needs to set its own interval; below, all regimes are pooled."""


@dataclass(frozen=True)
class Error:
    """One line of errors.csv."""

    left_out: str
    regime: str
    rows: int
    error_percent: float
    """Median absolute percentage error, rows marked ok."""
    naive_percent: float | None
    """The same of FLOPs over peak or bytes over bandwidth at one fitted efficiency."""
    coverage80: float | None
    """Share of rows inside their 80 % interval."""


@dataclass(frozen=True)
class Residual:
    """One measurement and what was predicted for it without its GPU."""

    regime: str
    gpu: str
    model: str
    framework: str
    ratio: float
    """Predicted over measured. The measurement itself stays with its source."""
    rank: float
    ok: bool
    source: str


def errors() -> list[Error]:
    """The recorded errors, by what was left out and regime.

    Raises:
        AssetError: when the table is missing or unreadable.
    """
    return [
        Error(
            row["left_out"],
            row["regime"],
            int(row["rows"]),
            float(row["error_percent"]),
            tables.number(row["naive_percent"]),
            tables.number(row["coverage80"]),
        )
        for row in _rows("errors")
    ]


def residuals() -> list[Residual]:
    """Every recorded row with its GPU left out.

    Raises:
        AssetError: when the table is missing or unreadable.
    """
    return [
        Residual(
            row["regime"],
            row["gpu"],
            row["model"],
            row["framework"],
            float(row["ratio"]),
            float(row["rank"]),
            row["ok"] == "1",
            row["source"],
        )
        for row in _rows("residuals")
    ]


def _rows(name: str) -> Sequence[dict[str, str]]:
    try:
        return tables.rows(name)
    except AssetError as error:
        raise AssetError(
            f"{error}; `python -m llmrec_core.costmodel.evidence REFERENCE_FOLDER` writes it anew"
        ) from error


def calibration(found: Iterable[Residual], levels: Sequence[float] = LEVELS) -> list[tuple[float, float]]:
    """(nominal level, share of rows inside their interval at that level); empty without rows."""
    ranks = sorted(one.rank for one in found)
    return [(level, bisect.bisect_left(ranks, level) / len(ranks)) for level in levels] if ranks else []


def sources(found: Iterable[Residual]) -> dict[str, int]:
    """Rows by source, most first."""
    counts: dict[str, int] = {}
    for one in found:
        counts[one.source] = counts.get(one.source, 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: -pair[1]))


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def ranks(errors_of: Sequence[tuple[str, str, float]]) -> list[float]:
    """For each (regime, group, error) the share of smaller errors among the regime's other groups."""
    every = sorted(abs(error) for _, _, error in errors_of)
    by_regime: dict[str, list[float]] = {}
    by_group: dict[tuple[str, str], list[float]] = {}
    of_group: dict[str, list[float]] = {}
    for regime, group, error in errors_of:
        by_regime.setdefault(regime, []).append(abs(error))
        by_group.setdefault((regime, group), []).append(abs(error))
        of_group.setdefault(group, []).append(abs(error))
    ordered = {regime: sorted(found) for regime, found in by_regime.items()}
    found = []
    for regime, group, error in errors_of:
        rest, own = ordered[regime], by_group[regime, group]
        if len(rest) - len(own) < ENOUGH:
            rest, own = every, of_group[group]
        smaller = bisect.bisect_left(rest, abs(error)) - sum(one < abs(error) for one in own)
        found.append(smaller / (len(rest) - len(own) + 1))
    return found


def write(reference: Path, folder: Path = tables.FOLDER) -> tuple[Path, Path]:
    """Leave everything out in turn and write both tables; some minutes.

    Raises:
        DataError, OSError: when the calibration file cannot be read.
    """
    from llmrec_core.costmodel import fit, validate

    data = fit.examples(fit.read(reference / "hardware_measurements_calibration.csv"))
    lines: list[dict[str, object]] = []
    whole: validate.Left = []
    for kind in KINDS:
        group_of = validate.GROUPS[kind]
        results = fit.left_out(data, group_of)
        whole = results if kind == "gpu" else whole
        naive, covered = fit.summary(validate.roofline(data, group_of)), validate.coverage(results)
        for regime, (error, rows) in fit.summary(results).items():
            lines.append(
                {
                    "left_out": kind,
                    "regime": regime,
                    "rows": rows,
                    "error_percent": f"{error:.2f}",
                    "naive_percent": f"{naive[regime][0]:.2f}" if regime in naive else "",
                    "coverage80": f"{covered[regime]:.4f}" if regime in covered else "",
                }
            )
    first = _write(folder / "errors.csv", [line for line in lines if line["rows"]])
    places = ranks([(one.regime, group, error) for one, group, error in whole])
    second = _write(
        folder / "residuals.csv",
        [
            {
                "regime": one.regime,
                "gpu": group,
                "model": one.query.model.name,
                "framework": one.row["framework"],
                "ratio": f"{math.exp(error):.4f}",
                "rank": f"{place:.4f}",
                "ok": int(one.ok),
                "source": one.row["source"].partition(":")[0],
            }
            for (one, group, error), place in zip(whole, places, strict=True)
        ],
    )
    tables.rows.cache_clear()
    return first, second


def _write(path: Path, lines: Sequence[dict[str, object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        out.writeheader()
        out.writerows(lines)
    return path


if __name__ == "__main__":
    for written in write(Path(sys.argv[1])):
        print(written)
