"""One score, one base, one story: what a list shows is what its reasons add up to, of every family that explains."""

from __future__ import annotations

import re

import numpy as np
import pytest

from llmrec_core.contract.families import families
from llmrec_core.contract.recommender import ScoresLists
from llmrec_core.contract.requests import ExplainRequest
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data.splits import split
from llmrec_core.explain.answer import explain_answer
from llmrec_core.explain.explanation import Explanation
from llmrec_core.metrics.exam import Exam
from llmrec_core.reading import explanations
from llmrec_core.recommenders.finished_run import family_of
from llmrec_core.recommenders.registry import build
from llmrec_core.running.showcase import showcase
from llmrec_core.settings import load_settings
from pages.shared import charts, reasons
from tests.tiny import training_for

CLOSE = 1e-4
"""Of a score: packed and single passes of a language model differ by float32 rounding."""
TRAINING = {
    "steps": 2, "warmup_steps": 1, "batch_histories": 4, "positives": 1, "negatives": 3,
    "validate_every": 2, "validation_users": 6,
}  # fmt: skip
ENCODER = {
    "family": "cross-encoder",
    "backbone": "bert",
    "adaptation": "head",
    "history_items": 6,
}
DECODER = {
    "family": "decoder",
    "backbone": "llama",
    "head": "yes-no",
    "adaptation": "none",
    "history_items": 5,
}
CUT = {"retriever": "item-knn", "rerank_k": 6}
FAMILIES = {
    "popularity": {"family": "popularity"},
    "item-knn": {"family": "item-knn"},
    "directed-counts": {"family": "directed-counts"},
    "ease": {"family": "ease"},
    "ease with relations": {"family": "ease", "options": {"relations": 5}},
    "tf-idf": {"family": "tf-idf"},
    "bm25": {"family": "bm25"},
    "bm25 with relations": {"family": "bm25", "relations": 2},
    "als": {"family": "als"},
    "bpr": {"family": "bpr"},
    "fusion": {"family": "fusion", "retriever": "item-knn+tf-idf+ease"},
    "sasrec": {"family": "sasrec", "adaptation": "full"},
    "distilled-sasrec": {"family": "distilled-sasrec", "adaptation": "full"},
    "text-sasrec": {"family": "text-sasrec", "backbone": "bert", "adaptation": "full"},
    "parallel-codes": {"family": "parallel-codes", "backbone": "bert", "adaptation": "full"},
    "tiger": {"family": "tiger", "backbone": "bert", "adaptation": "full"},
    "bi-encoder": {"family": "bi-encoder", "backbone": "bert"},
    "two-towers": {"family": "two-towers", "backbone": "bert", "adaptation": "head"},
    "cross-encoder": ENCODER,
    "cross-encoder with relations": {**ENCODER, "relations": 2},
    "cross-encoder, items alone": {**ENCODER, "history_attention": "per_item"},
    "cross-encoder, pairs": {**ENCODER, "history_attention": "full"},
    "decoder": DECODER,
    "cascade, reader alone": {**ENCODER, **CUT},
    "cascade, blended": {**ENCODER, **CUT},
    "cascade, retriever alone": {**ENCODER, **CUT},
    "cascade with a decoder": {**DECODER, **CUT},
}
WEIGHTS = {"cascade, blended": 0.7, "cascade, retriever alone": 0.0}
STORED = {name: 1 if "decoder" in name else 3 for name in FAMILIES}
"""People whose reasons a finished run keeps: a decoder's passes take long."""
PARTS = {
    "fusion": {"item-knn", "tf-idf", "ease"},
    "cascade, reader alone": {"reader"},
    "cascade, blended": {"reader", "retriever"},
    "cascade, retriever alone": {"retriever"},
    "cascade with a decoder": {"reader"},
}


def spec_of(name, backbones):
    chosen = {**FAMILIES[name]}
    if "backbone" in chosen:
        chosen["backbone"] = str(backbones[chosen["backbone"]])
    body = {
        "name": name,
        "recommender": chosen,
        "protocol": {"candidates": "15-uniform", "users": 12},
        "training": training_for(chosen["family"], TRAINING),
    }
    if name == "distilled-sasrec":
        body["weights_from"] = "sasrec"
    return run_from_dict(body)


def fitted(name, backbones, parts, place):
    """A fitted run's spec and recommender; a student's teacher is fitted before it."""
    spec, parent = spec_of(name, backbones), None
    if spec.weights_from:
        _, teacher = fitted(spec.weights_from, backbones, parts, place / "teacher")
        parent = place / "teacher" / "model"
        teacher.save(parent)
    recommender = build(spec, parts.dataset, load_settings(), parent=parent)
    place.mkdir(parents=True, exist_ok=True)
    recommender.fit(parts, RunContext(place))
    return spec, recommender


