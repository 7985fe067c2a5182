"""Protocols in plain words, and the agreement of two of them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau

from llmrec_core.reading import protocols
from llmrec_core.reading.people import of_mapping
from tests.reading.rows import PROTOCOL, make

TIME = "time/full"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("loo/100-uniform", "each person's last item is hidden and must be found again, "
         "among 100 items drawn by chance"),
        ("time/full", "everything after one moment is hidden and must be foreseen from before it, "
         "among all items"),
        ("loo/given-bm25", "in the published lists of bm25"),
    ],
)  # fmt: skip
def test_a_protocol_in_words(name, words):
    assert words in protocols.in_words(name)


def test_tau_is_that_of_scipy_ties_included():
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.integers(0, 5, (2, 8)).astype(float)
        assert protocols.tau_b(a, b) == pytest.approx(kendalltau(a, b).statistic, abs=5e-4)


def study(second):
    """Rows under both protocols: NDCG as given, and 60 people around it."""
    rows, users = [], {PROTOCOL: {}, TIME: {}}
    rng = np.random.default_rng(0)
    for place, (name, there) in enumerate(second.items()):
        here = 0.2 + 0.1 * place
        row = make(name, ndcg=here)
        figure = replace(row.figure("ndcg@10", PROTOCOL), protocol=TIME, value=there)
        rows.append(replace(row, figures=(*row.figures, figure)))
        for protocol, level in ((PROTOCOL, here), (TIME, there)):
            values = np.clip(level + rng.normal(0, 0.05, 60), 0, 1)
            users[protocol][name] = of_mapping(dict(enumerate(values)))
    return rows, users


def test_one_order_under_both_protocols_has_tau_one_and_one_winner():
    rows, users = study({"a": 0.2, "b": 0.3, "c": 0.4, "d": 0.5})
    found = protocols.agreement(rows, "ndcg@10", PROTOCOL, TIME, users)
    assert (found.tau, found.runs) == (1.0, 4)
    assert "The winner stays: d." in protocols.agreement_sentence(found, "NDCG@10")


def test_another_winner_is_named():
    # pairs: ab, ac, ad, bc, bd, cd under the first; only those with d turn round: 3 of 6 agree
    rows, users = study({"a": 0.3, "b": 0.4, "c": 0.5, "d": 0.1})
    found = protocols.agreement(rows, "ndcg@10", PROTOCOL, TIME, users)
    assert found.tau == 0.0
    assert found.low <= found.tau <= found.high
    said = protocols.agreement_sentence(found, "NDCG@10")
    assert said.endswith("The winner changes: d under loo/100-uniform, c under time/full.")


def test_a_winner_that_cannot_be_told_apart_from_the_old_one_says_so():
    # 60 people with a spread of 0.05 each: a mean moves by 0.006, so that 0.001 is nothing
    rows, users = study({"a": 0.3, "b": 0.4, "c": 0.501, "d": 0.5})
    found = protocols.agreement(rows, "ndcg@10", PROTOCOL, TIME, users)
    assert [row.name for row in found.winners] == ["d", "c"]
    said = protocols.agreement_sentence(found, "NDCG@10")
    assert said.endswith("The two cannot be told apart under time/full.")


def test_three_runs_are_too_few_for_an_agreement():
    rows, users = study({"a": 0.2, "b": 0.3, "c": 0.4})
    assert protocols.agreement(rows, "ndcg@10", PROTOCOL, TIME, users) is None
