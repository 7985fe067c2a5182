"""How far predictions were from measurements they had not seen: recorded tables, read by the page.

`assets/costmodel/errors.csv` holds the median error and the coverage by what was left out and
regime, beside the naive roofline; `assets/costmodel/residuals.csv` holds every row with whole
GPUs left out. A row's `rank` is the share of the errors of other GPUs, same regime, that are
smaller than its own: its interval at level L held when rank < L. `write_evidence.py` writes both.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llmrec_core.costmodel.facts import csv_facts
from llmrec_core.errors import AssetError
from llmrec_core.language import marked, t

KINDS = ("gpu", "chip", "model", "framework")
"""What is left out as a whole; `chip` takes all variants of a GPU away together."""
REGIMES = {
    "encoder": marked("Encoder latency and throughput"),
    "training": marked("Training throughput"),
    "decode": marked("Decoding at batch 1"),
    "serving": marked("Serving throughput"),
    "memory": marked("Memory"),
    "prefill": marked("Reading a prompt"),
    "energy": marked("Energy"),
}
TARGETS = {"encoder": 10.0, "training": 12.0, "decode": 12.0, "serving": 20.0, "memory": 6.0}
"""Median absolute error in percent that was aimed at, whole GPUs left out."""
LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))
ENOUGH = 8
"""Errors of other groups that a regime needs to set its own interval; below, all are pooled."""


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
            csv_facts.number(row["naive_percent"]),
            csv_facts.number(row["coverage80"]),
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
        return csv_facts.rows(name)
    except AssetError as error:
        raise AssetError(
            t(
                "{error}; `python -m llmrec_core.costmodel.calibrate.write_evidence "
                "REFERENCE_FOLDER` writes it anew",
                error=error,
            )
        ) from error


def calibration(
    rows: Iterable[Residual], levels: Sequence[float] = LEVELS
) -> list[tuple[float, float]]:
    """How many rows an interval holds at each nominal level.

    Args:
        rows: the recorded residuals.
        levels: nominal levels.

    Returns:
        (nominal level, share of rows inside their interval at that level); empty without rows.
    """
    ranks = sorted(row.rank for row in rows)
    if not ranks:
        return []
    return [(level, bisect.bisect_left(ranks, level) / len(ranks)) for level in levels]


def sources(rows: Iterable[Residual]) -> dict[str, int]:
    """Rows by source, most first."""
    return dict(Counter(row.source for row in rows).most_common())
