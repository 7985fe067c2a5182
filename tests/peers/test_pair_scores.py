"""Cross-encoders and decoders as their folders come: the scores of transformers, or a refusal."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data.splits import split
from llmrec_core.models.label_words import label_tokens
from llmrec_core.models.prompt_layout import ENCODER
from llmrec_core.recommenders.language_model import LanguageModelRecommender
from tests.peers.conftest import noted, refusal_of
from tests.peers.model_folders import byte_pairs, unigrams, word_pieces, write_folder

TOLERANCE = 1e-4
HISTORIES = ([1, 4, 7], [3], [])

ENCODERS = {
    "bert, word pieces, own head": ("bert", word_pieces, {"head": "classifier", "num_labels": 1}),
    "bert, word pieces, one segment": (
        "bert", word_pieces, {"head": "classifier", "num_labels": 1, "type_vocab_size": 1},
    ),
    "roberta, byte level, own head": (
        "roberta", lambda: byte_pairs("roberta"), {"head": "classifier", "num_labels": 1},
    ),
    "xlm-roberta, unigrams, own head": (
        "xlm-roberta", lambda: unigrams("roberta"), {"head": "classifier", "num_labels": 1},
    ),
}  # fmt: skip
REFUSED_ENCODERS = {
    "bert, own head of two labels": (
        "bert", word_pieces, {"head": "classifier", "num_labels": 2}, "pooler", "full",
        "a head for 2 labels",
    ),
    "bert, no head": ("bert", word_pieces, {}, "pooler", "full", "brings no head"),
    "bert, no head, linear": ("bert", word_pieces, {}, "linear", "shared", "brings no head"),
    "bert, masked language model": (
        "bert", word_pieces, {"head": "masked"}, "attention", "shared", "brings no head",
    ),
    "bert, own head, linear wanted": (
        "bert", word_pieces, {"head": "classifier", "num_labels": 1}, "linear", "full",
        "a head of its own, which recommender.head 'pooler' takes",
    ),
    "bert, own head on a shared history": (
        "bert", word_pieces, {"head": "classifier", "num_labels": 1}, "pooler", "shared",
        "reads a whole pair",
    ),
    "bert as a decoder": (
        "bert", word_pieces, {"head": "classifier", "num_labels": 1, "is_decoder": True},
        "pooler", "full", "is_decoder",
    ),
    "mpnet, own head": (
        "mpnet", lambda: byte_pairs("roberta"), {"head": "classifier", "num_labels": 1},
        "pooler", "full", "architecture 'mpnet'",
    ),
}  # fmt: skip
YARN = {"rope_type": "yarn", "factor": 2.0, "rope_theta": 10_000.0,
        "original_max_position_embeddings": 64}  # fmt: skip
LLAMA3 = {"rope_type": "llama3", "factor": 2.0, "rope_theta": 10_000.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 64}  # fmt: skip
LINEAR = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10_000.0}
DECODERS = {
    "llama, unigrams": ("llama", lambda: unigrams("llama"), {}),
    "llama, unigrams, padded on the left": (
        "llama", lambda: unigrams("llama", pad_token="</s>", padding_side="left"), {},
    ),
    "llama, unigrams, llama3 positions": (
        "llama", lambda: unigrams("llama"), {"rope_parameters": LLAMA3},
    ),
    "llama, unigrams, yarn positions": (
        "llama", lambda: unigrams("llama"), {"rope_parameters": YARN},
    ),
    "llama, unigrams, stretched positions": (
        "llama", lambda: unigrams("llama"), {"rope_parameters": LINEAR},
    ),
    "llama, unigrams, tied output": (
        "llama", lambda: unigrams("llama"), {"tie_word_embeddings": True},
    ),
    "qwen2, byte level, no pad token": ("qwen2", lambda: byte_pairs("gpt"), {}),
    "qwen2, byte level, sliding windows": (
        "qwen2", lambda: byte_pairs("gpt"),
        {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1},
    ),
    "gpt2, byte level": (
        "gpt2", lambda: byte_pairs("gpt", bos_token="<|endoftext|>", unk_token="<|endoftext|>"), {},
    ),
    "gpt2, byte level, scaled by layer": (
        "gpt2", lambda: byte_pairs("gpt", bos_token="<|endoftext|>", unk_token="<|endoftext|>"),
        {"scale_attn_by_inverse_layer_idx": True},
    ),
    "gpt_neox, byte level": (
        "gpt_neox", lambda: byte_pairs("gpt", bos_token="<|endoftext|>", pad_token="<|endoftext|>"),
        {},
    ),
    "gpt_neox, byte level, one after the other": (
        "gpt_neox", lambda: byte_pairs("gpt", bos_token="<|endoftext|>"),
        {"use_parallel_residual": False},
    ),
    "gemma3, unigrams, sliding and full": ("gemma3_text", lambda: unigrams("gemma"), {}),
    "gemma3, unigrams, sliding alone": (
        "gemma3_text", lambda: unigrams("gemma"), {"layer_types": ["sliding_attention"] * 4},
    ),
    "gemma3, unigrams, a window shorter than a candidate": (
        "gemma3_text", lambda: unigrams("gemma"), {"sliding_window": 3},
    ),
    "gemma3, unigrams, one key head, padded on the left": (
        "gemma3_text", lambda: unigrams("gemma", pad_token="</s>", padding_side="left"),
        {"num_key_value_heads": 1},
    ),
    "gemma3, unigrams, a window longer than the prompt": (
        "gemma3_text", lambda: unigrams("gemma"), {"sliding_window": 128},
    ),
}  # fmt: skip
DYNAMIC = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0}
REFUSED_DECODERS = {
    "llama, no piece for Yes": (
        "llama", lambda: unigrams("llama", labels=False), {}, "one known token",
    ),
    "llama, positions that depend on the longest": (
        "llama", lambda: unigrams("llama"), {"rope_parameters": DYNAMIC}, "type 'dynamic'",
    ),
    "llama, head of a classifier": (
        "llama", lambda: unigrams("llama"), {"head": "classifier", "num_labels": 1},
        "head of another task",
    ),
    "gemma3, both directions": (
        "gemma3_text", lambda: unigrams("gemma"), {"use_bidirectional_attention": True},
        "use_bidirectional_attention",
    ),
    "gemma3, capped logits": (
        "gemma3_text", lambda: unigrams("gemma"), {"final_logit_softcapping": 30.0},
        "final_logit_softcapping",
    ),
}  # fmt: skip


def zero_shot(folder, catalogue, settings, family, **recommender):
    """The folder's model as it comes, fitted without training."""
    chosen = {"family": family, "backbone": str(folder), "adaptation": "none", "history_items": 4}
    spec = run_from_dict({"recommender": chosen | recommender})
    made = LanguageModelRecommender(spec, catalogue, settings)
    made.fit(split(catalogue, "loo"), RunContext(folder / "run"))
    return made


