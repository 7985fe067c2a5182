"""Read a history once, then any number of candidates against its keys and values.

Scoring N candidates one pair at a time reads the history N times. Here history tokens never attend to a candidate
(a causal decoder has that by nature; an encoder is trained that way), so their keys and values are the same for all
candidates and are computed once. Every candidate block attends to the history and to itself; its positions follow
the history. Attention of all candidates to the history is one matrix product with no expanded keys; the own block
is a small batched product; one softmax runs over both. The same code trains and scores.

Symbols: G histories (users), N candidates each, S history tokens, T candidate tokens, E width, H heads, K kv heads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from llmrec_core.models.architectures import Block, Rotary, Stack


@dataclass
class History:
    """Keys and values of G histories in every layer; what is kept between requests of one user."""

    keys: list[Tensor]  # per layer (G, K, S, D)
    values: list[Tensor]
    ends: Tensor  # (G,) position of a candidate's first token
    mask: Tensor | None  # (G, S), True at real tokens; None when nothing is padded

    @property
    def bytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in (*self.keys, *self.values))

    def gathered(self, places: Tensor, mask: Tensor) -> History:
        """Histories made of these ones' tokens: `places` (G', S') count through all tokens, row by row; True in `mask` is real."""

        def picked(heads: Tensor) -> Tensor:  # (G, K, S, D) → (G', K, S', D)
            return heads.transpose(0, 1).flatten(1, 2)[:, places].transpose(0, 1)

        ends = self.ends[:1].expand(len(places))
        return History([picked(k) for k in self.keys], [picked(v) for v in self.values], ends, mask)


@dataclass(frozen=True)
class Alone:
    """How histories (G, S) are read whose items do not see each other (per_item.py)."""

    positions: Tensor  # (G, S)
    visible: Tensor  # (G, S, S), True where the second token may be looked at by the first
    ends: Tensor  # (G,) position of a candidate's first token


