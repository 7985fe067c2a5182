"""What each layer of a model keeps of the tokens it has read, from its `config.json`.

Plain and grouped attention keep 2·K·D values of a token (K key/value heads of D elements). Latent
attention keeps the latent and the rotated part of the key (DeepSeek-V2, arXiv:2405.04434, section
2.1). A sliding window keeps its own length at most. A recurrent layer keeps a state of fixed size:
Mamba inner·(states + kernel) (arXiv:2312.00752), Mamba-2 heads·head·states and its convolution
(arXiv:2405.21060), a gated delta rule one matrix a head (arXiv:2412.06464).
"""

from __future__ import annotations

from llmrec_core.costmodel.facts.architecture import CacheLayers, grouped
from llmrec_core.costmodel.facts.config_fields import HEADS, LAYERS, WIDTH, Fields
from llmrec_core.language import marked

FULL = ("full_attention", "attention", "full", "global", "global_attention")
SLIDING = ("sliding_attention", "local_attention", "sliding", "local", "hybrid_sliding")
CHUNKED = ("chunked_attention",)
RECURRENT = ("linear_attention", "mamba", "mamba2", "m", "recurrent", "rglru")
BOTH = ("hybrid",)
"""Layers with attention and a recurrent part side by side."""
ATTENTION_FREE = ("mamba", "falcon_mamba", "mamba2")
"""Families whose every layer is recurrent."""
NOTHING = ("mlp", "moe", "-", "e", "conv")
"""Layers that keep nothing of a size that matters."""
ALTERNATING = {"gemma2": 2, "gpt_oss": 2, "gemma3_text": 6, "cohere2": 4, "modernbert": 3}
"""Families in which every so manieth layer sees all tokens and the others a window.

Used where a config does not list its layers; Gemma 2 and gpt-oss begin with a window.
"""
NO_KINDS = marked("the kinds of its layers are not known, so each is counted as plain attention")
NO_STATE = marked("the state of its recurrent layers is not known and left out")


def read_caches(fields: Fields) -> tuple[tuple[CacheLayers, ...], tuple[str, ...]]:
    """Groups of layers by what they keep, and sentences on what is not known.

    Args:
        fields: the part of a config that reads text.
    """
    kinds, unknown = _kinds(fields)
    shared = fields.whole_or(0, "num_kv_shared_layers", least=0)
    layers, notes = [], list(unknown)
    for place, kind in enumerate(kinds):
        if shared and place >= len(kinds) - shared:
            layers.append(CacheLayers(1, 0))  # reads the keys and values of an earlier layer
            continue
        kept, note = _kept(fields, kind)
        layers.append(kept)
        if note and note not in notes:
            notes.append(note)
    return grouped(layers), tuple(notes)


LISTS = ("layer_types", "layers_block_type", "block_types", "_block_types")
"""Where a config lists the kind of each layer."""


def layer_count(fields: Fields) -> int:
    """Layers of the model: as stated, else as many as are listed.

    Raises:
        DataError: where neither is.
    """
    stated = fields.whole(*LAYERS)
    return stated or len(fields.listed(*LISTS)) or fields.needed(*LAYERS)


