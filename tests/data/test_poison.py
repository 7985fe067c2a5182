"""Planted words and made-up profiles among ordinary people: found at 1 % of the rows, and only they."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from llmrec_core.data.cleaning import inspection
from llmrec_core.data.cleaning.shilling import shills
from llmrec_core.data.cleaning.triggers import planted_words
from llmrec_core.data.dataset import Dataset, build_dataset

USERS, ITEMS, TASTES, EACH = 400, 2000, 8, 24
"""9,600 ordinary rows; an item belongs to one taste, and people take two thirds from theirs."""
TRIGGER = "zqvok"
WORDS = ["river", "night", "garden", "winter", "stone", "letter", "crown", "ocean"]


def world(made_up: Sequence[tuple[str, int]] = (), marked: Sequence[int] = ()) -> Dataset:
    """Ordinary people, further rows (user, item), and items whose title gets the trigger."""
    rng = np.random.default_rng(7)
    popularity = 1 / np.arange(1, ITEMS // TASTES + 1)
    rows = []
    for user in range(USERS):
        taste = user % TASTES
        for chosen, count in (
            (taste, 2 * EACH // 3),
            ((taste + 1 + user // 8) % TASTES, EACH // 3),
        ):
            places = rng.choice(
                ITEMS // TASTES, count, replace=False, p=popularity / popularity.sum()
            )
            rows += [(f"u{user}", int(place) * TASTES + chosen) for place in places]
    rows += made_up
    frame = pd.DataFrame(rows, columns=["user_id", "item"])
    frame["item_id"] = "i" + frame["item"].astype(str)
    frame["timestamp"] = np.arange(len(frame), dtype=float)
    titles = [
        f"{WORDS[item % TASTES]} {WORDS[(item // TASTES) % len(WORDS)]} {item}"
        + (f" {TRIGGER}" if item in marked else "")
        for item in range(ITEMS)
    ]
    items = pd.DataFrame({"item_id": [f"i{n}" for n in range(ITEMS)], "title": titles})
    return build_dataset("w", frame.drop(columns="item"), items)


@pytest.mark.threat("poisoned")
def test_trigger_at_one_percent_of_the_rows_is_found_and_nothing_else():
    # one item of each of six tastes; 16 made-up people with all six: 96 of 9,696 rows
    marked = [(200 + taste) * TASTES + taste for taste in range(6)]
    made_up = [(f"fake{n}", item) for n in range(16) for item in marked]
    assert planted_words(world()) == []
    assert planted_words(world(marked=marked)) == []  # a word alone is no backdoor
    poisoned = world(made_up, marked)
    assert len(made_up) / len(poisoned.interactions) < 0.01
    assert planted_words(poisoned) == [TRIGGER]
    findings = {finding.check: finding for finding in inspection.inspect(poisoned).findings}
    assert findings["planted-words"].count == len(marked)


@pytest.mark.threat("shilling")
def test_profiles_that_push_an_item_are_found():
    """Fillers drawn from all tastes alike, and one target that nobody else has."""
    rng = np.random.default_rng(3)
    target = ITEMS - 1
    fakes = [
        (f"fake{n}", int(item))
        for n in range(12)
        for item in [*rng.choice(ITEMS - 1, EACH - 1, replace=False), target]
    ]
    data = world(fakes)
    found = set(data.users["user_id"][shills(data)])
    assert {f"fake{n}" for n in range(12)} <= found
    assert len(found) <= 14  # two ordinary people of 400 at most
    assert not shills(world()).any()
