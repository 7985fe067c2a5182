"""Quality against cost: the points of a chart and the front that nothing dominates.

A point dominates another when it costs no more and ranks no worse, and one of the two strictly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llmrec_core.language import t
from llmrec_core.reading import number_format
from llmrec_core.reading.comparison import exam_words, one_exam
from llmrec_core.reading.pricing import AS_RECORDED, AXES, Pricing, axis_cost
from llmrec_core.reading.row import Row

METRICS = {"ndcg@10": "NDCG@10", "recall@10": "Recall@10", "mrr": "MRR", "auc": "AUC"}
EDGE = 3.0
"""On a logarithmic axis a cost of 0 stands at the smallest cost above 0 divided by this."""


@dataclass(frozen=True)
class Point:
    """A row on the chart; x in the record's unit, quality with its 95 % interval."""

    row: Row
    x: float
    x_low: float | None
    x_high: float | None
    y: float
    y_low: float | None
    y_high: float | None
    n: int | None
    assumed: bool = False
    on_front: bool = False

    @property
    def words(self) -> str:
        """The point as a sentence a hover can show."""
        value = number_format.quality(self.y)
        if self.y_low is not None and self.y_high is not None:
            value = t(
                "{value} ({low:.3f} to {high:.3f})", value=value, low=self.y_low, high=self.y_high
            )
        front = (
            t("nothing measured is both cheaper and better")
            if self.on_front
            else t("something is cheaper and no worse")
        )
        return t(
            "{name}: {value} for {n} users; {front}",
            name=self.row.name,
            value=value,
            n=t("unknown") if self.n is None else self.n,
            front=front,
        )


@dataclass(frozen=True)
class Chart:
    """The points of one metric against one cost, and why the other rows could not be drawn."""

    metric: str
    protocol: str
    slice: str
    axis: str
    points: tuple[Point, ...]
    left_out: tuple[tuple[str, str], ...]
    """Name and reason."""

    @property
    def front(self) -> tuple[Point, ...]:
        """The points that nothing dominates, cheapest first."""
        front = (point for point in self.points if point.on_front)
        return tuple(sorted(front, key=lambda point: point.x))

    @property
    def free(self) -> tuple[Point, ...]:
        """The points that cost 0, which has no place of its own on a logarithmic axis."""
        return tuple(point for point in self.points if point.x <= 0)

    @property
    def edge(self) -> float:
        """Where a logarithmic axis shows a cost of 0, in the record's unit."""
        costs = [point.x for point in self.points if point.x > 0]
        return min(costs, default=1.0) / EDGE


def chart(
    rows: Sequence[Row],
    metric: str,
    protocol: str,
    axis: str,
    slice: str = "all",
    pricing: Pricing = AS_RECORDED,
) -> Chart:
    """Points of the finished rows of one exam, with the front marked.

    Args:
        rows: of the study.
        metric: e.g. `ndcg@10`.
        protocol: e.g. `loo/100-uniform`.
        axis: a name of `AXES`.
        slice: of the users.
        pricing: what the reader has typed.
    """
    points, left_out = [], []
    finished = [row for row in rows if row.state == "finished"]
    measured = [row for row in finished if row.figure(metric, protocol, slice).value is not None]
    compared = {row.run_id for row in one_exam(measured)}
    for row in finished:
        quality = row.figure(metric, protocol, slice)
        cost, assumed = axis_cost(row, axis, pricing)
        if quality.value is None:
            reason = t(
                "{figure}: {reason}", figure=METRICS.get(metric, metric), reason=quality.reason
            )
            left_out.append((row.name, reason))
        elif row.run_id not in compared:
            left_out.append((row.name, t("measured on {exam}", exam=exam_words(row))))
        elif cost.value is None:
            reason = t("{figure}: {reason}", figure=t(AXES[axis].title), reason=cost.reason)
            left_out.append((row.name, reason))
        else:
            reach = (quality.value, quality.low, quality.high, quality.n)
            points.append(Point(row, cost.value, cost.low, cost.high, *reach, assumed))
    best = non_dominated([(point.x, point.y) for point in points])
    marked = tuple(replace(point, on_front=index in best) for index, point in enumerate(points))
    return Chart(metric, protocol, slice, axis, marked, tuple(left_out))


def non_dominated(pairs: Sequence[tuple[float, float]]) -> set[int]:
    """Indices of (cost, quality) pairs that no other pair dominates.

    >>> sorted(non_dominated([(1, 0.2), (2, 0.1), (3, 0.4), (1, 0.1)]))
    [0, 2]
    """
    keep = set()
    for index, (x, y) in enumerate(pairs):
        beaten = any(a <= x and b >= y and (a < x or b > y) for a, b in pairs)
        if not beaten:
            keep.add(index)
    return keep
