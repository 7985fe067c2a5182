"""Read a history once, then any number of candidates against its keys and values.

Scoring N candidates one pair at a time reads the history N times. Here history tokens never attend
to a candidate (a causal decoder has that by nature; an encoder is trained that way), so their keys
and values are the same for all candidates and are computed once. Every candidate attends to the
history and to itself; its positions follow the history. The same code trains and scores.

Symbols: G histories (users), N candidates each, S history tokens, T candidate tokens, E width,
H heads, K key/value heads, D head width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from llmrec_core.models.architectures import Stack
from llmrec_core.models.blocks import Block, Rotary
from llmrec_core.models.packed_attention import Keys, Queries, attend


@dataclass
class History:
    """Keys and values of G histories in every layer; what is kept between requests of one user."""

    keys: list[Tensor]
    """Per layer, shape (G, K, S, D)."""
    values: list[Tensor]
    ends: Tensor
    """Position of a candidate's first token, shape (G,)."""
    mask: Tensor | None
    """True at real tokens, shape (G, S); None when nothing is padded."""

    @property
    def bytes(self) -> int:
        """Memory of all keys and values."""
        return sum(part.numel() * part.element_size() for part in (*self.keys, *self.values))

    def gathered(self, places: Tensor, mask: Tensor) -> History:
        """Histories made of these ones' tokens.

        Args:
            places: counts through all tokens, row by row, shape (G', S').
            mask: True where a place is real, shape (G', S').
        """

        def picked(heads: Tensor) -> Tensor:  # (G, K, S, D) → (G', K, S', D)
            return heads.transpose(0, 1).flatten(1, 2)[:, places].transpose(0, 1)

        ends = self.ends[:1].expand(len(places))
        return History([picked(k) for k in self.keys], [picked(v) for v in self.values], ends, mask)


@dataclass(frozen=True)
class Alone:
    """How histories (G, S) are read whose items do not see each other (per_item.py)."""

    positions: Tensor
    """Shape (G, S)."""
    visible: Tensor
    """True where the second token may be looked at by the first, shape (G, S, S)."""
    ends: Tensor
    """Position of a candidate's first token, shape (G,)."""


@dataclass
class Places:
    """Where real tokens stand in a padded (rows, width) grid, so that linears leave padding out.

    Between layers tokens are one flat row (1, R, E) of real ones; only attention sees the grid.
    """

    rows: int
    width: int
    index: Tensor | None
    """Flat places of real tokens, shape (R,); None when every place is real."""

    @classmethod
    def of(cls, mask: Tensor) -> Places:
        """The places of a mask (rows, width)."""
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
    """Keys and values of histories.

    Args:
        stack: the backbone.
        tokens: ids, right-padded, shape (G, S).
        mask: True at real tokens, shape (G, S).
        alone: says which tokens may see each other, and where they stand (mode `per_item`).
        checkpointing: compute activations again in the backward pass instead of keeping them.
        ragged: leave padding out of linears; with False nothing may be padded.
    """
    places = Places.of(mask) if ragged else Places(mask.shape[0], mask.shape[1], None)
    positions = (
        alone.positions
        if alone
        else torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    )
    x, rotary = stack.embed(places.pick(tokens), places.pick(positions), segment=0)
    padded = None if places.index is None else mask
    visible = padded[:, None, None, :] if padded is not None and not stack.causal else None
    if alone is not None:
        visible = alone.visible[:, None]
    keys, values = [], []
    for number, block in enumerate(stack.blocks):
        if number == len(stack.blocks) - 1:
            # nobody reads the history's last output, only its keys and values
            k, v = (places.spread(part) for part in block.keys_values(x, rotary))
        else:
            x, k, v = _run(_whole_layer, checkpointing, block, stack, x, rotary, visible, places)
        keys.append(k)
        values.append(v)
    return History(keys, values, alone.ends if alone else mask.sum(-1), padded)


def within_window(window: int, looking: Tensor, seen: Tensor) -> Tensor:
    """True where a position may look back at another one; both broadcast.

    Args:
        window: a token looks at itself and so many less one before it.
        looking: positions that look.
        seen: positions that may be looked at, none of them behind.
    """
    return looking - seen < window


def _band(length: int, window: int, device: torch.device) -> Tensor:
    """The causal mask of a sliding window, shape (length, length)."""
    places = torch.arange(length, device=device)
    looking, seen = places[:, None], places[None]
    return (seen <= looking) & within_window(window, looking, seen)


def _attend_whole(
    block: Block, stack: Stack, q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None
) -> Tensor:
    """Attention within ordinary sequences: heads (B, H, T, D) → (B, T, H*D)."""
    causal, length = stack.causal, q.shape[2]
    if block.window is not None and length > block.window:
        visible, causal = _band(length, block.window, q.device), False
    attended = functional.scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=visible,
        is_causal=causal,
        scale=block.scale,
        dropout_p=stack.attention_dropout,
        enable_gqa=block.kv_heads != block.heads,
    )
    return attended.transpose(1, 2).flatten(2)


