"""Interactions, users and items that are hard to believe: one function a rule, returning a mask."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from llmrec_core.types import Columns

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset

DAY_S = 86_400
BOT_PER_DAY, BOT_HOURS = 1_000, 22
SAME_ITEMS = 10
RARE_USERS, RARE_SHARE, RARE_LEAST = 2, 0.8, 10
BURST_LEAST, BURST_SHARE = 20, 0.5
EARLIEST_S = 315_532_800  # 1980-01-01
SCALES = (
    (0.0, 1.0),
    (-1.0, 1.0),
    (1.0, 5.0),
    (0.5, 5.0),
    (0.0, 5.0),
    (1.0, 10.0),
    (0.0, 10.0),
    (-10.0, 10.0),
    (1.0, 100.0),
    (0.0, 100.0),
)
COUNT_VALUES = 200  # more distinct values than that are amounts (listens, hours), not a scale


def scale_of(ratings: np.ndarray) -> tuple[float, float] | None:
    """The smallest usual scale that holds 99.9 % of the ratings; None for amounts.

    Args:
        ratings: shape (interactions,); NaN where one is missing.

    >>> scale_of(np.array([1.0, 5.0, 3.0] * 1000 + [99.0]))
    (1.0, 5.0)
    """
    finite = ratings[np.isfinite(ratings)]
    if not len(finite) or len(np.unique(finite)) > COUNT_VALUES:
        return None
    for low, high in SCALES:
        if ((finite >= low) & (finite <= high)).mean() >= 0.999:
            return low, high
    return None


def off_scale(ratings: np.ndarray) -> np.ndarray:
    """Ratings that are missing or outside the scale.

    Args:
        ratings: shape (interactions,); NaN where one is missing.
    """
    scale = scale_of(ratings)
    missing = ~np.isfinite(ratings)
    off: np.ndarray = (
        missing if scale is None else missing | (ratings < scale[0]) | (ratings > scale[1])
    )
    return off


def impossible_times(seconds: np.ndarray, now: float | None = None) -> np.ndarray:
    """Times that are missing, before 1980 or more than a day in the future.

    Args:
        seconds: since 1970, of data whose times are instants.
        now: seconds since 1970; None for the clock's.
    """
    latest = (time.time() if now is None else now) + DAY_S
    impossible: np.ndarray = ~np.isfinite(seconds) | (seconds < EARLIEST_S) | (seconds > latest)
    return impossible


def bots(data: Dataset) -> np.ndarray:
    """Users with an inhuman day."""
    suspects = np.zeros(data.n_users, dtype=bool)
    table = _dated(data)
    if len(table):
        per_day = table.groupby([table[Columns.USER], table["day"]], sort=False)
        size, hours = per_day.size(), per_day["hour"].nunique()
        guilty = (size > BOT_PER_DAY) | (hours >= BOT_HOURS)
        suspects[guilty[guilty].index.get_level_values(0).unique().to_numpy()] = True
    return suspects


def twins(data: Dataset) -> np.ndarray:
    """Users whose set of items (10 or more) an earlier user has too."""
    table = data.interactions.drop_duplicates([Columns.USER, Columns.ITEM])
    users, items = table[Columns.USER].to_numpy(), table[Columns.ITEM].to_numpy()
    # A set's fingerprint is the sum of random 64-bit keys of its items: equal sets have equal sums,
    # others collide with chance 2^-64.
    keys = np.random.default_rng(0).integers(1, 2**63, size=data.n_items, dtype=np.uint64)
    prints = np.zeros(data.n_users, dtype=np.uint64)
    np.add.at(prints, users, keys[items])
    size = np.bincount(users, minlength=data.n_users)
    doubled: np.ndarray = pd.Series(prints).duplicated().to_numpy() & (size >= SAME_ITEMS)
    return doubled


def rare_taste(data: Dataset) -> np.ndarray:
    """Users most of whose items almost nobody else has."""
    table = data.interactions.drop_duplicates([Columns.USER, Columns.ITEM])
    users, items = table[Columns.USER].to_numpy(), table[Columns.ITEM].to_numpy()
    rare = (np.bincount(items, minlength=data.n_items) <= RARE_USERS)[items]
    size = np.bincount(users, minlength=data.n_users)
    return (size >= RARE_LEAST) & (
        np.bincount(users, weights=rare, minlength=data.n_users) >= RARE_SHARE * np.maximum(size, 1)
    )


def bursts(data: Dataset) -> np.ndarray:
    """Items rated alike by everybody, mostly on one day; needs ratings and times."""
    suspects = np.zeros(data.n_items, dtype=bool)
    table = _dated(data)
    if data.implicit or not len(table):
        return suspects
    by_item = table.groupby(Columns.ITEM, sort=False)
    size = by_item.size()
    largest = (
        table.groupby([table[Columns.ITEM], table["day"]], sort=False).size().groupby(level=0).max()
    )
    guilty = (
        (size >= BURST_LEAST)
        & (largest / size >= BURST_SHARE)
        & (by_item[Columns.RATING].nunique() == 1)
    )
    suspects[guilty[guilty].index.to_numpy()] = True
    return suspects


def leaking_pairs(data: Dataset) -> np.ndarray:
    """Labelled training pairs (user, item) that validation or test asks for as well."""
    pairs = data.extras.get("pairs")
    if pairs is None:
        return np.zeros(0, dtype=bool)
    held = pairs[pairs["split"].isin(["valid", "test"])]
    held_pairs = pd.MultiIndex.from_frame(held[["user_id", "item_id"]])
    leaking: np.ndarray = (pairs["split"] == "train").to_numpy() & pd.MultiIndex.from_frame(
        pairs[["user_id", "item_id"]]
    ).isin(held_pairs)
    return leaking


def _dated(data: Dataset) -> pd.DataFrame:
    """Interactions with a real time, and their day and hour."""
    table = data.interactions
    seconds = table[Columns.TIME].to_numpy()
    real = np.isfinite(seconds) & (seconds >= EARLIEST_S)
    if data.order != "time" or not real.any():
        return table.iloc[:0].assign(day=[], hour=[])
    kept = table[real]
    return kept.assign(day=kept[Columns.TIME] // DAY_S, hour=kept[Columns.TIME] % DAY_S // 3600)
