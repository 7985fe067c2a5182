"""Interactions, users and items that are hard to believe: one function a rule, each returning a mask."""

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

    >>> scale_of(np.array([1.0, 5.0, 3.0] * 1000 + [99.0]))
    (1.0, 5.0)
    """
    known = ratings[np.isfinite(ratings)]
    if not len(known) or len(np.unique(known)) > COUNT_VALUES:
        return None
    for low, high in SCALES:
        if ((known >= low) & (known <= high)).mean() >= 0.999:
            return low, high
    return None


def off_scale(ratings: np.ndarray) -> np.ndarray:
    """Ratings that are missing or outside the scale."""
    scale = scale_of(ratings)
    missing = ~np.isfinite(ratings)
    return missing if scale is None else missing | (ratings < scale[0]) | (ratings > scale[1])


def impossible_times(seconds: np.ndarray, order: str, now: float | None = None) -> np.ndarray:
    """Times that are missing, before 1980 or more than a day in the future; none where times are mere positions."""
    if order != "time" or not np.isfinite(seconds).any() or np.nanmedian(seconds) < EARLIEST_S:
        return np.zeros(len(seconds), dtype=bool)
    latest = (time.time() if now is None else now) + DAY_S
    return ~np.isfinite(seconds) | (seconds < EARLIEST_S) | (seconds > latest)


def bots(data: Dataset) -> np.ndarray:
    """Users with an inhuman day."""
    found = np.zeros(data.n_users, dtype=bool)
    table = _dated(data)
    if len(table):
        per_day = table.groupby([table[Columns.USER], table["day"]], sort=False)
        size, hours = per_day.size(), per_day["hour"].nunique()
        guilty = (size > BOT_PER_DAY) | (hours >= BOT_HOURS)
        found[guilty[guilty].index.get_level_values(0).unique().to_numpy()] = True
    return found


def twins(data: Dataset) -> np.ndarray:
    """Users whose set of items (10 or more) an earlier user has too."""
    table = data.interactions.drop_duplicates([Columns.USER, Columns.ITEM])
    users, items = table[Columns.USER].to_numpy(), table[Columns.ITEM].to_numpy()
    # A set's fingerprint: the sum of random 64-bit keys of its items; equal sets are equal, others collide with
    # chance 2^-64.
    keys = np.random.default_rng(0).integers(1, 2**63, size=data.n_items, dtype=np.uint64)
    prints = np.zeros(data.n_users, dtype=np.uint64)
    np.add.at(prints, users, keys[items])
    size = np.bincount(users, minlength=data.n_users)
    return pd.Series(prints).duplicated().to_numpy() & (size >= SAME_ITEMS)


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
    found = np.zeros(data.n_items, dtype=bool)
    table = _dated(data)
    if data.implicit or not len(table):
        return found
    by_item = table.groupby(Columns.ITEM, sort=False)
    size = by_item.size()
    largest = table.groupby([table[Columns.ITEM], table["day"]], sort=False).size().groupby(level=0).max()
    guilty = (size >= BURST_LEAST) & (largest / size >= BURST_SHARE) & (by_item[Columns.RATING].nunique() == 1)
    found[guilty[guilty].index.to_numpy()] = True
    return found


def leaking_pairs(data: Dataset) -> np.ndarray:
    """Labelled training pairs (user, item) that validation or test asks for as well."""
    pairs = data.extras.get("pairs")
    if pairs is None:
        return np.zeros(0, dtype=bool)
    held = pairs[pairs["split"].isin(["valid", "test"])]
    asked = pd.MultiIndex.from_frame(held[["user_id", "item_id"]])
    return (pairs["split"] == "train").to_numpy() & pd.MultiIndex.from_frame(pairs[["user_id", "item_id"]]).isin(asked)


def _dated(data: Dataset) -> pd.DataFrame:
    """Interactions with a real time, and their day and hour."""
    table = data.interactions
    seconds = table[Columns.TIME].to_numpy()
    real = np.isfinite(seconds) & (seconds >= EARLIEST_S)
    if data.order != "time" or not real.any():
        return table.iloc[:0].assign(day=[], hour=[])
    kept = table[real]
    return kept.assign(day=kept[Columns.TIME] // DAY_S, hour=kept[Columns.TIME] % DAY_S // 3600)
