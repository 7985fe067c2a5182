"""What looks wrong in a data set, and a copy without it. Nothing is changed silently.

A check finds rows (or users, or items); its switch decides whether `clean` acts on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from llmrec_core.data.cleaning import triggers
from llmrec_core.data.cleaning.checks import CHECKS, SWITCHES, Check
from llmrec_core.data.cleaning.report import Finding, Report, Step
from llmrec_core.data.cleaning.text_checks import repair_text
from llmrec_core.data.dataset import Dataset, content_hash
from llmrec_core.data.text import printable
from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.types import Columns

EXAMPLES = 5
KS = (2, 3, 5, 10)


def inspect(dataset: Dataset, switches: Mapping[str, bool] | None = None) -> Report:
    """The report without changing anything; its steps hold what `clean` would leave."""
    return clean(dataset, switches)[1]


def clean(
    dataset: Dataset, switches: Mapping[str, bool] | None = None, k_core: int = 0
) -> tuple[Dataset, Report]:
    """A cleaned copy and its report.

    Args:
        dataset: stays as it is.
        switches: check → on or off, over the defaults.
        k_core: keep only users and items with at least that many interactions, repeated until all
            have; 0 = off.

    Raises:
        UsageError: for an unknown switch.
    """
    switches = dict(switches or {})
    _check_switches(switches)
    findings, steps = [], [_step(t("as imported"), dataset)]
    original = dataset
    for check in CHECKS:
        reason = check.why_not(original)
        is_on = bool(check.action) and switches.get(check.name, check.default)
        mask = np.zeros(0, dtype=bool) if reason else check.find(original)
        findings.append(_finding(original, check, mask, is_on, reason))
        if is_on and mask.any():
            # Earlier switches may have taken rows away: the mask is of the data set as it is now.
            dataset = _apply(dataset, check, check.find(dataset))
            steps.append(_step(check.name, dataset))
    cores = [_core_row(original.interactions, k) for k in KS]
    if k_core:
        dataset = _keep(dataset, core_mask(dataset.interactions, k_core))
        steps.append(_step(f"{k_core}-core", dataset))
    if dataset is not original:
        digest = content_hash(dataset.interactions, dataset.items, dataset.users, dataset.extras)
        dataset = replace(dataset, content_hash=digest)
    return dataset, Report(findings, cores, steps)


def without(dataset: Dataset, check: Check, mask: np.ndarray) -> Dataset:
    """The data set after one check's action alone.

    Args:
        dataset: stays as it is.
        check: one that has an action.
        mask: what it found.
    """
    return _apply(dataset, check, mask)


def core_mask(table: pd.DataFrame, k: int) -> np.ndarray:
    """Interactions whose user and item both keep at least k, after repeated removal."""
    users, items = table[Columns.USER].to_numpy(), table[Columns.ITEM].to_numpy()
    kept = np.ones(len(table), dtype=bool)
    while True:
        by_user = np.bincount(users[kept], minlength=users.max(initial=0) + 1)
        by_item = np.bincount(items[kept], minlength=items.max(initial=0) + 1)
        fewer = kept & (by_user[users] >= k) & (by_item[items] >= k)
        if fewer.sum() == kept.sum():
            return kept
        kept = fewer


def _check_switches(switches: Mapping[str, bool]) -> None:
    for name in switches:
        if name not in SWITCHES:
            raise UsageError(
                t(
                    "unknown switch {name!r}; expected one of {switches}",
                    name=printable(name),
                    switches=", ".join(SWITCHES),
                )
            )


def _finding(dataset: Dataset, check: Check, mask: np.ndarray, is_on: bool, reason: str) -> Finding:
    return Finding(
        check.name,
        check.rule,
        check.unit,
        None if reason else int(mask.sum()),
        len(mask),
        check.action,
        is_on,
        _examples(dataset, check, mask),
        reason,
        check.suspicious,
    )


def _core_row(table: pd.DataFrame, k: int) -> dict[str, int]:
    kept = table[core_mask(table, k)]
    return {
        "k": k,
        "users": kept[Columns.USER].nunique(),
        "items": kept[Columns.ITEM].nunique(),
        "interactions": len(kept),
    }


def _step(name: str, dataset: Dataset) -> Step:
    table = dataset.interactions
    return Step(name, table[Columns.USER].nunique(), table[Columns.ITEM].nunique(), len(table))


def _apply(dataset: Dataset, check: Check, mask: np.ndarray) -> Dataset:
    match check.unit:
        case "interactions":
            return _keep(dataset, ~mask)
        case "users":
            return _keep(dataset, ~mask[dataset.interactions[Columns.USER].to_numpy()])
        case "pairs":
            pairs = dataset.extras["pairs"][~mask].reset_index(drop=True)
            return replace(dataset, extras={**dataset.extras, "pairs": pairs})
    if check.name == "bursts":
        return _keep(dataset, ~mask[dataset.interactions[Columns.ITEM].to_numpy()])
    titles = dataset.items[Columns.TITLE].to_numpy(dtype=object).copy()
    titles[mask] = _mended(dataset, check, titles[mask].tolist())
    column = pd.Series(titles, dataset.items.index, dtype=object)
    return replace(dataset, items=dataset.items.assign(**{Columns.TITLE: column}))


def _mended(dataset: Dataset, check: Check, titles: list[str]) -> list[str]:
    """Titles after a check's switch acted on them."""
    match check.name:
        case "damaged-titles":
            return [repair_text(title) for title in titles]
        case "planted-words":
            words = triggers.planted_words(dataset)
            return [triggers.without_words(title, words) for title in titles]
    return [""] * len(titles)


def _keep(dataset: Dataset, mask: np.ndarray) -> Dataset:
    """The data set with some interactions; users and items stay listed, so codes do not move."""
    kept = dataset.interactions[mask].reset_index(drop=True)
    return replace(dataset, interactions=kept)


def _examples(dataset: Dataset, check: Check, mask: np.ndarray) -> list[str]:
    rows = np.flatnonzero(mask)[:EXAMPLES]
    match check.unit:
        case "interactions":
            return [_row_example(dataset, int(row)) for row in rows]
        case "users":
            names = dataset.users[Columns.USER_ID]
            return [t("user {user}", user=names.iloc[row]) for row in rows]
        case "pairs" if len(rows):
            pairs = dataset.extras["pairs"].iloc[rows]
            return [
                t(
                    "{split}: user {user}, item {item}",
                    split=row.split,
                    user=row.user_id,
                    item=row.item_id,
                )
                for row in pairs.itertuples()
            ]
    items = dataset.items
    return [
        t(
            "item {item}: {title}",
            item=items[Columns.ITEM_ID].iloc[row],
            title=printable(str(items[Columns.TITLE].iloc[row])),
        )
        for row in rows
    ]


def _row_example(dataset: Dataset, row: int) -> str:
    line = dataset.interactions.iloc[row]
    return t(
        "row {row}: user {user}, item {item}, rating {rating:g}, time {time:.0f}",
        row=row + 1,
        user=dataset.users[Columns.USER_ID].iloc[int(line[Columns.USER])],
        item=dataset.items[Columns.ITEM_ID].iloc[int(line[Columns.ITEM])],
        rating=float(line[Columns.RATING]),
        time=float(line[Columns.TIME]),
    )
