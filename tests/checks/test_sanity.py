"""Sanity checks pass on honest parts and fail on a planted leak, a careless score and a model that knows the answers."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from llmrec_core.checks import sanity
from llmrec_core.contract.families import families
from llmrec_core.contract.spec import RecommenderSpec, RunSpec, run_from_dict
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.errors import UsageError
from llmrec_core.metrics.exam import Exam
from llmrec_core.reading import check_results
from llmrec_core.recommenders.registry import build
from llmrec_core.running.grid import usual_run
from tests.reading.rows import make


@pytest.fixture(scope="module")
def made():
    """Users walk round a ring of items, so the next one is known."""
    rows = [
        (f"u{u}", f"i{(3 * u + n) % 60}", float(1000 * n + u)) for u in range(120) for n in range(8)
    ]
    titles = pd.DataFrame(
        {
            "item_id": [f"i{n}" for n in range(60)],
            "title": [f"chapter {n // 4} part{n}" for n in range(60)],
        }
    )
    return split(
        build_dataset(
            "ring", pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]), titles
        ),
        "loo",
    )


def exam_of(parts):
    return Exam.on(parts, parts.test, "20-uniform", 400, 0)


def passed(results):
    return {result.check: result.passed for result in results}


@pytest.mark.parametrize("family", ["popularity", "item-knn", "ease", "tf-idf"])
def test_honest_families_pass(family, made, tmp_path):
    make = partial(build, RunSpec(recommender=RecommenderSpec(family=family)), settings=None)
    found = passed(sanity.check_recommender(make, exam_of(made), tmp_path))
    assert set(found) == {
        "shuffled-labels",
        "shuffled-targets",
        "order-and-batch",
        "independent-metric",
    }
    assert all(found.values()), found


@pytest.mark.threat("leakage")
@pytest.mark.parametrize("name", ["loo", "time"])
def test_honest_splits_pass(name, made):
    results = sanity.check_split(exam_of(split(made.dataset, name)))
    assert all(passed(results).values()), results
    assert ("time-order" in passed(results)) == (name == "time")


@pytest.mark.threat("leakage")
def test_training_on_the_test_items_is_found(made):
    leaky = replace(
        made,
        train=[
            np.append(items, case.relevant)
            for items, case in zip(made.train, made.test, strict=True)
        ],
    )
    assert not passed(sanity.check_split(exam_of(leaky)))["train-test-overlap"]


@pytest.mark.threat("leakage")
def test_a_model_that_reads_the_answers_fails_the_shuffle(made, tmp_path):
    answers = {tuple(case.history): case.relevant[0] for case in made.test}

    class Cheat:
        def fit(self, split, context):
            """Nothing to learn."""

        def score(self, histories, candidates):
            right = np.array([[answers.get(tuple(history), -1)] for history in histories])
            return (candidates == right).astype(np.float32)

    results = sanity.check_recommender(lambda data: Cheat(), exam_of(made), tmp_path)
    assert not passed(results)["shuffled-labels"]


def test_a_score_that_depends_on_its_batch_is_found(made):
    def careless(histories, candidates):
        return candidates * 1.0 * (-1) ** len(histories)

    assert not passed(sanity.check_measurement(careless, exam_of(made)))["order-and-batch"]


@pytest.mark.parametrize(
    ("recommender", "fit_s", "expected"),
    [
        ({"family": "item-knn"}, 0.1, True),
        ({"family": "item-knn"}, 60.0, None),
        ({"family": "sasrec", "adaptation": "full"}, 0.1, None),
        ({"family": "bi-encoder", "backbone": "minilm-l6"}, 0.1, None),
    ],
)
def test_a_run_checks_itself_and_says_what_it_left_out(
    recommender, fit_s, expected, made, tmp_path
):
    spec = run_from_dict({"recommender": recommender, "protocol": {"candidates": "20-uniform"}})
    make = partial(build, RunSpec(recommender=RecommenderSpec(family="item-knn")), settings=None)
    fitted = make(made.dataset)
    fitted.fit(made, sanity.RunContext(tmp_path))
    found = sanity.check_run(fitted.score, make, exam_of(made), spec, fit_s, tmp_path)
    assert passed(found)["shuffled-labels"] is expected
    assert all(value for name, value in passed(found).items() if name != "shuffled-labels")
    assert {"train-test-overlap", "candidates", "order-and-batch", "independent-metric"} <= set(
        passed(found)
    )
    if expected is None:
        assert next(one.detail for one in found if one.check == "shuffled-labels")


def test_checks_are_told_in_a_sentence():
    good, bad = (
        {"check": "candidates", "passed": True, "detail": "d"},
        {"check": "x", "passed": False, "detail": "d"},
    )
    left = {"check": "shuffled-labels", "passed": None, "detail": "it learns from no labels"}
    rows = [make("A"), make("B")]
    passed = check_results.check_table(rows, {"A": [good, left]})
    assert check_results.check_sentence(passed) == (
        "All 1 checks passed; 1 were not made, for the reason given."
    )
    mixed = check_results.check_table(rows, {"A": [good], "B": [bad]})
    assert "do not rely on B: x" in check_results.check_sentence(mixed)


@pytest.mark.parametrize(
    "family",
    [name for name in families() if name not in ("cascade", "hosted", "distilled-sasrec")],
)
def test_every_family_has_a_usual_run_to_check(family):
    spec = usual_run(family, 40)
    assert spec.recommender.family == family and spec.training.steps == 40
    assert bool(spec.recommender.backbone) == bool(families()[family].backbones)


def test_what_needs_another_run_or_an_endpoint_and_a_typo_have_no_usual_run():
    with pytest.raises(UsageError, match="'hosted' asks an endpoint, whose address, price and"):
        usual_run("hosted", 40)
    for name in ("cascade", "distilled-sasrec"):
        with pytest.raises(UsageError, match="is made from another run"):
            usual_run(name, 40)
    with pytest.raises(UsageError, match="Did you mean 'sasrec'"):
        usual_run("sasrek", 40)
