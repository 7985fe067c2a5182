"""Facets: each puts every test case into one named group, so that no weak group hides in a mean.

| facet | groups |
|---|---|
| popularity | tenth by training interactions of the withheld item; 10 = most popular |
| history | quarter of the cases by length of history |
| pause | time between the last item of the history and the withheld one, where times are known |
| a user attribute | its values (at most `MAX_VALUES`), numbers in quarters |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from llmrec_core.data.dataset import Dataset
from llmrec_core.data.splits import Case, Split
from llmrec_core.language import marked, number, t
from llmrec_core.types import Columns

MAX_VALUES = 24
DAY_S = 86_400.0
PAUSES = (
    (60.0, marked("under a minute")),
    (DAY_S, marked("under a day")),
    (30 * DAY_S, marked("under 30 days")),
    (np.inf, marked("30 days or more")),
)


@dataclass(frozen=True)
class Facet:
    """Groups of the cases: `names[groups[i]]` is the group of case i."""

    names: tuple[str, ...]
    groups: np.ndarray
    """int64, shape (cases,)."""


def facets(split: Split, cases: Sequence[Case]) -> dict[str, Facet]:
    """Every facet that this data set knows about, by name; groups without a case are left out.

    A case with several withheld items is placed by its most popular one.

    Args:
        split: whose training says what is popular.
        cases: the cases of the exam, in its order.
    """
    by_name = {
        marked("popularity of the withheld item"): _popularity(split, cases),
        marked("history length"): quarters(
            np.array([len(case.history) for case in cases], float),
            marked("{low} items"),
            marked("{low} to {high} items"),
        ),
    }
    if split.dataset.order == "time":
        by_name[marked("pause before the withheld item")] = _pauses(split.dataset, cases)
    users = np.array([case.user for case in cases], dtype=np.int64)
    for column in split.dataset.users.columns:
        if column != Columns.USER_ID:
            facet = _attribute(split.dataset.users[column].iloc[users], str(column))
            if facet is not None:
                by_name[str(column)] = facet
    return {name: facet for name, facet in by_name.items() if len(facet.names) > 1}


def _popularity(split: Split, cases: Sequence[Case]) -> Facet:
    counts = split.item_counts
    place = np.empty(len(counts), dtype=np.int64)
    place[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    tenth = place * 10 // len(counts)
    chosen = [int(case.relevant[np.argmax(counts[case.relevant])]) for case in cases]
    spans = [counts[tenth == number] for number in range(10)]
    labels = [
        t(
            "tenth {number} ({min} to {max} interactions)",
            number=number + 1,
            min=span.min(),
            max=span.max(),
        )
        if len(span)
        else f"tenth {number + 1}"
        for number, span in enumerate(spans)
    ]
    return _pack(labels, tenth[chosen] if chosen else np.zeros(0, np.int64))


def quarters(values: np.ndarray, single: str = "{low}", several: str = "{low} to {high}") -> Facet:
    """Four groups of about equal size by value; fewer where values are tied.

    Args:
        values: of each case.
        single: what a group of one value is called.
        several: what a group from `low` to `high` is called.

    >>> quarters(np.array([1.0, 2, 3, 4, 5]), "{low} items", "{low} to {high} items").names
    ('1 to 2 items', '3 items', '4 items', '5 items')
    """
    edges = (
        np.unique(np.quantile(values, (0.25, 0.5, 0.75), method="lower"))
        if len(values)
        else np.zeros(0)
    )
    groups = np.searchsorted(edges, values, side="left")
    labels = []
    for place in range(len(edges) + 1):
        inside = values[groups == place]
        low = high = ""
        if len(inside):
            low, high = number(inside.min(), "g"), number(inside.max(), "g")
        labels.append((single if low == high else several).format(low=low, high=high))
    return _pack(labels, groups)


def _pauses(dataset: Dataset, cases: Sequence[Case]) -> Facet:
    table = dataset.interactions
    first = table.groupby([Columns.USER, Columns.ITEM], sort=False)[Columns.TIME].min()
    withheld = [(case.user, int(case.relevant[0])) for case in cases]
    before = [
        (case.user, int(case.history[-1])) if len(case.history) else (case.user, -1)
        for case in cases
    ]
    gap = first.reindex(withheld).to_numpy(float) - first.reindex(before).to_numpy(float)
    labels = [label for _, label in PAUSES] + ["unknown"]
    groups = np.searchsorted(
        [limit for limit, _ in PAUSES], np.nan_to_num(gap, nan=0.0), side="right"
    )
    return _pack(labels, np.where(np.isnan(gap), len(PAUSES), groups))


def _attribute(column: pd.Series, name: str) -> Facet | None:
    """Groups by value; a number with many values in quarters; None for what is as good as an id."""
    text = column.fillna("").astype(str).str.strip().replace("", "unknown")
    if text.nunique() <= MAX_VALUES:
        labels = sorted(text.unique())
        return _pack(
            [f"{name} {label}" for label in labels], text.map(labels.index).to_numpy(np.int64)
        )
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(float)
    if np.isnan(numbers).any():
        return None
    facet = quarters(numbers)
    return Facet(tuple(f"{name} {label}" for label in facet.names), facet.groups)


def _pack(labels: Sequence[str], groups: np.ndarray) -> Facet:
    """Without the labels that no case has."""
    used, packed = np.unique(groups, return_inverse=True)
    return Facet(tuple(labels[number] for number in used), packed.astype(np.int64))
