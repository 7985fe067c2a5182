"""One thin view per architecture, so that packed attention is written once.

A `Stack` wraps the loaded Hugging Face modules without copying a weight (LoRA adapters and quantised linears that
replace those modules are therefore used as they are) and splits a transformer layer at its only point where tokens
meet: attention. `Block.queries`/`keys_values` come before, `Block.close` after.

Symbols: B batch, T tokens, E hidden width, H query heads, K key/value heads, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from llmrec_core.errors import UnsupportedError

Rotary = tuple[Tensor, Tensor] | None
"""cos and sin, each (B, T, rotary width), or None where positions are learned."""


def rotate(x: Tensor, rotary: Rotary) -> Tensor:
    """Rotary position embedding of x (B, heads, T, D); dimensions beyond the rotary width pass through.

    Source: RoFormer (arXiv:2104.09864), the half-split form that Llama and GPT-NeoX weights use.
    """
    if rotary is None:
        return x
    cos, sin = rotary[0].unsqueeze(1), rotary[1].unsqueeze(1)
    width = cos.shape[-1]
    turned, passed = x[..., :width], x[..., width:]
    first, second = turned.chunk(2, dim=-1)
    turned = turned * cos + torch.cat((-second, first), dim=-1) * sin
    return turned if passed.shape[-1] == 0 else torch.cat((turned, passed), dim=-1)


class Block:
    """One transformer layer, cut at attention."""

    heads: int
    kv_heads: int
    head_dim: int
    scale: float

    def __init__(self, layer: Any, config: Any) -> None:
        raise TypeError("a Block is used through its architecture's subclass")

    def queries(self, x: Tensor, rotary: Rotary) -> Tensor:
        """Queries (B, H, T, D) of layer input x (B, T, E)."""
        raise TypeError("a Block is used through its architecture's subclass")

    def keys_values(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor]:
        """Keys and values, each (B, K, T, D), of layer input x (B, T, E)."""
        raise TypeError("a Block is used through its architecture's subclass")

    def project(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values together, for layers that need all three of every token."""
        return self.queries(x, rotary), *self.keys_values(x, rotary)

    def close(self, x: Tensor, attended: Tensor) -> Tensor:
        """Layer output (B, T, E) from the layer input and the attention result (B, T, H*D)."""
        raise TypeError("a Block is used through its architecture's subclass")

    def _split(self, projected: Tensor, heads: int) -> Tensor:
        return projected.unflatten(-1, (heads, self.head_dim)).transpose(1, 2)


class BertBlock(Block):
    """Post-norm encoder layer (arXiv:1810.04805)."""

    def __init__(self, layer: Any, config: Any) -> None:
        self.attention, self.output = layer.attention.self, layer.attention.output
        self.intermediate, self.ending = layer.intermediate, layer.output
        self.heads = self.kv_heads = config.num_attention_heads
        self.head_dim = config.hidden_size // self.heads
        self.scale = self.head_dim**-0.5

    def queries(self, x: Tensor, rotary: Rotary) -> Tensor:
        return self._split(self.attention.query(x), self.heads)

    def keys_values(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor]:
        return (
            self._split(self.attention.key(x), self.heads),
            self._split(self.attention.value(x), self.heads),
        )

    def close(self, x: Tensor, attended: Tensor) -> Tensor:
        x = self.output(attended, x)
        return self.ending(self.intermediate(x), x)


