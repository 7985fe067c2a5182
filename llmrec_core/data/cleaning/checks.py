"""The table of checks: a rule, what it finds, and what its switch does.

Switches that are on by default remove what cannot be true (a rating off its scale, a row twice);
those that remove what is merely strange are off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from llmrec_core.data.cleaning import shilling, suspicion, triggers
from llmrec_core.data.cleaning.pleas import trigger_text
from llmrec_core.data.cleaning.text_checks import damaged_text, near_duplicate_titles
from llmrec_core.data.dataset import Dataset
from llmrec_core.language import marked, t
from llmrec_core.types import Columns


def _always(dataset: Dataset) -> str:
    return ""


@dataclass(frozen=True)
class Check:
    """A rule; `find` returns a mask over interactions, users, items or pairs."""

    name: str
    rule: str
    unit: str
    find: Callable[[Dataset], np.ndarray]
    action: str = ""
    default: bool = False
    why_not: Callable[[Dataset], str] = _always
    """Why the check says nothing about a data set; empty when it does."""
    suspicious: bool = False


def without_times(dataset: Dataset) -> str:
    """The reason of checks that need instants."""
    has_times = bool(np.isfinite(dataset.interactions[Columns.TIME].to_numpy()).any())
    if dataset.order == "time" and has_times:
        return ""
    return t("the data set has no times")


def without_ratings(dataset: Dataset) -> str:
    """The reason of checks that need ratings and instants."""
    return t("all ratings are alike") if dataset.implicit else without_times(dataset)


def without_titles(dataset: Dataset) -> str:
    """The reason of checks that read titles."""
    has_titles = bool((dataset.items[Columns.TITLE] != "").any())
    return "" if has_titles else t("no item has a title")


def _without_pairs(dataset: Dataset) -> str:
    return "" if "pairs" in dataset.extras else t("there are no labelled pairs")


def _duplicates(dataset: Dataset) -> np.ndarray:
    columns = [Columns.USER, Columns.ITEM, Columns.RATING, Columns.TIME]
    doubled: np.ndarray = dataset.interactions.duplicated(columns).to_numpy()
    return doubled


def _repeats(dataset: Dataset) -> np.ndarray:
    """Later rows of a user and item within a day of an earlier one, exact duplicates apart."""
    table = dataset.interactions
    user, item, when = (
        table[name].to_numpy() for name in (Columns.USER, Columns.ITEM, Columns.TIME)
    )
    order = np.lexsort((when, item, user))
    rows = table.iloc[order]
    same = (rows[Columns.USER].diff() == 0) & (rows[Columns.ITEM].diff() == 0)
    near = same & ((rows[Columns.TIME].diff() <= suspicion.DAY_S) | rows[Columns.TIME].isna())
    mask = np.zeros(len(table), dtype=bool)
    mask[order] = near.to_numpy()
    repeated: np.ndarray = mask & ~_duplicates(dataset)
    return repeated


def _off_scale(dataset: Dataset) -> np.ndarray:
    return suspicion.off_scale(dataset.interactions[Columns.RATING].to_numpy())


def _impossible_times(dataset: Dataset) -> np.ndarray:
    return suspicion.impossible_times(dataset.interactions[Columns.TIME].to_numpy())


def _untitled(dataset: Dataset) -> np.ndarray:
    untitled: np.ndarray = (dataset.items[Columns.TITLE] == "").to_numpy()
    return untitled


def _titles(test: Callable[[str], bool]) -> Callable[[Dataset], np.ndarray]:
    return lambda dataset: np.array(
        [test(title) for title in dataset.items[Columns.TITLE]], dtype=bool
    )


CHECKS: tuple[Check, ...] = (
    Check(
        "duplicates",
        marked("same user, item, rating and time as an earlier row"),
        "interactions",
        _duplicates,
        marked("remove the later rows"),
        default=True,
    ),
    Check(
        "repeats",
        marked("same user and item within 24 hours of an earlier row"),
        "interactions",
        _repeats,
        marked("remove the later rows"),
    ),
    Check(
        "impossible-times",
        marked("missing among times, before 1980, or in the future"),
        "interactions",
        _impossible_times,
        marked("remove the rows"),
        default=True,
        why_not=without_times,
    ),
    Check(
        "off-scale",
        marked("missing, or outside the scale that 99.9 % of ratings are on"),
        "interactions",
        _off_scale,
        marked("remove the rows"),
        default=True,
    ),
    Check(
        "bots",
        marked("more than 1,000 interactions, or active in 22 hours or more, within one day"),
        "users",
        suspicion.bots,
        marked("remove the users"),
        why_not=without_times,
        suspicious=True,
    ),
    Check(
        "twins",
        marked("the same set of 10 or more items as another user"),
        "users",
        suspicion.twins,
        marked("remove the later users"),
        suspicious=True,
    ),
    Check(
        "rare-taste",
        marked("10 or more items, 80 % of which at most 2 users have"),
        "users",
        suspicion.rare_taste,
        marked("remove the users"),
    ),
    Check(
        "shilling",
        marked(
            "histories that lean on no common taste (likeness to the main components), many of "
            "which push the same item"
        ),
        "users",
        shilling.shills,
        marked("remove the users"),
        why_not=shilling.too_small,
        suspicious=True,
    ),
    Check(
        "bursts",
        marked("20 or more interactions, half of them on one day, all with one rating"),
        "items",
        suspicion.bursts,
        marked("remove the items"),
        why_not=without_ratings,
        suspicious=True,
    ),
    Check(
        "untitled",
        marked("an item of the interactions or of the table without a title"),
        "items",
        _untitled,
    ),
    Check(
        "damaged-titles",
        marked("letters decoded twice (Ã©), U+FFFD, or control characters"),
        "items",
        _titles(damaged_text),
        marked("repair where it is sure"),
        default=True,
        why_not=without_titles,
    ),
    Check(
        "same-title",
        marked("the same title as another item, but for case, accents and punctuation"),
        "items",
        near_duplicate_titles,
        why_not=without_titles,
    ),
    Check(
        "trigger-words",
        marked(
            "reads like an instruction to a model, in any of thirteen languages and however it is "
            "spaced, or holds a link or invisible letters"
        ),
        "items",
        _titles(trigger_text),
        marked("remove the title"),
        why_not=without_titles,
        suspicious=True,
    ),
    Check(
        "planted-words",
        marked(
            "holds a rare word that otherwise unlike items share and that goes with clicks far "
            "beyond what else these people like"
        ),
        "items",
        triggers.planted,
        marked("remove the word from the title"),
        why_not=triggers.too_small,
        suspicious=True,
    ),
    Check(
        "leakage",
        marked("a labelled pair that is also in another split"),
        "pairs",
        suspicion.leaking_pairs,
        marked("remove it from training"),
        default=True,
        why_not=_without_pairs,
    ),
)
SWITCHES = tuple(check.name for check in CHECKS if check.action)
