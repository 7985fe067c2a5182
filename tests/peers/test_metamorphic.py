"""What must not change a score or a metric, whatever the data: properties of every family.

Small made-up catalogues, drawn by hypothesis; a family is fitted on the catalogue and on another
form of it, and what both say of the same people and items is compared.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.metrics.evaluate import evaluate
from llmrec_core.metrics.exam import Exam
from llmrec_core.recommenders.registry import build
from llmrec_core.settings import load_settings
from tests.tiny import WORDS, tiny_backbone, training_for

CLOSE = 1e-5
"""Of scores whose sums may run in another order: they are float32."""
TRAINING = {"steps": 2, "warmup_steps": 0, "batch_histories": 2, "negatives": 3,
            "validate_every": 2, "validation_users": 3}  # fmt: skip
TINY = {"width": 8, "layers": 1, "heads": 1}
CHEAP = {
    "popularity": {"family": "popularity"},
    "item-knn": {"family": "item-knn"},
    "ease": {"family": "ease", "options": {"l2": 5.0}},
    "tf-idf": {"family": "tf-idf"},
    "bm25": {"family": "bm25"},
}
NEURAL = {
    "sasrec": {"family": "sasrec", "adaptation": "full", "options": TINY},
    "parallel-codes": {
        "family": "parallel-codes", "backbone": "bert", "adaptation": "full",
        "options": TINY | {"codes": 4},
    },
    "tiger": {
        "family": "tiger", "backbone": "bert", "adaptation": "full",
        "options": TINY | {"levels": 2, "beam": 4},
    },
    "bi-encoder": {"family": "bi-encoder", "backbone": "bert"},
    "cross-encoder": {"family": "cross-encoder", "backbone": "bert", "adaptation": "head"},
    "decoder": {"family": "decoder", "backbone": "llama", "head": "yes-no"},
    "cascade": {
        "family": "decoder", "backbone": "llama", "head": "yes-no", "retriever": "popularity",
        "rerank_k": 3,
    },
}  # fmt: skip
FAMILIES = CHEAP | NEURAL
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


def examples(count):
    return settings(max_examples=count, deadline=None, suppress_health_check=QUIET)


@st.composite
def logs(draw):
    """Interactions of 4 to 9 people with 7 to 12 items with titles, everybody's at times of their own.

    The first has four items at least, so that two are left to learn a next item from.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    items, people = draw(st.integers(7, 12)), draw(st.integers(4, 9))
    rows = []
    for user in range(people):
        taken = rng.choice(items, rng.integers(3 if user else 4, 6), replace=False)
        rows += [(f"u{user}", f"i{item}", 0.0) for item in taken]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    table["timestamp"] = rng.permutation(len(table)) * 60.0
    titles = [" ".join(rng.choice(WORDS, rng.integers(1, 4))) for _ in range(items)]
    ids = [f"i{n}" for n in range(items)]
    return table, pd.DataFrame({"item_id": ids, "title": titles})


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    folder = tmp_path_factory.mktemp("metamorphic")
    return {kind: str(tiny_backbone(folder / kind, kind)) for kind in ("bert", "llama")}


@pytest.fixture
def fitted(backbones, settings, tmp_path):
    """Fits a family on tables; returns its data set, split and recommender."""

    def fit(name, table, items, training=None):
        chosen = dict(FAMILIES[name])
        if "backbone" in chosen:
            chosen["backbone"] = backbones[chosen["backbone"]]
        dataset = build_dataset("small", table, items)
        training = training_for(chosen["family"], training or TRAINING)
        spec = run_from_dict({"recommender": chosen, "training": training})
        protocol = dataclasses.replace(spec.protocol, candidates="full", users=0)
        spec = dataclasses.replace(spec, protocol=protocol)
        recommender = build(spec, dataset, load_settings())
        parts = split(dataset, "loo")
        recommender.fit(parts, RunContext(tmp_path / "run"))
        return dataset, parts, recommender

    return fit


def scores_by_id(dataset, parts, recommender):
    """Score of every item for every test case, by the ids of person and item."""
    everything = np.arange(dataset.n_items)
    table = {}
    for case in parts.test:
        scores = recommender.score([case.history], everything[None])[0]
        user = dataset.users["user_id"].iloc[case.user]
        for item, score in zip(dataset.items["item_id"], scores, strict=True):
            table[user, item] = float(score)
    return table


def assert_alike(first, second, atol=CLOSE):
    assert set(first) <= set(second)
    largest = max(1.0, *(abs(score) for score in first.values()))
    for place, score in first.items():
        assert second[place] == pytest.approx(score, abs=atol * largest), place


@pytest.mark.parametrize("name", list(FAMILIES))
def test_the_order_of_candidates_batch_and_doubled_people(name, fitted):
    @examples(8 if name in CHEAP else 2)
    @given(logs(), st.randoms(use_true_random=False))
    def holds(tables, random):
        dataset, parts, recommender = fitted(name, *tables)
        histories = [case.history for case in parts.test]
        items = np.tile(np.arange(dataset.n_items), (len(histories), 1))
        scores = np.asarray(recommender.score(histories, items), dtype=float)
        order = list(range(dataset.n_items))
        random.shuffle(order)
        # a cascade divides by the spread of the few that it reads, and so their rounding
        close = 1e-3 if name == "cascade" else CLOSE
        moved = np.asarray(recommender.score(histories, items[:, order]), dtype=float)
        np.testing.assert_allclose(moved, scores[:, order], rtol=close, atol=close)
        people = [*range(len(histories)), 0, 0]
        random.shuffle(people)
        again = recommender.score([histories[i] for i in people], items[people])
        np.testing.assert_allclose(again, scores[people], rtol=close, atol=close)

    holds()


