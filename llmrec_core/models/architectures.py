"""A whole backbone as blocks: what each architecture is made of, and which of them are refused.

What config.json declares is followed or refused: a setting that changes attention and that the
blocks do not know ends in a sentence, never in other scores.

Symbols: B batch, T tokens, E hidden width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.models.blocks import (
    FULL,
    SLIDING,
    BertBlock,
    Block,
    Gemma3Block,
    Gpt2Block,
    LlamaBlock,
    NeoxBlock,
    Rotary,
)
from llmrec_core.models.kinds import ARCHITECTURES, ENCODERS

Embed = Callable[[Any, Tensor, Tensor, Tensor], Tensor]
"""Layer-0 input (B, T, E) of a base model from tokens, positions and segments, each (B, T)."""

STATIC_ROPE = ("default", "linear", "llama3", "yarn", "proportional")
"""Rotary embeddings whose angles depend on a token's own position alone."""
OFF = (None, False)
REFUSED_UNLESS: dict[str, tuple[Any, ...]] = {
    "is_decoder": OFF,
    "add_cross_attention": OFF,
    "use_bidirectional_attention": OFF,
    "attn_logit_softcapping": OFF,
    "final_logit_softcapping": OFF,
    "position_embedding_type": (None, "absolute"),
}
"""Settings of config.json that change a model's answer, with the values that the blocks follow."""


@dataclass(frozen=True)
class Architecture:
    """What one `model_type` is made of."""

    block: type[Block]
    layers: str
    """Path of the layers below the base model."""
    embed: Embed
    final_norm: str
    """Name of the last norm in the base model; empty when there is none."""
    attention_dropout: str
    """Name of the rate in config.json."""
    adapted: tuple[str, ...]
    """Linears that LoRA adapts."""


def _embed_bert(base: Any, tokens: Tensor, positions: Tensor, segments: Tensor) -> Tensor:  # noqa: ANN401 - Hugging Face
    kinds = base.config.type_vocab_size
    # an architecture with one segment knows no second one
    types = segments if kinds > 1 else torch.zeros_like(segments)
    embedded: Tensor = base.embeddings(
        input_ids=tokens, position_ids=positions, token_type_ids=types
    )
    return embedded


def _embed_roberta(base: Any, tokens: Tensor, positions: Tensor, segments: Tensor) -> Tensor:  # noqa: ANN401 - Hugging Face
    return _embed_bert(base, tokens, positions + base.config.pad_token_id + 1, segments)


def _embed_gpt2(base: Any, tokens: Tensor, positions: Tensor, segments: Tensor) -> Tensor:  # noqa: ANN401 - Hugging Face
    embedded: Tensor = base.drop(base.wte(tokens) + base.wpe(positions))
    return embedded


def _embed_neox(base: Any, tokens: Tensor, positions: Tensor, segments: Tensor) -> Tensor:  # noqa: ANN401 - Hugging Face
    embedded: Tensor = base.emb_dropout(base.embed_in(tokens))
    return embedded


def _embed_llama(base: Any, tokens: Tensor, positions: Tensor, segments: Tensor) -> Tensor:  # noqa: ANN401 - Hugging Face
    embedded: Tensor = base.embed_tokens(tokens)
    return embedded


_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")
_BERT = Architecture(
    BertBlock,
    "encoder.layer",
    _embed_bert,
    "",
    "attention_probs_dropout_prob",
    ("query", "key", "value"),
)
_ROBERTA = Architecture(
    BertBlock,
    "encoder.layer",
    _embed_roberta,
    "",
    "attention_probs_dropout_prob",
    ("query", "key", "value"),
)
_LLAMA = Architecture(LlamaBlock, "layers", _embed_llama, "norm", "attention_dropout", _PROJECTIONS)
_TABLE = {
    "bert": _BERT,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "llama": _LLAMA,
    "qwen2": _LLAMA,
    "gemma3_text": Architecture(
        Gemma3Block, "layers", _embed_llama, "norm", "attention_dropout", _PROJECTIONS
    ),
    "gpt2": Architecture(Gpt2Block, "h", _embed_gpt2, "ln_f", "attn_pdrop", ("c_attn",)),
    "gpt_neox": Architecture(
        NeoxBlock,
        "layers",
        _embed_neox,
        "final_layer_norm",
        "attention_dropout",
        ("query_key_value",),
    ),
}


