"""Quality against cost: points, the non-dominated front, and the choice under limits in one sentence.

A point dominates another when it costs no more and ranks no worse, and one of the two strictly. The choice takes
the best quality within the limits, then the cheapest row that is not distinguishable from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmrec_core.experiments import formats
from llmrec_core.experiments.views import (
    AS_RECORDED,
    AXES,
    Pricing,
    Row,
    best_first,
    cost,
    difference,
    distinguishable,
    machine,
    price_or_infinity,
    spread,
    usd_per_million,
)

if TYPE_CHECKING:
    from llmrec_core.metrics.intervals import Difference

METRICS = {"ndcg@10": "NDCG@10", "recall@10": "Recall@10", "mrr": "MRR", "auc": "AUC"}


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
        spread = f" ({self.y_low:.3f} to {self.y_high:.3f})" if self.y_low is not None else ""
        front = "nothing measured is both cheaper and better" if self.on_front else "something is cheaper and no worse"
        return f"{self.row.name}: {self.y:.3f}{spread} for {self.n or '?'} users; {front}"


@dataclass(frozen=True)
class Chart:
    """The points of one metric against one cost, and the rows that could not be drawn, with the reason."""

    metric: str
    protocol: str
    slice: str
    axis: str
    points: tuple[Point, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def front(self) -> tuple[Point, ...]:
        return tuple(sorted((point for point in self.points if point.on_front), key=lambda point: point.x))


def chart(
    rows: Sequence[Row],
    metric: str,
    protocol: str,
    axis: str,
    slice: str = "all",
    pricing: Pricing = AS_RECORDED,
) -> Chart:
    """Points of the finished rows with the front marked."""
    points, left_out = [], []
    for row in rows:
        if row.state != "finished":
            continue
        good = row.figure(metric, protocol, slice)
        x, assumed = cost(row, axis, pricing)
        if good.value is None or x.value is None:
            unknown = METRICS.get(metric, metric) if good.value is None else AXES[axis].title
            left_out.append((row.name, f"{unknown}: {good.reason if good.value is None else x.reason}"))
            continue
        points.append(Point(row, x.value, x.low, x.high, good.value, good.low, good.high, good.n, assumed))
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


@dataclass(frozen=True)
class Limits:
    """What a reader can afford; `None` = no limit."""

    p95_s: float | None = None
    usd_per_million: float | None = None


@dataclass(frozen=True)
class Choice:
    """The row to take within the limits, the next best, and why, in words."""

    row: Row | None
    next_best: Row | None
    sentence: str
    why_not: str


def broken_limits(row: Row, limits: Limits, pricing: Pricing) -> list[str]:
    """The limits a row does not keep, in words; an unmeasured cost does not keep a limit."""
    broken = []
    p95, price = row.request_figure("latency_p95_s"), usd_per_million(row, pricing)
    if limits.p95_s is not None:
        if p95.value is None:
            broken.append(f"its p95 latency is {formats.figure(p95)}")
        elif p95.value > limits.p95_s:
            broken.append(f"its p95 of {formats.duration(p95.value)} is above {formats.duration(limits.p95_s)}")
    if limits.usd_per_million is not None:
        if price.value is None:
            broken.append(f"its price is {formats.figure(price)}")
        elif price.value > limits.usd_per_million:
            broken.append(
                f"its {formats.dollars(price.value)} per million is above {formats.dollars(limits.usd_per_million)}"
            )
    return broken


def failing(choice: Choice, rows: Sequence[Row], limits: Limits, pricing: Pricing = AS_RECORDED) -> list[Row]:
    """The rows that a faster or cheaper machine could bring within the limits: the next best, or all when none keeps them."""
    if choice.row is None:
        return [row for row in rows if row.state == "finished"]
    other = choice.next_best
    return [other] if other is not None and broken_limits(other, limits, pricing) else []


def choose(
    rows: Sequence[Row],
    metric: str,
    protocol: str,
    limits: Limits,
    users: Mapping[str, Mapping[int, float]],
    pricing: Pricing = AS_RECORDED,
    slice: str = "all",
    only: Sequence[int] | None = None,
) -> Choice:
    """The best row within the limits, or the cheapest one that is not distinguishable from it.

    Args:
        users: per-user values of `metric` by run id, for paired intervals.
        only: user codes of the slice, when it is not "all".
    """
    title = METRICS.get(metric, metric)
    known = best_first(rows, metric, protocol, slice)
    if not known:
        return Choice(None, None, f"No finished run has {title} under {protocol}.", "")

    def value(row: Row) -> float:
        return row.figure(metric, protocol, slice).value or 0.0

    feasible = [row for row in known if not broken_limits(row, limits, pricing)]
    if not feasible:
        nearest = min(known, key=lambda row: row.request_figure("latency_p95_s").value or float("inf"))
        reasons = "; ".join(broken_limits(nearest, limits, pricing))
        return Choice(
            None,
            nearest,
            "Nothing measured keeps these limits."
            if not any(row.predicted for row in known)
            else "Nothing measured or predicted keeps these limits.",
            f"The closest, {nearest.name}, fails: {reasons}.",
        )

    def tied(a: Row, b: Row) -> bool:
        found = difference(users.get(a.run_id, {}), users.get(b.run_id, {}), only)
        return found is not None and not distinguishable(found)

    best = feasible[0]
    chosen = min(
        (row for row in feasible if row is best or tied(best, row)), key=lambda row: price_or_infinity(row, pricing)
    )
    sentence = (
        f"Take {chosen.name}: {title} {value(chosen):.3f} under {protocol}, "
        f"p95 {formats.figure(chosen.request_figure('latency_p95_s'))}, "
        f"{formats.figure(usd_per_million(chosen, pricing))} per million requests, "
        f"{'predicted' if chosen.predicted else 'measured'} on {machine(chosen) or 'a machine that was not recorded'}."
    )
    if chosen.predicted:
        interval = formats.figure(chosen.request_figure("latency_p95_s"), interval=True)
        sentence += f" Its 80 % interval: p95 {interval}."
    if chosen is not best:
        sentence += f" Its quality is not distinguishable from {best.name} ({value(best):.3f}), which costs more."
    others = [row for row in known if row is not chosen]
    if not others:
        return Choice(chosen, None, sentence, "There is no other finished run to compare it with.")
    dearer = [row for row in others if value(row) >= value(chosen) and row not in feasible]
    next_best = dearer[0] if dearer else best if best is not chosen else others[0]
    if next_best not in feasible:
        why = "; ".join(broken_limits(next_best, limits, pricing))
        return Choice(chosen, next_best, sentence, f"The next best, {next_best.name}, fails: {why}.")
    found = difference(users.get(chosen.run_id, {}), users.get(next_best.run_id, {}), only)
    return Choice(chosen, next_best, sentence, _why_not(chosen, next_best, found, pricing))


def _why_not(chosen: Row, other: Row, found: Difference | None, pricing: Pricing) -> str:
    """Why a row that keeps the limits is not taken."""
    if found is None:
        apart = "has no per-user values in common, so the two cannot be compared user by user"
    elif distinguishable(found):
        apart = f"ranks worse by {found.mean:.3f} ({found.low:.3f} to {found.high:.3f}, paired over {found.n} users)"
    else:
        apart = f"is not distinguishable in quality ({spread(found)}, paired over {found.n} users)"
    mine, theirs = usd_per_million(chosen, pricing).value, usd_per_million(other, pricing).value
    ratio = theirs / mine if mine and theirs else 1.0
    if ratio > 1:
        apart += f" and costs {formats.significant(ratio)} times as much"
    return f"The next best, {other.name}, {apart}."
