"""The cleaning report: what looks wrong in a data set, by which rule, how much of it, with examples and a switch each.

Nothing is changed silently. A check finds rows (or items, or users); its switch decides whether `clean` acts on
them. Switches that are on by default remove what cannot be true (a rating off its scale, a row twice); those that
remove what is merely strange are off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from llmrec_core.data import suspicion
from llmrec_core.data.dataset import Dataset, content_hash
from llmrec_core.data.textchecks import damaged_text, near_duplicate_titles, repair_text, trigger_text
from llmrec_core.errors import UsageError
from llmrec_core.types import Columns

EXAMPLES = 5
KS = (2, 3, 5, 10)


@dataclass(frozen=True)
class Finding:
    """One check's result: `count` of `total` things of that `unit` break the rule."""

    check: str
    rule: str
    unit: str
    count: int
    total: int
    action: str
    """What the switch does, "" for a check that only reports."""
    on: bool
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Step:
    """What is left after one switch acted."""

    step: str
    users: int
    items: int
    interactions: int


@dataclass(frozen=True)
class Report:
    """All findings, the effect of k-core filters, and the steps that were or would be taken."""

    findings: list[Finding]
    cores: list[dict[str, int]]
    steps: list[Step]

    def to_dict(self) -> dict[str, Any]:
        import dataclasses

        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Check:
    """A rule: `find` returns a mask over interactions, items or users, and examples in words."""

    name: str
    rule: str
    unit: str
    find: Callable[[Dataset], np.ndarray]
    action: str = ""
    default: bool = False


def _duplicates(data: Dataset) -> np.ndarray:
    return data.interactions.duplicated([Columns.USER, Columns.ITEM, Columns.RATING, Columns.TIME]).to_numpy()


def _repeats(data: Dataset) -> np.ndarray:
    """Later rows of a user and item within a day of an earlier one, exact duplicates apart."""
    table = data.interactions
    order = np.lexsort((table[Columns.TIME].to_numpy(), table[Columns.ITEM].to_numpy(), table[Columns.USER].to_numpy()))
    rows = table.iloc[order]
    same = (rows[Columns.USER].diff() == 0) & (rows[Columns.ITEM].diff() == 0)
    near = same & ((rows[Columns.TIME].diff() <= 86_400) | rows[Columns.TIME].isna())
    found = np.zeros(len(table), dtype=bool)
    found[order] = near.to_numpy()
    return found & ~_duplicates(data)


def _off_scale(data: Dataset) -> np.ndarray:
    return suspicion.off_scale(data.interactions[Columns.RATING].to_numpy())


def _impossible_times(data: Dataset) -> np.ndarray:
    return suspicion.impossible_times(data.interactions[Columns.TIME].to_numpy(), data.order)


def _without_attributes(data: Dataset) -> np.ndarray:
    known = data.items[Columns.TITLE] != ""
    if not known.any():
        return np.zeros(data.n_items, dtype=bool)
    return ~known.to_numpy()


def _titles(test: Callable[[str], bool]) -> Callable[[Dataset], np.ndarray]:
    return lambda data: np.array([test(title) for title in data.items[Columns.TITLE]], dtype=bool)


CHECKS: tuple[Check, ...] = (
    Check(
        "duplicates",
        "same user, item, rating and time as an earlier row",
        "interactions",
        _duplicates,
        "remove the later rows",
        True,
    ),
    Check(
        "repeats",
        "same user and item within 24 hours of an earlier row",
        "interactions",
        _repeats,
        "remove the later rows",
    ),
    Check(
        "impossible-times",
        "missing among times, before 1980, or in the future",
        "interactions",
        _impossible_times,
        "remove the rows",
        True,
    ),
    Check(
        "off-scale",
        "missing, or outside the scale that 99.9 % of ratings are on",
        "interactions",
        _off_scale,
        "remove the rows",
        True,
    ),
    Check(
        "bots",
        "more than 1,000 interactions, or active in 22 hours or more, within one day",
        "users",
        suspicion.bots,
        "remove the users",
    ),
    Check(
        "twins", "the same set of 10 or more items as another user", "users", suspicion.twins, "remove the later users"
    ),
    Check(
        "rare-taste",
        "10 or more items, 80 % of which at most 2 users have",
        "users",
        suspicion.rare_taste,
        "remove the users",
    ),
    Check(
        "bursts",
        "20 or more interactions, half of them on one day, all with one rating",
        "items",
        suspicion.bursts,
        "remove the items",
    ),
    Check("untitled", "an item of the interactions or of the table without a title", "items", _without_attributes),
    Check(
        "damaged-titles",
        "letters decoded twice (Ã©), U+FFFD, or control characters",
        "items",
        _titles(damaged_text),
        "repair where it is sure",
        True,
    ),
    Check(
        "same-title",
        "the same title as another item, but for case, accents and punctuation",
        "items",
        near_duplicate_titles,
    ),
    Check(
        "trigger-words",
        "reads like an instruction, or holds a link or invisible letters",
        "items",
        _titles(trigger_text),
        "remove the title",
    ),
    Check(
        "leakage",
        "a labelled pair that is also in another split",
        "pairs",
        suspicion.leaking_pairs,
        "remove it from training",
        True,
    ),
)
SWITCHES = tuple(check.name for check in CHECKS if check.action)