def _whole_layer(
    block: Block, stack: Stack, x: Tensor, rotary: Rotary, visible: Tensor | None, places: Places
) -> tuple[Tensor, Tensor, Tensor]:
    """Layer output, and the keys and values (rows, K, width, D) on the way."""
    q, k, v = (places.spread(part) for part in block.project(x, rotary))
    attended = _attend_whole(block, stack, q, k, v, visible)
    return block.close(x, places.pick(attended)), k, v


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
        stack: the backbone.
        history: what `read_history` returned.
        tokens: ids, right-padded, shape (G, N, T).
        mask: True at real tokens, shape (G, N, T).
        read_at: index of the only token whose state is wanted, shape (G, N); the last layer then
            computes that row alone. None computes all.
        checkpointing: compute activations again in the backward pass instead of keeping them.
        ragged: leave padding out of linears. An exported graph cannot: its steps must not depend
            on values.
        depth: read by the first so many layers only; 0 reads all.

    Returns:
        Shape (G, N, E) when `read_at` is given, else (G, N, T, E) with zeros at padding.
    """
    groups, count, width = tokens.shape
    device = tokens.device
    places = Places.of(mask.flatten(1)) if ragged else Places(groups, count * width, None)
    positions = (history.ends[:, None, None] + torch.arange(width, device=device)).expand_as(tokens)
    x, rotary = stack.embed(
        places.pick(tokens.flatten(1)), places.pick(positions.flatten(1)), segment=1
    )
    own = mask[:, :, None, :]  # (G, N, 1, T): which own tokens may be looked at
    if stack.causal:
        own = own & torch.ones(width, width, dtype=torch.bool, device=device).tril()
    elif ragged and places.index is None:
        own = None
    blocks = stack.blocks[:depth] if depth else stack.blocks
    for number, block in enumerate(blocks):
        last = read_at is not None and number == len(blocks) - 1
        past = Keys(history.keys[number], history.values[number], history.mask)
        x = _run(
            _candidate_layer,
            checkpointing,
            block,
            stack,
            x,
            rotary,
            past,
            history.ends,
            own,
            places,
            count,
            read_at if last else None,
        )
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
    past: Keys,
    ends: Tensor,
    own: Tensor | None,
    places: Places,
    count: int,
    read_at: Tensor | None,
) -> Tensor:
    groups, width = len(past.keys), places.width // count
    rows, wanted = width, places
    if read_at is None:
        q, k, v = (places.spread(part) for part in block.project(x, rotary))
        asking = torch.arange(width, device=x.device).view(1, 1, width)
    else:
        k, v = (places.spread(part) for part in block.keys_values(x, rotary))
        flat = (
            read_at + torch.arange(groups * count, device=x.device).view(groups, count) * width
        ).flatten()
        if places.index is not None:
            flat = torch.searchsorted(places.index, flat)
        x, rotary = x[:, flat], rotary.at(flat)
        if own is not None:
            own = own.expand(-1, -1, width, -1).gather(
                2, read_at[..., None, None].expand(-1, -1, 1, width)
            )
        rows, wanted = 1, Places(groups, count, None)
        q = wanted.spread(block.queries(x, rotary))
        asking = read_at[..., None]  # (G, N, 1)
    if block.window is not None:
        past, own = _in_window(block.window, past, own, ends, asking, width)
    attended = attend(
        Queries(q, count, rows, block.scale), past, Keys(k, v, own), stack.attention_dropout
    )
    return block.close(x, wanted.pick(attended))


def _in_window(
    window: int, past: Keys, own: Tensor | None, ends: Tensor, asking: Tensor, width: int
) -> tuple[Keys, Tensor | None]:
    """The history's keys and the mask of own tokens, cut to a sliding window where it matters.

    Args:
        window: of the layer.
        past: the history's keys, visible to all who ask.
        own: which own tokens may be looked at, shape (G, N, rows or 1, T).
        ends: position of a candidate's first token, shape (G,).
        asking: places of the tokens that ask within their candidate, shape (G or 1, N or 1, rows).
        width: T.
    """
    length = past.keys.shape[2]
    if length + width > window:
        looking = ends[:, None, None] + asking  # (G, N or 1, rows)
        seen = torch.arange(length, device=ends.device)
        near = within_window(window, looking[..., None], seen)  # (G, N or 1, rows, S)
        if past.visible is not None:
            near = near & past.visible[:, None, None]
        past = Keys(past.keys, past.values, near)
    if own is not None and width > window:
        places = torch.arange(width, device=ends.device)
        own = own & within_window(window, asking[..., None], places)
    return past, own


def read_whole(stack: Stack, tokens: Tensor, mask: Tensor, segments: Tensor) -> Tensor:
    """Final hidden states (B, T, E) of ordinary sequences: the reference path, mode `full`.

    Args:
        stack: the backbone.
        tokens: ids, right-padded, shape (B, T).
        mask: True at real tokens, shape (B, T).
        segments: 1 where the candidate stands (BERT's token types), shape (B, T); others ignore it.
    """
    positions = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    x, rotary = stack.embed(tokens, positions, segment=segments)
    visible = None if stack.causal or bool(mask.all()) else mask[:, None, None, :]
    for block in stack.blocks:
        q, k, v = block.project(x, rotary)
        x = block.close(x, _attend_whole(block, stack, q, k, v, visible))
    return stack.final(x)


def _run(function: Callable[..., Any], checkpointing: bool, *arguments: object) -> Any:  # noqa: ANN401 - what the function returns
    if checkpointing and torch.is_grad_enabled():
        return checkpoint(function, *arguments, use_reentrant=False)
    return function(*arguments)
