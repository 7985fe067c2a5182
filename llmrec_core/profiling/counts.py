"""FLOPs of the packed scorer by formula: what `models/packed.py` multiplies, term by term. No torch.

1 multiply-add = 2 FLOPs. Counted: every matrix product, including the query-key and weight-value products of
attention. Left out: norms, softmax, activations, embedding look-ups (together below 1 % at these widths).
Symbols: L layers, E width, F feed-forward width, H heads, K key/value heads, D head width; S history tokens,
N candidates, T tokens of a candidate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shape:
    """What the formulas need of a backbone."""

    layers: int
    width: int
    feed_forward: int
    heads: int
    kv_heads: int
    head_dim: int
    gated: bool
    causal: bool

    @property
    def query_weights(self) -> int:
        return self.width * self.heads * self.head_dim

    @property
    def key_value_weights(self) -> int:
        return 2 * self.width * self.kv_heads * self.head_dim

    @property
    def closing_weights(self) -> int:
        """Output projection and feed-forward."""
        return self.heads * self.head_dim * self.width + (3 if self.gated else 2) * self.width * self.feed_forward

    @property
    def layer_weights(self) -> int:
        return self.query_weights + self.key_value_weights + self.closing_weights


def shape_of(config: Any) -> Shape:
    """The shape of a Hugging Face config object."""
    heads = config.num_attention_heads
    gated = config.model_type in ("llama", "qwen2")
    inner = getattr(config, "intermediate_size", None) or getattr(config, "n_inner", None) or 4 * config.hidden_size
    return Shape(
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        feed_forward=inner,
        heads=heads,
        kv_heads=getattr(config, "num_key_value_heads", None) or heads,
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // heads,
        gated=gated,
        causal=config.model_type != "bert",
    )


def _attention(shape: Shape, queries: float, keys: float) -> float:
    return 4.0 * queries * keys * shape.heads * shape.head_dim


def history_flops(shape: Shape, history_tokens: float) -> float:
    """One pass over the history; the last layer computes keys and values only.

    A causal product is counted as the full square that dense kernels compute.
    """
    s = history_tokens
    whole = 2.0 * s * shape.layer_weights + _attention(shape, s, s)
    return (shape.layers - 1) * whole + 2.0 * s * shape.key_value_weights


def candidates_flops(
    shape: Shape, history_tokens: float, candidates: float, candidate_tokens: float, *, one_row: bool = True
) -> float:
    """N candidates against a history already read; with `one_row` the last layer computes one token of each."""
    n, t, s = candidates, candidate_tokens, history_tokens
    whole = 2.0 * n * t * shape.layer_weights + _attention(shape, n * t, s + t)
    if not one_row:
        return shape.layers * whole
    last = 2.0 * n * t * shape.key_value_weights + 2.0 * n * (shape.query_weights + shape.closing_weights)
    return (shape.layers - 1) * whole + last + _attention(shape, n, s + t)


def shared_flops(
    shape: Shape, history_tokens: float, candidates: float, candidate_tokens: float, *, one_row: bool = True
) -> float:
    """One request in mode `shared`: the history once, then every candidate."""
    return history_flops(shape, history_tokens) + candidates_flops(
        shape, history_tokens, candidates, candidate_tokens, one_row=one_row
    )


def full_flops(shape: Shape, history_tokens: float, candidates: float, candidate_tokens: float) -> float:
    """One request in mode `full`: every pair is a sequence of its own."""
    tokens = history_tokens + candidate_tokens
    return candidates * shape.layers * (2.0 * tokens * shape.layer_weights + _attention(shape, tokens, tokens))


def training_flops(forward_flops: float, *, frozen_share: float = 0.0) -> float:
    """Forward and backward of one step: the backward pass costs twice the forward.

    `frozen_share` is the share of weights without a gradient of their own: for them only the gradient of the
    activations is computed (source: PaLM appendix B, arXiv:2204.02311; LoRA variant derived).
    """
    return forward_flops * (3.0 - frozen_share)
