"""An exam is made once: the same people and candidates for whoever asks."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.data.candidates import candidate_sets, sample_cases
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.explain.occasion import evaluated
from llmrec_core.installation import PACKAGE
from llmrec_core.metrics.exam import Exam, protocol_split

PROTOCOL = ProtocolSpec(candidates="8-uniform", users=12, seed=3)


@pytest.fixture(scope="module")
def shop():
    """Thirty people with six things each; a list of five came with the data for ten of them."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", float(time))
        for user in range(30)
        for time, item in enumerate(rng.permutation(25)[:6])
    ]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    lists = pd.DataFrame(
        {
            "user_id": [f"u{user}" for user in range(0, 30, 3)],
            "method": "bm25",
            "items": "i1 i2 i3 i4 i5",
        }
    )
    return build_dataset("shop", table, extras={"lists": lists})


def test_it_is_what_the_parts_give_one_by_one(shop):
    exam = Exam.of(shop, PROTOCOL)
    parts = split(shop, "loo")
    cases = sample_cases(parts.test, 12, 3)
    assert [case.user for case in exam.cases] == [case.user for case in cases]
    assert np.array_equal(exam.candidates, candidate_sets(parts, cases, "8-uniform", 3))
    assert [history.tolist() for history in exam.histories] == [c.history.tolist() for c in cases]


def test_only_people_with_a_published_list_are_asked_for_it(shop):
    exam = Exam.of(shop, ProtocolSpec(candidates="given-bm25", users=0))
    assert [shop.users["user_id"][case.user] for case in exam.cases] == [
        f"u{user}" for user in range(0, 30, 3)
    ]
    assert set(exam.offered(0)) <= {
        *(shop.item_code(f"i{n}") for n in range(1, 6)),
        *exam.cases[0].relevant,
    }


def test_other_numbers_of_people_and_seeds_may_be_asked(shop):
    assert len(Exam.of(shop, PROTOCOL, users=0).cases) == 30
    other = Exam.of(shop, PROTOCOL, seed=4)
    assert other.seed == 4 and len(other.cases) == 12
    assert not np.array_equal(other.candidates, Exam.of(shop, PROTOCOL).candidates)


def test_a_smaller_sample_is_the_smaller_exam(shop):
    whole, few = Exam.of(shop, PROTOCOL, users=0), Exam.of(shop, PROTOCOL, users=5)
    sample = whole.sample(5)
    assert [case.user for case in sample.cases] == [case.user for case in few.cases]
    assert np.array_equal(sample.candidates, few.candidates)
    assert whole.sample(0).cases == whole.cases


def test_some_of_its_people_keep_their_candidates(shop):
    exam = Exam.of(shop, PROTOCOL)
    some = exam.where(np.arange(12) % 2 == 0)
    assert some.cases == exam.cases[::2]
    assert np.array_equal(some.candidates, exam.candidates[::2])


def test_batches_are_the_exam_in_parts(shop):
    parts = split(shop, "loo")
    whole = Exam.on(parts, parts.valid, "8-uniform", 12, 3)
    batches = list(Exam.batches(parts, parts.valid, "8-uniform", 12, 3, size=5))
    assert [len(batch.cases) for batch in batches] == [5, 5, 2]
    assert [case for batch in batches for case in batch.cases] == whole.cases
    assert np.array_equal(np.concatenate([b.candidates for b in batches]), whole.candidates)


@pytest.mark.parametrize("candidates", ["8-uniform", "given-bm25"])
def test_reasons_are_of_the_lists_that_the_exam_asked_for(shop, candidates):
    protocol = ProtocolSpec(candidates=candidates, users=0, seed=3)
    exam = Exam.of(shop, protocol)
    parts = protocol_split(shop, protocol)
    assert [case.user for case in parts.test] == [case.user for case in exam.cases]
    for place, case in enumerate(parts.test):
        occasion = evaluated(parts, case, protocol)
        assert np.array_equal(occasion.candidates, exam.offered(place))


def test_nothing_else_in_the_engine_makes_cases_and_candidates_by_hand():
    own = {"data/candidates.py", "metrics/exam.py", "metrics/evaluate.py"}
    by_hand = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\b(candidate_sets|askable)\b", path.read_text(encoding="utf-8"))
    }
    assert by_hand == own
