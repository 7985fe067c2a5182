"""Sixty people, forty numbered films, and the spec of a hosted model that orders them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from llmrec_core.contract.spec import RunSpec, run_from_dict
from llmrec_core.data.dataset import Dataset, build_dataset

ITEMS, USERS = 40, 60


def films(titles: bool = True, users: int = USERS, word: str = "field ") -> Dataset:
    """The data set; without titles where a text model must refuse it.

    Args:
        titles: whether items have any.
        users: how many people there are.
        word: what stands before an item's number in its title.
    """
    rng = np.random.default_rng(3)
    rows = [
        (f"u{user}", f"i{item}", 1.0, float(time))
        for user in range(users)
        for time, item in enumerate(rng.permutation(ITEMS)[:8])
    ]
    items = pd.DataFrame(
        {
            "item_id": [f"i{n}" for n in range(ITEMS)],
            "title": [f"{'black' if n % 2 else 'white'} {word}{n}" for n in range(ITEMS)],
        }
    )
    return build_dataset(
        "films",
        pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "timestamp"]),
        items=items if titles else None,
    )


def hosted_run(url: str, **changes: Any) -> RunSpec:
    """A run that orders popularity's best five; `changes` go to recommender, endpoint or protocol."""
    endpoint = {
        "url": url,
        "model": "tiny",
        "usd_per_million_in": 2.0,
        "usd_per_million_out": 8.0,
        "priced_on": "2026-11-26",
        "limit_usd": 1.0,
    }
    endpoint |= changes.pop("endpoint", {})
    protocol = {"candidates": "20-uniform", "users": 12} | changes.pop("protocol", {})
    recommender = {"family": "hosted", "retriever": "popularity", "rerank_k": 5}
    return run_from_dict(
        {
            "name": "hosted",
            "data": {"name": "films"},
            "protocol": protocol,
            "recommender": recommender | {"endpoint": endpoint} | changes,
        }
    )
