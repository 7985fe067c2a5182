"""Who is really better, and who cannot be told apart.

"Best" means better than every other row after Holm's correction over all pairs of the study; a row
that cannot be told apart from the first one is "tied".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from llmrec_core.language import marked, t
from llmrec_core.metrics.intervals import holm
from llmrec_core.metrics.seeds import group_p_value
from llmrec_core.reading import number_format
from llmrec_core.reading.comparison import best_first, difference, exam_of
from llmrec_core.reading.people import MIN_PEOPLE, NOBODY, People, shared
from llmrec_core.reading.row import Row
from llmrec_core.reading.study_tables import BY_HEART, HIGH, LOW, RUN, USERS
from llmrec_core.reading.table import Cell, Column, Table, make
from llmrec_core.types import Measurement

LEVEL = 0.05
"""Largest adjusted p of two rows that are told apart."""
P = Column(
    "p (Holm)", "p_holm", number_format.chance, marked("Adjusted for all pairs of the study.")
)
VALUE = Column(marked("Value"), "value", number_format.quality)
MARK = Column(marked("Mark"), "mark")
QUALITY = (
    RUN,
    MARK,
    BY_HEART,
    VALUE,
    LOW,
    HIGH,
    USERS,
    Column(marked("Seeds"), "seeds", number_format.count),
    Column(marked("Against the first"), "difference", number_format.signed),
    Column(marked("Difference low"), "difference_low", number_format.signed),
    Column(marked("Difference high"), "difference_high", number_format.signed),
    P,
)
PAIRS = (
    RUN,
    Column(marked("Against"), "against"),
    Column(marked("Difference"), "difference", number_format.signed),
    P,
    USERS,
    Column(marked("Told apart"), "told_apart"),
)


@dataclass(frozen=True)
class Pair:
    """Two rows on the same users: mean of a − b and its p, adjusted over all pairs of the study."""

    a: Row
    b: Row
    mean: float
    p: float
    n: int

    @property
    def apart(self) -> bool:
        """Whether the two are told apart."""
        return self.p < LEVEL


def pairs(rows: Sequence[Row], users: Mapping[str, People]) -> list[Pair]:
    """Every pair of rows of one exam that share enough users, in the order of the rows.

    Args:
        rows: of the study.
        users: values of a metric by run id.
    """
    compared = []
    for a, b in combinations(rows, 2):
        if exam_of(a) != exam_of(b):
            continue
        values = shared(users.get(a.run_id, NOBODY), users.get(b.run_id, NOBODY))
        if values is not None:
            mean = float(values[0].mean() - values[1].mean())
            compared.append((a, b, mean, group_p_value(*values), values[0].shape[1]))
    adjusted = holm([p for *_, p, _ in compared])
    return [
        Pair(a, b, mean, p, n) for (a, b, mean, _, n), p in zip(compared, adjusted, strict=True)
    ]


def _adjusted(compared: Sequence[Pair]) -> dict[frozenset[str], Pair]:
    return {frozenset((pair.a.run_id, pair.b.run_id)): pair for pair in compared}


def marks(
    rows: Sequence[Row], metric: str, protocol: str, compared: Sequence[Pair]
) -> dict[str, str]:
    """Run id → `best`, `tied` (with the first) or `worse`; empty where it cannot be compared.

    Args:
        rows: of the study.
        metric: e.g. `ndcg@10`.
        protocol: e.g. `loo/100-uniform`.
        compared: all pairs of the rows.
    """
    order = best_first(rows, metric, protocol)
    if not order:
        return {}
    first, by_pair = order[0], _adjusted(compared)
    words = {}
    for row in order[1:]:
        pair = by_pair.get(frozenset((first.run_id, row.run_id)))
        words[row.run_id] = "" if pair is None else "worse" if pair.apart else "tied"
    alone = bool(words) and all(word == "worse" for word in words.values())
    words[first.run_id] = "best" if alone else "tied" if "tied" in words.values() else ""
    return words


MARKS = {"best": marked("best"), "tied": marked("tied"), "worse": marked("worse"), "": ""}


def quality_table(
    rows: Sequence[Row],
    metric: str,
    protocol: str,
    users: Mapping[str, People],
    compared: Sequence[Pair],
    flags: Mapping[str, str] | None = None,
) -> Table:
    """One line a measured row, best first: value, interval, mark and difference from the first.

    Args:
        rows: of the study.
        metric: e.g. `ndcg@10`.
        protocol: e.g. `loo/100-uniform`.
        users: values of the metric by run id.
        compared: all pairs of the rows.
        flags: as of `data_doubts.memorised_flags`; the column is left out without any.
    """
    order = best_first(rows, metric, protocol)
    words, by_pair = marks(rows, metric, protocol, compared), _adjusted(compared)
    lines: list[dict[str, Cell | Measurement]] = []
    for row in order:
        figure = row.figure(metric, protocol)
        line: dict[str, Cell | Measurement] = {
            "Run": row.name,
            "Mark": t(MARKS[words.get(row.run_id, "")]),
            BY_HEART.title: (flags or {}).get(row.run_id, ""),
            "Value": figure,
            "Low": figure.low,
            "High": figure.high,
            "Users": figure.n,
            "Seeds": len(row.run_ids),
        }
        pair = by_pair.get(frozenset((row.run_id, order[0].run_id)))
        gap = difference(users.get(row.run_id, NOBODY), users.get(order[0].run_id, NOBODY))
        if pair is not None and gap is not None:
            line |= {
                "Against the first": gap.mean,
                "Difference low": gap.low,
                "Difference high": gap.high,
                "p (Holm)": pair.p,
            }
        lines.append(line)
    columns = QUALITY if flags else [column for column in QUALITY if column is not BY_HEART]
    return make(columns, lines, [row.run_id for row in order])


def pair_table(compared: Sequence[Pair]) -> Table:
    """All pairs with their adjusted p, the clearest first."""
    lines: list[dict[str, Cell | Measurement]] = [
        {
            "Run": pair.a.name,
            "Against": pair.b.name,
            "Difference": pair.mean,
            "p (Holm)": pair.p,
            "Users": pair.n,
            "Told apart": t("yes") if pair.apart else t("tied"),
        }
        for pair in sorted(compared, key=lambda pair: pair.p)
    ]
    return make(PAIRS, lines)


def verdict(
    order: Sequence[Row], metric: str, protocol: str, compared: Sequence[Pair], title: str
) -> str:
    """The table in one sentence; "best" only beyond the interval.

    Args:
        order: measured rows, best first.
        metric: e.g. `ndcg@10`.
        protocol: e.g. `loo/100-uniform`.
        compared: all pairs of the rows.
        title: of the metric.
    """
    first = order[0]
    words = marks(order, metric, protocol, compared)
    values = {"name": first.name, "title": title, "value": first.figure(metric, protocol).value}
    if len(order) == 1:
        return t("{name} has {title} {value:.3f}; there is nothing to compare it with.", **values)
    tied = [row.name for row in order[1:] if words.get(row.run_id) == "tied"]
    if words.get(first.run_id) == "best":
        return t(
            "Best: {name}, {title} {value:.3f} under {protocol}; every other row is worse.",
            protocol=protocol,
            **values,
        )
    if not tied:
        return t(
            "{name} has the highest {title}, {value:.3f}, but shares fewer than {fewest} people "
            "with some other row, so no row is called the best.",
            fewest=MIN_PEOPLE,
            **values,
        )
    return t(
        "Tied: {name} ({title} {value:.3f}) cannot be told apart from {others}.",
        others=some_names(tied),
        **values,
    )


def some_names(names: Sequence[str], most: int = 3) -> str:
    """The first names of a list, and how many more there are."""
    if len(names) <= most:
        return ", ".join(names)
    return t("{names} and {more} more", names=", ".join(names[:most]), more=len(names) - most)
