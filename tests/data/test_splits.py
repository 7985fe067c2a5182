"""Splits do not leak, and candidates depend on nothing but the user and the seed."""

import numpy as np
import pandas as pd
import pytest

from llmrec_core.data.candidates import candidate_sets, sample_cases
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split, time_cuts
from llmrec_core.errors import DataError, UnsupportedError, UsageError


def random_data(users=30, items=60, seed=0, shuffle=False, **kwargs):
    rng = np.random.default_rng(seed)
    rows = [
        (f"u{u}", f"i{i}", 1.0, float(t))
        for u in range(users)
        for i, t in zip(rng.choice(items, 8, replace=False), rng.integers(0, 100, 8), strict=True)
    ]
    if shuffle:
        rows = [rows[i] for i in rng.permutation(len(rows))]
    return build_dataset(
        "toy", pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "timestamp"]), **kwargs
    )


def test_leave_one_out_takes_the_last_two_and_keeps_ties_in_file_order():
    rows = pd.DataFrame(
        [
            ("a", "x", 3.0),
            ("a", "y", 1.0),
            ("a", "z", 3.0),
            ("a", "w", 3.0),
            ("b", "x", 1.0),
            ("b", "y", 1.0),
        ],
        columns=["user_id", "item_id", "timestamp"],
    )
    data = build_dataset("toy", rows)
    made = split(data, "loo")
    name = data.items.item_id.to_numpy()
    assert [list(name[items]) for items in made.train] == [["y", "x"], ["x", "y"]]
    (valid,), (test,) = made.valid, made.test
    assert (list(name[valid.history]), list(name[valid.relevant])) == (["y", "x"], ["z"])
    assert (list(name[test.history]), list(name[test.relevant])) == (["y", "x", "z"], ["w"])
    assert made.left_out == {"fewer than three items": 1}
    assert made.item_counts.tolist() == [2, 2, 0, 0]


@pytest.mark.threat("leakage")
@pytest.mark.parametrize("name", ["loo", "time"])
def test_nothing_that_is_asked_was_trained_on(name):
    made = split(random_data(), name)
    for case in [*made.valid, *made.test]:
        assert not set(case.relevant) & set(case.history)
        assert not set(case.relevant) & set(made.train[case.user])
    valid = {case.user: set(case.relevant) for case in made.valid}
    for case in made.test:
        assert not set(case.relevant) & valid.get(case.user, set())


@pytest.mark.threat("leakage")
def test_the_time_cut_lets_nothing_of_the_future_into_training():
    data = random_data()
    made, (first, second) = split(data, "time"), time_cuts(data)
    when = data.interactions.set_index(["user", "item"]).timestamp
    assert max(when[user, item] for user, items in enumerate(made.train) for item in items) < first
    for case in made.test:
        assert max(when[case.user, item] for item in case.history) < second
        assert min(when[case.user, item] for item in case.relevant) >= second
    assert sum(made.left_out.values()) + len(made.test) == data.n_users


def test_a_repeated_item_counts_once():
    rows = pd.DataFrame(
        {"user_id": ["a"] * 5, "item_id": list("xyxzw"), "timestamp": [1.0, 2, 3, 4, 5]}
    )
    assert [len(sequence) for sequence in split(build_dataset("toy", rows), "loo").sequences] == [4]


def test_splits_without_times():
    data = random_data(order="none")
    assert [c.relevant.tolist() for c in split(data, "loo").test] == [
        c.relevant.tolist() for c in split(data, "loo").test
    ]
    with pytest.raises(UnsupportedError, match="use split 'loo'"):
        split(data, "time")
    with pytest.raises(UsageError, match="loo, time"):
        split(data, "random")
    with pytest.raises(DataError, match="at least three"):
        split(
            build_dataset(
                "toy", pd.DataFrame({"user_id": ["a"], "item_id": ["x"], "timestamp": [1.0]})
            ),
            "loo",
        )


@pytest.mark.parametrize("kind", ["20-uniform", "20-popular", "full"])
def test_candidates_are_the_relevant_item_then_unseen_ones(kind):
    made = split(random_data(), "loo")
    sets = candidate_sets(made, made.test, kind, seed=1)
    for case, row in zip(made.test, sets, strict=True):
        row = row[row >= 0]
        assert row[0] == case.relevant[0]
        assert len(set(row)) == len(row)
        assert not set(row[1:]) & set(made.sequences[case.user])
    if kind == "full":
        assert (sets >= 0).sum(axis=1).tolist() == [60 - len(case.history) for case in made.test]
    else:
        assert sets.shape == (30, 20)


@pytest.mark.parametrize("kind", ["20-uniform", "20-popular"])
def test_candidates_of_a_user_depend_on_nobody_else(kind):
    made = split(random_data(), "loo")
    sets = candidate_sets(made, made.test, kind, seed=1)
    backwards = candidate_sets(made, made.test[::-1], kind, seed=1)[::-1]
    alone = [candidate_sets(made, [case], kind, seed=1)[0] for case in made.test]
    assert np.array_equal(sets, backwards)
    assert np.array_equal(sets, np.stack(alone))
    assert not np.array_equal(sets, candidate_sets(made, made.test, kind, seed=2))


def test_several_relevant_items_come_first_and_short_catalogues_are_padded():
    made = split(random_data(), "time")
    sets = candidate_sets(made, made.test, "100-uniform", seed=0)
    for case, row in zip(made.test, sets, strict=True):
        assert set(row[: len(case.relevant)]) == set(case.relevant)
    assert (sets == -1).any()  # 60 items cannot fill 100 places


def test_a_sample_of_users_is_fixed_by_the_seed_and_nested():
    cases = split(random_data(), "loo").test
    few, more = (sample_cases(cases[::-1], n, 3) for n in (5, 10))
    assert [c.user for c in few] == sorted(c.user for c in few)
    assert {c.user for c in few} < {c.user for c in more}
    assert len(sample_cases(cases, 0, 3)) == len(sample_cases(cases, 99, 3)) == 30


def test_unknown_candidates_are_refused():
    made = split(random_data(), "loo")
    with pytest.raises(UsageError, match="100-uniform"):
        candidate_sets(made, made.test, "some", 0)


@pytest.mark.parametrize("name", ["loo-cold-items", "loo-cold-users"])
def test_cold_splits_ask_for_what_nobody_learned(name):
    made = split(random_data(), name)
    assert made.name == name and made.test
    for case in made.test:
        learned = (
            made.item_counts[case.relevant].sum()
            if name == "loo-cold-items"
            else len(made.train[case.user])
        )
        assert learned == 0
