"""Negatives come from what a person left untaken: all of them, and less where there is less."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec_core.data.candidates import PADDING
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.errors import DataError
from llmrec_core.training.sampling import GroupSampler


def taken(per_user, items):
    """A split in which user u has taken `per_user[u]` random items of the catalogue, in any order."""
    rng = np.random.default_rng(3)
    rows = [
        (f"u{user}", f"i{item}", float(place))
        for user, count in enumerate(per_user)
        for place, item in enumerate(rng.choice(items, count, replace=False))
    ]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    catalogue = pd.DataFrame({"item_id": [f"i{item}" for item in range(items)]})
    return split(build_dataset("taken", table, catalogue), "loo")


def sampler(parts, **options):
    return GroupSampler(parts, **({"history_items": 5, "negatives": 8, "seed": 0} | options))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    items=st.integers(6, 60),
    negatives=st.integers(1, 20),
    popular=st.booleans(),
)
def test_a_negative_is_never_an_item_of_the_person_nor_the_positive(
    seed, items, negatives, popular
):
    rng = np.random.default_rng(seed)
    parts = taken(rng.integers(4, items + 1, size=6), items)
    try:
        drawn = sampler(parts, negatives=negatives, seed=seed, popular=popular)
    except DataError as error:
        assert "nothing is left to learn against" in str(error)
        return
    pool = np.flatnonzero(parts.item_counts > 0) if popular else np.arange(items)
    for number in range(15):
        group = drawn.group(number)
        positive, rest = group.items[0], group.items[1:]
        owners = [
            own
            for own in map(set, (parts.train[user].tolist() for user in drawn.users))
            if {*group.history.tolist(), int(positive)} <= own and not own & set(rest.tolist())
        ]
        assert owners, "no person of the training data can be the group's"
        assert len(rest) in {min(negatives, len(set(pool) - own)) for own in owners}
        assert set(rest.tolist()) <= set(pool.tolist())


def test_somebody_who_took_nearly_everything_gets_what_is_left_and_is_counted():
    """Training keeps 98 of 100 items of the first person: two are left, of eight wanted."""
    drawn = sampler(taken([100, 20], 100))
    assert drawn.short_of_negatives == 1 and drawn.without_negatives == 0
    sizes = {len(drawn.group(number).items) - 1 for number in range(40)}
    assert sizes == {2, 8}
    assert "1 people left fewer than 8 items untaken" in drawn.note()
    batch = drawn.batch(0, 40)
    assert batch.items.shape == (40, 9)
    short = (batch.items == PADDING).sum(axis=1)
    assert set(short.tolist()) == {0, 6} and (batch.real == (batch.items != PADDING)).all()


def test_a_catalogue_that_everybody_took_whole_is_a_sentence():
    """With `popular`, only items that training has seen can be drawn; two people took all of them."""
    parts = taken([6, 6], 6)
    for user in (0, 1):
        parts.train[user] = np.arange(6)
    with pytest.raises(DataError, match=r"all 2 people .* took every item of the catalogue"):
        sampler(parts)


def test_a_group_is_the_same_for_its_seed_and_number():
    parts = taken([30, 30, 59], 60)
    first, second = sampler(parts, negatives=20), sampler(parts, negatives=20)
    for number in (7, 3, 7):
        assert first.group(number).items.tolist() == second.group(number).items.tolist()


def test_drawing_ends_where_one_item_of_many_is_left():
    """One item of 5,000 is allowed: rejection alone would need some 5,000 draws for each."""
    parts = taken([50, 50], 5_000)
    parts.train[0] = np.arange(4_999)
    parts.train[1] = np.arange(4_980)
    drawn = sampler(parts, negatives=15)
    for number in range(20):
        rest = set(drawn.group(number).items[1:].tolist())
        assert rest == {4_999} or (len(rest) > 1 and min(rest) >= 4_980)