@dataclass
class Stack:
    """A whole backbone cut into blocks."""

    model: Any
    """The Hugging Face model as loaded."""
    base: Any
    """The part of it without its head."""
    config: Any
    blocks: list[Block]
    architecture: Architecture
    causal: bool
    lm_head: nn.Module | None = None
    """None for encoders."""

    @property
    def max_tokens(self) -> int:
        """The longest sequence that the backbone reads."""
        positions = int(self.config.max_position_embeddings)
        if self.architecture.embed is _embed_roberta:
            return positions - int(self.config.pad_token_id) - 1
        return positions

    @property
    def attention_dropout(self) -> float:
        """The rate of attention probabilities now: 0 outside training."""
        if not self.base.training:
            return 0.0
        return float(self.config.to_dict()[self.architecture.attention_dropout])

    def set_dropout(self, dropout: float) -> None:
        """One rate for residual and attention probabilities, active in train mode only."""
        setattr(self.config, self.architecture.attention_dropout, dropout)
        for module in self.model.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout

    def embed(
        self, tokens: Tensor, positions: Tensor, segment: int | Tensor
    ) -> tuple[Tensor, Rotary]:
        """Layer-0 input (B, T, E) and the rotary tables.

        Args:
            tokens: ids, shape (B, T).
            positions: from 0, shape (B, T).
            segment: BERT's token type, one for all or of shape (B, T); others ignore it.
        """
        types = segment if isinstance(segment, Tensor) else torch.full_like(tokens, segment)
        x = self.architecture.embed(self.base, tokens, positions, types)
        if self.config.model_type in (*ENCODERS, "gpt2"):
            return x, Rotary()
        kinds = sorted({block.kind for block in self.blocks})
        return x, Rotary({kind: self._rotary(x, positions, kind) for kind in kinds})

    def _rotary(self, x: Tensor, positions: Tensor, kind: str) -> tuple[Tensor, Tensor]:
        """Tables for one kind of attention; architectures with one base for all take no kind."""
        if self.architecture.block is Gemma3Block:
            table: tuple[Tensor, Tensor] = self.base.rotary_emb(x, positions, kind)
            return table
        table = self.base.rotary_emb(x, positions)
        return table

    def truncate(self, depth: int) -> None:
        """Keep the first `depth` layers."""
        layers = self.base.get_submodule(self.architecture.layers)
        del layers[depth:]
        del self.blocks[depth:]
        self.config.num_hidden_layers = depth

    def final(self, x: Tensor) -> Tensor:
        """Hidden states after the last norm."""
        if not self.architecture.final_norm:
            return x
        normed: Tensor = self.base.get_submodule(self.architecture.final_norm)(x)
        return normed


def stack_of(model: Any) -> Stack:  # noqa: ANN401 - models of transformers share no useful type
    """The stack of a loaded Hugging Face model, encoder or causal language model.

    Raises:
        UnsupportedError: for an architecture without a packed form, or a setting of config.json
            that the blocks do not follow.
    """
    config = model.config
    kind = config.model_type
    if kind not in _TABLE:
        raise UnsupportedError(
            t(
                "architecture {kind!r} has no packed scorer; supported: {architectures}. "
                "Choose a backbone of one of these",
                kind=kind,
                architectures=", ".join(ARCHITECTURES),
            )
        )
    require_followed(config.to_dict())
    architecture, base = _TABLE[kind], model.base_model
    layers = base.get_submodule(architecture.layers)
    encoder = kind in ENCODERS
    return Stack(
        model,
        base,
        config,
        [architecture.block(layer, config, number) for number, layer in enumerate(layers)],
        architecture,
        causal=not encoder,
        lm_head=None if encoder else model.get_output_embeddings(),
    )


def require_followed(fields: dict[str, Any]) -> None:
    """Refuse settings of config.json that would change the scores and that no block follows.

    Args:
        fields: of the configuration, by name.

    Raises:
        UnsupportedError: naming the setting.
    """
    for name, followed in REFUSED_UNLESS.items():
        if fields.get(name) not in followed:
            raise UnsupportedError(
                t(
                    "config.json sets {name} to {value!r}, which is not followed here: the scores "
                    "would be other ones; choose a backbone without it",
                    name=name,
                    value=fields[name],
                )
            )
    kinds = set(fields.get("layer_types") or ())
    odd = sorted(kinds - {FULL, SLIDING})
    if odd:
        raise UnsupportedError(
            t(
                "config.json has layers with {kinds}, which are not followed here; layers with "
                "full or sliding attention are",
                kinds=", ".join(odd),
            )
        )
    ropes = fields.get("rope_parameters") or {}
    for rope in ropes.values() if set(ropes) & {FULL, SLIDING} else (ropes,):
        if rope and rope.get("rope_type", "default") not in STATIC_ROPE:
            raise UnsupportedError(
                t(
                    "config.json sets rotary embeddings of type {kind!r}, whose angles depend on "
                    "the longest sequence read: a history that is read once would get others; "
                    "choose a backbone without them",
                    kind=rope["rope_type"],
                )
            )
