"""What several files say about each other.

A column whose values are the identifiers of a table of items is the item; a table in which each
item stands once lists items rather than purchases.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from llmrec_core.data.importing.column_profile import ColumnProfile
from llmrec_core.data.importing.described_table import Table
from llmrec_core.data.importing.roles import fill_by_values, kind_of
from llmrec_core.language import t

POINTS = 0.8
"""Share of a column's values that must be found in another table's identifiers."""
MISSES = 0.1
"""Below this share the identifiers of two tables have nothing to do with each other."""
ONCE = 0.98
"""Share of different values from which a column names each row."""
FEW_ROWS = 5


@dataclass(frozen=True)
class Described:
    """A table, its first rows, and the roles that a person chose for it."""

    table: Table
    sample: pd.DataFrame
    chosen: frozenset[str]

    def profile_of(self, role: str) -> ColumnProfile | None:
        """The profile of the column with a role."""
        name = self.table.roles.get(role)
        return next((column for column in self.table.profiles if column.name == name), None)


def settle_between(described: list[Described]) -> None:
    """Correct roles and kinds that only a look at the other files tells.

    Args:
        described: all tables of an import; changed in place.
    """
    for entry in described:
        if not entry.chosen & {"user", "item"}:
            _find_interactions(entry)
    listing = [entry for entry in described if entry.table.kind == "items"]
    whole = any({"user", "item"} <= entry.table.roles.keys() for entry in described)
    for entry in described:
        if whole and _lists_people(entry):
            continue  # an age is no item, though all ages are numbers of items
        if entry.table.kind in ("interactions", "other", "users") and "item" not in entry.chosen:
            _point_to_items(entry, listing)
    events = [entry for entry in described if entry.table.kind == "interactions"]
    for entry in events:
        if len(events) > 1 and _lists_items(entry):
            entry.table.kind = "items"
            entry.table.evidence.append(
                t("each item stands once, with its title and no time: a table of items")
            )


def _find_interactions(entry: Described) -> None:
    """A table that seemed to list items, but has many rows an item and a time: who is missing."""
    table, item = entry.table, entry.profile_of("item")
    if table.kind != "items" or item is None or item.rows < FEW_ROWS:
        return
    if item.distinct_share >= ONCE or not ("time" in table.roles or _times(table)):
        return
    users = [
        column
        for column in table.profiles
        if column.name not in table.roles.values()
        and column.is_code
        and not column.is_time
        and not column.flags
        and column.distinct_share < ONCE
    ]
    table.kind = "interactions"
    if len(users) == 1:
        table.roles["user"] = users[0].name
        table.evidence.append(
            t("{column} is taken as the user: the other codes that repeat", column=users[0].name)
        )
    if "time" not in table.roles and len(_times(table)) == 1:
        table.roles["time"] = _times(table)[0].name


def _times(table: Table) -> list[ColumnProfile]:
    return [column for column in table.profiles if column.is_time]


def _point_to_items(entry: Described, listing: list[Described]) -> None:
    """Take as the item the column whose values are the identifiers of a table of items."""
    table = entry.table
    shares: dict[str, float] = {}
    for other in listing:
        identifiers = set(other.sample[other.table.roles["item"]])
        for column in table.profiles:
            if column.name != table.roles.get("user") and column.is_code:
                values = entry.sample[column.name]
                share = float(values.isin(identifiers).mean())
                shares[column.name] = max(share, shares.get(column.name, 0.0))
    if not shares:
        return
    best = max(shares, key=lambda name: shares[name])
    present = table.roles.get("item")
    if shares[best] < POINTS or best == present:
        return
    if present is not None and shares.get(present, 0.0) > MISSES:
        return
    table.roles = {role: column for role, column in table.roles.items() if column != best}
    table.roles["item"] = best
    fill_by_values(table, table.roles, entry.chosen)
    table.kind = kind_of(table)
    table.evidence.append(
        t(
            "{column} is taken as the item: {share:.0%} of its values are in the table of items",
            column=best,
            share=shares[best],
        )
    )


def _lists_people(entry: Described) -> bool:
    """Whether each user stands once, and nothing was taken for an item."""
    user = entry.profile_of("user")
    return (
        entry.table.kind == "users"
        and user is not None
        and user.rows >= FEW_ROWS
        and user.distinct_share >= ONCE
    )


def _lists_items(entry: Described) -> bool:
    """Whether each item stands once, with a title and neither time nor rating."""
    item = entry.profile_of("item")
    roles = entry.table.roles
    return (
        item is not None
        and item.rows >= FEW_ROWS
        and item.distinct_share >= ONCE
        and "title" in roles
        and roles["title"] != roles["item"]
        and not {"time", "rating"} & set(roles)
    )
