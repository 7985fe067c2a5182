"""Questions and answers as JSON: what pages and the command line get, and every sentence of refusal."""

import dataclasses

import numpy as np
import pytest

from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.contract.requests import ExplainRequest
from llmrec_core.contract.spec import RunSpec
from llmrec_core.data.splits import split
from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.explain.answer import explain_answer
from llmrec_core.explain.question import MEMORY
from llmrec_core.explain.sentences import sentence
from llmrec_core.explain.stored import contrast_in

HISTORY = [3, 7, 11, 2, 9]


def linear(history, item):
    return (
        sum({3: 0.5, 7: -0.2, 11: 1.0, 2: 0.1, 9: 0.4}.get(i, 0.3) for i in history) - 0.05 * item
    )


def test_answer_has_what_pages_read(rule, small_dataset, ask):
    body = ask(rule(linear), small_dataset, against=16, listed=[15, 16, 17, 18])
    assert body["item_id"] == "i15" and "number15" in body["title"]
    assert body["base"] + sum(player["value"] for player in body["players"]) == pytest.approx(
        body["prediction"]
    )
    assert [player["item_id"] for player in body["players"]] == [f"i{i}" for i in HISTORY]
    assert (
        all(player["error"] == 0 and player["kind"] == "item" for player in body["players"])
        and body["exact"]
    )
    assert "number11" in body["text"] and "speaks against" in body["text"]
    assert body["forwards"] == 32 and body["seconds"] > 0
    assert body["interactions"][0]["value"] == pytest.approx(0) and body["leave_one_out"][
        2
    ] == pytest.approx(1.0)
    honesty = body["honesty"]
    assert (
        honesty["additivity_gap"] < 1e-9 and honesty["estimated_error"] == 0 and honesty["of"] == 32
    )
    assert (
        honesty["faithfulness"]["z"] > 1
        and honesty["usd"] is not None
        and honesty["warnings"] == []
    )
    assert (
        body["contrast"]["rival"].startswith("white field number16")
        and body["contrast"]["seconds"] < 0.05
    )
    assert body["smallest_set"]["proved"] is True
    assert body["curves"]["insertion"][-1] == pytest.approx(body["prediction"])


def test_second_item_of_a_list_and_contrast_cost_nothing(rule, small_dataset, ask):
    recommender = rule(linear)
    assert ask(recommender, small_dataset, listed=[15, 16, 17])["forwards"] == 32
    second = ask(recommender, small_dataset, item=16, against=17)
    assert second["forwards"] == 0 and second["honesty"]["remembered"] is True
    assert second["contrast"]["prediction"] == pytest.approx(0.05)
    other = ask(recommender, small_dataset, history=[3, 7, 11, 2], item=16)
    assert other["forwards"] == 16


def test_a_page_contrasts_from_the_answer_alone(rule, small_dataset, ask):
    recommender = rule(
        lambda history, item: {15: 2.0 * (3 in history), 16: 1.0, 17: 0.5 + (7 in history)}.get(
            item, 0.0
        )
    )
    body = ask(recommender, small_dataset, listed=[16, 17])
    explanation, below = contrast_in(body, "i17")
    fresh = ask(recommender, small_dataset, against=17)
    assert explanation.to_json()["players"] == fresh["contrast"]["players"]
    assert explanation.prediction == pytest.approx(0.5)  # 2.0 - 1.5
    assert "rather than" in sentence(explanation)
    assert below == fresh["smallest_set"]["text"] and below.startswith(
        "Without black field number3"
    )
    assert contrast_in(body, "i20") is None


def test_out_of_the_top_k_of_a_list(rule, small_dataset, ask):
    recommender = rule(
        lambda history, item: {15: 2.0 * (3 in history), 16: 1.0, 17: 0.5}.get(item, 0.0)
    )
    body = ask(recommender, small_dataset, listed=[16, 17], top_k=1)
    assert body["smallest_set"]["items"] == ["i3"] and body["smallest_set"]["proved"]
    assert (
        body["smallest_set"]["text"].startswith("Without")
        and "falls from place 1 to place 3 of the 3" in body["smallest_set"]["text"]
    )


def test_full_honesty_measures_other_baselines(rule, small_dataset, ask):
    body = ask(rule(linear), small_dataset, honesty=True)
    assert [row["baseline"] for row in body["honesty"]["baseline_sensitivity"]] == ["average"]


def test_an_item_that_the_evaluation_hid_is_explained_as_it_was_then(rule, small_dataset, ask):
    case = split(small_dataset, "loo").test[2]
    user = str(small_dataset.users["user_id"].iloc[case.user])
    item = str(small_dataset.items["item_id"].iloc[int(case.relevant[0])])
    body = ask(rule(linear), small_dataset, user=user, item=item)
    assert len(body["players"]) == 9 and "withheld" in body["notes"][0]["text"]
    unseen = next(i for i in range(30) if i not in case.history and i != int(case.relevant[0]))
    then = ask(rule(linear), small_dataset, user=user, item=unseen, occasion="evaluation")
    assert [p["item_id"] for p in then["players"]] == [p["item_id"] for p in body["players"]]
    today = ask(rule(linear), small_dataset, user=user, item=unseen)
    assert len(today["players"]) == 10 and today["notes"] == []
    with pytest.raises(UsageError, match="already in this history"):
        ask(rule(linear), small_dataset, user=user, item=item, occasion="today")