def compact(tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Move padding, wherever it stands, to the right end and cut what no row needs.

    Args:
        tokens, mask: (G, S), mask True at real tokens.
    """
    order = torch.argsort(mask.to(torch.int8), dim=-1, descending=True, stable=True)
    width = max(int(mask.sum(-1).max()), 1)
    return tokens.gather(-1, order)[..., :width], mask.gather(-1, order)[..., :width]


@dataclass
class Places:
    """Where real tokens stand in a padded (rows, width) grid, so that linears never compute padding.

    Between layers tokens are one flat row (1, R, E) of real ones; only attention sees the grid.
    """

    rows: int
    width: int
    index: Tensor | None  # (R,) flat places of real tokens; None when every place is real

    @classmethod
    def of(cls, mask: Tensor) -> Places:
        rows, width = mask.shape
        return cls(rows, width, None if bool(mask.all()) else mask.flatten().nonzero().squeeze(1))

    def pick(self, grid: Tensor) -> Tensor:
        """(rows, width, …) → (1, R, …)."""
        flat = grid.flatten(0, 1)
        return (flat if self.index is None else flat[self.index])[None]

    def spread(self, heads: Tensor) -> Tensor:
        """(1, heads, R, D) → (rows, heads, width, D), zeros at padding."""
        if self.index is not None:
            grid = heads.new_zeros(heads.shape[1], self.rows * self.width, heads.shape[3])
            heads = grid.index_copy(1, self.index, heads[0])[None]
        return heads[0].unflatten(1, (self.rows, self.width)).transpose(0, 1)


def read_history(
    stack: Stack,
    tokens: Tensor,
    mask: Tensor,
    *,
    alone: Alone | None = None,
    checkpointing: bool = False,
    ragged: bool = True,
) -> History:
    """Keys and values of histories (G, S), right-padded (see `compact`); with `ragged` False nothing may be padded.

    Args:
        alone: says which tokens may see each other, and where they stand (mode `per_item`).
    """
    places = Places.of(mask) if ragged else Places(mask.shape[0], mask.shape[1], None)
    positions = alone.positions if alone else torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    x, rotary = stack.embed(places.pick(tokens), places.pick(positions), segment=0)
    padded = None if places.index is None else mask
    visible = padded[:, None, None, :] if padded is not None and not stack.causal else None
    if alone is not None:
        visible = alone.visible[:, None]
    keys, values = [], []
    for number, block in enumerate(stack.blocks):
        if number == len(stack.blocks) - 1:  # nobody reads the history's last output, only its keys and values
            k, v = (places.spread(t) for t in block.keys_values(x, rotary))
        else:
            x, k, v = _run(_whole_layer, checkpointing, block, stack, x, rotary, visible, places)
        keys.append(k)
        values.append(v)
    return History(keys, values, alone.ends if alone else mask.sum(-1), padded)


def _whole_layer(
    block: Block, stack: Stack, x: Tensor, rotary: Rotary, visible: Tensor | None, places: Places
) -> tuple[Tensor, Tensor, Tensor]:
    """Layer output, and the keys and values (rows, K, width, D) on the way."""
    q, k, v = (places.spread(t) for t in block.project(x, rotary))
    attended = F.scaled_dot_product_attention(
        q, k, v, attn_mask=visible, is_causal=stack.causal, scale=block.scale,
        dropout_p=stack.attention_dropout, enable_gqa=block.kv_heads != block.heads,
    )  # fmt: skip
    return block.close(x, places.pick(attended.transpose(1, 2).flatten(2))), k, v


def read_candidates(
    stack: Stack,
    history: History,
    tokens: Tensor,
    mask: Tensor,
    *,
    read_at: Tensor | None = None,
    checkpointing: bool = False,
    ragged: bool = True,
    depth: int = 0,
) -> Tensor:
    """Final hidden states of candidates that follow their history.

    Args:
        tokens, mask: (G, N, T), right-padded; mask True at real tokens.
        read_at: (G, N) index of the only token whose state is wanted; the last layer then computes that row alone.
        ragged: leave padding out of linears. An exported graph cannot: its steps must not depend on values.
        depth: read by the first so many layers only (0 = all).

    Returns:
        (G, N, E) when `read_at` is given, else (G, N, T, E) with zeros at padding.
    """
    groups, count, width = tokens.shape
    device = tokens.device
    places = Places.of(mask.flatten(1)) if ragged else Places(groups, count * width, None)
    positions = (history.ends[:, None, None] + torch.arange(width, device=device)).expand_as(tokens)
    x, rotary = stack.embed(places.pick(tokens.flatten(1)), places.pick(positions.flatten(1)), segment=1)
    own = mask[:, :, None, :]  # (G, N, 1, T): which own tokens may be looked at
    if stack.causal:
        own = own & torch.ones(width, width, dtype=torch.bool, device=device).tril()
    elif ragged and places.index is None:
        own = None
    blocks = stack.blocks[:depth] if depth else stack.blocks
    for number, block in enumerate(blocks):
        last = read_at is not None and number == len(blocks) - 1
        x = _run(
            _candidate_layer, checkpointing, block, stack, x, rotary, history.keys[number], history.values[number],
            history.mask, own, count, places, read_at if last else None,
        )  # fmt: skip
    x = stack.final(x)[0]
    if read_at is not None:
        return x.view(groups, count, -1)
    if places.index is not None:
        x = x.new_zeros(groups * count * width, x.shape[-1]).index_copy(0, places.index, x)
    return x.view(groups, count, width, -1)


def _candidate_layer(
    block: Block,
    stack: Stack,
    x: Tensor,
    rotary: Rotary,
    past_k: Tensor,
    past_v: Tensor,
    past_mask: Tensor | None,
    own: Tensor | None,
    count: int,
    places: Places,
    read_at: Tensor | None,
) -> Tensor:
    groups, width = len(past_k), places.width // count
    rows, wanted = width, places
    if read_at is None:
        q, k, v = (places.spread(t) for t in block.project(x, rotary))
    else:
        k, v = (places.spread(t) for t in block.keys_values(x, rotary))
        flat = (read_at + torch.arange(groups * count, device=x.device).view(groups, count) * width).flatten()
        if places.index is not None:
            flat = torch.searchsorted(places.index, flat)
        x = x[:, flat]
        if rotary is not None:
            rotary = (rotary[0][:, flat], rotary[1][:, flat])
        if own is not None:
            own = own.expand(-1, -1, width, -1).gather(2, read_at[..., None, None].expand(-1, -1, 1, width))
        rows, wanted = 1, Places(groups, count, None)
        q = wanted.spread(block.queries(x, rotary))
    attended = attend(q, k, v, past_k, past_v, past_mask, own, block.scale, count, rows, stack.attention_dropout)
    return block.close(x, wanted.pick(attended))


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    past_k: Tensor,
    past_v: Tensor,
    past_mask: Tensor | None,
    own: Tensor | None,
    scale: float,
    count: int,
    rows: int,
    dropout: float = 0.0,
) -> Tensor:
    """Attention of candidate queries over the shared history and their own block.

    Args:
        q: (G, H, N*rows, D); k, v: (G, K, N*T, D) of the candidates; past_k, past_v: (G, K, S, D).
        past_mask: (G, S) or None. own: (G, N, rows or 1, T) or None, True where a token may be looked at.

    Returns:
        (G, N*rows, H*D).
    """
    groups, heads, _, depth = q.shape
    kv, past = past_k.shape[1], past_k.shape[2]
    shared = heads // kv  # query heads on one key head: they become further rows, keys are never expanded
    if _tiled(q, past_mask, past, dropout):
        return _attend_tiled(q, k, v, past_k, past_v, past_mask, own, scale, count, rows)
    q = (q * scale).view(groups, kv, shared, count, rows, depth)
    k, v = (t.unflatten(2, (count, -1)) for t in (k, v))  # (G, K, N, T, D)
    width = k.shape[3]
    q_rows = q.transpose(2, 3).reshape(groups, kv, count, shared * rows, depth)  # (G, K, N, shared*rows, D)
    far = q_rows.flatten(2, 3) @ past_k.transpose(-1, -2)  # (G, K, N*shared*rows, S)
    near = q_rows @ k.transpose(-1, -2)  # (G, K, N, shared*rows, T)
    if past_mask is not None:
        far = far.masked_fill(~past_mask[:, None, None, :], float("-inf"))
    if own is not None:
        own = own.expand(-1, -1, rows, -1)[:, None, :, None].expand(-1, -1, -1, shared, -1, -1)
        near = near.masked_fill(~own.reshape(groups, 1, count, shared * rows, width), float("-inf"))
    weights = torch.cat((far.unflatten(2, (count, shared * rows)), near), dim=-1).softmax(dim=-1)
    if dropout:
        weights = F.dropout(weights, dropout)
    far, near = weights.split((past, width), dim=-1)
    out = (far.flatten(2, 3) @ past_v).unflatten(2, (count, shared * rows)) + near @ v
    out = out.unflatten(3, (shared, rows))  # (G, K, N, shared, rows, D)
    return out.permute(0, 2, 4, 1, 3, 5).reshape(groups, count * rows, heads * depth)


def _tiled(q: Tensor, past_mask: Tensor | None, past: int, dropout: float) -> bool:
    """Whether the tiled kernel of the CPU may serve this call: no gradient, and every history has a token.

    `sdpa_kernel(SDPBackend.MATH)` asks for plain products, which a counter of FLOPs can see; so does an export.
    """
    return (
        q.device.type == "cpu"
        and q.dtype is torch.float32
        and not (torch.is_grad_enabled() and q.requires_grad)
        and not dropout
        and torch.backends.cuda.flash_sdp_enabled()
        and not torch.compiler.is_compiling()
        and past > 0
        and (past_mask is None or bool(past_mask[:, 0].all()))
    )


def _attend_tiled(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    past_k: Tensor,
    past_v: Tensor,
    past_mask: Tensor | None,
    own: Tensor | None,
    scale: float,
    count: int,
    rows: int,
) -> Tensor:
    """As `attend`, the history's scores never leaving the cache.

    The kernel returns the history's part and the logarithm of its weights' sum. That logarithm then stands for the whole
    history as one more key in the softmax over the own block, which so gives the share of both parts exactly
    (FlashAttention's merge, arXiv:2205.14135). 1.3 × faster here than one softmax over both, for 12 tokens and 211.
    """
    groups, heads, _, depth = q.shape
    kv, width = past_k.shape[1], k.shape[2] // count
    shared = heads // kv
    lines = shared * rows
    q = q.reshape(groups, kv, shared, count, rows, depth).transpose(2, 3)  # (G, K, N, shared, rows, D)
    bias = None
    if past_mask is not None:
        bias = q.new_zeros(past_mask.shape).masked_fill_(~past_mask, float("-inf"))[:, None, None, :]
    far, mass = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        q.reshape(groups, kv, count * lines, depth), past_k, past_v, attn_mask=bias, scale=scale
    )  # (G, K, N*lines, D), (G, K, N*lines)
    scaled = torch.empty(q.shape, dtype=q.dtype)
    torch.mul(q, scale, out=scaled)
    k, v = (t.reshape(groups * kv * count, width, depth) for t in (k, v))
    near = torch.bmm(scaled.view(-1, lines, depth), k.transpose(1, 2)).view(groups, kv, count, shared, rows, width)
    if own is not None:
        near = near.masked_fill_(~own[:, None, :, None], float("-inf"))
    weights = torch.cat((near, mass.reshape(*near.shape[:-1], 1)), dim=-1).softmax(dim=-1)
    near = torch.bmm(weights[..., :width].reshape(-1, lines, width), v).view(groups, kv, -1, depth)
    out = torch.addcmul(near, far, weights.view(groups, kv, -1, width + 1)[..., width:], out=far)
    out = out.unflatten(2, (count, shared, rows)).permute(0, 2, 4, 1, 3, 5)  # (G, N, rows, K, shared, D)
    return out.reshape(groups, count * rows, heads * depth)


def read_whole(stack: Stack, tokens: Tensor, mask: Tensor, segments: Tensor) -> Tensor:
    """Final hidden states (B, T, E) of ordinary sequences (B, T), right-padded: the reference path, mode `full`.

    `segments` (B, T) is 1 where the candidate stands (BERT's token types), ignored by other architectures.
    """
    positions = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    x, rotary = stack.embed(tokens, positions, segment=segments)
    visible = None if stack.causal or bool(mask.all()) else mask[:, None, None, :]
    for block in stack.blocks:
        q, k, v = block.project(x, rotary)
        attended = F.scaled_dot_product_attention(
            q, k, v, attn_mask=visible, is_causal=stack.causal, scale=block.scale, dropout_p=stack.attention_dropout,
            enable_gqa=block.kv_heads != block.heads,
        )  # fmt: skip
        x = block.close(x, attended.transpose(1, 2).flatten(2))
    return stack.final(x)


def _run(function: Callable[..., Any], checkpointing: bool, *arguments: object) -> Any:
    if checkpointing and torch.is_grad_enabled():
        return checkpoint(function, *arguments, use_reentrant=False)
    return function(*arguments)
