"""One thin view per kind of transformer layer, so that packed attention is written once.

A block wraps the loaded Hugging Face modules without copying a weight (LoRA adapters and quantised
linears that replace those modules are therefore used as they are) and splits a layer at the only
point where tokens meet: attention. `queries` and `keys_values` come before it, `close` after.

Symbols: B batch, T tokens, E hidden width, H query heads, K key/value heads, D head width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

FULL, SLIDING = "full_attention", "sliding_attention"
"""Kinds of attention, as `layer_types` in config.json names them."""


@dataclass(frozen=True)
class Rotary:
    """Tables of rotary position embeddings for some tokens; none where positions are learned."""

    tables: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """Cosines and sines, each (B, T, rotary width), by kind of attention."""

    def at(self, places: Tensor | slice) -> Rotary:
        """The tables of some of the tokens, in the order of `places`."""
        return Rotary(
            {kind: (cos[:, places], sin[:, places]) for kind, (cos, sin) in self.tables.items()}
        )

    def turn(self, x: Tensor, kind: str) -> Tensor:
        """Embed the positions of x; dimensions beyond the rotary width pass through.

        Source: RoFormer (arXiv:2104.09864), the half-split form that Llama's weights use.

        Args:
            x: queries or keys, shape (B, heads, T, D).
            kind: of the layer's attention.
        """
        if not self.tables:
            return x
        cos, sin = (table.unsqueeze(1) for table in self.tables[kind])
        width = cos.shape[-1]
        turned, passed = x[..., :width], x[..., width:]
        first, second = turned.chunk(2, dim=-1)
        turned = turned * cos + torch.cat((-second, first), dim=-1) * sin
        return turned if passed.shape[-1] == 0 else torch.cat((turned, passed), dim=-1)


class Block(ABC):
    """One transformer layer, cut at attention."""

    heads: int
    kv_heads: int
    head_dim: int
    scale: float

    def __init__(self, layer: Any, config: Any, number: int) -> None:  # noqa: ANN401 - Hugging Face
        """Hold a layer.

        Args:
            layer: the Hugging Face module.
            config: of the model.
            number: of the layer, from 0.
        """
        fields = config.to_dict()
        kinds = fields.get("layer_types")
        self.kind = kinds[number] if kinds else FULL
        self.window: int | None = fields["sliding_window"] if self.kind == SLIDING else None
        """A token looks at itself and so many less one before it; None looks at all."""
        self.heads = self.kv_heads = config.num_attention_heads
        self.head_dim = fields.get("head_dim") or config.hidden_size // self.heads
        self.scale = self.head_dim**-0.5

    @abstractmethod
    def queries(self, x: Tensor, rotary: Rotary) -> Tensor:
        """Queries (B, H, T, D) of layer input x (B, T, E)."""

    @abstractmethod
    def keys_values(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor]:
        """Keys and values, each (B, K, T, D), of layer input x (B, T, E)."""

    @abstractmethod
    def project(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values together, for layers that need all three of every token."""

    @abstractmethod
    def close(self, x: Tensor, attended: Tensor) -> Tensor:
        """Layer output (B, T, E) from the layer input and the attention result (B, T, H*D)."""

    def _split(self, projected: Tensor, heads: int) -> Tensor:
        return projected.unflatten(-1, (heads, self.head_dim)).transpose(1, 2)


class BertBlock(Block):
    """Post-norm encoder layer (BERT, arXiv:1810.04805; RoBERTa and XLM-RoBERTa likewise)."""

    def __init__(self, layer: Any, config: Any, number: int) -> None:  # noqa: ANN401 - see Block
        super().__init__(layer, config, number)
        self.attention, self.output = layer.attention.self, layer.attention.output
        self.intermediate, self.ending = layer.intermediate, layer.output

    def queries(self, x: Tensor, rotary: Rotary) -> Tensor:
        """See `Block.queries`."""
        return self._split(self.attention.query(x), self.heads)

    def keys_values(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor]:
        """See `Block.keys_values`."""
        keys = self._split(self.attention.key(x), self.heads)
        return keys, self._split(self.attention.value(x), self.heads)

    def project(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor, Tensor]:
        """See `Block.project`."""
        return self.queries(x, rotary), *self.keys_values(x, rotary)

    def close(self, x: Tensor, attended: Tensor) -> Tensor:
        """See `Block.close`."""
        x = self.output(attended, x)
        closed: Tensor = self.ending(self.intermediate(x), x)
        return closed


class LlamaBlock(Block):
    """Pre-norm decoder layer with rotary positions and grouped-query attention (Llama, Qwen2)."""

    def __init__(self, layer: Any, config: Any, number: int) -> None:  # noqa: ANN401 - see Block
        super().__init__(layer, config, number)
        self.layer, self.attention = layer, layer.self_attn
        self.kv_heads = config.num_key_value_heads

    def queries(self, x: Tensor, rotary: Rotary) -> Tensor:
        """See `Block.queries`."""
        return self._queries(self.layer.input_layernorm(x), rotary)

    def keys_values(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor]:
        """See `Block.keys_values`."""
        return self._keys_values(self.layer.input_layernorm(x), rotary)

    def project(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor, Tensor]:
        """See `Block.project`."""
        normed = self.layer.input_layernorm(x)
        return self._queries(normed, rotary), *self._keys_values(normed, rotary)

    def _queries(self, normed: Tensor, rotary: Rotary) -> Tensor:
        return rotary.turn(self._split(self.attention.q_proj(normed), self.heads), self.kind)

    def _keys_values(self, normed: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor]:
        keys = rotary.turn(self._split(self.attention.k_proj(normed), self.kv_heads), self.kind)
        return keys, self._split(self.attention.v_proj(normed), self.kv_heads)

    def close(self, x: Tensor, attended: Tensor) -> Tensor:
        """See `Block.close`."""
        x = x + self.attention.o_proj(attended)
        closed: Tensor = x + self.layer.mlp(self.layer.post_attention_layernorm(x))
        return closed


