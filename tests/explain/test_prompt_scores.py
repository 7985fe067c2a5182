"""Coalitions of language models: token masks and prefix trees give the scores of the separate prompts."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.explain import prefix_tree
from llmrec_core.explain.coalitions import Coalitions
from llmrec_core.explain.engine import explain
from llmrec_core.explain.players import (
    Player,
    backgrounds,
    field_players,
    history_players,
    user_players,
)
from llmrec_core.explain.prompt_scores import PromptScores
from llmrec_core.explain.shapley import present

HISTORY = np.array([3, 7, 11, 2, 9])


def scores_of(recommender, dataset, masks, items, extra=(), **options):
    kept = HISTORY[-recommender.reads(HISTORY) :]
    players = (*history_players(dataset, kept), *extra)
    return PromptScores(recommender, kept, players, **options)(
        present(np.array(masks), len(players)), items
    )


@pytest.mark.parametrize(
    ("kind", "head", "attention"),
    [
        ("bert", "linear", "shared"),
        ("bert", "attention", "shared"),
        ("bert", "linear", "full"),
        ("bert", "linear", "per_item"),
        ("bert", "attention", "per_item"),
        ("llama", "yes-no", "shared"),
        ("llama", "attention", "shared"),
        ("gpt2", "linear", "shared"),
        ("gpt_neox", "yes-no", "shared"),
    ],
)
def test_coalitions_equal_the_recommender_on_shortened_histories(
    language_model, small_dataset, kind, head, attention
):
    recommender = language_model(kind, head=head, attention=attention)
    masks, items = list(range(32)), [15, 16, 24]
    found = scores_of(recommender, small_dataset, masks, items)
    there = present(np.array(masks), 5)
    expected = np.concatenate(
        [recommender.score([HISTORY[row]], np.array([items])) for row in there]
    )
    assert np.abs(found - expected).max() < 1e-4 and expected.std() > 1e-3


def test_trees_of_any_size_agree(language_model, small_dataset, monkeypatch):
    recommender = language_model("llama", head="yes-no")
    whole = scores_of(recommender, small_dataset, range(32), [15, 16])
    monkeypatch.setattr(prefix_tree, "TREE_TOKENS", 150)
    monkeypatch.setattr(prefix_tree, "ROWS", 40)
    assert np.abs(scores_of(recommender, small_dataset, range(32), [15, 16]) - whole).max() < 1e-5


def test_a_tree_reads_common_beginnings_once(language_model, small_dataset):
    recommender = language_model("llama", head="yes-no")
    kept = HISTORY[-recommender.reads(HISTORY) :]
    scores = PromptScores(recommender, kept, history_players(small_dataset, kept))
    scores(present(np.arange(32), 5), [15])
    layout = recommender.model.layout
    length = {len(layout.pieces[i]) for i in kept}
    assert len(length) == 1
    tail = len(layout.closing) + len(layout.candidates[15])
    assert scores.tokens_read == len(layout.opening) + 31 * length.pop() + 32 * tail


def test_items_that_do_not_see_each_other_are_read_once_for_all_coalitions(
    language_model, small_dataset
):
    recommender = language_model("bert", attention="per_item")
    kept = HISTORY[-recommender.reads(HISTORY) :]
    scores = PromptScores(recommender, kept, history_players(small_dataset, kept))
    scores(present(np.arange(32), 5), [15])
    layout = recommender.model.layout
    blocks = sum(
        (slots + 1) * (1 + len(layout.pieces[i])) for slots, i in enumerate(reversed(kept))
    )
    assert scores.tokens_read == blocks + 2 + 32 * len(layout.candidates[15])


@pytest.mark.parametrize("attention", ["shared", "per_item"])
def test_masks_keep_the_length_and_need_a_mask_token(language_model, small_dataset, attention):
    recommender = language_model("bert", attention=attention)
    everybody = scores_of(recommender, small_dataset, [31], [15], baseline="mask")
    assert everybody == pytest.approx(scores_of(recommender, small_dataset, [31], [15]))
    masked = scores_of(recommender, small_dataset, [0], [15], baseline="mask")
    assert abs(float(masked[0, 0] - scores_of(recommender, small_dataset, [0], [15])[0, 0])) > 1e-6
    with pytest.raises(UnsupportedError, match="no \\[MASK\\] token"):
        scores_of(language_model("llama", head="yes-no"), small_dataset, [0], [15], baseline="mask")


@pytest.mark.parametrize(
    ("kind", "attention"), [("bert", "shared"), ("bert", "per_item"), ("llama", "shared")]
)
def test_average_users_stand_in(language_model, small_dataset, kind, attention):
    recommender = language_model(kind, attention=attention)
    others = backgrounds(small_dataset, 5, count=3, avoid=15)
    assert others.shape == (3, 5) and 15 not in others
    found = scores_of(
        recommender, small_dataset, [0, 31], [15], stand_ins=others, baseline="average"
    )
    expected = np.mean([recommender.score([row], np.array([[15]]))[0, 0] for row in others])
    assert found[0, 0] == pytest.approx(expected, abs=1e-4)
    assert found[1, 0] == pytest.approx(
        recommender.score([HISTORY], np.array([[15]]))[0, 0], abs=1e-4
    )


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_candidate_fields_are_spans_of_the_prompt(language_model, small_dataset, kind):
    recommender = language_model(kind)
    fields = field_players(small_dataset, 15, genres=kind == "bert")
    assert [player.field for player in fields] == (
        ["title", "year", "genres"] if kind == "bert" else ["title", "year"]
    )
    scores = PromptScores(recommender, HISTORY, fields)
    parts = scores._split(15)
    assert [token for _, ids in parts for token in ids] == recommender.model.layout.candidates[15]
    words = {
        name: recommender.model.backbone.tokenizer.decode(ids).replace(" ", "")
        for name, ids in parts
        if name
    }
    assert (
        "blackfield" in words["title"] and "1999" not in words["title"] and "2001" in words["year"]
    )
    everybody = scores(np.ones((1, len(fields)), dtype=bool), [15])
    assert everybody[0, 0] == pytest.approx(
        recommender.score([HISTORY], np.array([[15]]))[0, 0], abs=1e-4
    )
    assert len(scores.candidate(15, np.zeros(len(fields), dtype=bool))) < len(
        recommender.model.layout.candidates[15]
    )


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_relations_are_a_field_of_a_candidate(language_model, small_dataset, kind):
    plain = language_model(kind)
    chosen = dataclasses.replace(plain.spec.recommender, relations=2)
    spec = dataclasses.replace(plain.spec, recommender=chosen)
    recommender = type(plain)(spec, small_dataset, plain.settings)
    text = recommender.layout.candidate_texts[16]
    title = "white field number16 (1999)"
    genres = ", drama, comedy" if kind == "bert" else ""
    # items 3, 16 and 29 have one actor (16 % 13), of which 3 and 29 are not even: none told
    assert text.startswith(f"{title}{genres}".removesuffix(", drama, comedy"))
    assert text.endswith("made by as black field number7")
    relations = "made by as black field number7"
    fields = field_players(small_dataset, 16, genres=kind == "bert", relations=relations)
    assert fields[-1].field == "relations" and fields[-1].value == relations
    parts = PromptScores(recommender, HISTORY, fields)._split(16)
    assert [token for _, ids in parts for token in ids] == recommender.layout.candidates[16]
    words = dict(parts)
    decoded = recommender.model.backbone.tokenizer.decode(words["relations"])
    assert "number7" in decoded.replace(" ", "") and "relations" not in dict(
        PromptScores(plain, HISTORY, fields)._split(16)
    )


def test_what_is_unknown_is_no_reason(language_model, small_dataset):
    """Years of films are whole numbers or missing, and some people say nothing of themselves."""
    items = small_dataset.items.assign(year=small_dataset.items["year"].astype("Int64"))
    items.loc[15, "year"] = pd.NA
    users = small_dataset.users.assign(age=small_dataset.users["age"].astype("Int64"))
    users.loc[3, "age"] = pd.NA
    dataset = dataclasses.replace(small_dataset, items=items, users=users)
    fields = field_players(dataset, 15)
    assert [player.field for player in fields] == ["title", "genres"]
    assert [player.label for player in user_players(dataset, 3)] == ["gender: M"]
    with pytest.raises(UsageError, match="no user attributes"):
        user_players(dataset, 3, ["age"])
    recommender = language_model("bert")
    recommender.dataset = dataset
    with_title = PromptScores(recommender, HISTORY, fields)
    assert {name for name, _ in with_title._split(15)} == {"", "title", "genres"}


def test_user_attributes_are_put_into_the_prompt(language_model, small_dataset):
    recommender = language_model("bert")
    extra = user_players(small_dataset, 3)
    assert [player.label for player in extra] == ["age: 23", "gender: M"]
    without = scores_of(recommender, small_dataset, [31], [15], extra)
    assert without[0, 0] == pytest.approx(
        recommender.score([HISTORY], np.array([[15]]))[0, 0], abs=1e-4
    )
    assert (
        abs(scores_of(recommender, small_dataset, [127], [15], extra)[0, 0] - without[0, 0]) > 1e-6
    )


def test_explanation_of_a_decoder_adds_up(language_model, small_dataset):
    recommender = language_model("llama", head="yes-no")
    kept = HISTORY[-recommender.reads(HISTORY) :]
    players = history_players(small_dataset, kept)
    found = explain(Coalitions(players, PromptScores(recommender, kept, players)), 15, error=0)
    assert found.exact and found.additivity_gap < 1e-6
    assert all(isinstance(player, Player) for player in found.players)
