"""SASRec's causal blocks, read once for a history and then place by place for many beams.

`sasrec_model.read_causally` reads whole sequences, as training does; here keys and values of a
history are kept, so that what is written after it costs its own places alone. Both use the same
weights and give the same states. Dropout is not applied: this is for serving.

Symbols: B histories, S places of the longest, K beams of each, E width, H heads, A = E ÷ H; O
places that a beam has written.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass
class Memory:
    """What has been read, block by block."""

    hidden: Tensor
    """Places of a history that its beams must not see, bool, shape (B, S)."""
    history: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    """Keys and values, shape (B, H, S, A) each."""
    written: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    """Those of what each beam has written, shape (B, H, K, O, A) each; empty before anything is."""

    def reorder(self, origin: Tensor) -> None:
        """Give each new beam what the beam that it goes on from has written.

        Args:
            origin: number of that beam, int64, shape (B, K).
        """
        self.written = [
            (_taken(keys, origin), _taken(values, origin)) for keys, values in self.written
        ]


def _taken(written: Tensor, origin: Tensor) -> Tensor:
    batch, heads, _, places, width = written.shape
    index = origin[:, None, :, None, None].expand(batch, heads, origin.shape[1], places, width)
    return written.gather(2, index)


def read_history(blocks: nn.TransformerEncoder, x: Tensor, last: Tensor) -> tuple[Tensor, Memory]:
    """States of the last place of each history, shape (B, E), and what to remember of it.

    The last block computes keys and values alone for the other places.

    Args:
        blocks: made by `sasrec_model.causal_blocks`.
        x: inputs, right-padded, shape (B, S, E).
        last: the last real place of each history, int64, shape (B,).
    """
    batch, length, width = x.shape
    places = torch.arange(length, device=x.device)
    memory = Memory(hidden=places > last[:, None])
    rows = torch.arange(batch, device=x.device)
    for number, layer in enumerate(blocks.layers):
        assert isinstance(layer, nn.TransformerEncoderLayer), "as causal_blocks makes them"
        attention, normed = layer.self_attn, layer.norm1(x)
        weight, bias = attention.in_proj_weight, attention.in_proj_bias
        keys, values = (
            _heads(part, attention.num_heads)
            for part in functional.linear(normed, weight[width:], bias[width:]).chunk(2, dim=-1)
        )
        memory.history.append((keys, values))
        is_last = number + 1 == len(blocks.layers)
        if is_last:
            x, normed = x[rows, last][:, None], normed[rows, last][:, None]
        queries = _heads(
            functional.linear(normed, weight[:width], bias[:width]), attention.num_heads
        )
        if is_last:
            logits = queries @ keys.transpose(2, 3) / keys.shape[3] ** 0.5
            logits = logits.masked_fill(memory.hidden[:, None, None], -torch.inf)
            seen = logits.softmax(dim=-1) @ values
        else:
            seen = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        x = _closed(layer, x, seen.transpose(1, 2).flatten(2))
    return x[:, 0], memory


def read_next(blocks: nn.TransformerEncoder, x: Tensor, memory: Memory) -> Tensor:
    """States of one more place of every beam, shape (B, K, E); `memory` then holds that place too.

    All beams of a history ask it in one product, without copies of its keys.

    Args:
        blocks: as for `read_history`.
        x: inputs, shape (B, K, E).
        memory: of the histories, and of what these beams have written.
    """
    width = x.shape[2]
    hidden = memory.hidden[:, None, None]
    written = []
    for number, layer in enumerate(blocks.layers):
        assert isinstance(layer, nn.TransformerEncoderLayer), "as causal_blocks makes them"
        attention = layer.self_attn
        joint = functional.linear(layer.norm1(x), attention.in_proj_weight, attention.in_proj_bias)
        queries, key, value = (_heads(part, attention.num_heads) for part in joint.chunk(3, dim=-1))
        keys, values = key[:, :, :, None], value[:, :, :, None]
        if memory.written:
            before_keys, before_values = memory.written[number]
            keys = torch.cat((before_keys, keys), dim=3)
            values = torch.cat((before_values, values), dim=3)
        written.append((keys, values))
        old_keys, old_values = memory.history[number]
        of_history = (queries @ old_keys.transpose(2, 3)).masked_fill(hidden, -torch.inf)
        of_own = (queries[:, :, :, None] @ keys.transpose(3, 4))[:, :, :, 0]
        scale = (width // attention.num_heads) ** -0.5
        shares = (torch.cat((of_history, of_own), dim=3) * scale).softmax(dim=-1)
        of_history, of_own = shares.split((old_keys.shape[2], keys.shape[3]), dim=3)
        seen = of_history @ old_values + (of_own[:, :, :, None] @ values)[:, :, :, 0]
        x = _closed(layer, x, seen.transpose(1, 2).flatten(2))
    memory.written = written
    return x


def _heads(x: Tensor, heads: int) -> Tensor:
    """Shape (B, places, E) as (B, H, places, A)."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def _closed(layer: nn.TransformerEncoderLayer, x: Tensor, seen: Tensor) -> Tensor:
    """The rest of a block after attention."""
    x = x + layer.self_attn.out_proj(seen)
    inner = functional.gelu(layer.linear1(layer.norm2(x)))
    closed: Tensor = x + layer.linear2(inner)
    return closed