def scores_of(made, catalogue):
    everything = np.arange(catalogue.n_items)
    return np.stack([made.score([np.array(h, int)], everything[None])[0] for h in HISTORIES])


@pytest.mark.parametrize("name", list(ENCODERS))
def test_a_cross_encoder_with_its_own_head(name, folder, catalogue, settings):
    kind, tokenizer, options = ENCODERS[name]
    write_folder(folder, kind, tokenizer(), **options)
    made = zero_shot(
        folder, catalogue, settings, "cross-encoder", head="pooler", history_attention="full"
    )
    ours, layout = scores_of(made, catalogue), made.model.layout
    peer = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    expected = np.zeros_like(ours)
    with torch.no_grad():
        for row, history in enumerate(HISTORIES):
            shared = layout.history(history)
            for item, own in enumerate(layout.candidates):
                types = [[0] * len(shared) + [1] * len(own)]
                segments = torch.tensor(types) * (peer.config.type_vocab_size > 1)
                logits = peer(torch.tensor([shared + own]), token_type_ids=segments).logits
                expected[row, item] = float(logits[0, 0])
    gap = np.abs(ours - expected).max()
    assert gap <= TOLERANCE and expected.std() > 10 * TOLERANCE
    other = zero_shot(
        folder, catalogue, settings, "cross-encoder", head="pooler", history_attention="full"
    )
    assert made.describe([np.array([1])], np.array([[2]])).notes["head_starts_from"] == (
        "weights of the backbone"
    )
    np.testing.assert_array_equal(scores_of(other, catalogue), ours)
    noted(name, "transformers, logits", f"equal: {gap:.0e}")


@pytest.mark.parametrize("name", ["bert, word pieces, own head", "roberta, byte level, own head"])
def test_a_cross_encoder_equals_the_library_on_texts(name, folder, catalogue, settings):
    """sentence-transformers reads texts: these tokenizers cut them into the same tokens.

    Unigrams write a space before every piece; on one segment the library itself gives an error.
    """
    from sentence_transformers import CrossEncoder

    kind, tokenizer, options = ENCODERS[name]
    write_folder(folder, kind, tokenizer(), **options)
    made = zero_shot(
        folder, catalogue, settings, "cross-encoder", head="pooler", history_attention="full"
    )
    peer = CrossEncoder(str(folder), device="cpu")
    titles = catalogue.items["title"].tolist()
    history = [1, 4, 7]
    before = "".join(titles[item] + ENCODER.item_end for item in history)
    pairs = [(before, title) for title in titles]
    expected = peer.predict(pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False)
    ours = made.score([np.array(history)], np.arange(len(titles))[None])[0]
    gap = np.abs(ours - expected).max()
    assert gap <= TOLERANCE
    noted(name, "CrossEncoder.predict", f"equal: {gap:.0e}")


