"""Parameters, bytes and FLOPs of a transformer by formula, from its `Architecture`. No torch.

1 multiply-add = 2 FLOPs. Counted: every matrix product. Left out: norms, softmax, activation functions.
Symbols: L layers, E width, F feed-forward width, H heads, K key/value heads, D head width, B sequences, T new tokens,
S tokens already in the cache. The packed modes of a request reuse `profiling/counts.py`.
Source of the backward factor: PaLM, appendix B (arXiv:2204.02311).
"""

from __future__ import annotations

from dataclasses import dataclass

from llmrec_core.costmodel.architecture import Architecture
from llmrec_core.errors import UsageError
from llmrec_core.profiling import counts as packed

WEIGHT_BITS = {
    "fp32": 32.0,
    "tf32": 32.0,
    "fp16": 16.0,
    "bf16": 16.0,
    "fp8": 8.0,
    "int8": 8.0,
    "int8-gptq": 8.19,
    "int4-gptq": 4.16,
    "int4-awq": 4.16,
    "int4-q4_k_m": 4.9,
    "int4-qlora": 4.5,
    "nf4": 4.5,
    "int16": 16.0,
    "int4": 4.16,
    "int8-weight": 8.19,
    "int4-weight": 4.16,
    "int8-dynamic": 8.0,
    "fp16-amp": 32.0,
    "bf16-amp": 32.0,
}
"""Bits per weight of the matrices as stored, scales and zero points included (group size 128)."""


def attention_weights(model: Architecture) -> int:
    """Weights of one layer's query, key, value and output projections."""
    inner = model.heads * model.head_dim
    return 2 * model.width * inner + 2 * model.width * model.kv_heads * model.head_dim


def expert_weights(model: Architecture) -> int:
    """Weights of one feed-forward block (of one expert)."""
    return (3 if model.gated else 2) * model.width * model.ffn


def _small(model: Architecture) -> int:
    inner = model.heads * model.head_dim + 2 * model.kv_heads * model.head_dim
    return (inner + 2 * model.width + model.ffn if model.bias else 0) + (4 if model.bias else 2) * model.width


@dataclass(frozen=True)
class Parameters:
    """Numbers of weights."""

    embedding: int
    body: int
    """All layers, every expert."""
    active: int
    """What one token multiplies: layers with the active experts, without embeddings and output head."""
    head: int
    """The projection to the vocabulary (stored again only when untied)."""
    total: int


def parameters(model: Architecture) -> Parameters:
    """Weights of a model, by part. Within 1 % of the published counts (tests/costmodel holds it)."""
    narrow = model.embedding_width or model.width
    embedding = (model.vocab + model.positions + model.types) * narrow
    if narrow != model.width:
        embedding += narrow * model.width
    router = model.width * model.experts if model.experts > 1 else 0
    attention, block = attention_weights(model), expert_weights(model)
    stored = attention + block * model.experts + router + _small(model)
    active = attention + block * model.active_experts + router
    layers = 1 if model.shared_layers else model.layers
    cross = model.decoder_layers * (2 * attention + block * model.experts + 3 * model.width)
    head = model.vocab * model.width if model.kind != "encoder" else 0
    body = layers * stored + cross
    total = embedding + body + (head if not model.tied else 0)
    return Parameters(embedding, body, model.layers * active, head, total)


def decoder_active(model: Architecture) -> int:
    """Weights one output token of an encoder-decoder multiplies: self attention, cross attention, feed-forward."""
    attention, block = attention_weights(model), expert_weights(model)
    return model.decoder_layers * (2 * attention + block * model.active_experts)


def check_sizes(**sizes: float | None) -> None:
    """Refuse sizes that are negative, zero or no numbers.

    Raises:
        UsageError: naming the size.
    """
    for name, value in sizes.items():
        if value is not None and not value > 0:
            raise UsageError(f"{name.replace('_', ' ')} is {value:g}; expected a number above 0")


def weight_bits(precision: str) -> float:
    """Bits per stored weight of a precision.

    Raises:
        UsageError: for a precision nobody knows.
    """
    found = WEIGHT_BITS.get(precision.lower())
    if found is None:
        raise UsageError(f"unknown precision {precision!r}; expected one of {', '.join(sorted(WEIGHT_BITS))}")
    return found


def weight_bytes(model: Architecture, precision: str) -> float:
    """Bytes of all weights; weight-only formats leave embeddings and output head at 16 bit."""
    counted = parameters(model)
    total = float(max(counted.total, model.published_params or 0)) if model.guessed else float(counted.total)
    bits = weight_bits(precision)
    if precision.startswith(("int4", "nf4", "int8-gptq", "int8-weight")) and precision != "int4-q4_k_m":
        outside = counted.embedding + (0 if model.tied else counted.head)
        return outside * 2.0 + (total - outside) * bits / 8
    return total * bits / 8


def active_bytes(model: Architecture, precision: str) -> float:
    """Bytes of weights that one decoding step of one sequence reads: active layers and the output head."""
    counted = parameters(model)
    bits = weight_bits(precision)
    head_bits = 16.0 if precision.startswith(("int4-gptq", "int4-awq", "nf4", "int8-gptq")) else bits
    body = decoder_active(model) if model.kind == "encoder-decoder" else counted.active
    return body * bits / 8 + counted.head * head_bits / 8


