"""Text vectors as the folder declares them: those of sentence-transformers, or a refusal."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from llmrec_core.models.backbones import load_backbone
from llmrec_core.scoring.embeddings import embed_texts
from tests.peers.conftest import noted, refusal_of
from tests.peers.model_folders import (
    PASSAGE,
    byte_pairs,
    unigrams,
    word_pieces,
    write_folder,
    write_sentence_modules,
)
from tests.tiny import WORDS

TOLERANCE = 1e-4
TEXTS = [
    "white field", "black", " ".join(WORDS[:14]), "drama comedy 1999", "White FIELD number7",
    "comedy number3 number4 number5", "2001",
]  # fmt: skip
PROMPTS = {"query": "query: ", "passage": PASSAGE}


def gpt() -> object:
    return byte_pairs("gpt", bos_token="<|endoftext|>", pad_token="<|endoftext|>")


FOLDERS = {
    "bert, nothing declared": ("bert", word_pieces, None),
    "bert, mean": ("bert", word_pieces, {}),
    "bert, cls": ("bert", word_pieces, {"pooling": "cls"}),
    "bert, max": ("bert", word_pieces, {"pooling": "max"}),
    "bert, mean over root of length": ("bert", word_pieces, {"pooling": "mean_sqrt_len_tokens"}),
    "bert, weighted mean": ("bert", word_pieces, {"pooling": "weightedmean"}),
    "bert, last token": ("bert", word_pieces, {"pooling": "lasttoken"}),
    "bert, cls and mean": ("bert", word_pieces, {"pooling": ("cls", "mean")}),
    "bert, dense with tanh": (
        "bert", word_pieces, {"dense": "torch.nn.modules.activation.Tanh"},
    ),
    "bert, dense without activation": (
        "bert", word_pieces, {"dense": "torch.nn.modules.linear.Identity", "normalise": False},
    ),
    "bert, dot product": ("bert", word_pieces, {"normalise": False, "similarity": "dot"}),
    "bert, passage prompt": ("bert", word_pieces, {"prompts": PROMPTS}),
    "bert, prompt by default": (
        "bert", word_pieces, {"prompts": {"task": "number1 "}, "default_prompt_name": "task"},
    ),
    "bert, prompt not pooled, mean": (
        "bert", word_pieces, {"prompts": PROMPTS, "include_prompt": False},
    ),
    "bert, prompt not pooled, cls": (
        "bert", word_pieces, {"prompts": PROMPTS, "include_prompt": False, "pooling": "cls"},
    ),
    "bert, prompt not pooled, weighted": (
        "bert", word_pieces,
        {"prompts": PROMPTS, "include_prompt": False, "pooling": "weightedmean"},
    ),
    "bert, eight tokens at most": ("bert", word_pieces, {"max_seq_length": 8}),
    "bert, length left to the tokenizer": ("bert", word_pieces, {"max_seq_length": None}),
    "roberta, byte level, mean": ("roberta", lambda: byte_pairs("roberta"), {}),
    "roberta, byte level, lower case": (
        "roberta", lambda: byte_pairs("roberta"), {"lower_case": True, "pooling": "cls"},
    ),
    "xlm-roberta, unigrams, mean": ("xlm-roberta", lambda: unigrams("roberta"), {}),
    "llama, unigrams, last token": (
        "llama", lambda: unigrams("llama", pad_token="</s>"), {"pooling": "lasttoken"},
    ),
    "llama, unigrams, last token, padded on the left": (
        "llama", lambda: unigrams("llama", pad_token="</s>", padding_side="left"),
        {"pooling": "lasttoken", "prompts": PROMPTS},
    ),
    "llama, unigrams, weighted mean": (
        "llama", lambda: unigrams("llama", pad_token="</s>"), {"pooling": "weightedmean"},
    ),
    "qwen2, byte level, last token": (
        "qwen2", lambda: byte_pairs("gpt", pad_token="<|endoftext|>"), {"pooling": "lasttoken"},
    ),
    "gpt2, byte level, mean": ("gpt2", gpt, {}),
    "gpt_neox, byte level, mean": ("gpt_neox", gpt, {}),
    "gemma3, unigrams, mean": (
        "gemma3_text", lambda: unigrams("gemma", pad_token="</s>"), {},
    ),
}  # fmt: skip
REFUSED = {
    "bert, euclidean": ("bert", word_pieces, {"similarity": "euclidean"}, "likeness 'euclidean'"),
    "bert, layer norm module": (
        "bert", word_pieces, {"extra_module": "LayerNorm"}, "the module LayerNorm",
    ),
    "bert, dense with an odd activation": (
        "bert", word_pieces, {"dense": "torch.nn.modules.activation.Softmax"}, "Softmax",
    ),
    "bert, unknown default prompt": (
        "bert", word_pieces, {"default_prompt_name": "task"}, "the unknown prompt 'task'",
    ),
    "mpnet, mean": ("mpnet", lambda: byte_pairs("roberta"), {}, "architecture 'mpnet'"),
    "gemma3, both directions": (
        "gemma3_text", lambda: unigrams("gemma", pad_token="</s>"),
        {"of_config": {"use_bidirectional_attention": True}}, "use_bidirectional_attention",
    ),
}  # fmt: skip


def written(folder, kind, tokenizer, declared):
    declared = dict(declared or {}) if declared is not None else None
    settings = declared.pop("of_config", {}) if declared else {}
    write_folder(folder, kind, tokenizer(), **settings)
    if declared is not None:
        write_sentence_modules(folder, **declared)
    return declared


def library_vectors(folder, declared):
    """What sentence-transformers makes of the folder; unit vectors where the likeness is cosine."""
    from sentence_transformers import SentenceTransformer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of what older files say
        peer = SentenceTransformer(str(folder), device="cpu")
        declared = declared or {}
        named = {"prompt_name": "passage"} if "passage" in (declared.get("prompts") or {}) else {}
        cosine = declared.get("similarity") is None
        return peer.encode(TEXTS, normalize_embeddings=cosine, **named)


@pytest.mark.parametrize("name", list(FOLDERS))
def test_vectors_are_those_of_sentence_transformers(name, folder, settings):
    kind, tokenizer, declared = FOLDERS[name]
    declared = written(folder, kind, tokenizer, declared)
    ours = embed_texts(load_backbone(str(folder), settings), TEXTS)
    expected = library_vectors(folder, declared)
    assert ours.shape == expected.shape
    gap = np.abs(ours - expected).max()
    assert gap <= TOLERANCE
    assert np.abs(expected - expected.mean(axis=0)).max() > 100 * TOLERANCE, "all vectors alike"
    noted(name, "SentenceTransformer.encode", f"equal: {gap:.0e}")


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_declared_and_not_followed_is_refused(name, folder, settings):
    kind, tokenizer, declared, reason = REFUSED[name]
    written(folder, kind, tokenizer, declared)
    sentence = refusal_of(lambda: embed_texts(load_backbone(str(folder), settings), TEXTS))
    assert reason in sentence
    noted(name, "embed_texts", "refused")


def test_pickled_dense_weights_are_refused(folder, settings):
    write_folder(folder, "bert", word_pieces())
    write_sentence_modules(folder, dense="torch.nn.modules.activation.Tanh")
    (folder / "2_Dense" / "model.safetensors").unlink()
    torch.save({}, folder / "2_Dense" / "pytorch_model.bin")
    sentence = refusal_of(lambda: embed_texts(load_backbone(str(folder), settings), TEXTS))
    assert "pickles, which can run code" in sentence
    noted("bert, pickled dense layer", "embed_texts", "refused")


def test_unit_vectors_can_be_asked_of_any_folder(folder, settings):
    write_folder(folder, "bert", word_pieces())
    write_sentence_modules(folder, normalise=False, similarity="dot")
    backbone = load_backbone(str(folder), settings)
    raw, unit = (embed_texts(backbone, TEXTS, unit=wanted) for wanted in (False, True))
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(raw / np.linalg.norm(raw, axis=1, keepdims=True), unit, atol=1e-6)