@pytest.mark.parametrize("name", [*CHEAP, "bi-encoder", "decoder"])
def test_names_and_further_columns_do_not_matter(name, fitted):
    """Other ids for people and items, and columns that nothing reads, leave every score."""

    @examples(5 if name in CHEAP else 2)
    @given(logs())
    def holds(tables):
        table, items = tables
        plain = scores_by_id(*fitted(name, table, items))
        other = table.assign(
            user_id="person-" + table["user_id"], item_id="thing " + table["item_id"],
            shelf=range(len(table)),
        )  # fmt: skip
        named = items.assign(item_id="thing " + items["item_id"], weight=1.5)
        renamed = scores_by_id(*fitted(name, other, named))
        back = {(u.removeprefix("person-"), i.removeprefix("thing ")): s
                for (u, i), s in renamed.items()}  # fmt: skip
        assert_alike(plain, back)

    holds()


@pytest.mark.parametrize("name", ["popularity", "item-knn", "ease", "bi-encoder", "decoder"])
def test_an_item_that_nobody_took_changes_no_score(name, fitted):
    @examples(5 if name in CHEAP else 2)
    @given(logs())
    def holds(tables):
        table, items = tables
        more = pd.concat([items, pd.DataFrame({"item_id": ["never"], "title": ["white field"]})])
        without = scores_by_id(*fitted(name, table, items))
        assert_alike(without, scores_by_id(*fitted(name, table, more.reset_index(drop=True))))

    holds()


@pytest.mark.parametrize("name", ["popularity", "item-knn", "ease", "tf-idf", "bi-encoder"])
def test_the_order_of_people_in_the_file_does_not_matter(name, fitted):
    @examples(5 if name in CHEAP else 2)
    @given(logs())
    def holds(tables):
        table, items = tables
        other = table.sort_values("timestamp", kind="stable").reset_index(drop=True)
        assert_alike(
            scores_by_id(*fitted(name, table, items)), scores_by_id(*fitted(name, other, items))
        )

    holds()


@pytest.mark.parametrize("name", list(FAMILIES))
def test_more_of_the_same_history_never_fails(name, fitted):
    @examples(2)
    @given(logs(), st.lists(st.integers(0, 6), max_size=400))
    def holds(tables, history):
        dataset, _, recommender = fitted(name, *tables)
        everything = np.arange(dataset.n_items)[None]
        for length in (0, 1, len(history), 3 * len(history)):
            longer = np.array((history * 3)[:length], dtype=np.int64)
            assert np.isfinite(recommender.score([longer], everything)).all()

    holds()


@pytest.mark.parametrize("name", [*CHEAP, "bi-encoder"])
@pytest.mark.parametrize("cut", ["loo", "time"])
def test_what_comes_after_the_split_is_not_learned(name, cut, fitted):
    """Another item in the place of a withheld one changes no score: it was never looked at."""

    @examples(4 if name in CHEAP else 1)
    @given(logs(), st.randoms(use_true_random=False))
    def holds(tables, random):
        table, items = tables
        dataset, parts, recommender = fitted(name, table, items)
        if cut == "time":
            parts = split(dataset, "time")
            recommender.fit(parts, RunContext(load_settings().home / "time"))
        case = random.choice(parts.test)
        user, withheld = f"u{case.user}", dataset.items["item_id"].iloc[int(case.relevant[-1])]
        own = set(table.loc[table["user_id"] == user, "item_id"])
        free = sorted(set(items["item_id"]) - own)
        changed = table.copy()
        place = (changed["user_id"] == user) & (changed["item_id"] == withheld)
        changed.loc[place, "item_id"] = random.choice(free)
        other, other_parts, again = fitted(name, changed, items)
        if cut == "time":
            other_parts = split(other, "time")
            again.fit(other_parts, RunContext(load_settings().home / "time"))
        np.testing.assert_array_equal(parts.item_counts, other_parts.item_counts)
        assert_alike(
            scores_by_id(dataset, parts, recommender), scores_by_id(other, other_parts, again)
        )

    holds()


def test_popularity_of_permuted_items_permutes_the_list(fitted):
    @examples(10)
    @given(logs(), st.randoms(use_true_random=False))
    def holds(tables, random):
        table, items = tables
        ids = items["item_id"].tolist()
        others = list(ids)
        random.shuffle(others)
        new_of = dict(zip(ids, others, strict=True))
        plain = scores_by_id(*fitted("popularity", table, items))
        moved = table.assign(item_id=table["item_id"].map(new_of))
        permuted = scores_by_id(*fitted("popularity", moved, items))
        expected = {(user, new_of[item]): score for (user, item), score in plain.items()}
        assert_alike(expected, permuted)

    holds()


def test_the_order_of_people_and_candidates_does_not_change_a_metric(fitted):
    @examples(10)
    @given(logs(), st.randoms(use_true_random=False), st.integers(1, 12))
    def holds(tables, random, k):
        _, parts, recommender = fitted("item-knn", *tables)
        exam = Exam.on(parts, parts.test, "full", 0, 0)
        people = list(range(len(exam.cases)))
        random.shuffle(people)
        candidates = exam.candidates[people]
        for row in candidates:
            random.shuffle(row)  # padding among them
        cases = [exam.cases[i] for i in people]
        first = evaluate(recommender.score, parts, exam.cases, exam.candidates, "loo/full", k)[0]
        second = evaluate(recommender.score, parts, cases, candidates, "loo/full", k, batch=2)[0]
        lists = ("coverage", "gini", "novelty", "diversity")  # of ties, the first ones are shown
        for a, b in zip(first, second, strict=True):
            assert a.name == b.name
            if not a.name.startswith(lists):
                assert a.value == pytest.approx(b.value, abs=1e-12), a.name

    holds()
