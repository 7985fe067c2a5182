"""Decoders that order a whole list: letters, orders, costs, reasons, and what is refused."""

from __future__ import annotations

import copy
import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
import torch
import transformers

from llmrec_core.contract.endpoint import LETTERS
from llmrec_core.contract.requests import ExplainRequest
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.contract.spec_files import load_study
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.splits import split
from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.explain.occasion import evaluated
from llmrec_core.explain.question import Question
from llmrec_core.models.list_layout import ANSWER
from llmrec_core.profiling.measure import COUNTED, counted_flops
from llmrec_core.recommenders.gate import FEATURES, GainEstimate, Gate
from llmrec_core.recommenders.listwise import ListwiseRecommender
from llmrec_core.recommenders.registry import build, family_class
from tests.peers.conftest import refusal_of
from tests.peers.model_folders import byte_pairs, unigrams, write_folder
from tests.tiny import WORDS, tiny_tokenizer

ITEMS, GOLD = 40, 6
CONTEXT = {"max_position_embeddings": 1024}
LONG = {"llama": CONTEXT, "qwen2": CONTEXT, "gpt2": {"n_positions": 1024}}
TRAINING = {
    "steps": 120, "batch_histories": 16, "negatives": 3, "learning_rate": 1e-2, "warmup_steps": 5,
    "validate_every": 120,
}  # fmt: skip


@pytest.fixture(scope="module")
def parts():
    """Everybody takes five of six golden items; titles have two to six words."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", float(place))
        for user in range(30)
        for place, item in enumerate(rng.permutation(GOLD)[:5])
    ]
    titles = [
        " ".join(["white" if item < GOLD else "black", *rng.choice(WORDS[3:], rng.integers(1, 6))])
        for item in range(ITEMS)
    ]
    items = pd.DataFrame({"item_id": [f"i{item}" for item in range(ITEMS)], "title": titles})
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return split(build_dataset("gold", table, items), "loo")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Model folders of every architecture here, with one token a letter."""
    root, made = tmp_path_factory.mktemp("letters"), {}
    for kind in LONG:
        tokenizer = (
            tiny_tokenizer(encoder=False)
            if kind == "llama"
            else byte_pairs("gpt", letters=True, bos_token="<|endoftext|>")
        )
        settings = LONG[kind] | ({"tie_word_embeddings": True} if kind == "llama" else {})
        made[kind] = str(write_folder(root / kind, kind, tokenizer, **settings))
    return made


def spec_of(backbone, training=None, protocol=None, **recommender):
    chosen = {"family": "decoder", "head": "letters", "backbone": backbone, "history_items": 3}
    return run_from_dict(
        {
            "recommender": chosen | recommender,
            "training": training or {},
            "protocol": {"candidates": "4-uniform", "users": 0} | (protocol or {}),
        }
    )


def made_of(parts, settings, backbone, **fields):
    return build(spec_of(backbone, **fields), parts.dataset, settings)


def requests(parts, others=3):
    """The withheld item first, then items that nobody took."""
    offered = [np.append(case.relevant, np.arange(GOLD, GOLD + others)) for case in parts.test]
    return [case.history for case in parts.test], np.stack(offered)


@pytest.fixture(scope="module")
def trained(parts, folders, tmp_path_factory):
    from llmrec_core.settings import load_settings

    made = made_of(parts, load_settings(), folders["llama"], adaptation="full", training=TRAINING)
    made.fit(parts, RunContext(tmp_path_factory.mktemp("run")))
    return made


def test_it_learns_which_letter_the_next_item_has(trained, parts):
    assert trained.result.last_loss < 0.7 * np.log(4)
    histories, offered = requests(parts)
    first = trained.score(histories, offered).argmax(axis=1) == 0
    assert first.mean() >= 0.8, f"withheld item first for {first.mean():.0%} of people"


def test_scores_are_log_probabilities_of_the_list(trained, parts):
    histories, offered = requests(parts)
    scores = trained.score(histories, offered).astype(np.float64)
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1.0, atol=1e-5)


