"""FLOPs by formula: what the packed scorer and SASRec multiply, term by term. No torch.

1 multiply-add = 2 FLOPs. Counted: every matrix product, including the query-key and weight-value
products of attention, as dense kernels compute them: a causal product as its full square, masked
and padded places with the others. Left out: norms, softmax, activations and embedding look-ups,
which together stay below 1 % at these widths.

Symbols: L layers, E width, F feed-forward width, H heads, K key/value heads, D head width;
S history tokens, N candidates, T tokens of the longest candidate, R tokens of all candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llmrec_core.models.kinds import ENCODERS, GATED


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
        """Weights of one layer's query projection."""
        return self.width * self.heads * self.head_dim

    @property
    def key_value_weights(self) -> int:
        """Weights of one layer's key and value projections."""
        return 2 * self.width * self.kv_heads * self.head_dim

    @property
    def closing_weights(self) -> int:
        """Weights of one layer's output projection and feed-forward part."""
        return (
            self.heads * self.head_dim * self.width
            + (3 if self.gated else 2) * self.width * self.feed_forward
        )

    @property
    def layer_weights(self) -> int:
        """Weights of one layer's matrices."""
        return self.query_weights + self.key_value_weights + self.closing_weights


class BackboneConfig(Protocol):
    """What every configuration of transformers answers, whatever its own names are."""

    model_type: str
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int

    def to_dict(self) -> dict[str, Any]:
        """All fields by the architecture's own names."""


def shape_of(config: BackboneConfig) -> Shape:
    """The shape of a Hugging Face config object."""
    fields, heads = config.to_dict(), config.num_attention_heads
    inner = fields.get("intermediate_size") or fields.get("n_inner") or 4 * config.hidden_size
    return Shape(
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        feed_forward=inner,
        heads=heads,
        kv_heads=fields.get("num_key_value_heads") or heads,
        head_dim=fields.get("head_dim") or config.hidden_size // heads,
        gated=config.model_type in GATED,
        causal=config.model_type not in ENCODERS,
    )


def _attention(shape: Shape, queries: float, keys: float) -> float:
    return 4.0 * queries * keys * shape.heads * shape.head_dim


def history_flops(shape: Shape, history_tokens: float) -> float:
    """One pass over a history; the last layer computes keys and values only."""
    s = history_tokens
    whole = 2.0 * s * shape.layer_weights + _attention(shape, s, s)
    return (shape.layers - 1) * whole + 2.0 * s * shape.key_value_weights


def candidates_flops(
    shape: Shape,
    history_tokens: float,
    candidates: float,
    candidate_tokens: float,
    *,
    one_row: bool = True,
    real_tokens: float | None = None,
) -> float:
    """One pass over candidates, against a history that was read before.

    Args:
        shape: of the backbone.
        history_tokens: S.
        candidates: N.
        candidate_tokens: T; attention is computed over N·T places.
        one_row: whether the last layer computes one token of each candidate alone.
        real_tokens: R; other products leave padding out. None where all candidates are T long.
    """
    n, t, s = candidates, candidate_tokens, history_tokens
    r = n * t if real_tokens is None else real_tokens
    whole = 2.0 * r * shape.layer_weights + _attention(shape, n * t, s + t)
    if not one_row:
        return shape.layers * whole
    last = 2.0 * r * shape.key_value_weights + 2.0 * n * (
        shape.query_weights + shape.closing_weights
    )
    return (shape.layers - 1) * whole + last + _attention(shape, n, s + t)


def shared_flops(
    shape: Shape,
    history_tokens: float,
    candidates: float,
    candidate_tokens: float,
    *,
    one_row: bool = True,
) -> float:
    """One request in mode `shared`: the history once, then candidates that are all equally long.

    Args:
        shape: of the backbone.
        history_tokens: S.
        candidates: N.
        candidate_tokens: T.
        one_row: whether the last layer computes one token of each candidate alone.
    """
    return history_flops(shape, history_tokens) + candidates_flops(
        shape, history_tokens, candidates, candidate_tokens, one_row=one_row
    )


def full_flops(
    shape: Shape, history_tokens: float, candidates: float, candidate_tokens: float
) -> float:
    """One request in mode `full`: every pair is a sequence of its own.

    Args:
        shape: of the backbone.
        history_tokens: S.
        candidates: N.
        candidate_tokens: T.
    """
    return whole_flops(shape, candidates, history_tokens + candidate_tokens)


def whole_flops(shape: Shape, rows: float, width: float) -> float:
    """One pass over ordinary sequences, padded to the longest.

    Args:
        shape: of the backbone.
        rows: sequences.
        width: tokens of the longest.
    """
    each = 2.0 * width * shape.layer_weights + _attention(shape, width, width)
    return rows * shape.layers * each


def sequence_flops(layers: int, width: int, items_read: float, candidates: float) -> float:
    """One request to SASRec: its blocks over the items read, and one product per candidate.

    Args:
        layers: L.
        width: E.
        items_read: most recent items that fit the model.
        candidates: N.
    """
    return _blocks_flops(layers, width, items_read) + 2.0 * candidates * width


def _blocks_flops(layers: int, width: int, items_read: float) -> float:
    """One pass of SASRec's blocks: 4 E² weights of attention, 8 E² of the feed-forward part."""
    block = 2.0 * items_read * 12 * width**2 + 4.0 * items_read**2 * width
    return layers * block


def codes_flops(
    layers: int, width: int, items_read: float, codes: int, codebook: int, places: int
) -> float:
    """One request to parallel codes: its blocks, then a head for every code, once.

    A head has E² weights and compares with every centroid of its code; a further head compares
    with the places of items that share their codes. Candidates are not in it: each is a sum of
    codes + 2 values, which no matrix product computes.

    Args:
        layers: L.
        width: E.
        items_read: most recent items that fit the model.
        codes: of an item.
        codebook: centroids of each code.
        places: of the largest group of items that share their codes.
    """
    heads = 2.0 * (codes + 1) * width**2 + 2.0 * (codes * codebook + places) * width
    return _blocks_flops(layers, width, items_read) + heads


def code_by_code_flops(
    layers: int,
    width: int,
    items_read: float,
    codes: int,
    codebook: int,
    places: int,
    beams: Sequence[float],
) -> float:
    """One request to generative retrieval: its history once, then one code of every beam a step.

    The history has a place for every code and one that asks for the next item; the last block
    computes that place alone, and keys and values of the others. Each beam attends to the history
    and to what it has written. The first code is asked for once, each further one by every beam.

    Args:
        layers: L.
        width: E.
        items_read: most recent items that fit the model.
        codes: of an item, its place among items that share the others with it.
        codebook: centroids of each code but that last one.
        places: of the largest group of items that share their codes.
        beams: that are read after each code but the last.
    """
    read = items_read * codes + 1
    last = 2.0 * (2 * read + 10) * width**2 + 4.0 * read * width
    total = _blocks_flops(layers - 1, width, read) + last + 2.0 * codebook * width
    for step, count in enumerate(beams, 1):
        block = 2.0 * 12 * width**2 + 4.0 * (read + step) * width
        answers = codebook if step + 1 < codes else places
        total += count * (layers * block + 2.0 * answers * width)
    return total


def training_flops(forward_flops: float, *, frozen_share: float = 0.0) -> float:
    """Forward and backward of one step: the backward pass costs twice the forward.

    Source: PaLM, appendix B (arXiv:2204.02311); the variant for frozen weights is derived.

    Args:
        forward_flops: of the same step.
        frozen_share: share of the weights without a gradient of their own; for them only the
            gradient of the activations is computed.
    """
    return forward_flops * (3.0 - frozen_share)