def _kinds(fields: Fields) -> tuple[list[str], tuple[str, ...]]:
    """The kind of each layer, and what had to be assumed."""
    count = layer_count(fields)
    listed = fields.listed(*LISTS) or list(fields.text("hybrid_override_pattern"))
    if listed:  # a short list is a pattern that repeats
        repeated = (listed * (count // len(listed) + 1))[:count]
        return ["attention" if kind == "*" else kind for kind in repeated], ()
    if fields.model_type in ATTENTION_FREE:
        return ["mamba"] * count, ()
    if fields.model_type == "falcon_h1":
        return ["hybrid"] * count, ()
    places = fields.value("attn_layer_indices")
    if isinstance(places, list):
        return ["attention" if i in places else "mamba" for i in range(count)], ()
    period = fields.whole("attn_layer_period")
    if period:
        offset = fields.whole_or(0, "attn_layer_offset", least=0)
        return ["attention" if i % period == offset else "mamba" for i in range(count)], ()
    return _windowed(fields, count), _doubts(fields)


def _windowed(fields: Fields, count: int) -> list[str]:
    """Kinds of a model without recurrent layers whose config does not list them."""
    if not _slides(fields):
        return ["attention"] * count
    period = fields.whole("sliding_window_pattern", "global_attn_every_n_layers")
    period = period or ALTERNATING.get(fields.model_type)
    if period is None:
        return ["sliding"] * count
    if fields.model_type == "modernbert":
        return ["attention" if i % period == 0 else "sliding" for i in range(count)]
    return ["attention" if (i + 1) % period == 0 else "sliding" for i in range(count)]


def _slides(fields: Fields) -> bool:
    """Whether layers without a listed kind look at a window only."""
    if fields.flag("use_sliding_window") is False:
        return False
    return _window(fields) is not None


def _window(fields: Fields) -> int | None:
    return fields.whole("sliding_window", "local_attention", "attention_window_size")


def _doubts(fields: Fields) -> tuple[str, ...]:
    """What a config without a list of layers leaves open: whether something of it recurs."""
    recurrent = ("ssm_cfg", "mamba_d_state", "state_size", "time_step_rank", "lru_width")
    if fields.value(*recurrent) is not None:
        return (NO_KINDS,)
    return ()


def _kept(fields: Fields, kind: str) -> tuple[CacheLayers, str]:
    """What one layer keeps, and a sentence where that is not known."""
    if kind in SLIDING:
        return CacheLayers(1, _per_token(fields), _window(fields)), ""
    if kind in CHUNKED:
        return CacheLayers(1, _per_token(fields), fields.whole("attention_chunk_size")), ""
    if kind in RECURRENT or kind in BOTH:
        state = _state(fields)
        per_token = _per_token(fields) if kind in BOTH else 0
        return CacheLayers(1, per_token, state=state), "" if state else NO_STATE
    if kind in NOTHING:
        return CacheLayers(1, 0), ""
    return CacheLayers(1, _per_token(fields)), "" if kind in FULL else NO_KINDS


def _per_token(fields: Fields) -> int:
    """Values of a token that a layer with attention keeps."""
    latent = fields.whole("kv_lora_rank")
    if latent:
        return latent + fields.whole_or(0, "qk_rope_head_dim", least=0)
    return 2 * kv_heads(fields) * head_dim(fields)


def kv_heads(fields: Fields) -> int:
    """Key/value heads: as stated, one for multi-query attention, else as many as heads."""
    if fields.flag("multi_query") and not fields.flag("new_decoder_architecture"):
        return 1
    stated = fields.whole("num_key_value_heads", "n_head_kv", "num_kv_heads", "kv_n_heads")
    return stated or fields.whole(*HEADS) or 1


def head_dim(fields: Fields) -> int:
    """Elements of a head: as stated, else the width over the heads."""
    stated = fields.whole("head_dim", "d_kv", "attention_head_dim", "kv_channels")
    return stated or max(1, fields.needed(*WIDTH) // (fields.whole(*HEADS) or 1))


def _state(fields: Fields) -> int:
    """Values of a recurrent layer's state; 0 where the config does not say."""
    if fields.value("linear_num_value_heads", "linear_num_heads") is not None:
        return _delta_state(fields)
    width = fields.needed(*WIDTH)
    if fields.model_type.startswith("minimax"):  # one matrix a head (arXiv:2501.08313)
        return (fields.whole(*HEADS) or 1) * head_dim(fields) ** 2
    recurrent = fields.whole("lru_width")
    if recurrent or fields.model_type == "recurrent_gemma":
        return (recurrent or width) * (1 + fields.whole_or(4, "conv1d_width"))
    states = fields.whole("state_size", "mamba_d_state", "ssm_state_size")
    if not states:
        return 0
    kernel = fields.whole_or(4, "conv_kernel", "mamba_d_conv")
    inner = _inner(fields, width)
    heads = fields.whole("mamba_num_heads", "mamba_n_heads", "n_mamba_heads")
    if heads is None and fields.model_type == "mamba2":
        heads = fields.whole("num_heads")
    if heads is None:
        return inner * (states + kernel)
    each = fields.whole("mamba_head_dim", "mamba_d_head", "mamba_headdim") or inner // heads
    groups = fields.whole_or(1, "n_groups", "mamba_n_groups", "mamba_ngroups")
    return heads * each * states + (heads * each + 2 * groups * states) * kernel


def _inner(fields: Fields, width: int) -> int:
    """Width inside a Mamba layer."""
    stated = fields.whole("mamba_d_ssm")
    if fields.model_type in ("mamba", "falcon_mamba"):
        stated = fields.whole("intermediate_size", "d_inner")
    return stated or fields.whole_or(2, "expand", "mamba_expand") * width


def _delta_state(fields: Fields) -> int:
    """State of a gated delta rule: a matrix for each value head, and a convolution."""
    value_heads = fields.whole("linear_num_value_heads", "linear_num_heads")
    key_dim = fields.whole("linear_key_head_dim", "linear_head_dim")
    value_dim = fields.whole("linear_value_head_dim", "linear_head_dim")
    if not value_heads or not key_dim or not value_dim:
        return 0
    key_heads = fields.whole_or(value_heads, "linear_num_key_heads")
    convolved = 2 * key_heads * key_dim + value_heads * value_dim
    kernel = fields.whole_or(4, "linear_conv_kernel_dim")
    return value_heads * key_dim * value_dim + convolved * kernel