def test_a_batch_equals_one_by_one_whatever_the_lengths(trained, parts):
    histories, offered = requests(parts)
    histories = [history[: n % 4] for n, history in enumerate(histories)]
    offered[::3, -1] = -1
    together = trained.score(histories, offered)
    alone = [trained.score([h], row[None])[0] for h, row in zip(histories, offered, strict=True)]
    np.testing.assert_allclose(together, np.stack(alone), atol=1e-4)
    assert np.isneginf(together[::3, -1]).all() and np.isfinite(together[1]).all()


@pytest.mark.parametrize("orders", [1, 4])
def test_the_caller_s_order_of_the_candidates_changes_nothing(orders, trained, parts, settings):
    histories, offered = requests(parts)
    other = ListwiseRecommender.with_network(trained, trained.model)
    chosen = dataclasses.replace(trained.spec.recommender, options={"orders": orders})
    other.spec = dataclasses.replace(trained.spec, recommender=chosen)
    turned = other.score(histories, offered[:, ::-1])[:, ::-1]
    np.testing.assert_allclose(other.score(histories, offered), turned, atol=1e-5)
    if orders > 1:
        once = trained.score(histories, offered)
        assert np.abs(once - turned).max() > 1e-3  # the orders differ, so their mean does


def test_saved_equals_loaded(trained, parts, settings, tmp_path):
    histories, offered = requests(parts)
    trained.save(tmp_path / "model")
    again = family_class("decoder").load(tmp_path / "model", parts.dataset, settings)
    assert isinstance(again, ListwiseRecommender)
    np.testing.assert_allclose(
        again.score(histories, offered), trained.score(histories, offered), atol=1e-6
    )


def test_a_resumed_training_ends_where_an_uninterrupted_one_does(
    parts, settings, folders, tmp_path
):
    training = TRAINING | {"steps": 6, "warmup_steps": 0, "checkpoint_minutes": 1e-6}
    training |= {"validate_every": 6}

    class Interrupted(RunContext):
        steps = 0

        def should_stop(self):
            self.steps += 1
            return self.steps > 3

    whole = made_of(parts, settings, folders["llama"], adaptation="lora", training=training)
    whole.fit(parts, RunContext(tmp_path / "whole"))
    first = made_of(parts, settings, folders["llama"], adaptation="lora", training=training)
    with pytest.raises(Exception, match="stop"):
        first.fit(parts, Interrupted(tmp_path / "cut"))
    second = made_of(parts, settings, folders["llama"], adaptation="lora", training=training)
    second.fit(parts, RunContext(tmp_path / "cut"))
    histories, offered = requests(parts)
    np.testing.assert_allclose(
        second.score(histories, offered), whole.score(histories, offered), atol=1e-5
    )
    before = second.score(histories, offered)
    second.ready()  # merges the adapters
    np.testing.assert_allclose(second.score(histories, offered), before, atol=1e-4)


@pytest.mark.parametrize("kind", list(LONG))
def test_transformers_gives_the_same_letters(kind, parts, settings, folders):
    made = made_of(parts, settings, folders[kind], protocol={"candidates": "20-uniform"})
    made.fit(parts, RunContext(settings.home / "run"))
    peer = transformers.AutoModelForCausalLM.from_pretrained(folders[kind]).eval()
    cut = transformers.AutoTokenizer.from_pretrained(folders[kind])

    def ids(text):
        return cut(text, add_special_tokens=False)["input_ids"]

    letters = [ids(f"Answer: {letter}")[-1] for letter in LETTERS[:20]]
    titles = parts.dataset.items["title"].tolist()
    rng = np.random.default_rng(2)
    for length in (0, 2):
        history, offered = np.arange(length), rng.choice(ITEMS, 20, replace=False)
        order = made._orders(offered)[0]
        text = "A person chose these, oldest first:\n"
        text += "".join(f"- {titles[item]}\n" for item in history)
        text += "Which one would the same person choose next?\n"
        text += "".join(
            f" {letter}. {titles[item]}\n"
            for letter, item in zip(LETTERS, offered[order], strict=False)
        )
        whole = [cut.bos_token_id, *ids(text + ANSWER)]
        with torch.no_grad():
            logits = peer(torch.tensor([whole])).logits[0, -1, letters]
        expected = np.zeros(20)
        expected[order] = logits.log_softmax(dim=-1).numpy()
        ours = made.score([history], offered[None])[0]
        assert np.abs(ours - expected).max() <= 1e-4 and expected.std() > 1e-3


