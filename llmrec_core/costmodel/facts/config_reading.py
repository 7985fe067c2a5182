"""The architecture of a Hugging Face `config.json`, read field by field. No torch.

Families differ in names and defaults. Where transformers knows the family, the worker or the
command line has its config filled and its weights counted (`counted_sizes.py`), and this reading
takes the filled config. Where it does not, what a family's default would say is assumed and said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llmrec_core.costmodel.facts import config_caches, config_sizes
from llmrec_core.costmodel.facts.architecture import Architecture
from llmrec_core.costmodel.facts.config_fields import (
    EXPERT_FIELDS,
    HEADS,
    WIDTH,
    Fields,
    text_part,
)
from llmrec_core.language import marked, t

ENCODERS = (
    "bert",
    "electra",
    "albert",
    "mpnet",
    "deberta",
    "xlm",
    "camembert",
    "nomic",
    "eurobert",
    "esm",
)
"""Parts of the names of families that read both ways."""
PLAIN_ACTIVATION = ("gelu", "relu", "gelu_new", "gelu_fast", "relu2", "quick_gelu")
"""Activations of feed-forward blocks of two matrices, in families whose form is not known."""
GATED = (
    "llama",
    "mistral",
    "mixtral",
    "qwen",
    "gemma",
    "phi3",
    "phimoe",
    "modernbert",
    "eurobert",
    "olmo",
    "internlm",
    "baichuan",
    "deepseek",
    "gpt_oss",
    "smollm",
    "granite",
    "cohere",
    "glm",
    "exaone",
    "jamba",
    "dbrx",
    "minimax",
    "ernie",
    "hunyuan",
    "kimi",
)
"""Parts of the names of families whose feed-forward block has a third matrix."""
WITH_BIAS = ("gpt2", "opt", "gpt_neox", "bloom", "phi")
LEARNT_POSITIONS = ("gpt2", "opt", "gpt_bigcode", "biogpt", "ctrl", "imagegpt")
TIED = (
    "gpt2",
    "opt",
    "bloom",
    "gemma",
    "gpt_bigcode",
    "smollm3",
    "cohere",
    "falcon",
    "mamba",
    "t5",
)
"""Families that tie the vocabulary matrices unless their config says otherwise."""

NO_TYING = marked("whether its vocabulary matrices are tied is not stated; counted as not tied")
NO_FORM = marked("the form of its feed-forward block is not known")
ABOUT_WEIGHTS = (NO_TYING, NO_FORM)
"""What is not open any more once a model's weights were counted."""


def from_config(config: Mapping[str, Any], name: str = "") -> Architecture:
    """The architecture of a config.

    Args:
        config: the document of a `config.json`.
        name: what messages call the model.

    Raises:
        DataError: naming fields that are missing or hold no number in range.
    """
    model_type = config.get("model_type")
    called = name or (model_type if isinstance(model_type, str) else "") or t("the model")
    outer, fields = Fields(config, called), Fields(text_part(config), called)
    kind = _kind(outer, fields)
    layers, width = config_caches.layer_count(fields), fields.needed(*WIDTH)
    attention_free = fields.model_type in config_caches.ATTENTION_FREE
    heads = 1 if attention_free else fields.needed(*HEADS)
    caches, doubts = config_caches.read_caches(fields) if kind == "decoder" else ((), ())
    experts = _experts(fields)
    gated, form = _gated(fields)
    tied, tying = _tied(outer, fields, kind)
    shape = Architecture(
        name=called,
        kind=kind,
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=1 if attention_free else _dividing(heads, config_caches.kv_heads(fields)),
        head_dim=1 if attention_free else _head_dim(fields),
        ffn=_feed_forward(fields, width, experts),
        gated=gated,
        vocab=fields.whole_or(0, "vocab_size", least=0),
        positions=_positions(fields, kind),
        types=fields.whole_or(0, "type_vocab_size", least=0),
        tied=tied,
        bias=kind == "encoder" or fields.model_type in WITH_BIAS,
        experts=experts,
        active_experts=min(experts, _active_experts(fields)),
        decoder_layers=fields.whole_or(layers, "num_decoder_layers", "decoder_layers")
        if kind == "encoder-decoder"
        else 0,
        embedding_width=fields.whole_or(width, "embedding_size"),
        shared_layers=fields.model_type == "albert",
        context=fields.whole_or(
            0, "max_position_embeddings", "n_positions", "max_seq_len", least=0
        ),
        caches=caches,
        unknown=tuple(sentence for sentence in (*doubts, form, tying) if sentence),
    )
    if config_sizes.plain(fields, shape):
        return shape
    return replace(shape, sizes=config_sizes.own_sizes(fields, shape))


