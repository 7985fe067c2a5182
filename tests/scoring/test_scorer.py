"""One request, many users, a remembered history, a million candidates: the same scores in bounded memory."""

import resource

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AddedToken

from llmrec_core.errors import NotFiniteError, UnsupportedError, UsageError
from llmrec_core.models.prompt_layout import PromptLayout
from llmrec_core.models.scorer_model import ScorerModel
from llmrec_core.scoring.scorer import Scorer, chunks
from tests.engine import ITEMS, KINDS, backbone, scorer_model, separate_scores

few = settings(max_examples=5, deadline=None)
seeds = st.integers(0, 2**31)


@pytest.fixture(scope="module", params=KINDS)
def scorer(request):
    return Scorer(scorer_model(request.param))


def draw(rng):
    history = [int(i) for i in rng.choice(ITEMS, rng.integers(0, 9), replace=False)]
    return history, rng.choice(ITEMS, rng.integers(1, 20), replace=False)


@few
@given(seed=seeds, chunk_tokens=st.integers(1, 200))
def test_scores_equal_separate_sequences_whatever_the_chunks(scorer, seed, chunk_tokens):
    history, items = draw(np.random.default_rng(seed))
    scorer.chunk_tokens = chunk_tokens
    scores = scorer.scores(history, items)
    with torch.no_grad():
        expected = separate_scores(
            scorer.model, [scorer.model.layout.history(history)], items[None]
        )[0]
    np.testing.assert_allclose(scores, expected.numpy(), atol=2e-4, rtol=1e-4)
    again = scorer.scores(history, items[::-1])
    np.testing.assert_allclose(again, scores[::-1], atol=2e-4, rtol=1e-4)