@pytest.mark.parametrize("orders", [1, 3])
@pytest.mark.parametrize("kind", list(LONG))
def test_formula_and_counter_agree_within_a_percent(kind, orders, parts, settings, folders):
    made = made_of(
        parts, settings, folders[kind], protocol={"candidates": "20-uniform"},
        options={"orders": orders},
    )  # fmt: skip
    rng = np.random.default_rng(1)
    for length, count in ((0, 2), (3, 20), (30, 26)):
        histories = [rng.choice(ITEMS, length) for _ in range(3)]
        offered = np.stack([rng.choice(ITEMS, count, replace=False) for _ in range(3)])
        counted, reason = counted_flops(made, histories, offered)
        described = made.describe(histories, offered)
        assert counted, reason
        assert described.flops_per_request == pytest.approx(counted, rel=0.01)
        assert described.notes["lists_read"] == orders


@pytest.mark.parametrize("tokenizer", [lambda: unigrams("llama"), lambda: byte_pairs("gpt")])
def test_each_letter_is_one_token_or_the_tokenizer_is_refused(tokenizer, parts, settings, tmp_path):
    """The toy vocabularies write a space and a letter as two pieces."""
    folder = write_folder(tmp_path / "model", "llama", tokenizer(), **CONTEXT)
    sentence = refusal_of(lambda: made_of(parts, settings, str(folder)))
    assert re.search(r"Tokenizer?.* cuts ' [AB]' after 'Answer:'", sentence)


def test_a_context_that_cannot_hold_a_list_is_refused(parts, settings, tmp_path):
    folder = write_folder(
        tmp_path / "model", "llama", tiny_tokenizer(encoder=False), max_position_embeddings=64
    )
    with pytest.raises(UnsupportedError, match=r"a list of 20 candidates .* the backbone reads 64"):
        made_of(parts, settings, str(folder), protocol={"candidates": "20-uniform"})
    made = made_of(parts, settings, str(folder))
    with pytest.raises(UnsupportedError, match="a list of 26 candidates"):
        made.score([np.arange(3)], np.arange(26)[None])
    kept = made.layout.history(np.arange(3))
    assert len(kept) + len(made.lists.listed(np.arange(4))) <= 64


CASCADE = {"retriever": "item-knn", "rerank_k": 4}


def test_a_cascade_reads_the_retriever_s_best_in_its_order(trained, parts, settings, tmp_path):
    trained.save(tmp_path / "reader")
    spec = run_from_dict({"recommender": {"family": "cascade"} | CASCADE, "weights_from": "reader"})
    made = build(spec, parts.dataset, settings, parent=tmp_path / "reader")
    made.fit(parts, RunContext(tmp_path / "run"))
    histories, offered = requests(parts, others=30)
    scores = made.score(histories, offered)
    assert np.isfinite(scores).all()
    cheap = made.retriever.score(histories, offered)
    picked = made._picked(np.asarray(cheap, dtype=np.float64), offered)[1]
    assert np.array_equal(made.reader._orders(picked[0]), np.arange(4)[None])
    best = np.take_along_axis(offered, np.argsort(-scores, axis=1, kind="stable")[:, :4], axis=1)
    assert all(set(a) == set(b) for a, b in zip(best, picked, strict=True))
    # the withheld item stands first among the candidates; where the retriever ties, that is not told
    assert len(np.unique(cheap[0])) < len(cheap[0])
    turned = made.score(histories, offered[:, ::-1])[:, ::-1]
    np.testing.assert_allclose(scores, turned, atol=1e-4)
    made.save(tmp_path / "cascade")
    again = family_class("cascade").load(tmp_path / "cascade", parts.dataset, settings)
    np.testing.assert_allclose(again.score(histories, offered), scores, atol=1e-5)