def _kind(outer: Fields, fields: Fields) -> str:
    if outer.flag("is_encoder_decoder") or fields.flag("is_encoder_decoder"):
        return "encoder-decoder"
    encoder = any(part in fields.model_type for part in ENCODERS)
    return "encoder" if encoder and not fields.flag("is_decoder") else "decoder"


def _dividing(heads: int, kv_heads: int) -> int:
    """Key/value heads that divide the heads; a config that says otherwise shares them all."""
    return kv_heads if heads % kv_heads == 0 else heads


def _head_dim(fields: Fields) -> int:
    """Elements of a head; for latent attention the mean of its query-key and its value part."""
    if not fields.value("kv_lora_rank"):
        return config_caches.head_dim(fields)
    plain_part = fields.whole_or(128, "qk_nope_head_dim")
    rotated = fields.whole_or(0, "qk_rope_head_dim", least=0)
    value = fields.whole_or(plain_part, "v_head_dim")
    return max(1, (plain_part + rotated + value) // 2)


def _experts(fields: Fields) -> int:
    return fields.whole_or(1, *EXPERT_FIELDS, least=0) or 1


def _active_experts(fields: Fields) -> int:
    return fields.whole_or(
        1,
        "num_experts_per_tok",
        "num_experts_per_token",
        "experts_per_token",
        "moe_top_k",
        "moe_topk",
    )


def _feed_forward(fields: Fields, width: int, experts: int) -> int:
    """Width of a feed-forward block, of one expert where there are several."""
    of_expert = fields.whole("moe_intermediate_size", "expert_ffn_hidden_size")
    if experts > 1 and of_expert:
        return of_expert
    return fields.whole_or(
        4 * width,
        "intermediate_size",
        "n_inner",
        "d_ff",
        "ffn_dim",
        "hidden_dim",
        "encoder_ffn_dim",
        "ffn_hidden_size",
        "intermediate_size_mlp",
    )


def _gated(fields: Fields) -> tuple[bool, str]:
    """Whether a feed-forward block has a third matrix, and a sentence where that is not known."""
    if any(part in fields.model_type for part in GATED):
        return True, ""
    activation = fields.text(
        "feed_forward_proj", "dense_act_fn", "hidden_act", "activation_function"
    )
    if "gated" in activation or "glu" in activation.replace("gelu", ""):
        return True, ""
    if activation.startswith(("silu", "swish")):
        return True, NO_FORM
    certain = not activation or activation in PLAIN_ACTIVATION
    return False, "" if certain else NO_FORM


def _tied(outer: Fields, fields: Fields, kind: str) -> tuple[bool, str]:
    """Whether the vocabulary matrices are one, and a sentence where that had to be assumed."""
    for part in (outer, fields):
        stated = part.flag("tie_word_embeddings")
        if stated is not None:
            return stated, ""
    if kind == "encoder" or any(fields.model_type.startswith(family) for family in TIED):
        return True, ""
    certain = any(part in fields.model_type for part in (*GATED, *WITH_BIAS))
    return False, "" if certain else NO_TYING


def _positions(fields: Fields, kind: str) -> int:
    """Learnt position vectors; 0 where positions are rotated or added to scores."""
    rotated = fields.value("rope_theta", "rope_parameters", "rotary_pct") is not None
    if rotated or fields.model_type == "modernbert":
        return 0
    if kind != "encoder" and fields.model_type not in LEARNT_POSITIONS:
        return 0
    return fields.whole_or(0, "max_position_embeddings", "n_positions", least=0)
