"""Two-layer, 32-wide backbones with random weights and a word-level tokenizer: real files, loaded the real way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llmrec_core.contract.families import family_named
from llmrec_core.contract.ignored_settings import OF_READERS
from llmrec_core.models.prompt_layout import DECODER

WORDS = [
    "white",
    "black",
    "field",
    *(f"number{n}" for n in range(64)),
    "drama",
    "comedy",
    "1999",
    "2001",
]
_LETTERS = [chr(code) for code in range(33, 127)]


def tiny_backbone(folder: Path, kind: str = "bert", *, layers: int = 2, seed: int = 0) -> Path:
    """A model folder of architecture `kind` that `load_backbone` accepts."""
    import torch
    import transformers

    tokenizer = tiny_tokenizer(encoder=kind == "bert")
    size = len(tokenizer)
    torch.manual_seed(seed)
    if kind == "bert":
        config = transformers.BertConfig(
            vocab_size=size, hidden_size=32, num_hidden_layers=layers, num_attention_heads=4, intermediate_size=64,
            max_position_embeddings=128,
        )  # fmt: skip
        model = transformers.BertModel(config, add_pooling_layer=False)
    elif kind == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=size,
            n_embd=32,
            n_layer=layers,
            n_head=4,
            n_positions=128,
            bos_token_id=0,
            eos_token_id=0,
        )
        model = transformers.GPT2LMHeadModel(config)
    else:
        made, of = {
            "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
            "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
            "gpt_neox": (transformers.GPTNeoXConfig, transformers.GPTNeoXForCausalLM),
        }[kind]
        grouped = {} if kind == "gpt_neox" else {"num_key_value_heads": 2}
        config = made(
            vocab_size=size, hidden_size=32, num_hidden_layers=layers, num_attention_heads=4, intermediate_size=64,
            max_position_embeddings=128, bos_token_id=0, eos_token_id=0, **grouped,
        )  # fmt: skip
        model = of(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_tokenizer(*, encoder: bool):
    """Whole words, else single characters; BERT's or a decoder's special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] if encoder else ["<s>", "[UNK]"]
    template = [
        word
        for part in (DECODER.opening, DECODER.closing, DECODER.candidate_end)
        for word in part.split()
    ]
    vocabulary = list(dict.fromkeys([*special, *WORDS, *template, "Yes", "No", *_LETTERS]))
    inner = Tokenizer(
        models.WordLevel({word: code for code, word in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    inner.decoder = decoders.WordPiece()
    names = (
        {
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "mask_token": "[MASK]",
        }
        if encoder
        else {"bos_token": "<s>", "eos_token": "<s>", "unk_token": "[UNK]"}
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner, **names)


def training_for(family: str, training: dict[str, Any]) -> dict[str, Any]:
    """Settings of training without those at which only families that read prompts look."""
    if family_named(family).reads_prompt:
        return training
    return {name: value for name, value in training.items() if name not in OF_READERS}