BY_HISTORY = GainEstimate(
    np.zeros(6), np.ones(6), np.eye(6)[FEATURES.index("history")], np.array([0.0, 3.0]),
    np.array([0.0, 3.0]),
)  # fmt: skip
"""Expects of a request the log of its history's length."""


@pytest.fixture
def gated(trained, parts, settings, tmp_path):
    """A cascade over letters whose gate lets histories of more than two items through."""
    trained.save(tmp_path / "reader")
    spec = run_from_dict(
        {
            "recommender": {"family": "cascade", "gate": "validation"} | CASCADE,
            "training": {"validation_users": 0},
            "weights_from": "reader",
        }
    )
    made = build(spec, parts.dataset, settings, parent=tmp_path / "reader")
    made.prepare(parts, RunContext(tmp_path / "run"))
    made.gate = Gate((BY_HISTORY,), parts.item_counts, 0.5, float(np.log1p(2)))
    return made


def test_behind_a_gate_a_whole_list_is_read_or_nothing_of_it(gated, parts):
    histories, offered = requests(parts, others=10)
    histories = [history[: 1 + 3 * (row % 2)] for row, history in enumerate(histories)]
    histories, offered = histories[: 2 * COUNTED], offered[: 2 * COUNTED]
    routed = gated.routed(histories, offered)
    assert routed.tolist() == [len(history) > 2 for history in histories] == [False, True] * COUNTED
    scores, cheap = gated.score(histories, offered), gated.retriever.score(histories, offered)
    always = copy.copy(gated)
    always.gate = None
    read = always.score(histories, offered)
    np.testing.assert_allclose(scores[routed], read[routed], atol=1e-4)
    assert np.abs(read[~routed] - scores[~routed]).max() > 0.1
    order = [np.argsort(-rows[~routed], axis=1, kind="stable") for rows in (scores, cheap)]
    np.testing.assert_array_equal(*order)
    described = gated.describe(histories, offered)
    counted, _ = counted_flops(gated, histories, offered)
    assert described.flops_per_request == pytest.approx(counted, rel=0.01)
    assert described.notes["requests_read"] == 0.5 and described.notes["lists_read"] == 1


def test_reasons_behind_a_gate_are_of_the_list_or_of_the_retriever(gated, parts):
    case = parts.test[0]
    occasion = evaluated(parts, case, gated.spec.protocol)
    ask = ExplainRequest(item=int(case.relevant[0]), listed=())

    def told():
        question = Question(gated, parts.dataset, occasion, ask)
        found = question.explain(question.item)
        shown = gated.score([case.history], occasion.candidates[None])[0]
        place = int(np.flatnonzero(occasion.candidates == question.item)[0])
        assert found.base + found.values.sum() == pytest.approx(float(shown[place]), abs=1e-4)
        return question, " ".join(note.text() for note in question.notes)

    question, notes = told()
    assert question.reads_lists and "reads its 4 candidates together" in notes
    assert "did not pass this request on" not in notes
    gated.gate = dataclasses.replace(gated.gate, share=0.0)
    question, notes = told()
    assert [part.role for part in question.parts] == ["retriever"] and not question.reads_lists
    assert "did not pass this request on" in notes and "together" not in notes


def test_letters_alone_teach_no_student(trained, parts, settings, tmp_path):
    trained.save(tmp_path / "reader")
    spec = run_from_dict(
        {
            "recommender": {"family": "distilled-sasrec", "adaptation": "full"},
            "weights_from": "letters",
        }
    )
    with pytest.raises(UsageError, match="'letters', whose head 'letters' orders 26 items at most"):
        build(spec, parts.dataset, settings, parent=tmp_path / "reader")