@pytest.mark.parametrize("name", list(REFUSED_ENCODERS))
def test_a_cross_encoder_that_is_refused(name, folder, catalogue, settings):
    kind, tokenizer, options, head, attention, reason = REFUSED_ENCODERS[name]
    write_folder(folder, kind, tokenizer(), **options)
    sentence = refusal_of(
        lambda: zero_shot(
            folder, catalogue, settings, "cross-encoder", head=head, history_attention=attention
        )
    )
    assert reason in sentence
    noted(name, "zero-shot", "refused")


@pytest.mark.parametrize("attention", ["shared", "full"])
@pytest.mark.parametrize("name", list(DECODERS))
def test_a_decoder_says_yes_or_no(name, attention, folder, catalogue, settings):
    kind, tokenizer, options = DECODERS[name]
    write_folder(folder, kind, tokenizer(), **options)
    made = zero_shot(
        folder, catalogue, settings, "decoder", head="yes-no", history_attention=attention
    )
    ours, layout = scores_of(made, catalogue), made.model.layout
    peer = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    cut = transformers.AutoTokenizer.from_pretrained(folder)
    yes, no = (
        cut(f"\nAnswer: {word}", add_special_tokens=False)["input_ids"][-1]
        for word in ("Yes", "No")
    )
    expected = np.zeros_like(ours)
    with torch.no_grad():
        for row, history in enumerate(HISTORIES):
            shared = layout.history(history)
            for item, own in enumerate(layout.candidates):
                logits = peer(torch.tensor([shared + own])).logits[0, -1]
                expected[row, item] = float(logits[yes] - logits[no])
    gap = np.abs(ours - expected).max()
    assert gap <= TOLERANCE and expected.std() > 10 * TOLERANCE
    noted(name, f"transformers, {attention}", f"equal: {gap:.0e}")


@pytest.mark.parametrize("depth", [1, 3])
def test_the_first_layers_alone_say_yes_or_no(depth, folder, catalogue, settings):
    """Gemma's layers differ in kind, so the kept ones have to keep theirs."""
    write_folder(folder, "gemma3_text", unigrams("gemma"))
    made = zero_shot(folder, catalogue, settings, "decoder", head="yes-no", depth=depth)
    ours, layout = scores_of(made, catalogue), made.model.layout
    peer = transformers.AutoModelForCausalLM.from_pretrained(folder, num_hidden_layers=depth).eval()
    cut = transformers.AutoTokenizer.from_pretrained(folder)
    yes, no = label_tokens(cut, "\nAnswer:", [" Yes", " No"])
    with torch.no_grad():
        for row, history in enumerate(HISTORIES):
            shared = layout.history(history)
            pairs = [torch.tensor([shared + own]) for own in layout.candidates]
            logits = torch.stack([peer(pair).logits[0, -1] for pair in pairs])
            expected = (logits[:, yes] - logits[:, no]).numpy()
            assert np.abs(ours[row] - expected).max() <= TOLERANCE


@pytest.mark.parametrize("name", list(REFUSED_DECODERS))
def test_a_decoder_that_is_refused(name, folder, catalogue, settings):
    kind, tokenizer, options, reason = REFUSED_DECODERS[name]
    write_folder(folder, kind, tokenizer(), **options)
    sentence = refusal_of(lambda: zero_shot(folder, catalogue, settings, "decoder", head="yes-no"))
    assert reason in sentence
    noted(name, "zero-shot", "refused")


def test_a_weight_that_is_not_used_and_a_layer_that_is_drawn_are_named(folder, catalogue, settings):
    write_folder(folder, "bert", word_pieces(), head="classifier", num_labels=2)
    chosen = {"family": "cross-encoder", "backbone": str(folder), "adaptation": "head"}
    made = LanguageModelRecommender(run_from_dict({"recommender": chosen}), catalogue, settings)
    notes = made.describe([np.array([1])], np.array([[2]])).notes
    assert notes["head_starts_from"] == "random weights"
    assert notes["weights_not_used"] == ["classifier"]
    write_folder(folder, "bert", word_pieces(), head="masked")
    made = LanguageModelRecommender(run_from_dict({"recommender": chosen}), catalogue, settings)
    unused = made.describe([np.array([1])], np.array([[2]])).notes["weights_not_used"]
    assert unused and all(name.startswith("cls.predictions") for name in unused)
