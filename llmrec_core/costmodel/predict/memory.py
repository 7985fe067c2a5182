"""What a query needs of memory, on all devices together, in gigabytes (10^9 bytes)."""

from __future__ import annotations

from dataclasses import replace

from llmrec_core.costmodel.facts.architecture import Architecture
from llmrec_core.costmodel.facts.devices import arithmetic
from llmrec_core.costmodel.predict import counts, sharing, weights
from llmrec_core.costmodel.predict.query import Query

GIB = 2**30 / 1e9
UNLIMITED_GB = 256.0
"""Memory of a device whose sheet is silent."""
MOST_SEQUENCES, MOST_SEQUENCES_TRTLLM = 256.0, 2048.0
"""Sequences a scheduler runs at once at most."""

STATE_BYTES = {"full": 16.0, "full-lean": 1.0}
"""Gradients, moments and master weights of a trained weight.

The lean way keeps paged 8-bit moments and applies a gradient as soon as it is there.
"""
ADAPTER_STATE_BYTES = 11.0


def act_bits(precision: str) -> float:
    """Bits of activations that products in a precision read and write."""
    wide = arithmetic(precision) in ("fp32", "tf32") and not precision.endswith("amp")
    return 32.0 if wide else 16.0


def largest_batch(query: Query) -> float:
    """Sequences that fit beside the weights: 90 % of memory, answers half written in the mean."""
    have = (query.device.memory_gb or UNLIMITED_GB) * 1e9 * query.n_devices * 0.9
    free = have - weights.weight_bytes(query.model, query.weights_precision)
    tokens = query.input_tokens + query.output_tokens / 2
    each = counts.kv_cache_bytes(query.model, tokens, 1.0, query.cache_bits)
    trtllm = query.runtime.name.startswith("trtllm")
    most = MOST_SEQUENCES_TRTLLM if trtllm else MOST_SEQUENCES
    return float(min(max(1.0, free / max(each, 1.0)), most))


def memory_terms(query: Query) -> dict[str, float]:
    """Gigabytes of weights, state, cache, activations and runtime, on all devices together."""
    return _training(query) if query.task == "training" else _inference(query)


def _training(query: Query) -> dict[str, float]:
    model, n = query.model, query.n_devices
    precision = query.weights_precision
    batch = query.batch if query.batch is not None else largest_batch(query)
    tokens = batch * query.input_tokens
    counted = weights.parameters(model)
    trainable = {
        "full": counted.total,
        "full-lean": counted.total,
        "lora-emb": counted.embedding + counted.head,
    }.get(query.method, 0.01 * counted.total)
    stored = "nf4" if query.method == "qlora" else precision.removesuffix("-amp")
    weight_bytes = weights.weight_bytes(model, stored)
    if query.method.startswith("full") and stored in ("bf16", "fp16"):
        weight_bytes = counted.total * 2.0
    per_token = model.layers * _saved(model)
    if query.checkpointing:  # what enters each layer, and one layer computed again
        per_token = model.layers * model.width + _saved(model)
    width = act_bits(precision) / 8
    copies = n if query.method == "lora" else 1
    state = trainable * STATE_BYTES.get(query.method, ADAPTER_STATE_BYTES)
    return {
        "weights": weight_bytes * copies / 1e9,
        "state": state * copies / 1e9,
        "activations": n * tokens * per_token * width / 1e9,
        "logits": n * tokens * counted.head / max(model.width, 1) * 10.0 / 1e9,
        "base": float(n),
    }


def _saved(model: Architecture) -> float:
    """Values of a token that one layer keeps for its gradients."""
    if model.kind != "decoder":
        return model.width * 17.0 + 2.0 * model.ffn
    # norms, queries, keys, values, attention and residuals; of a gated block gate, up and product
    return 8.0 * model.width + (4.0 if model.gated else 2.0) * model.ffn


def _inference(query: Query) -> dict[str, float]:
    model, n = query.model, query.n_devices
    batch = query.batch if query.batch is not None else largest_batch(query)
    width = act_bits(query.weights_precision) / 8
    inner = (2.0 * model.ffn * (1.5 if model.gated else 1.0) + 4.0 * model.width) * width
    cache = 0.0
    if model.kind != "encoder":
        tokens = query.input_tokens + query.output_tokens
        cache = counts.kv_cache_bytes(model, tokens, batch, query.cache_bits)
    total = weights.parameters(model).total
    routed_share = weights.routed_weights(model) / total if total else 0.0
    held = n * sharing.weight_share(model, routed_share, query.mode, n)
    return {
        "weights": weights.weight_bytes(model, query.weights_precision) * held / 1e9,
        "cache": cache * n * sharing.cache_share(model, query.mode, n) / 1e9,
        "activations": batch * query.input_tokens * inner / 1e9,
        "base": float(n),
    }


def on_each_gb(query: Query, devices: int) -> float:
    """Gigabytes that each of so many devices holds, without what the runtime takes for itself.

    Args:
        query: what is asked of the model.
        devices: that share it.
    """
    needed = sum(memory_terms(replace(query, n_devices=devices)).values()) - devices
    return needed / devices