def step_bytes(model: Architecture, precision: str, batch: float) -> float:
    """Bytes of weights that one step of a batch reads.

    Of a mixture of experts a batch touches more experts than one token: E·(1 − (1 − k/E)^B) of E, tokens being
    routed evenly (derived).
    """
    one = active_bytes(model, precision)
    if model.experts == 1:
        return one
    touched = model.experts * (1 - (1 - model.active_experts / model.experts) ** max(batch, 1.0))
    extra = model.layers * expert_weights(model) * (touched - model.active_experts)
    return one + max(extra, 0.0) * weight_bits(precision) / 8


def kv_cache_bytes(model: Architecture, tokens: float, batch: float = 1.0, bits: float = 16.0) -> float:
    """Bytes of keys and values of `batch` sequences of `tokens` tokens."""
    layers = model.decoder_layers or model.layers
    return batch * tokens * layers * 2 * model.kv_heads * model.head_dim * bits / 8


def forward_flops(
    model: Architecture, batch: float, tokens: float, cached: float = 0.0, *, head: bool = False
) -> float:
    """FLOPs of one pass over `tokens` new tokens per sequence with `cached` before them.

    A causal product without cache is counted as half the square, which is what flash attention computes.
    """
    return linear_flops(model, batch, tokens, head=head) + attention_flops(model, batch, tokens, cached)


def linear_flops(model: Architecture, batch: float, tokens: float, *, head: bool = False) -> float:
    """The weight products of one pass; with `head` every token is projected to the vocabulary."""
    counted = parameters(model)
    return 2.0 * batch * tokens * (counted.active + (counted.head if head else 0))


def attention_flops(model: Architecture, batch: float, tokens: float, cached: float = 0.0) -> float:
    """Query-key and weight-value products of one pass, all layers."""
    keys = cached + (tokens / 2 if model.kind == "decoder" else tokens)
    return 4.0 * batch * model.layers * tokens * keys * model.heads * model.head_dim


def backward_flops(model: Architecture, batch: float, tokens: float, frozen_share: float = 0.0) -> float:
    """FLOPs of the backward pass: activations' and weights' gradients; frozen weights need the first only."""
    forward = forward_flops(model, batch, tokens, head=model.kind == "decoder")
    return packed.training_flops(forward, frozen_share=frozen_share) - forward


def decode_flops(model: Architecture, batch: float, cached: float) -> float:
    """FLOPs of one output token per sequence, `cached` tokens before it."""
    if model.kind == "encoder-decoder":
        inner = model.heads * model.head_dim
        counted = parameters(model)
        products = 2.0 * batch * (decoder_active(model) + counted.head)
        return products + 8.0 * batch * model.decoder_layers * cached * inner
    return forward_flops(model, batch, 1.0, cached, head=True)


def activation_bytes(
    model: Architecture, batch: float, tokens: float, *, bits: float = 16.0, flash: bool = True
) -> float:
    """Bytes moved by activations of one forward pass: reads and writes between the matrix products.

    Per token and layer 2·(5E + 2F + heads): inputs and outputs of the four products, two norms, the activation
    (derived from the graph); without flash attention also 4 passes over the scores B·H·T·T.
    """
    per_token = 2.0 * (8 * model.width + (3 if model.gated else 2) * model.ffn * model.active_experts)
    moved = batch * tokens * model.layers * per_token
    if not flash:
        moved += 4.0 * batch * model.heads * tokens * tokens * model.layers
    return moved * bits / 8


def request_flops(
    model: Architecture, mode: str, history_tokens: float, candidates: float, candidate_tokens: float
) -> float:
    """FLOPs of one recommendation request.

    Args:
        mode: `full` (each pair alone), `shared` (history once), `per_item` (history items from a cache, the
            candidates read them), all as in DESIGN section 5.
        history_tokens: tokens of the user's history.
        candidates: items offered.
        candidate_tokens: tokens of one item.

    Raises:
        UsageError: for an unknown mode or a size of 0 or less.
    """
    check_sizes(history_tokens=history_tokens, candidates=candidates, candidate_tokens=candidate_tokens)
    shape = model.shape
    if mode == "full":
        return packed.full_flops(shape, history_tokens, candidates, candidate_tokens)
    if mode == "shared":
        return packed.shared_flops(shape, history_tokens, candidates, candidate_tokens)
    if mode == "per_item":
        return packed.candidates_flops(shape, history_tokens, candidates, candidate_tokens)
    raise UsageError(f"unknown mode {mode!r}; expected full, shared or per_item")


def cascade_flops(
    model: Architecture,
    mode: str,
    history_tokens: float,
    keep: float,
    candidate_tokens: float,
    catalogue_items: float,
    retriever_width: float,
) -> float:
    """FLOPs of a cascade: dot products with the whole catalogue, then the model on the best `keep`."""
    check_sizes(catalogue_items=catalogue_items, retriever_width=retriever_width)
    return 2.0 * catalogue_items * retriever_width + request_flops(model, mode, history_tokens, keep, candidate_tokens)
