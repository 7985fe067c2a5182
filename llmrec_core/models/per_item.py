"""Mode `per_item`: no history item sees another, so an item is read alike whatever else is there.

An item's tokens see the opening token and each other. Items stand by recency: the newest in slot 0,
the next in slot 1, each slot a fixed stretch of positions after the one before, however long the
titles are; the candidate stands before them all. So a history without one of its items is made of
blocks (item, slot) that can be read once for all coalitions of an explanation: `n` items have
n (n + 1) / 2 of them, where 2^n shortened histories would be read otherwise. Only encoders need
this; a decoder's coalitions share their beginnings as they are.

Symbols: G histories, S tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from llmrec_core.errors import UnsupportedError
from llmrec_core.language import t
from llmrec_core.models.packed import Alone
from llmrec_core.models.prompt_layout import MAX_ITEM_TOKENS, NO_END, PromptLayout

CANDIDATE = 1
"""Position of a candidate's first token."""
NEWEST = CANDIDATE + MAX_ITEM_TOKENS + 2
"""Position of the newest item's first token, behind the longest candidate."""
STRIDE = 16
"""Positions from one slot to the next, where the context allows it.

A longer title reaches into the older item's stretch.
"""
CLOSING = -1
"""Slot of the tokens that close a history."""
OPENING = -1
"""Block of the token that opens it."""


def require_readable(layout: PromptLayout) -> None:
    """Refuse a tokenizer whose tokens do not show where an item begins and ends.

    Raises:
        UnsupportedError: for a decoder, or an encoder without one token for the beginning of a
            text and one for the end of an item.
    """
    if layout.decoder:
        raise UnsupportedError(
            t(
                "mode 'per_item' is for encoders; a decoder's items see the older ones: use "
                "history_attention 'shared'"
            )
        )
    if layout.item_end == NO_END or len(layout.opening) != 1:
        raise UnsupportedError(
            t(
                "mode 'per_item' needs a tokenizer with one token for the beginning of a text and "
                "one for {end!r}, the end of an item; use history_attention 'shared'",
                end=layout.template.item_end,
            )
        )


def arrange(layout: PromptLayout, tokens: Tensor, mask: Tensor) -> Alone:
    """How whole histories are read: an opening token, items with their ends, closing tokens.

    Args:
        layout: that made the tokens.
        tokens: ids, right-padded, shape (G, S).
        mask: True at real tokens, shape (G, S).
    """
    ends = (tokens == layout.item_end) & mask
    block = ends.cumsum(-1) - ends.long()  # 0 for the oldest item
    places = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    first = torch.ones_like(ends)
    first[:, 2:] = ends[:, 1:-1]
    within = places - torch.where(first, places, 0).cummax(-1).values
    slots = ends.sum(-1, keepdim=True) - 1 - block
    block[:, 0] = OPENING
    return _alone(layout, block, slots, within, mask)


def arrange_blocks(layout: PromptLayout, mask: Tensor, slots: Sequence[int]) -> Alone:
    """How single blocks are read, each in its slot.

    Args:
        layout: that made the tokens.
        mask: True at the opening token and one block's tokens, shape (blocks, S).
        slots: of each block.
    """
    block = torch.zeros_like(mask, dtype=torch.long)
    block[:, 0] = OPENING
    within = torch.arange(mask.shape[1], device=mask.device).expand_as(block) - 1
    placed = torch.tensor(slots, device=mask.device)[:, None].expand_as(block)
    return _alone(layout, block, placed, within, mask)


def _alone(
    layout: PromptLayout, block: Tensor, slots: Tensor, within: Tensor, mask: Tensor
) -> Alone:
    """The opening token stands at 0; everybody sees it and it sees itself alone."""
    room = layout.max_tokens - NEWEST - MAX_ITEM_TOKENS - 1
    stride = min(STRIDE, max(room // max(layout.history_items - 1, 1), 0))
    opening = block == OPENING
    positions = (
        (NEWEST + stride * slots + within).clamp(0, layout.max_tokens - 1).masked_fill(opening, 0)
    )
    visible = (block[:, :, None] == block[:, None, :]) | opening[:, None, :]
    return Alone(positions, visible & mask[:, None, :], torch.full_like(block[:, 0], CANDIDATE))