def inspect(data: Dataset, switches: Mapping[str, bool] | None = None) -> Report:
    """The report without changing anything; `steps` hold what `clean` with the same switches would leave."""
    return clean(data, switches)[1]


def clean(data: Dataset, switches: Mapping[str, bool] | None = None, k_core: int = 0) -> tuple[Dataset, Report]:
    """A cleaned copy and its report.

    Args:
        switches: check → on or off, over the defaults.
        k_core: keep only users and items with at least that many interactions, repeated until all have; 0 = off.

    Raises:
        UsageError: for an unknown switch.
    """
    switches = dict(switches or {})
    for name in switches:
        if name not in SWITCHES:
            raise UsageError(f"unknown switch {name!r}; expected one of {', '.join(SWITCHES)}")
    findings, steps = [], [_step("imported", data)]
    original = data
    for check in CHECKS:
        found = check.find(original)
        on = bool(check.action) and switches.get(check.name, check.default)
        findings.append(
            Finding(
                check.name,
                check.rule,
                check.unit,
                int(found.sum()),
                len(found),
                check.action,
                on,
                _examples(original, check, found),
            )
        )
        if on and found.any():
            again = check.find(data) if data is not original else found
            data = _apply(data, check, again)
            steps.append(_step(check.name, data))
    cores = [_core_row(original.interactions, k) for k in KS]
    if k_core:
        data = _keep(data, core_mask(data.interactions, k_core))
        steps.append(_step(f"{k_core}-core", data))
    if data is not original:
        data = replace(data, content_hash=content_hash(data.interactions, data.items, data.users, data.extras))
    return data, Report(findings, cores, steps)


def core_mask(table: pd.DataFrame, k: int) -> np.ndarray:
    """Interactions whose user and item both keep at least k interactions, after repeated removal."""
    users, items = table[Columns.USER].to_numpy(), table[Columns.ITEM].to_numpy()
    kept = np.ones(len(table), dtype=bool)
    while True:
        by_user = np.bincount(users[kept], minlength=users.max(initial=0) + 1)
        by_item = np.bincount(items[kept], minlength=items.max(initial=0) + 1)
        fewer = kept & (by_user[users] >= k) & (by_item[items] >= k)
        if fewer.sum() == kept.sum():
            return kept
        kept = fewer


def _core_row(table: pd.DataFrame, k: int) -> dict[str, int]:
    kept = table[core_mask(table, k)]
    return {
        "k": k,
        "users": kept[Columns.USER].nunique(),
        "items": kept[Columns.ITEM].nunique(),
        "interactions": len(kept),
    }


def _step(name: str, data: Dataset) -> Step:
    table = data.interactions
    return Step(name, table[Columns.USER].nunique(), table[Columns.ITEM].nunique(), len(table))


def _apply(data: Dataset, check: Check, found: np.ndarray) -> Dataset:
    if check.unit == "interactions":
        return _keep(data, ~found)
    if check.unit == "users":
        return _keep(data, ~found[data.interactions[Columns.USER].to_numpy()])
    if check.unit == "pairs":
        return replace(data, extras={**data.extras, "pairs": data.extras["pairs"][~found].reset_index(drop=True)})
    if check.name == "bursts":
        return _keep(data, ~found[data.interactions[Columns.ITEM].to_numpy()])
    titles = data.items[Columns.TITLE].to_numpy(dtype=object).copy()
    titles[found] = [repair_text(title) if check.name == "damaged-titles" else "" for title in titles[found]]
    return replace(data, items=data.items.assign(**{Columns.TITLE: pd.Series(titles, data.items.index, dtype=object)}))


def _keep(data: Dataset, mask: np.ndarray) -> Dataset:
    """The data set with some interactions; users and items without any stay listed, so codes do not move."""
    return replace(data, interactions=data.interactions[mask].reset_index(drop=True))


def _examples(data: Dataset, check: Check, found: np.ndarray) -> list[str]:
    rows = np.flatnonzero(found)[:EXAMPLES]
    if not len(rows):
        return []
    if check.unit == "interactions":
        table = data.interactions.iloc[rows]
        return [
            f"row {row + 1}: user {data.users[Columns.USER_ID].iloc[line.user]}, item "
            f"{data.items[Columns.ITEM_ID].iloc[line.item]}, "
            f"rating {line.rating:g}, time {line.timestamp:.0f}"
            for row, line in zip(rows, table.itertuples(), strict=True)
        ]
    if check.unit == "users":
        return [f"user {data.users[Columns.USER_ID].iloc[row]}" for row in rows]
    if check.unit == "pairs":
        pairs = data.extras["pairs"].iloc[rows]
        return [f"{row.split}: user {row.user_id}, item {row.item_id}" for row in pairs.itertuples()]
    return [f"item {data.items[Columns.ITEM_ID].iloc[row]}: {data.items[Columns.TITLE].iloc[row][:80]}" for row in rows]