@few
@given(seed=seeds)
def test_a_batch_of_users_equals_one_by_one(scorer, seed):
    rng = np.random.default_rng(seed)
    histories = [draw(rng)[0] for _ in range(5)]
    items = np.stack([rng.choice(ITEMS, 3, replace=False) for _ in histories])
    prompts = [scorer.model.layout.history(h) for h in histories]
    together = scorer.score_batch(prompts, items)
    alone = np.stack([scorer.scores(h, row) for h, row in zip(histories, items, strict=True)])
    np.testing.assert_allclose(together, alone, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("head", ["linear", "pooler", "attention"])
def test_full_mode_reads_every_pair_alone(head):
    scorer = Scorer(scorer_model("bert", head=head, history_attention="full"))
    layout, items = scorer.model.layout, np.array([4, 9, 2])
    scores = scorer.scores([1, 2], items)
    for item, score in zip(items, scores, strict=True):
        history, own = layout.history([1, 2]), layout.candidates[item]
        tokens = torch.tensor([history + own])
        types = torch.tensor([[0] * len(history) + [1] * len(own)])
        with torch.no_grad():
            states = scorer.model.backbone.stack.base(
                input_ids=tokens, token_type_ids=types
            ).last_hidden_state
            part = states[:, len(history) :]
            whole = (
                scorer.model.head(part[:, None], torch.ones(1, 1, len(own), dtype=torch.bool))
                if head == "attention"
                else None
            )
            expected = whole if whole is not None else scorer.model.head(states[:, 0])
        assert score == pytest.approx(float(expected), abs=1e-4)


def test_a_decoder_scores_the_same_in_both_modes():
    shared, full = (
        Scorer(scorer_model("llama", history_attention=mode)) for mode in ("shared", "full")
    )
    items = np.arange(12)
    np.testing.assert_allclose(
        shared.scores([3, 1], items), full.scores([3, 1], items), atol=2e-4, rtol=1e-4
    )


def test_a_remembered_history_gives_the_same_scores(scorer):
    items = np.arange(7)
    scorer.weights_changed()
    first, hits = scorer.scores([1, 2, 3], items), scorer.prefix_hits
    np.testing.assert_array_equal(scorer.scores([1, 2, 3], items), first)
    assert scorer.prefix_hits == hits + 1
    scorer.scores([1, 2], items)
    assert scorer.prefix_hits == hits + 1, "another history is another prefix"


def test_a_changed_weight_forgets_every_history():
    scorer = Scorer(scorer_model("llama"))
    items = np.arange(7)
    before = scorer.scores([1, 2, 3], items)
    with torch.no_grad():
        scorer.model.backbone.stack.blocks[0].attention.k_proj.weight.mul_(1.5)
    after = scorer.scores([1, 2, 3], items)
    assert scorer.prefix_hits == 0
    assert not np.allclose(before, after)
    np.testing.assert_allclose(after, Scorer(scorer.model).scores([1, 2, 3], items), atol=1e-6)


def test_the_least_recently_used_history_leaves_first():
    scorer = Scorer(scorer_model("bert"))
    items = np.arange(3)
    scorer.scores([1], items)
    one = scorer._held
    scorer.prefix_bytes = int(
        one * 2.9
    )  # all three histories here have one title of the same order of length
    for history in ([2], [1], [3], [1]):
        scorer.scores(history, items)
    assert scorer._held <= scorer.prefix_bytes
    assert scorer.prefix_hits == 2, "history [1] was asked for three times and never left"


def test_rank_is_sorted_and_ties_keep_their_order(scorer):
    items = np.array([5, 9, 5, 1])
    best, scores = scorer.rank([2], items, k=3)
    assert len(best) == 3 and (np.diff(scores) <= 0).all()
    fives = [place for place, item in enumerate(scorer.rank([2], items, k=4)[0]) if item == 5]
    assert fives[1] == fives[0] + 1


@pytest.mark.parametrize("candidates, k", [([], 10), ([1], 0)])
def test_nothing_to_rank_is_a_sentence(candidates, k):
    with pytest.raises(UsageError, match="expected at least one"):
        Scorer(scorer_model("bert")).rank([1], candidates, k=k)


@pytest.mark.parametrize("history, candidates", [([99], [1]), ([1], [-1]), ([1], [ITEMS])])
def test_an_unknown_item_is_a_sentence(history, candidates):
    with pytest.raises(UsageError, match="not in the catalogue of 40 items"):
        Scorer(scorer_model("bert")).rank(history, candidates)


def test_nan_weights_are_a_sentence():
    scorer = Scorer(scorer_model("bert"))
    with torch.no_grad():
        scorer.model.head.out.weight.fill_(float("nan"))
    with pytest.raises(NotFiniteError, match="scores are no finite numbers: training diverged"):
        scorer.rank([1], [1, 2])


def test_a_candidate_longer_than_the_context_is_a_sentence():
    made = backbone("bert")
    with pytest.raises(UnsupportedError, match="the backbone reads 16"):
        PromptLayout(
            made.tokenizer, decoder=False, history_texts=["white"], candidate_texts=["black field " * 10],
            history_items=5, max_tokens=16,
        )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_history_of_any_length_fits_the_context(kind):
    made = scorer_model(kind)
    made.layout.history_items = ITEMS
    assert (
        len(made.layout.history(list(range(ITEMS)))) + made.layout.longest_candidate
        <= made.backbone.stack.max_tokens
    )
    assert np.isfinite(Scorer(made).scores(list(range(ITEMS)), np.arange(ITEMS))).all()


def test_a_million_candidates_stay_in_bounded_memory():
    made = backbone("bert", depth=1)
    layout = PromptLayout(
        made.tokenizer,
        decoder=False,
        history_texts=["white"] * 9,
        candidate_texts=["black"] * 9,
        history_items=2,
        max_tokens=64,
    )
    scorer = Scorer(ScorerModel(made, layout, head="linear"), chunk_tokens=40_000)
    items = np.arange(1_000_000) % 9
    expected = scorer.scores([1], items[:9])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scores = scorer.scores([1], items)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    np.testing.assert_allclose(scores[:9], expected, atol=1e-5)
    assert grown < 400e6, f"{grown / 1e6:.0f} MB more for a million candidates"


@given(lengths=st.lists(st.integers(1, 50), min_size=1, max_size=60), budget=st.integers(1, 300))
def test_chunks_cover_everything_once_within_the_budget(lengths, budget):
    found = chunks(np.array(lengths), budget)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(lengths)))
    for chunk in found:
        assert len(chunk) == 1 or len(chunk) * max(lengths[i] for i in chunk) <= budget


def test_texts_that_are_cut_are_counted_and_said():
    """Long titles that differ only at their end: what is read of them is the same."""
    bottle = "white field " * 40
    texts = [bottle + "white", bottle + "black", "black field", "black " + bottle]
    layout = PromptLayout(
        backbone("bert", depth=1).tokenizer,
        decoder=False,
        history_texts=texts,
        candidate_texts=texts,
        history_items=4,
        max_tokens=200,
    )
    assert layout.candidates[0] == layout.candidates[1] != layout.candidates[3]
    assert (layout.cut, layout.cut_alike) == (3, 2)
    assert "3 of 4 item texts are cut at 32 tokens; 2 of them" in layout.cut_note()


@pytest.mark.parametrize("kind", KINDS)
def test_a_special_token_without_a_role_is_no_structure_in_a_title(kind):
    """As Gemma's <start_of_turn>, which transformers does not list among a tokenizer's special tokens."""
    made = backbone(kind, depth=1)
    made.tokenizer.add_tokens(AddedToken("<turn>", special=True))
    token = made.tokenizer.convert_tokens_to_ids("<turn>")
    assert "<turn>" not in made.tokenizer.all_special_tokens
    assert made.tokenizer("<turn>", add_special_tokens=False)["input_ids"] == [token]
    texts = ["white <turn> field", "black<turn>"]
    layout = PromptLayout(
        made.tokenizer,
        decoder=made.decoder,
        history_texts=texts,
        candidate_texts=texts,
        history_items=2,
        max_tokens=made.stack.max_tokens,
    )
    read = [number for row in (*layout.pieces, *layout.candidates) for number in row]
    assert token not in read
