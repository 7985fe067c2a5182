"""A study without the people whose last items share one moment.

Of these people the order of the file alone says which item was withheld, and files are often in an
order that gives it away. Every headline figure can therefore be read without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from llmrec_core.language import t
from llmrec_core.metrics.slices import CLEAR_ORDER
from llmrec_core.reading.people import People
from llmrec_core.reading.row import Row
from llmrec_core.reading.turns import members_of
from llmrec_core.types import Measurement

_Key = tuple[str, str]
"""Name and protocol of a figure."""


def some_are_tied(rows: Sequence[Row], protocol: str) -> bool:
    """Whether records tell apart the people without tied last items under a protocol."""
    return any(of_protocol == protocol for _, of_protocol in _told_apart(rows))


def without_tied(rows: Sequence[Row]) -> list[Row]:
    """The rows with the figures of the other people in place of those of all.

    Where a protocol has tied people, figures of other slices are left out, as they are of
    everybody, and a record that does not tell tied people apart has no figure.
    """
    keys = _told_apart(rows)
    return [_of_the_others(row, keys) for row in rows]


def people_without_tied(
    rows: Sequence[Row], users: Mapping[str, People], protocol: str
) -> dict[str, People]:
    """Values of the other people, by the id of the row; nobody where no record names them.

    Args:
        rows: as recorded; one of them names the people.
        users: values of a metric of all people, by the id of the row.
        protocol: under which they were measured.
    """
    if not some_are_tied(rows, protocol):
        return dict(users)
    others = members_of(rows, CLEAR_ORDER, protocol) or []
    return {run_id: people.only(others) for run_id, people in users.items()}


def _told_apart(rows: Sequence[Row]) -> set[_Key]:
    return {
        (figure.name, figure.protocol)
        for row in rows
        for figure in row.figures
        if figure.slice == CLEAR_ORDER
    }


def _of_the_others(row: Row, keys: set[_Key]) -> Row:
    others = {
        (figure.name, figure.protocol): replace(figure, slice="all")
        for figure in row.figures
        if figure.slice == CLEAR_ORDER
    }
    figures = []
    for figure in row.figures:
        key = figure.name, figure.protocol
        if key not in keys:
            figures.append(figure)
        elif figure.slice == "all":
            figures.append(others.get(key) or _not_told_apart(figure))
    return replace(row, figures=tuple(figures))


def _not_told_apart(figure: Measurement) -> Measurement:
    reason = t("this record does not tell people with tied last items apart")
    return replace(figure, value=None, low=None, high=None, n=None, reason=reason)
