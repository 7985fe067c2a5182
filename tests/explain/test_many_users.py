"""Reasons over many users, from rows whose answer is known; the checks on a tiny model."""

import numpy as np
import pytest

from llmrec_core.contract.requests import ExplainManyRequest
from llmrec_core.contract.spec import RecommenderSpec, RunSpec
from llmrec_core.errors import UsageError
from llmrec_core.explain.many_rows import (
    agreement,
    attribute_shares,
    groups,
    run_warnings,
    summary,
)
from llmrec_core.explain.many_users import explain_many_answer, explain_users
from llmrec_core.explain.random_layers import randomised
from llmrec_core.explain.surrogate import surrogate

SPEC = RunSpec(recommender=RecommenderSpec(family="popularity"))


def rows(users=8, players=6, seed=0, slope=1.0):
    """The newest item is worth 1, the second 1/2, …; popularity does not matter."""
    rng = np.random.default_rng(seed)
    return [
        {
            "user_id": f"u{user}", "item_id": "i1", "kind": "item", "field": "history", "player_id": f"p{user}-{back}",
            "value": slope / back, "recency": back, "popularity": float(rng.random()), "genre": "drama" if back % 2 else "",
            "shared_genres": float(rng.random()), "years_apart": None if back == 3 else 2, "history_items": players,
        }
        for user in range(users)
        for back in range(1, players + 1)
    ]  # fmt: skip


def test_groups_by_recency_and_popularity():
    found = groups(rows(), "recency")
    assert [row["group"] for row in found] == ["1", "2", "3", "4", "5", "6"]
    assert found[1]["mean_abs"] == pytest.approx(0.5)
    assert found[1]["low"] < 0.5 < found[1]["high"]
    assert groups(rows(users=1), "recency")[1]["low"] is None
    assert sum(row["players"] for row in groups(rows(), "popularity")) == 48
    assert {row["group"] for row in groups(rows(), "genre")} == {"drama", "no genre"}


def test_agreement_of_equal_and_of_opposite_reasons():
    same = agreement(rows(), rows())
    assert same["spearman"]["mean"] == 1 and same["same_top"]["mean"] == 1 and same["users"] == 8
    assert agreement(rows(), rows(slope=-1.0))["spearman"]["mean"] == -1
    assert agreement(rows(), [])["users"] == 0


def test_surrogate_states_its_fidelity():
    found = surrogate(rows(users=20))
    assert found["fidelity_r2"] > 0.6 and found["coefficients"]["recency"] < 0
    noise = [
        dict(row, value=float(v))
        for row, v in zip(rows(20), np.random.default_rng(1).normal(size=120), strict=True)
    ]
    assert surrogate(noise)["fidelity_r2"] < 0.1
    assert surrogate(rows(users=3)) is None


def test_attribute_shares():
    mixed = [
        {"user_id": "a", "kind": "user", "field": "gender", "value": -1.0},
        {"user_id": "a", "kind": "item", "field": "history", "value": 3.0},
        {"user_id": "b", "kind": "user", "field": "gender", "value": 1.0},
        {"user_id": "b", "kind": "item", "field": "history", "value": 1.0},
    ]
    assert attribute_shares(mixed)[0]["mean"] == pytest.approx(0.375)  # 1/4 and 1/2


def test_sample_of_users_of_an_id_model(rule, small_dataset):
    found = explain_users(
        rule(lambda h, i: sum(h) * 0.1 - i),
        small_dataset,
        SPEC,
        ExplainManyRequest(users=5, budget=40),
    )
    assert len({row["user_id"] for row in found}) == 5 and {row["recency"] for row in found} == set(
        range(1, 10)
    )


def test_global_answer_of_a_language_model(language_model, small_dataset):
    recommender = language_model("bert", history_items=4)
    body = explain_many_answer(
        recommender,
        small_dataset,
        SPEC,
        ExplainManyRequest(users=6, budget=16, randomise=True, attributes=("gender",)),
    )
    assert body["users"] == 6 and {row["group"] for row in body["fields"]} >= {
        "history",
        "title",
        "genres",
    }
    assert (
        body["randomisation"]["mean_abs_spearman"]["mean"] < 0.95
        and body["bias"][0]["attribute"] == "gender"
    )
    assert 0 < body["bias"][0]["mean"] < 1


def test_randomised_copy_leaves_the_model_alone(language_model, small_dataset):
    recommender = language_model("llama", head="yes-no")
    question = [np.array([3, 7, 11])], np.array([[15, 16, 17, 18]])
    before = recommender.score(*question)
    blank = randomised(recommender, seed=1)
    assert np.abs(blank.score(*question) - before).max() > 1e-4
    assert np.array_equal(recommender.score(*question), before)


def test_id_models_without_layers_cannot_be_randomised(rule):
    with pytest.raises(UsageError, match="only neural models"):
        randomised(rule(lambda h, i: 0.0))


def test_a_run_whose_reasons_look_random_warns_beside_every_reason():
    body = {"users": 9, "rows": [1], "groups": {}, "surrogate": None, "bias": None, "reasons": []}
    alike = {"users": 9, "mean_abs_spearman": {"mean": 0.6, "low": 0.5, "high": 0.7}}
    kept = summary(body | {"randomisation": alike})
    assert "rows" not in kept
    (warning,) = run_warnings(kept)
    assert "over 9 people" in warning and "0.60" in warning
    alike["mean_abs_spearman"]["mean"] = 0.28
    assert run_warnings(kept) == [] and run_warnings(None) == []
    assert run_warnings({"randomisation": {"users": 0}}) == []
