"""Some runs beside each other: paired differences, what costs consist of, best steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmrec_core.language import marked, t
from llmrec_core.metrics.intervals import Difference
from llmrec_core.reading import number_format
from llmrec_core.reading.comparison import difference, require_pair
from llmrec_core.reading.pareto import METRICS
from llmrec_core.reading.people import People
from llmrec_core.reading.pricing import Pricing, usd_per_million
from llmrec_core.reading.row import Row
from llmrec_core.reading.table import Cell, Column, Show, Table, make
from llmrec_core.types import Measurement

if TYPE_CHECKING:
    import pandas as pd

FEWEST, MOST = 2, 6
"""So many runs can be compared; more would not be told apart on a chart."""
MEBIBYTE = 2.0**20
VALIDATION = "valid_ndcg@10"
LOSS = "train_loss"

GAPS = (
    Column(marked("Run"), "run"),
    Column(marked("Metric"), "metric"),
    Column(marked("Difference"), "difference", number_format.signed),
    Column(marked("Low"), "low", number_format.signed),
    Column(marked("High"), "high", number_format.signed),
    Column(marked("People asked by both"), "people", number_format.count),
    Column(marked("Told apart"), "told_apart"),
)
STEPS = (
    Column(marked("Run"), "run"),
    Column(marked("Best step"), "best_step", number_format.count),
    Column(marked("Validation NDCG@10 there"), "validation_ndcg", number_format.quality),
    Column(marked("Steps trained"), "steps", number_format.count),
    Column(marked("Last training loss"), "train_loss", number_format.quality),
)


@dataclass(frozen=True)
class Gap:
    """What a run has more of a metric than the one it is compared with, person by person."""

    row: Row
    metric: str
    """E.g. `ndcg@10`."""
    difference: Difference


def gaps(base: Row, others: Sequence[Row], people: Mapping[str, Mapping[str, People]]) -> list[Gap]:
    """The paired difference of every other run to one of them, in every metric.

    Runs that share too few people with it are left out.

    Args:
        base: which the others are compared with.
        others: on its exam.
        people: values by metric and run id.

    Raises:
        UsageError: for a run that was measured on another exam.
    """
    for row in others:
        require_pair(row, base)
    pairs = (
        (row, metric, difference(values[row.run_id], values[base.run_id]))
        for metric, values in people.items()
        for row in others
    )
    return [Gap(row, metric, gap) for row, metric, gap in pairs if gap is not None]


def gap_table(listed: Sequence[Gap]) -> Table:
    """One line a run and metric."""
    lines: list[dict[str, Cell | Measurement]] = [
        {
            "Run": gap.row.name,
            "Metric": METRICS.get(gap.metric, gap.metric),
            "Difference": gap.difference.mean,
            "Low": gap.difference.low,
            "High": gap.difference.high,
            "People asked by both": gap.difference.n,
            "Told apart": _told_apart(gap.difference),
        }
        for gap in listed
    ]
    return make(GAPS, lines, [gap.row.run_id for gap in listed])


def _told_apart(gap: Difference) -> str:
    if not gap.differing:
        return t("the same for every user")
    return t("yes") if gap.distinguishable else t("no")


def memory_parts(rows: Sequence[Row]) -> dict[str, list[float | None]]:
    """What is resident while a run serves, in MiB, by part; `None` where it was not measured."""

    def mebibytes(row: Row, name: str, less: str = "") -> float | None:
        value, before = row.figure(name).value, row.figure(less).value if less else 0.0
        return None if value is None or before is None else max(value - before, 0.0) / MEBIBYTE

    return {
        t("libraries"): [mebibytes(row, "runtime_memory_bytes") for row in rows],
        t("model and data"): [
            mebibytes(row, "loaded_memory_bytes", "runtime_memory_bytes") for row in rows
        ],
        t("a request"): [mebibytes(row, "request_memory_bytes") for row in rows],
    }


def money_parts(rows: Sequence[Row], pricing: Pricing) -> dict[str, list[float | None]]:
    """Dollars of the training and of the first million requests; `None` where unknown."""
    return {
        t("training, once"): [row.figure("train_usd").value for row in rows],
        t("a million requests"): [usd_per_million(row, pricing).value for row in rows],
    }


@dataclass(frozen=True)
class Axis:
    """One figure of every run, drawn as an axis beside others."""

    title: str
    values: tuple[float | None, ...]
    """In base units, in the order of the runs."""
    show: Show
    logarithmic: bool = True


def axes(rows: Sequence[Row], metric: str, protocol: str, pricing: Pricing) -> list[Axis]:
    """Quality and costs of some runs; an axis on which nothing was measured is left out.

    Args:
        rows: of one exam.
        metric: e.g. `ndcg@10`.
        protocol: under which it was measured.
        pricing: what the reader has typed.
    """
    duration, size = number_format.duration, number_format.size
    listed = [
        Axis(
            METRICS.get(metric, metric),
            tuple(row.figure(metric, protocol).value for row in rows),
            number_format.quality,
            logarithmic=False,
        ),
        Axis("p95", tuple(row.request_figure("latency_p95_s").value for row in rows), duration),
        Axis(
            t("$ per million requests"),
            tuple(usd_per_million(row, pricing).value for row in rows),
            number_format.dollars,
        ),
        Axis(
            t("memory, serving"),
            tuple(row.figure("peak_memory_bytes").value for row in rows),
            size,
        ),
        Axis(t("training"), tuple(row.figure("train_s").value for row in rows), duration),
    ]
    return [axis for axis in listed if any(value is not None for value in axis.values)]


def measured_on_all(listed: Sequence[Axis]) -> list[int]:
    """Places of the runs that have a value on every axis: only those can be drawn as a line."""
    count = len(listed[0].values) if listed else 0
    return [
        place for place in range(count) if all(axis.values[place] is not None for axis in listed)
    ]


def at_places(axis: Axis, places: Sequence[int]) -> Axis:
    """The same axis for some of the runs."""
    return replace(axis, values=tuple(axis.values[place] for place in places))


def of_training(curves: pd.DataFrame) -> pd.DataFrame:
    """Loss and validation over training steps, without what else a run records as a curve.

    Args:
        curves: of a run, columns `name`, `step`, `value`.
    """
    return curves[curves["name"].isin((LOSS, VALIDATION))]


def best_steps(rows: Sequence[Row], curves: Mapping[str, pd.DataFrame]) -> Table:
    """Where each run validated best, and how long it trained; only runs that were trained.

    Args:
        rows: in the order of the lines.
        curves: run id → what `of_training` returns.
    """
    lines: list[dict[str, Cell | Measurement]] = []
    trained = [row for row in rows if not curves[row.run_id].empty]
    for row in trained:
        curve = curves[row.run_id]
        validation = curve[curve["name"] == VALIDATION]
        loss = curve[curve["name"] == LOSS]
        line: dict[str, Cell | Measurement] = {
            "Run": row.name,
            "Steps trained": int(curve["step"].max()),
        }
        if len(validation):
            best = validation.loc[validation["value"].idxmax()]
            line |= {
                "Best step": int(best["step"]),
                "Validation NDCG@10 there": float(best["value"]),
            }
        if len(loss):
            line["Last training loss"] = float(loss.sort_values("step")["value"].iloc[-1])
        lines.append(line)
    return make(STEPS, lines, [row.run_id for row in trained])
