"""A whole run from spec to record on real files: tiny backbones, a small catalogue, every kind."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict, stored_run
from llmrec_core.data import store
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.errors import CheckpointError, UnsupportedError
from llmrec_core.metrics.exam import Exam
from llmrec_core.reading.record_fields import DOCUMENTS, field_of
from llmrec_core.recommenders.finished_run import family_of
from llmrec_core.recommenders.knn import ItemKnn
from llmrec_core.running.execute import execute
from llmrec_core.training.sampling import GroupSampler
from tests.engine import folder
from tests.recommenders.hosted.films import films as numbered_films

pytestmark = pytest.mark.slow
ITEMS, USERS = 40, 24
TRAINING = {
    "steps": 3, "warmup_steps": 1, "batch_histories": 4, "positives": 2, "negatives": 4, "validate_every": 3, "validation_users": 6
}  # fmt: skip
READER = {"family": "cross-encoder", "backbone": "bert", "head": "attention", "adaptation": "full"}
CUT = {"retriever": "item-knn", "rerank_k": 5}
ROWS = {
    "item-knn": {"family": "item-knn"},
    "decoder": {
        "family": "decoder",
        "backbone": "llama",
        "head": "yes-no",
        "adaptation": "lora",
        **CUT,
    },
    "letters": {
        "family": "decoder",
        "backbone": "llama",
        "head": "letters",
        "adaptation": "lora",
        "history_items": 4,
        "options": {"orders": 2},
        **CUT,
    },
    "reader": READER,
}


@pytest.fixture(scope="module")
def films():
    return numbered_films(users=24, word="field number")


def executed(name, chosen, films, settings, place, parent=None, training=None, **protocol):
    """The context of a finished run."""
    if "backbone" in chosen:
        chosen = {**chosen, "backbone": str(folder(chosen["backbone"]))}
    body = {
        "name": name,
        "data": {"name": films.name},
        "recommender": chosen,
        "training": TRAINING | ({"positives": 1} if name == "letters" else {}) | (training or {}),
        "protocol": {"candidates": "20-uniform", "users": 12, **protocol},
    }
    spec = run_from_dict(body | ({"weights_from": "reader"} if parent else {}))
    place.mkdir(exist_ok=True)
    context = RunContext(place, parent_model=parent)
    store.save(films, settings, note="")  # the process that serves the run loads it by name
    execute(spec, films, context, settings)
    return context


@pytest.mark.parametrize("name", ["item-knn", "reader"])
def test_a_cut_in_time_is_measured_beside_and_changes_nothing_else(name, films, settings, tmp_path):
    alone = executed(name, ROWS[name], films, settings, tmp_path / "alone")
    beside = executed(name, ROWS[name], films, settings, tmp_path / "beside", also_time=True)

    def quality(context, protocol):
        return {
            (row.name, row.slice): row.value
            for row in context.measurements
            if row.protocol == protocol
        }

    assert quality(beside, "loo/20-uniform") == quality(alone, "loo/20-uniform")
    assert not quality(alone, "time/20-uniform")
    # The same as a run that is measured under the cut alone.
    cut = executed(name, ROWS[name], films, settings, tmp_path / "cut", split="time")
    assert quality(beside, "time/20-uniform") == quality(cut, "time/20-uniform")
    assert beside.documents["slices time"] == cut.documents["slices"]
    assert beside.documents["facets time"] == cut.documents["facets"]
    assert ("time: train_loss" in {curve[0] for curve in beside.curves}) == (name == "reader")
    assert not (tmp_path / "beside" / "time").exists()
    assert len([row for row in beside.measurements if row.name == "train_s"]) == 1


def test_a_cut_in_time_without_times_is_refused_before_the_fit(films, settings, tmp_path):
    pairs = [(f"u{user}", f"i{item}") for user in range(9) for item in range(user, user + 6)]
    timeless = build_dataset(
        "timeless", pd.DataFrame(pairs, columns=["user_id", "item_id"]), order="file"
    )
    with pytest.raises(UnsupportedError, match="has no times"):
        executed("item-knn", ROWS["item-knn"], timeless, settings, tmp_path, also_time=True)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("name", ROWS)
def test_a_run_writes_quality_and_cost_of_the_same_weights(name, films, settings, tmp_path):
    context = executed(name, ROWS[name], films, settings, tmp_path)
    found = {(row.name, row.slice): row for row in context.measurements}
    assert 0 <= found["ndcg@10", "all"].value <= 1 and found["ndcg@10", "all"].n == 12
    assert found["latency_p50_s", "all"].value > 0
    assert found["first_latency_s", "all"].value > 0 and found["load_s", "all"].value > 0
    assert set(context.documents["serving"]) <= {row.name for row in context.measurements}
    assert len(context.documents["lists"]["users"]) == 12
    assert found["coverage@10", "all"].value > 0 and found["snips_ndcg@10", "all"].n == 12
    checks = {check["check"]: check["passed"] for check in context.documents["checks"]}
    assert False not in checks.values() and checks["shuffled-labels"] is (
        True if name == "item-knn" else None
    )
    assert ("training" in context.documents) == (name != "item-knn")
    if name == "item-knn":
        return
    training = context.documents["training"]
    kept = next(sample.values for sample in context.samples if sample.name == "ndcg@10")
    assert training["after"]["ndcg@10"] == pytest.approx(
        np.mean(kept)
    )  # all twelve are among the first users
    assert training["before"]["users"] == 12 and training["steps"] == TRAINING["steps"]
    if name == "letters":
        assert context.documents["model"]["lists_read"] == 2
        (told,) = context.documents["explanations"].values()
        assert told["base"] + sum(p["value"] for p in told["players"]) == pytest.approx(
            told["prediction"], abs=1e-4
        )
        assert {curve for curve, _, _ in context.curves} >= {"train_loss", "valid_ndcg@10"}
    if name == "reader":
        cascade = {**READER, "family": "cascade", "blend": "validation", **CUT}
        above = executed(
            "cascade", cascade, films, settings, tmp_path / "above", tmp_path / "model"
        )
        assert "training" not in above.documents and 0 <= above.documents["model"]["blend"] <= 1


def test_a_gated_cascade_records_the_cost_of_its_mix(settings, tmp_path):
    """From spec to record, with letters: the share read, the gate's document, the same saved gate."""
    films = numbered_films(users=210, word="field number")
    chosen = {**ROWS["letters"], "options": {}, "blend": "validation", "gate": "validation"}
    training = {"positives": 1, "validation_users": 0}
    context = executed("gated", chosen, films, settings, tmp_path, training=training, users=40)
    record, model = context.documents["gate"], context.documents["model"]
    assert record["people"] == 210 and model["gate"] == record["outcome"]
    assert record["curve"][0]["ndcg"] == record["never"]
    assert record["curve"][-1]["ndcg"] == record["always"]
    found = {(row.name, row.protocol): row.value for row in context.measurements}
    assert found["requests_read", "loo/20-uniform"] == pytest.approx(model["requests_read"])
    assert found["latency_mean_s", "request/20/batch-1"] > 0
    assert all(field_of(row.name) for row in context.measurements)
    assert set(context.documents) <= set(DOCUMENTS)
    spec = stored_run(json.loads((tmp_path / "model/cascade.json").read_text())["spec"])
    again = family_of(spec).load(tmp_path / "model", films)
    exam = Exam.of(films, spec.protocol)
    routed = again.routed(exam.histories, exam.candidates)
    assert routed.mean() == pytest.approx(model["requests_read"])


