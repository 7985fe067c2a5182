"""Weights of a model from its `config.json` by our own formulas, where no library builds it.

Counted: token and position vectors, the matrices of every layer, experts and their routers, and
the output projection. Norms and biases of plain layers are counted by `predict/counts.py`; here
they are below a thousandth and left out.
"""

from __future__ import annotations

from llmrec_core.costmodel.facts.architecture import Architecture, Sizes
from llmrec_core.costmodel.facts.config_caches import ATTENTION_FREE
from llmrec_core.costmodel.facts.config_fields import Fields
from llmrec_core.language import t


def plain(fields: Fields, shape: Architecture) -> bool:
    """Whether the formula of a plain transformer holds for a model.

    Args:
        fields: the part of a config that reads text.
        shape: its shape.
    """
    mixture = shape.experts > 1
    return not mixture and not fields.value("kv_lora_rank") and not _recurrent(shape)


def _recurrent(shape: Architecture) -> bool:
    return any(group.state for group in shape.caches)


def own_sizes(fields: Fields, shape: Architecture) -> Sizes:
    """The weights of a model that is no plain transformer.

    Args:
        fields: the part of a config that reads text.
        shape: its shape.
    """
    vectors = shape.width * (shape.vocab + shape.positions + shape.types)
    head = shape.width * shape.vocab if shape.kind != "encoder" else 0
    sparse = _sparse_layers(fields, shape)
    routed = sparse * shape.experts * _block(shape, shape.ffn) if shape.experts > 1 else 0
    body = (
        _attention_of_all(fields, shape)
        + (shape.layers - sparse - _without_feed_forward(fields, shape))
        * _block(shape, _dense_width(fields, shape))
        + sparse * (_shared(fields, shape) + shape.width * shape.experts)
        + routed
    )
    stored = not shape.tied
    return Sizes(
        total=vectors + body + (head if stored else 0),
        embedding=vectors,
        head=head,
        head_stored=stored,
        routed=routed,
        beside=0,
        source=t("our own reading of its config.json"),
    )


def _block(shape: Architecture, width: int) -> int:
    """Weights of a feed-forward block or of an expert."""
    return (3 if shape.gated else 2) * shape.width * width


def _dense_width(fields: Fields, shape: Architecture) -> int:
    """Feed-forward width of the layers without experts."""
    return fields.whole_or(shape.ffn, "intermediate_size", "ffn_dim", "d_ff")


def _sparse_layers(fields: Fields, shape: Architecture) -> int:
    """Layers whose feed-forward block is a mixture of experts."""
    if shape.experts == 1:
        return 0
    dense_first = fields.whole_or(0, "first_k_dense_replace", "num_dense_layers", least=0)
    step = fields.whole("moe_layer_freq", "decoder_sparse_step", "expert_layer_period")
    step = step or fields.whole("interleave_moe_layer_step") or 1
    return max(0, shape.layers - dense_first) // step


def _shared(fields: Fields, shape: Architecture) -> int:
    """Weights of the experts that every token passes, in one layer."""
    stated = fields.whole("shared_expert_intermediate_size", "shared_intermediate_size", least=0)
    count = fields.whole_or(0, "n_shared_experts", "num_shared_experts", least=0)
    return _block(shape, stated if stated is not None else count * shape.ffn)


def _without_feed_forward(fields: Fields, shape: Architecture) -> int:
    """Layers that are a recurrent part alone, as in Mamba."""
    return shape.layers if fields.model_type in ATTENTION_FREE else 0


def _attention_of_all(fields: Fields, shape: Architecture) -> int:
    """Weights of attention and of recurrent parts, all layers."""
    total = 0
    for group in shape.caches:
        attends = group.per_token > 0 or not group.state
        if attends:
            total += group.layers * _attention(fields, shape)
        if group.state:
            total += group.layers * _recurrence(fields, shape)
    return total


def _attention(fields: Fields, shape: Architecture) -> int:
    """Query, key, value and output projections of a layer."""
    latent = fields.whole("kv_lora_rank")
    if not latent:
        return 2 * shape.width * shape.head_dim * (shape.heads + shape.kv_heads)
    rotated = fields.whole_or(0, "qk_rope_head_dim", least=0)
    plain_part = fields.whole_or(shape.head_dim, "qk_nope_head_dim")
    value = fields.whole_or(plain_part, "v_head_dim")
    query_rank = fields.whole("q_lora_rank")
    query_width = shape.heads * (plain_part + rotated)
    query = query_rank * (shape.width + query_width) if query_rank else shape.width * query_width
    key_value = shape.width * (latent + rotated) + latent * shape.heads * (plain_part + value)
    return query + key_value + shape.heads * value * shape.width


def _recurrence(fields: Fields, shape: Architecture) -> int:
    """Projections in and out of a recurrent layer, and those of its gates."""
    inner = fields.whole_or(2, "expand", "mamba_expand") * shape.width
    states = fields.whole_or(16, "state_size", "mamba_d_state", "ssm_state_size")
    rank = fields.whole_or(shape.width // 16 or 1, "time_step_rank", "mamba_dt_rank")
    projections = 3 * shape.width * inner
    return projections + inner * (rank + 2 * states) + rank * inner + inner * (states + 4)
