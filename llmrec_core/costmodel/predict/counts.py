"""FLOPs, cache and activations of a transformer by formula, from its `Architecture`. No torch.

1 multiply-add = 2 FLOPs. Counted: every matrix product. Left out: norms, softmax, activation
functions, and the recurrence of layers without attention beyond their projections. The packed modes
of a request reuse `profiling/counts.py`. Source of the backward factor: PaLM, appendix B
(arXiv:2204.02311).
"""

from __future__ import annotations

from llmrec_core.costmodel.facts import bounds
from llmrec_core.costmodel.facts.architecture import Architecture
from llmrec_core.costmodel.predict.weights import decoder_passed, parameters
from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.profiling import counts as packed


def kv_cache_bytes(
    model: Architecture, tokens: float, batch: float = 1.0, bits: float = 16.0
) -> float:
    """Bytes that decoding keeps of what was read: keys and values, latents, recurrent states.

    Args:
        model: the model.
        tokens: tokens of a sequence.
        batch: sequences.
        bits: of a kept value.
    """
    return batch * sum(group.values(tokens) for group in model.kept) * bits / 8


def forward_flops(
    model: Architecture, batch: float, tokens: float, cached: float = 0.0, *, head: bool = False
) -> float:
    """FLOPs of one pass over `tokens` new tokens per sequence with `cached` before them.

    A causal product without cache is counted as half the square, which is what flash attention
    computes.

    Args:
        model: the model.
        batch: sequences.
        tokens: new tokens of each.
        cached: tokens read before.
        head: whether every token is projected to the vocabulary.
    """
    return linear_flops(model, batch, tokens, head=head) + attention_flops(
        model, batch, tokens, cached
    )


def linear_flops(model: Architecture, batch: float, tokens: float, *, head: bool = False) -> float:
    """The weight products of one pass.

    Args:
        model: the model.
        batch: sequences.
        tokens: tokens of each.
        head: whether every token is projected to the vocabulary.
    """
    counted = parameters(model)
    return 2.0 * batch * tokens * (counted.passed + (counted.head if head else 0))


def attention_flops(model: Architecture, batch: float, tokens: float, cached: float = 0.0) -> float:
    """Query-key and weight-value products of one pass, all layers that have attention.

    Args:
        model: the model.
        batch: sequences.
        tokens: new tokens of each.
        cached: tokens read before.
    """
    each = 4.0 * batch * tokens * model.heads * model.head_dim
    causal = model.kind == "decoder"
    return sum(
        layers * each * _keys(tokens, cached, window, causal) for layers, window in model.attending
    )


def _keys(tokens: float, cached: float, window: int | None, causal: bool) -> float:
    """Keys that a new token looks at, mean over the new tokens.

    Token i of T looks at cached + i of them, at the window's length at most.
    """
    keys = cached + (tokens / 2 if causal else tokens)
    if window is None or cached + tokens <= window:
        return keys
    if not causal:
        return float(window)
    growing = max(0.0, window - cached)
    return (growing * (cached + growing / 2) + (tokens - growing) * window) / tokens


def decode_flops(model: Architecture, batch: float, cached: float) -> float:
    """FLOPs of one output token per sequence, `cached` tokens before it.

    Args:
        model: whose step it is.
        batch: sequences decoded together.
        cached: tokens before the new one.
    """
    if model.kind == "encoder-decoder":
        inner = model.heads * model.head_dim
        products = 2.0 * batch * (decoder_passed(model) + parameters(model).head)
        return products + 8.0 * batch * model.decoder_layers * cached * inner
    return forward_flops(model, batch, 1.0, cached, head=True)


def activation_bytes(
    model: Architecture, batch: float, tokens: float, *, bits: float = 16.0
) -> float:
    """Bytes moved by activations of one pass: reads and writes between the matrix products.

    Per token and layer inputs and outputs of the four products, two norms and the activation
    (derived from the graph).

    Args:
        model: the model.
        batch: sequences.
        tokens: tokens of each.
        bits: of an activation.
    """
    blocks = (3 if model.gated else 2) * model.ffn * model.active_experts
    per_token = 2.0 * (8 * model.width + blocks)
    return batch * tokens * model.layers * per_token * bits / 8


def request_flops(
    model: Architecture,
    mode: str,
    history_tokens: float,
    candidates: float,
    candidate_tokens: float,
) -> float:
    """FLOPs of one recommendation request.

    Args:
        model: the backbone.
        mode: `full` (each pair alone), `shared` (the history once) or `per_item` (history items
            from a cache, which the candidates read), as in docs/explanation/packed-scoring.md.
        history_tokens: tokens of the user's history.
        candidates: items offered.
        candidate_tokens: tokens of one item.

    Raises:
        UsageError: for an unknown mode or a size of 0 or less.
    """
    bounds.check(
        history_tokens=history_tokens, candidates=candidates, candidate_tokens=candidate_tokens
    )
    shape = model.shape
    if mode == "full":
        return packed.full_flops(shape, history_tokens, candidates, candidate_tokens)
    if mode == "shared":
        return packed.shared_flops(shape, history_tokens, candidates, candidate_tokens)
    if mode == "per_item":
        return packed.candidates_flops(shape, history_tokens, candidates, candidate_tokens)
    raise UsageError(t("unknown mode {mode!r}; expected full, shared or per_item", mode=mode))
