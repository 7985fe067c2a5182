"""Weights of a model: how many, and how many bytes of them are stored and read. No torch.

A model whose sizes were counted (`Architecture.sizes`) has those; a plain transformer has them by
formula: H heads and K key/value heads of D elements, width E, feed-forward width F.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmrec_core.costmodel.facts.architecture import Architecture
from llmrec_core.errors import UsageError
from llmrec_core.language import t

WEIGHT_BITS = {
    "fp32": 32.0,
    "tf32": 32.0,
    "fp16": 16.0,
    "bf16": 16.0,
    "fp8": 8.0,
    "fp4": 4.5,
    "int8": 8.0,
    "int8-gptq": 8.19,
    "int4-gptq": 4.16,
    "int4-awq": 4.16,
    "int4-q4_k_m": 4.9,
    "int4-qlora": 4.5,
    "nf4": 4.5,
    "nf4-dq": 4.13,
    "int16": 16.0,
    "int4": 4.16,
    "int8-weight": 8.19,
    "int4-weight": 4.16,
    "int8-dynamic": 8.0,
    "fp16-amp": 32.0,
    "bf16-amp": 32.0,
}
"""Bits per weight of the matrices as stored, scales and zero points included (group size 128)."""
PACKED = ("int4", "nf4", "int8-gptq", "int8-weight")
"""Starts of weight-only formats, which leave embeddings and output head at 16 bit."""
PACKED_HEAD_TOO = "int4-q4_k_m"
HEAD_AT_16 = ("int4-gptq", "int4-awq", "nf4", "int8-gptq")
"""Starts of formats whose output head is read at 16 bit in every step."""


@dataclass(frozen=True)
class Parameters:
    """Numbers of weights."""

    embedding: int
    body: int
    """All layers, every expert."""
    passed: float
    """What one token multiplies in the layers: the active experts, no embedding, no head."""
    head: int
    """The projection to the vocabulary (stored again only when untied)."""
    total: int

    @property
    def active(self) -> float:
        """What one token uses of the total, as publishers of mixtures count it."""
        return self.total - self.body + self.passed


def parameters(model: Architecture) -> Parameters:
    """Weights of a model, by part."""
    if model.sizes is not None:
        sizes = model.sizes
        stored_head = sizes.head if sizes.head_stored else 0
        body = sizes.total - sizes.embedding - stored_head
        return Parameters(sizes.embedding, body, model.passed, sizes.head, sizes.total)
    return _by_formula(model)


def _by_formula(model: Architecture) -> Parameters:
    """Weights of a plain transformer; within 1 % of the published counts (tests hold it)."""
    narrow = model.embedding_width or model.width
    embedding = (model.vocab + model.positions + model.types) * narrow
    if narrow != model.width:
        embedding += narrow * model.width
    router = model.width * model.experts if model.experts > 1 else 0
    attention, block = attention_weights(model), expert_weights(model)
    stored = attention + block * model.experts + router + _small(model)
    passed = attention + block * model.active_experts + router
    layers = 1 if model.shared_layers else model.layers
    cross = model.decoder_layers * (2 * attention + block * model.experts + 3 * model.width)
    head = model.vocab * model.width if model.kind != "encoder" else 0
    body = layers * stored + cross
    total = embedding + body + (0 if model.tied else head)
    return Parameters(embedding, body, model.layers * passed, head, total)


def attention_weights(model: Architecture) -> int:
    """Weights of one layer's query, key, value and output projections."""
    inner = model.heads * model.head_dim
    return 2 * model.width * inner + 2 * model.width * model.kv_heads * model.head_dim


def expert_weights(model: Architecture) -> int:
    """Weights of one feed-forward block (of one expert)."""
    return (3 if model.gated else 2) * model.width * model.ffn


def _small(model: Architecture) -> int:
    """Biases and norms of one layer."""
    inner = model.heads * model.head_dim + 2 * model.kv_heads * model.head_dim
    biases = inner + 2 * model.width + model.ffn if model.bias else 0
    return biases + (4 if model.bias else 2) * model.width


def decoder_passed(model: Architecture) -> int:
    """Weights one output token of an encoder-decoder multiplies: both attentions, feed-forward."""
    attention, block = attention_weights(model), expert_weights(model)
    return model.decoder_layers * (2 * attention + block * model.active_experts)


def weight_bits(precision: str) -> float:
    """Bits per stored weight of a precision.

    Raises:
        UsageError: for a precision nobody knows.
    """
    bits = WEIGHT_BITS.get(precision.lower())
    if bits is None:
        raise UsageError(
            t(
                "unknown precision {precision!r}; expected one of {known}",
                precision=precision,
                known=", ".join(sorted(WEIGHT_BITS)),
            )
        )
    return bits


def weight_bytes(model: Architecture, precision: str) -> float:
    """Bytes of all weights; weight-only formats leave embeddings and output head at 16 bit.

    Args:
        model: the model.
        precision: of its weights.
    """
    counted = parameters(model)
    total = float(counted.total)
    if model.guessed:
        total = max(total, model.published_params or 0.0)
    bits = weight_bits(precision)
    if precision.startswith(PACKED) and precision != PACKED_HEAD_TOO:
        outside = counted.embedding + (0 if model.tied else counted.head)
        return outside * 2.0 + (total - outside) * bits / 8
    return total * bits / 8


def active_bytes(model: Architecture, precision: str) -> float:
    """Bytes of weights that one decoding step of one sequence reads: its layers and the head.

    Args:
        model: the model.
        precision: of its weights.
    """
    counted = parameters(model)
    bits = weight_bits(precision)
    head_bits = 16.0 if precision.startswith(HEAD_AT_16) else bits
    body = decoder_passed(model) if model.kind == "encoder-decoder" else counted.passed
    return body * bits / 8 + counted.head * head_bits / 8


def routed_weights(model: Architecture) -> int:
    """Weights of all experts that a router chooses among, all layers."""
    if model.sizes is not None:
        return model.sizes.routed
    return model.layers * model.experts * expert_weights(model) if model.experts > 1 else 0


def step_bytes(model: Architecture, precision: str, batch: float) -> float:
    """Bytes of weights that one step of a batch reads; a batch touches more experts than a token.

    Args:
        model: the model.
        precision: of its weights.
        batch: sequences at a time.
    """
    of_one_sequence = active_bytes(model, precision)
    if model.experts == 1:
        return of_one_sequence
    more = _touched(model, batch) - model.active_experts
    expert_bytes = routed_weights(model) / model.experts * weight_bits(precision) / 8
    return of_one_sequence + max(more, 0.0) * expert_bytes


def routed_step_bytes(model: Architecture, precision: str, batch: float) -> float:
    """The part of `step_bytes` that is experts a router chose.

    Args:
        model: the model.
        precision: of its weights.
        batch: sequences at a time.
    """
    if model.experts == 1:
        return 0.0
    touched = max(_touched(model, batch), float(model.active_experts))
    return routed_weights(model) * touched / model.experts * weight_bits(precision) / 8


def _touched(model: Architecture, batch: float) -> float:
    """Experts of a layer that a batch touches: E·(1 − (1 − k/E)^B), tokens routed evenly."""
    untouched: float = (1 - model.active_experts / model.experts) ** max(batch, 1.0)
    return model.experts * (1 - untouched)