@pytest.fixture(scope="session", params=FAMILIES)
def run(request, small_dataset, backbones, tmp_path_factory):
    """A fitted run of each family: its name, spec, split, recommender, and the same loaded from its folder."""
    parts = split(small_dataset, spec_of(request.param, backbones).protocol.split)
    spec, recommender = fitted(request.param, backbones, parts, tmp_path_factory.mktemp("run"))
    if request.param in WEIGHTS:
        recommender.weight = WEIGHTS[request.param]
    folder = tmp_path_factory.mktemp("model")
    recommender.save(folder)
    return request.param, spec, parts, recommender, family_of(spec).load(folder, small_dataset)


def close(one, other):
    return one == pytest.approx(other, rel=CLOSE, abs=CLOSE)


def drawn(body):
    """The score as the chart, the table and the report show it; the last with three decimals."""
    reasons_of_run = explanations.read(body, run="any")
    figure = charts.waterfall(*reasons.steps(reasons_of_run.explanation))
    *steps, total = figure.data[0].x
    yield total
    yield sum(steps)
    table = reasons.value_table(reasons_of_run.explanation)
    yield reasons_of_run.explanation.base + table["Shapley value"].sum()
    page = str(explanations.section(reasons_of_run))
    (shown,) = re.findall(r"<b>([+-][0-9.]+)</b>", page)
    assert shown == f"{total:+.3f}"


def test_stored_and_fresh_reasons_add_up_to_the_score_of_the_list(run, small_dataset, tmp_path):
    name, spec, parts, recommender, loaded = run
    exam = Exam.on(parts, parts.test, spec.protocol.candidates, 0, spec.protocol.seed)
    context = RunContext(tmp_path)
    showcase(recommender, recommender.score, exam, spec, context)
    lists, reasons = context.documents["lists"]["users"], context.documents["explanations"]
    assert len(reasons) == STORED[name]
    for user, body in reasons.items():
        listed = lists[user]["items"]
        stored = Explanation.from_json(body)
        assert stored.item_id == listed[0]["item_id"]
        assert close(stored.prediction, listed[0]["score"])
        assert close(stored.base + stored.values.sum(), listed[0]["score"])
        assert set(stored.shares) == PARTS.get(name, set())
        assert all(close(score, listed[0]["score"]) for score in drawn(body))
        others = tuple(row["item_id"] for row in listed[1:])
        for row in (listed[0], listed[4]):
            question = ExplainRequest(
                item=row["item_id"], user=user, occasion="evaluation", listed=others
            )
            fresh = explain_answer(loaded, small_dataset, spec, question)
            assert close(fresh["prediction"], row["score"])
            explanation = Explanation.from_json(fresh)
            assert close(explanation.base + explanation.values.sum(), row["score"])
            if row is listed[0]:
                assert fresh["text"] == body["text"]
                assert close(explanation.values.tolist(), stored.values.tolist())


def test_fifty_lists_of_every_family_that_explains_are_compared():
    explaining = {name for name, family in families().items() if family.group != "hosted"}
    assert {chosen["family"] for chosen in FAMILIES.values()} | {"cascade"} == explaining
    assert sum(STORED.values()) >= 50


def test_a_list_of_today_is_explained_as_it_was_made(run, small_dataset):
    _, spec, _, _, loaded = run
    user = "u3"
    table = small_dataset.interactions
    history = table.loc[table["user"] == small_dataset.user_code(user), "item"].to_numpy()
    offered = np.setdiff1d(np.arange(small_dataset.n_items), history)
    scores = loaded.score([history], offered[None])[0]
    for column in np.argsort(-scores)[[0, 7]]:
        question = ExplainRequest(item=int(offered[column]), user=user, occasion="today")
        body = explain_answer(loaded, small_dataset, spec, question)
        assert close(body["prediction"], scores[column])


@pytest.mark.parametrize("run", PARTS, indirect=True)
def test_a_score_of_a_list_is_the_weighted_sum_of_its_parts(run):
    _, _, parts, recommender, _ = run
    assert isinstance(recommender, ScoresLists)
    history = parts.test[0].history
    candidates = np.setdiff1d(np.arange(12, 28), history)
    score = recommender.list_score(history, candidates)
    total = score.offsets.copy()
    for part in score.parts:
        total += part.weights * part.recommender.score([history], candidates[None])[0]
    assert close(total.tolist(), recommender.score([history], candidates[None])[0].tolist())