def test_item_knn_that_was_not_fitted_says_so():
    with pytest.raises(CheckpointError, match="not fitted"):
        ItemKnn().score([np.array([1, 2])], np.array([[0, 3]]))


def test_followed_items_are_the_positives_of_a_group(films):
    sampler = GroupSampler(split(films, "loo"), history_items=5, negatives=6, seed=0, positives=3)
    for number in range(40):
        group = sampler.group(number)
        before, positives = group.history.tolist(), group.items[:3].tolist()
        owners = [
            owner
            for owner in map(np.ndarray.tolist, sampler.sequences)
            for place in range(1, len(owner))
            if owner[max(0, place - 5) : place] == before
            and (owner[place : place + 3] * 3)[:3] == positives
        ]
        assert owners and not set(group.items[3:].tolist()) & set(owners[0])


def test_a_check_that_breaks_costs_nobody_the_run(films, settings, tmp_path, monkeypatch):
    from llmrec_core.running import execute as module

    def broken(*arguments):
        raise ValueError("more than 1 document")

    monkeypatch.setattr(module, "check_run", broken)
    context = executed("checked", ROWS["item-knn"], films, settings, tmp_path)
    (check,) = context.documents["checks"]
    assert check["passed"] is None
    assert "more than 1 document" in check["detail"]
    assert any(row.name == "ndcg@10" for row in context.measurements)


def test_the_record_of_a_run_says_how_many_titles_are_cut(films, settings, tmp_path):
    """38 titles are short; two differ only after the 32 tokens that are read."""
    titles = films.items["title"].tolist()
    titles[:2] = ["white field " * 40 + "black", "white field " * 40 + "white"]
    long = dataclasses.replace(films, items=films.items.assign(title=titles))
    context = executed("reader", READER, long, settings, tmp_path)
    sentence = "2 of 40 item texts are cut at 32 tokens; 2 of them differ"
    assert sentence in context.documents["model"]["texts"]