class Gemma3Block(LlamaBlock):
    """As Llama's, with norms of queries and keys, and a norm after each half (arXiv:2503.19786)."""

    def __init__(self, layer: Any, config: Any, number: int) -> None:  # noqa: ANN401 - see Block
        super().__init__(layer, config, number)
        self.scale = layer.self_attn.scaling

    def _queries(self, normed: Tensor, rotary: Rotary) -> Tensor:
        queries = self._split(self.attention.q_proj(normed), self.heads)
        return rotary.turn(self.attention.q_norm(queries), self.kind)

    def _keys_values(self, normed: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor]:
        keys = self.attention.k_norm(self._split(self.attention.k_proj(normed), self.kv_heads))
        values = self._split(self.attention.v_proj(normed), self.kv_heads)
        return rotary.turn(keys, self.kind), values

    def close(self, x: Tensor, attended: Tensor) -> Tensor:
        """See `Block.close`."""
        layer = self.layer
        x = x + layer.post_attention_layernorm(self.attention.o_proj(attended))
        closed: Tensor = x + layer.post_feedforward_layernorm(
            layer.mlp(layer.pre_feedforward_layernorm(x))
        )
        return closed


class Gpt2Block(Block):
    """Pre-norm decoder layer with one fused projection and learned positions."""

    def __init__(self, layer: Any, config: Any, number: int) -> None:  # noqa: ANN401 - see Block
        super().__init__(layer, config, number)
        self.layer, self.attention = layer, layer.attn
        self.scale = layer.attn.scaling

    def queries(self, x: Tensor, rotary: Rotary) -> Tensor:
        """See `Block.queries`."""
        return self._split(self._part(x, 0, 1), self.heads)

    def keys_values(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor]:
        """See `Block.keys_values`."""
        keys, values = self._part(x, 1, 3).chunk(2, dim=-1)
        return self._split(keys, self.heads), self._split(values, self.heads)

    def project(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor, Tensor]:
        """See `Block.project`."""
        q, k, v = (self._split(part, self.heads) for part in self._part(x, 0, 3).chunk(3, dim=-1))
        return q, k, v

    def _part(self, x: Tensor, first: int, stop: int) -> Tensor:
        """The fused projection's thirds `first` … `stop - 1`.

        Only their columns are multiplied where no adapter sits on the projection.
        """
        fused, x = self.attention.c_attn, self.layer.ln_1(x)
        width = self.heads * self.head_dim
        columns = slice(first * width, stop * width)
        if stop - first == 3 or type(fused) is not Conv1D:
            whole: Tensor = fused(x)
            return whole[..., columns]
        return x @ fused.weight[:, columns] + fused.bias[columns]

    def close(self, x: Tensor, attended: Tensor) -> Tensor:
        """See `Block.close`."""
        x = x + self.attention.resid_dropout(self.attention.c_proj(attended))
        closed: Tensor = x + self.layer.mlp(self.layer.ln_2(x))
        return closed


class NeoxBlock(Block):
    """Parallel-residual decoder layer with partly rotary positions (GPT-NeoX, Pythia)."""

    def __init__(self, layer: Any, config: Any, number: int) -> None:  # noqa: ANN401 - see Block
        super().__init__(layer, config, number)
        self.layer, self.attention = layer, layer.attention

    def queries(self, x: Tensor, rotary: Rotary) -> Tensor:
        """See `Block.queries`."""
        return rotary.turn(self._part(x, 0, 1)[0], self.kind)

    def keys_values(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor]:
        """See `Block.keys_values`."""
        keys, values = self._part(x, 1, 3)
        return rotary.turn(keys, self.kind), values

    def project(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor, Tensor]:
        """See `Block.project`."""
        q, k, v = self._part(x, 0, 3)
        return rotary.turn(q, self.kind), rotary.turn(k, self.kind), v

    def _part(self, x: Tensor, first: int, stop: int) -> tuple[Tensor, ...]:
        """Queries, keys, values number `first` … `stop - 1`, each (B, H, T, D).

        The checkpoint interleaves them per head. Only their rows are multiplied where no adapter
        sits on the projection.
        """
        fused, x = self.attention.query_key_value, self.layer.input_layernorm(x)
        parts = stop - first
        if parts == 3 or type(fused) is not nn.Linear:
            grid = fused(x).unflatten(-1, (self.heads, 3, self.head_dim))[..., first:stop, :]
        else:
            weight = fused.weight.view(self.heads, 3, self.head_dim, -1)[:, first:stop]
            bias = fused.bias
            if bias is not None:
                bias = bias.view(self.heads, 3, self.head_dim)[:, first:stop].flatten()
            grid = nn.functional.linear(x, weight.flatten(0, 2), bias)
            grid = grid.unflatten(-1, (self.heads, parts, self.head_dim))
        return tuple(part.transpose(1, 2) for part in grid.unbind(-2))

    def close(self, x: Tensor, attended: Tensor) -> Tensor:
        """See `Block.close`."""
        layer = self.layer
        attended = layer.post_attention_dropout(self.attention.dense(attended))
        if not layer.use_parallel_residual:
            x = x + attended
            sequential: Tensor = x + layer.post_mlp_dropout(
                layer.mlp(layer.post_attention_layernorm(x))
            )
            return sequential
        parallel: Tensor = (
            x + attended + layer.post_mlp_dropout(layer.mlp(layer.post_attention_layernorm(x)))
        )
        return parallel