def test_reasons_add_up_to_the_score_in_the_list(trained, parts, settings, tmp_path):
    case = parts.test[0]
    protocol = trained.spec.protocol
    occasion = evaluated(parts, case, protocol)
    item = int(case.relevant[0])
    question = Question(
        trained, parts.dataset, occasion, ExplainRequest(item=item, listed=()),
    )  # fmt: skip
    told = question.explain(question.item)
    shown = trained.score([case.history], occasion.candidates[None])[0]
    place = int(np.flatnonzero(occasion.candidates == item)[0])
    assert told.exact
    assert told.base + told.values.sum() == pytest.approx(float(shown[place]), abs=1e-5)
    assert any("together" in note.text() for note in question.notes)
    for wish in ({"baseline": "mask"}, {"target": "probability"}):
        with pytest.raises(UnsupportedError, match=r"choose 'remove'|ask for the target 'score'"):
            Question(trained, parts.dataset, occasion, ExplainRequest(item=item, **wish))


TRAINED = {"adaptation": "lora"}
REFUSED = {
    "more candidates than letters": ({}, {"candidates": "100-uniform"}, {}, "'100-uniform' offers"),
    "the whole catalogue besides": ({}, {"also_full": True}, {}, "'full' offers more"),
    "a retriever that leaves too many": ({**CASCADE, "rerank_k": 27}, {}, {}, "rerank_k is 27"),
    "another family": ({"family": "cross-encoder"}, {}, {}, "and 'cross-encoder' is none"),
    "pairs read alone": ({"history_attention": "full"}, {}, {}, "history_attention 'full'"),
    "an early exit": ({"options": {"exit_layer": 1}}, {}, {}, "leave single candidates unread"),
    "orders of pairs": ({"head": "yes-no", "options": {"orders": 2}}, {}, {}, "'orders', at which"),
    "a head to train": ({"adaptation": "head"}, {}, {}, "contradicts recommender.head 'letters'"),
    "another objective": (TRAINED, {}, {"objective": "bce"}, "which is objective 'listwise'"),
    "several right letters": (TRAINED, {}, {"positives": 2}, "one item that followed"),
    "a gate before nothing": ({"gate": "validation"}, {}, {}, "gate stands between a retriever"),
    "a list longer than taught": (
        TRAINED, {"candidates": "20-uniform"}, {"negatives": 7}, "teaches only 8 letters",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_letters_cannot_do_is_refused_before_it_is_queued(name):
    recommender, protocol, training, reason = REFUSED[name]
    with pytest.raises(UsageError, match=reason):
        spec_of("llama", training=training, protocol=protocol, **recommender)


@pytest.mark.parametrize(
    ("recommender", "reason"),
    [
        ('family = "cascade", retriever = "item-knn", rerank_k = 30', "rerank_k is 30"),
        ('family = "distilled-sasrec", adaptation = "full"', "orders 26 items at most"),
    ],
)
def test_a_study_s_run_that_asks_too_much_of_letters_is_refused_with_its_name(
    recommender, reason, tmp_path
):
    (tmp_path / "study.toml").write_text(
        f"""
        [[run]]
        name = "letters"
        protocol = {{ candidates = "20-uniform" }}
        recommender = {{ family = "decoder", backbone = "smollm2-135m", head = "letters" }}
        [[run]]
        name = "over it"
        recommender = {{ {recommender} }}
        weights_from = "letters"
        """,
        encoding="utf-8",
    )
    with pytest.raises(UsageError, match=rf"run 'over it'.*{reason}"):
        load_study(tmp_path / "study.toml")


def test_more_than_the_alphabet_is_refused_when_it_is_asked(trained):
    with pytest.raises(UnsupportedError, match="27 candidates were offered"):
        trained.score([np.arange(3)], np.arange(27)[None])