def test_language_model_with_fields_words_and_empty_history(language_model, small_dataset, ask):
    recommender = language_model("bert")
    body = ask(recommender, small_dataset, players=["history", "fields"], words="i11", honesty=True)
    assert [p["field"] for p in body["players"] if p["kind"] == "field"] == [
        "title",
        "year",
        "genres",
    ]
    words = body["words"]
    value = next(player["value"] for player in body["players"] if player["item_id"] == "i11")
    assert sum(word["value"] for word in words["words"]) == pytest.approx(value)
    assert [word["word"] for word in words["words"]] == ["black", "field", "number11", "(1999)"]
    baselines = {row["baseline"] for row in body["honesty"]["baseline_sensitivity"]}
    assert baselines == {"mask", "average"}
    empty = ask(recommender, small_dataset, history=[])
    assert {player["kind"] for player in empty["players"]} == {"field"} and "empty" in empty[
        "notes"
    ][0]["text"]


def test_empty_history_of_an_id_model_says_so(rule, small_dataset, ask):
    body = ask(rule(linear), small_dataset, history=[])
    assert (
        body["players"] == []
        and "without any history" in body["text"]
        and "empty" in body["notes"][0]["text"]
    )


def test_user_attributes_need_a_user(language_model, small_dataset, ask):
    body = ask(
        language_model("llama", head="yes-no"),
        small_dataset,
        user="u1",
        item=_unseen(small_dataset),
        players=["user"],
        attributes=["gender"],
    )
    assert [player["title"] for player in body["players"]] == [
        "gender: M"
    ] and "put into the prompt" in body["notes"][0]["text"]
    with pytest.raises(UsageError, match="no user attributes"):
        ask(language_model("bert"), small_dataset, players=["user"])


def _unseen(dataset):
    user = dataset.user_code("u1")
    table = dataset.interactions
    seen = set(table.loc[table["user"] == user, "item"])
    return dataset.items["item_id"].iloc[next(i for i in range(dataset.n_items) if i not in seen)]


def test_long_history_is_grouped_and_says_so(rule, small_dataset, ask):
    history = [i % 15 for i in range(200)]
    every_event = RunSpec(protocol=ProtocolSpec(repeats="all"))
    body = ask(rule(linear), small_dataset, every_event, history=history, budget=60)
    assert len(body["players"]) == 20 and any(
        "grouped into 20 by recency" in note["text"] for note in body["notes"]
    )
    assert body["players"][0]["kind"] == "group" and body["players"][0]["items"]
    genre = ask(
        rule(linear), small_dataset, every_event, history=history, budget=60, group_by="genre"
    )
    assert any("by genre" in note["text"] for note in genre["notes"])


def test_hostile_titles_stay_text(small_dataset, rule, ask):
    items = small_dataset.items.copy()
    items.loc[11, "title"] = "<script>alert(1)</script> **[x](http://x)**"
    hostile = dataclasses.replace(small_dataset, items=items)
    body = ask(rule(linear), hostile)
    assert body["players"][2]["title"] == "<script>alert(1)</script> **[x](http://x)**"


@pytest.mark.parametrize(
    ("payload", "error", "words"),
    [
        ({"item": 3}, UsageError, "already in this history"),
        ({"item": "nothing"}, UsageError, "nothing"),
        ({"item": 99}, UsageError, "codes 0 to 29"),
        ({"item": ""}, UsageError, "item"),
        ({"against": 15}, UsageError, "same item"),
        ({"budget": 5}, UsageError, "at least 7"),
        ({"players": ["friends"]}, UsageError, "friends"),
        ({"baseline": "zero"}, UsageError, "zero"),
        ({"baseline": "mask"}, UnsupportedError, "reads text"),
        ({"target": "rank"}, UsageError, "rank"),
        ({"words": "i11"}, UnsupportedError, "reads item ids"),
        ({"players": ["fields"]}, None, "no fields"),
    ],
)
def test_refusals_are_sentences(rule, small_dataset, payload, error, words, ask):
    if error is None:
        assert any(
            words in note["text"] for note in ask(rule(linear), small_dataset, **payload)["notes"]
        )
        return
    with pytest.raises(error, match=words):
        ask(rule(linear), small_dataset, **payload)


def test_nobody_is_asked_about(rule, small_dataset):
    with pytest.raises(UsageError, match="say whose"):
        explain_answer(rule(linear), small_dataset, RunSpec(), ExplainRequest(item=15))


def test_memory_does_not_keep_recommenders_alive(rule, small_dataset, ask):
    import gc

    recommender = rule(linear)
    ask(recommender, small_dataset)
    gc.collect()  # what earlier tests left behind is gone before it is counted
    before = len(MEMORY)
    del recommender
    gc.collect()
    assert len(MEMORY) == before - 1


def test_constant_scorer(rule, small_dataset, ask):
    body = ask(rule(lambda history, item: 1.0), small_dataset)
    assert (
        not np.any([player["value"] for player in body["players"]]) and body["estimated_error"] == 0
    )
    assert "would score it the same" in body["text"] and any(
        "all values are 0" in w for w in body["honesty"]["warnings"]
    )