class LlamaBlock(Block):
    """Pre-norm decoder layer with rotary positions and grouped-query attention (Llama, Qwen2)."""

    def __init__(self, layer: Any, config: Any) -> None:
        self.layer, self.attention = layer, layer.self_attn
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.scale = self.head_dim**-0.5

    def queries(self, x: Tensor, rotary: Rotary) -> Tensor:
        return self._queries(self.layer.input_layernorm(x), rotary)

    def keys_values(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor]:
        return self._keys_values(self.layer.input_layernorm(x), rotary)

    def project(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor, Tensor]:
        normed = self.layer.input_layernorm(x)
        return self._queries(normed, rotary), *self._keys_values(normed, rotary)

    def _queries(self, normed: Tensor, rotary: Rotary) -> Tensor:
        return rotate(self._split(self.attention.q_proj(normed), self.heads), rotary)

    def _keys_values(self, normed: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor]:
        keys = rotate(self._split(self.attention.k_proj(normed), self.kv_heads), rotary)
        return keys, self._split(self.attention.v_proj(normed), self.kv_heads)

    def close(self, x: Tensor, attended: Tensor) -> Tensor:
        x = x + self.attention.o_proj(attended)
        return x + self.layer.mlp(self.layer.post_attention_layernorm(x))


class Gpt2Block(Block):
    """Pre-norm decoder layer with one fused query-key-value projection and learned positions."""

    def __init__(self, layer: Any, config: Any) -> None:
        self.layer, self.attention = layer, layer.attn
        self.heads = self.kv_heads = config.num_attention_heads
        self.head_dim = config.hidden_size // self.heads
        self.scale = layer.attn.scaling

    def queries(self, x: Tensor, rotary: Rotary) -> Tensor:
        return self._split(self._part(x, 0, 1), self.heads)

    def keys_values(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor]:
        keys, values = self._part(x, 1, 3).chunk(2, dim=-1)
        return self._split(keys, self.heads), self._split(values, self.heads)

    def project(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = (self._split(t, self.heads) for t in self._part(x, 0, 3).chunk(3, dim=-1))
        return q, k, v

    def _part(self, x: Tensor, first: int, stop: int) -> Tensor:
        """The fused projection's thirds `first` … `stop`; only their columns are multiplied where no adapter sits on it."""
        fused, x = self.attention.c_attn, self.layer.ln_1(x)
        width = self.heads * self.head_dim
        if stop - first == 3 or type(fused).__name__ != "Conv1D":
            return fused(x)[..., first * width : stop * width]
        columns = slice(first * width, stop * width)
        return x @ fused.weight[:, columns] + fused.bias[columns]

    def close(self, x: Tensor, attended: Tensor) -> Tensor:
        x = x + self.attention.resid_dropout(self.attention.c_proj(attended))
        return x + self.layer.mlp(self.layer.ln_2(x))


class NeoxBlock(Block):
    """Parallel-residual decoder layer with partly rotary positions (GPT-NeoX, Pythia)."""

    def __init__(self, layer: Any, config: Any) -> None:
        self.layer, self.attention = layer, layer.attention
        self.heads = self.kv_heads = config.num_attention_heads
        self.head_dim = config.hidden_size // self.heads
        self.scale = self.head_dim**-0.5

    def queries(self, x: Tensor, rotary: Rotary) -> Tensor:
        return rotate(self._part(x, 0, 1)[0], rotary)

    def keys_values(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor]:
        keys, values = self._part(x, 1, 3)
        return rotate(keys, rotary), values

    def project(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self._part(x, 0, 3)
        return rotate(q, rotary), rotate(k, rotary), v

    def _part(self, x: Tensor, first: int, stop: int) -> tuple[Tensor, ...]:
        """Queries, keys, values number `first` … `stop`, each (B, H, T, D), of the fused projection.

        The checkpoint interleaves them per head. Only their rows are multiplied where no adapter sits on the projection.
        """
        fused, x = self.attention.query_key_value, self.layer.input_layernorm(x)
        parts = stop - first
        if parts == 3 or type(fused) is not nn.Linear:
            grid = fused(x).unflatten(-1, (self.heads, 3, self.head_dim))[..., first:stop, :]
        else:
            weight = fused.weight.view(self.heads, 3, self.head_dim, -1)[:, first:stop].flatten(0, 2)
            bias = (
                None if fused.bias is None else fused.bias.view(self.heads, 3, self.head_dim)[:, first:stop].flatten()
            )
            grid = nn.functional.linear(x, weight, bias).unflatten(-1, (self.heads, parts, self.head_dim))
        return tuple(t.transpose(1, 2) for t in grid.unbind(-2))

    def close(self, x: Tensor, attended: Tensor) -> Tensor:
        layer = self.layer
        attended = layer.post_attention_dropout(self.attention.dense(attended))
        if layer.use_parallel_residual:
            return x + attended + layer.post_mlp_dropout(layer.mlp(layer.post_attention_layernorm(x)))
        x = x + attended
        return x + layer.post_mlp_dropout(layer.mlp(layer.post_attention_layernorm(x)))


@dataclass
class Stack:
    """A whole backbone cut into blocks.

    `model` is the Hugging Face model as loaded, `base` the part without its head; `lm_head` is None for encoders.
    """

    model: Any
    base: Any
    config: Any
    blocks: list[Block]
    causal: bool
    lm_head: nn.Module | None = None

    @property
    def max_tokens(self) -> int:
        return self.config.max_position_embeddings

    @property
    def attention_dropout(self) -> float:
        if not self.base.training:
            return 0.0
        for name in ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop"):
            if hasattr(self.config, name):
                return float(getattr(self.config, name))
        return 0.0

    def embed(self, tokens: Tensor, positions: Tensor, segment: int | Tensor) -> tuple[Tensor, Rotary]:
        """Layer-0 input (B, T, E) and the rotary tables of tokens (B, T) at `positions` (B, T).

        `segment` is BERT's token type, one for all or (B, T); other architectures have none.
        """
        kind = self.config.model_type
        if kind == "bert":
            types = segment if isinstance(segment, Tensor) else torch.full_like(tokens, segment)
            return self.base.embeddings(input_ids=tokens, position_ids=positions, token_type_ids=types), None
        if kind == "gpt2":
            return self.base.drop(self.base.wte(tokens) + self.base.wpe(positions)), None
        if kind == "gpt_neox":
            x = self.base.emb_dropout(self.base.embed_in(tokens))
        else:
            x = self.base.embed_tokens(tokens)
        return x, self.base.rotary_emb(x, positions)

    def truncate(self, depth: int) -> None:
        """Keep the first `depth` layers."""
        layers = self.base.get_submodule(_BLOCKS[self.config.model_type][1])
        del layers[depth:]
        del self.blocks[depth:]
        self.config.num_hidden_layers = depth

    def final(self, x: Tensor) -> Tensor:
        """Hidden states after the last norm."""
        for name in ("norm", "ln_f", "final_layer_norm"):
            if hasattr(self.base, name):
                return getattr(self.base, name)(x)
        return x


_BLOCKS: dict[str, tuple[type[Block], str]] = {
    "bert": (BertBlock, "encoder.layer"),
    "llama": (LlamaBlock, "layers"),
    "qwen2": (LlamaBlock, "layers"),
    "gpt2": (Gpt2Block, "h"),
    "gpt_neox": (NeoxBlock, "layers"),
}
ARCHITECTURES = tuple(_BLOCKS)


def stack_of(model: Any) -> Stack:
    """The stack of a loaded Hugging Face model, encoder or causal language model.

    Raises:
        UnsupportedError: for an architecture without a packed form, or one whose attention is windowed.
    """
    config = model.config
    kind = config.model_type
    if kind not in _BLOCKS:
        raise UnsupportedError(
            f"architecture {kind!r} has no packed scorer; supported: {', '.join(ARCHITECTURES)}. "
            "Choose a backbone of one of these"
        )
    if getattr(config, "use_sliding_window", False) or (getattr(config, "is_decoder", False) and kind == "bert"):
        raise UnsupportedError(
            f"{kind} with sliding-window attention or as a decoder is not supported; use full attention"
        )
    base = getattr(model, model.base_model_prefix, model)
    block, path = _BLOCKS[kind]
    layers = base.get_submodule(path)
    head = None if kind == "bert" else model.get_output_embeddings()
    return Stack(model, base, config, [block(layer, config) for layer in layers], causal=kind != "bert", lm_head=head)
