"""Tiny model folders of many kinds, written the way their libraries write them.

Tokenizers are of three manners: word pieces (BERT), byte-level pairs (GPT-2, RoBERTa, Qwen2,
GPT-NeoX) and SentencePiece-like unigrams, which write a space as a piece of its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import torch
import transformers
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from llmrec_core.models.prompt_layout import DECODER
from tests.tiny import WORDS

CONTEXT = 128
SPREAD = 0.35
"""Standard deviation of weights: far enough apart that a wrong token moves a score by far more."""
WORDS_OF_PROMPTS = " ".join((DECODER.opening, DECODER.closing, DECODER.candidate_end)).split()
LETTERS = [chr(code) for code in range(33, 127)]
PASSAGE = "passage: "


def corpus() -> list[str]:
    """Text that makes every word of the tests, and the labels, one piece each."""
    lines = [" ".join(WORDS), *WORDS, DECODER.opening, DECODER.closing, PASSAGE, "query: "]
    return (lines + [f"{DECODER.candidate_end}{label}" for label in (" Yes", " No")] * 20) * 5


def word_pieces() -> PreTrainedTokenizerFast:
    """BERT's manner: whole words, else pieces that continue a word."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [word.lower() for word in (*WORDS, *WORDS_OF_PROMPTS, "passage", "query", "yes", "no")]
    single = sorted({letter.lower() for letter in LETTERS})
    vocabulary = dict.fromkeys([*special, *single, *(f"##{letter}" for letter in single), *words])
    inner = Tokenizer(
        models.WordPiece({word: code for code, word in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )  # fmt: skip


def in_roberta_s_manner(inner: Tokenizer, **special: str) -> PreTrainedTokenizerFast:
    """One text between <s> and </s>, a pair with two </s> between its texts."""
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", cls_token="<s>",
        sep_token="</s>", pad_token="<pad>", unk_token="<unk>", **special,
    )  # fmt: skip


def byte_pairs(manner: str, letters: bool = False, **special: str) -> PreTrainedTokenizerFast:
    """Byte-level pairs, with RoBERTa's tokens around a pair or GPT's one end of text.

    With `letters`, every capital letter after a space is one token.
    """
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    around = (
        ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] if manner == "roberta" else ["<|endoftext|>"]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=around, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    answers = [f"Answer: {letter}" for letter in ascii_uppercase] * 200 if letters else []
    inner.train_from_iterator([*corpus(), *answers], trainer)
    if manner == "roberta":
        return in_roberta_s_manner(inner, mask_token="<mask>")
    names = {"eos_token": "<|endoftext|>"} | special
    return PreTrainedTokenizerFast(tokenizer_object=inner, **names)


def unigrams(manner: str, labels: bool = True, **special: str) -> PreTrainedTokenizerFast:
    """SentencePiece's manner: every space is written, and one stands before the text."""
    words = sorted({*WORDS, *WORDS_OF_PROMPTS, "passage:", *(["Yes", "No"] if labels else [])})
    around = ["<s>", "<pad>", "</s>", "<unk>"] if manner == "roberta" else ["<unk>", "<s>", "</s>"]
    vocabulary = [(token, 0.0) for token in around] + [("▁", -4.0)]
    vocabulary += [("▁" + word, -2.0) for word in words]
    vocabulary += [(letter, -9.0) for letter in (*LETTERS, "\n")]
    inner = Tokenizer(models.Unigram(vocabulary, unk_id=around.index("<unk>"), byte_fallback=False))
    inner.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    if manner == "roberta":
        return in_roberta_s_manner(inner)
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"} | special
    return PreTrainedTokenizerFast(tokenizer_object=inner, **names)


CLASSES = {
    "bert": ("BertConfig", "BertModel", "BertForSequenceClassification"),
    "roberta": ("RobertaConfig", "RobertaModel", "RobertaForSequenceClassification"),
    "xlm-roberta": ("XLMRobertaConfig", "XLMRobertaModel", "XLMRobertaForSequenceClassification"),
    "mpnet": ("MPNetConfig", "MPNetModel", "MPNetForSequenceClassification"),
    "llama": ("LlamaConfig", "LlamaForCausalLM", "LlamaForSequenceClassification"),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", "Qwen2ForSequenceClassification"),
    "gpt2": ("GPT2Config", "GPT2LMHeadModel", "GPT2ForSequenceClassification"),
    "gpt_neox": ("GPTNeoXConfig", "GPTNeoXForCausalLM", "GPTNeoXForSequenceClassification"),
    "gemma3_text": ("Gemma3TextConfig", "Gemma3ForCausalLM", ""),
}


def config_of(kind: str, tokenizer: Any, **settings: Any) -> Any:
    """A configuration of a two-layer, 32-wide model (four layers where windows alternate)."""
    sizes: dict[str, Any] = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": CONTEXT,
        "initializer_range": SPREAD,
    }  # fmt: skip
    if kind in ("llama", "qwen2"):
        sizes["num_key_value_heads"] = 2
    if kind in ("roberta", "xlm-roberta", "mpnet"):
        sizes |= {
            "pad_token_id": tokenizer.pad_token_id,
            "max_position_embeddings": CONTEXT + tokenizer.pad_token_id + 1,
            "type_vocab_size": 1,
        }
    if kind == "gpt2":
        sizes = {
            "vocab_size": len(tokenizer), "n_embd": 32, "n_layer": 2, "n_head": 4,
            "n_positions": CONTEXT, "initializer_range": SPREAD,
        }  # fmt: skip
    if kind == "gemma3_text":
        sizes |= {
            "num_hidden_layers": 4, "num_key_value_heads": 2, "head_dim": 16,
            "query_pre_attn_scalar": 12, "sliding_window": 9, "pad_token_id": None,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
        }  # fmt: skip
    if kind not in ("bert", "roberta", "xlm-roberta", "mpnet"):
        sizes |= {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    return getattr(transformers, CLASSES[kind][0])(**(sizes | settings))


def write_folder(
    folder: Path,
    kind: str,
    tokenizer: Any,
    *,
    head: str = "",
    seed: int = 0,
    **settings: Any,
) -> Path:
    """A model folder with random weights.

    Args:
        head: `` for a bare encoder or a causal language model, `classifier` for a sequence
            classifier, `masked` for a masked language model.
        settings: of the configuration, e.g. `num_labels=2`.
    """
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    config = config_of(kind, tokenizer, **settings)
    torch.manual_seed(seed)
    _, plain, classifier = CLASSES[kind]
    if head == "classifier":
        model = getattr(transformers, classifier)(config)
    elif head == "masked":
        model = transformers.AutoModelForMaskedLM.from_config(config)
    elif plain.endswith("Model") and not plain.endswith("HeadModel"):
        model = getattr(transformers, plain)(config, add_pooling_layer=False)
    else:
        model = getattr(transformers, plain)(config)
    with torch.no_grad():  # norms and biases that are not what they start as
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_sentence_modules(
    folder: Path,
    *,
    pooling: str | tuple[str, ...] = "mean",
    include_prompt: bool = True,
    dense: str = "",
    normalise: bool = True,
    prompts: dict[str, str] | None = None,
    default_prompt_name: str | None = None,
    max_seq_length: int | None = CONTEXT,
    lower_case: bool = False,
    similarity: str | None = None,
    width: int = 32,
    extra_module: str = "",
) -> Path:
    """Declare sentence vectors for a folder, with the library's own module files."""
    from safetensors.torch import save_file

    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    modes = (pooling,) if isinstance(pooling, str) else pooling
    _write(folder / "1_Pooling" / "config.json", {
        "embedding_dimension": width, "pooling_mode": modes[0] if len(modes) == 1 else list(modes),
        "include_prompt": include_prompt,
    })  # fmt: skip
    inside = width * len(modes)
    if dense:
        torch.manual_seed(3)
        path = folder / f"{len(modules)}_Dense"
        weights = {"linear.weight": torch.randn(20, inside), "linear.bias": torch.randn(20)}
        _write(path / "config.json", {
            "in_features": inside, "out_features": 20, "bias": True,
            "activation_function": dense, "module_input_name": "sentence_embedding",
        })  # fmt: skip
        save_file(weights, path / "model.safetensors")
        modules.append((path.name, "Dense"))
    if extra_module:
        path = folder / f"{len(modules)}_{extra_module}"
        _write(path / "config.json", {"dimension": inside})
        modules.append((path.name, extra_module))
    if normalise:
        path = folder / f"{len(modules)}_Normalize"
        _write(path / "config.json", {})
        modules.append((path.name, "Normalize"))
    _write(folder / "modules.json", [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate(modules)
    ])  # fmt: skip
    _write(
        folder / "sentence_bert_config.json",
        {"max_seq_length": max_seq_length, "do_lower_case": lower_case},
    )
    _write(folder / "config_sentence_transformers.json", {
        "prompts": prompts or {}, "default_prompt_name": default_prompt_name,
        "similarity_fn_name": similarity,
    })  # fmt: skip
    return folder


def _write(path: Path, body: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(body), encoding="utf-8")
