"""Where a good mean hides a bad experience: each row by groups of people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmrec_core.language import marked, t
from llmrec_core.metrics.seeds import group_interval
from llmrec_core.metrics.slices import CLEAR_ORDER
from llmrec_core.reading.people import MIN_PEOPLE, NOBODY, People
from llmrec_core.reading.row import Row
from llmrec_core.reading.study_tables import HIGH, LOW, RUN, USERS
from llmrec_core.reading.table import Cell, Column, Table, make
from llmrec_core.reading.ties import VALUE
from llmrec_core.reading.turns import slice_sizes
from llmrec_core.retelling import retold
from llmrec_core.types import Measurement

SLICES = (
    RUN,
    Column(marked("Group"), "group", stored=True),
    VALUE,
    LOW,
    HIGH,
    USERS,
    Column(
        marked("Weakest"),
        "weakest",
        help=marked("The lowest mean of the row, among groups that are large enough."),
    ),
)

TITLES = {
    "all": marked("All"),
    "rare items": marked("Rare items"),
    "cold items": marked("Cold items"),
    "short histories": marked("Short histories"),
    CLEAR_ORDER: marked("Without tied last items"),
}
"""Groups of people that every run is measured on, as a reader sees them."""


def title(name: str) -> str:
    """A group's name for a reader."""
    return t(TITLES[name]) if name in TITLES else retold(name).capitalize()


def facet_names(document: Mapping[str, Any] | None) -> list[str]:
    """Facets of a run's `facets` document."""
    return list((document or {}).get("facets", {}))


def members(document: Mapping[str, Any], facet: str) -> dict[str, list[int]]:
    """Group name → user codes, in the facet's order."""
    body = document["facets"][facet]
    groups: dict[str, list[int]] = {name: [] for name in body["names"]}
    for user, group in zip(document["users"], body["groups"], strict=True):
        groups[body["names"][group]].append(user)
    return groups


def slice_table(
    rows: Sequence[Row], users: Mapping[str, People], groups: Mapping[str, Sequence[int]]
) -> Table:
    """One line a row and group: mean with interval, and which group is the row's weakest.

    Args:
        rows: measured rows.
        users: values of a metric by run id.
        groups: name → user codes.
    """
    lines: list[dict[str, Cell | Measurement]] = []
    ids: list[str] = []
    for row in rows:
        own = users.get(row.run_id, NOBODY)
        parts = {name: own.only(group) for name, group in groups.items()}
        means = {name: part.means.mean() for name, part in parts.items() if len(part) >= MIN_PEOPLE}
        weakest = min(means, key=lambda name: means[name]) if len(means) > 1 else None
        for name, part in parts.items():
            if not len(part):
                continue
            mean, low, high = group_interval(part.values)
            lines.append(
                {
                    "Run": row.name,
                    "Group": name,
                    "Value": mean,
                    "Low": low,
                    "High": high,
                    "Users": len(part),
                    "Weakest": t("weakest") if name == weakest else "",
                }
            )
            ids.append(row.run_id)
    return make(SLICES, lines, ids)


def recorded_slices(rows: Sequence[Row], metric: str, protocol: str) -> Table:
    """As `slice_table` from the slices that every record holds, for records without their users.

    Args:
        rows: measured rows.
        metric: e.g. `ndcg@10`.
        protocol: e.g. `loo/100-uniform`.
    """
    lines: list[dict[str, Cell | Measurement]] = []
    ids: list[str] = []
    for row in rows:
        for figure in row.figures:
            wanted = (figure.name, figure.protocol) == (metric, protocol)
            if wanted and figure.slice != "all" and figure.value is not None:
                lines.append(
                    {
                        "Run": row.name,
                        "Group": figure.slice,
                        "Value": figure,
                        "Low": figure.low,
                        "High": figure.high,
                        "Users": figure.n,
                    }
                )
                ids.append(row.run_id)
    return make(SLICES, lines, ids)


def empty_groups(rows: Sequence[Row], metric: str, protocol: str) -> list[str]:
    """Slices that hold none of the people of these rows."""
    counts = slice_sizes(rows, metric, protocol)
    return [retold(name) for name, people in counts.items() if not people]
