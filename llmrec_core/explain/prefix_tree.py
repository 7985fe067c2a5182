"""Many prompts of a causal language model as one prefix tree: equal beginnings are read once.

The coalitions of a history's items are such prompts: with every item either there or not, 2^n
prompts of n/2 items share a tree of 2^n - 1 item blocks, and only the words after the history
(closing question and candidate) are read once per prompt. A causal token never sees what follows
it, so keys and values of a block are the same in every prompt that goes through it, and the scores
equal those of the separate prompts.

The layers are run one after another over all tokens of the tree; only attention looks along the
branches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from llmrec_core.language import t
from llmrec_core.models.blocks import Block, Rotary
from llmrec_core.models.scorer_model import ScorerModel

Segment = tuple[int, ...]

TREE_TOKENS = 12_000
"""Tokens of one tree; more make several trees, each with its own copy of the beginning."""
ROWS = 1024
"""Tokens per product: more leave the cache of a CPU core."""


@dataclass
class Tree:
    """Blocks of tokens, parents before children."""

    parents: list[int] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    """Position of a block's first token in its prompts."""
    offsets: list[int] = field(default_factory=list)
    """Where a block's tokens stand among all of the tree."""
    tokens: int = 0
    _number_of: dict[tuple[int, Segment], int] = field(default_factory=dict)

    def add(self, parent: int, segment: Segment) -> int:
        """The block `segment` below `parent` (-1: at the root), made when it is not there yet.

        Args:
            parent: number of a block.
            segment: token ids.
        """
        number = self._number_of.get((parent, segment))
        if number is not None:
            return number
        number = len(self.parents)
        self._number_of[parent, segment] = number
        self.parents.append(parent)
        self.segments.append(segment)
        self.starts.append(self.starts[parent] + len(self.segments[parent]) if parent >= 0 else 0)
        self.offsets.append(self.tokens)
        self.tokens += len(segment)
        return number

    def above(self, number: int) -> np.ndarray:
        """Places of all tokens before a block's own, in reading order."""
        places = np.empty(self.starts[number], dtype=np.int64)
        end = len(places)
        while (number := self.parents[number]) >= 0:
            length = len(self.segments[number])
            places[end - length : end] = np.arange(
                self.offsets[number], self.offsets[number] + length
            )
            end -= length
        return places


@dataclass(frozen=True)
class _Group:
    """Blocks of one length that are attended to together."""

    own: Tensor  # (rows, T) places
    past: Tensor  # (rows, P) places of what stands before, 0 where padded
    visible: Tensor  # (rows, 1, T, P + T)
    distance: Tensor  # (rows, 1, T, P + T): how far back a place stands from the token that looks

    def of_last(self, count: int) -> _Group:
        """The same for the last tokens of every block alone."""
        tail = slice(-count, None)
        return _Group(self.own, self.past, self.visible[:, :, tail], self.distance[:, :, tail])

    def seen_by(self, block: Block) -> Tensor:
        """What a layer may look at: all that is visible, or what is within its sliding window."""
        if block.window is None:
            return self.visible
        return self.visible & (self.distance < block.window)


@torch.inference_mode()
def score_tree(
    model: ScorerModel,
    paths: Sequence[Sequence[Segment]],
    candidates: Sequence[Sequence[Segment]],
    progress: Callable[[int, int], None],
) -> tuple[np.ndarray, int]:
    """Scores (prompts, candidates) float64 of a causal model, and the tokens read for them.

    Args:
        model: the causal model and its head.
        paths: the blocks of each prompt's shared part, in order; empty blocks are allowed.
        candidates: for each prompt the same number of candidates as token ids.
        progress: called with the prompts read and all of them, after each tree.
    """
    done = 0
    scores = np.empty((len(paths), len(candidates[0]) if len(candidates) else 0))
    read = 0
    for rows in _batches(paths, candidates):
        tree = Tree()
        leaves = []
        for row in rows:
            node = -1
            for segment in paths[row]:
                node = tree.add(node, segment) if segment else node
            leaves.append([tree.add(node, segment) for segment in candidates[row]])
        scores[rows] = _read(model, tree, np.array(leaves))
        read += tree.tokens
        done += len(rows)
        progress(done, len(paths))
    return scores, read


def _batches(
    paths: Sequence[Sequence[Segment]], candidates: Sequence[Sequence[Segment]]
) -> Iterator[list[int]]:
    """Prompts in the order of their blocks, cut where the tree would grow over `TREE_TOKENS`."""
    order = sorted(range(len(paths)), key=lambda row: tuple(paths[row]))
    batch: list[int] = []
    seen: set[tuple[Segment, ...]] = set()
    size = 0
    for row in order:
        prefixes = [tuple(paths[row][: stop + 1]) for stop in range(len(paths[row]))]
        tail = sum(len(segment) for segment in candidates[row])
        fresh = tail + sum(len(prefix[-1]) for prefix in prefixes if prefix not in seen)
        if batch and size + fresh > TREE_TOKENS:
            yield batch
            batch, seen, size = [], set(), 0
            fresh = tail + sum(len(prefix[-1]) for prefix in prefixes)
        batch.append(row)
        seen.update(prefixes)
        size += fresh
    if batch:
        yield batch


def _read(model: ScorerModel, tree: Tree, leaves: np.ndarray) -> np.ndarray:
    stack, device = model.backbone.stack, model.device
    tokens = torch.tensor([token for segment in tree.segments for token in segment], device=device)[
        None
    ]
    positions = torch.tensor(
        [
            start + i
            for start, segment in zip(tree.starts, tree.segments, strict=True)
            for i in range(len(segment))
        ],
        device=device,
    )[None]
    x, rotary = stack.embed(tokens, positions, segment=0)
    groups, _ = _groups_of(tree, range(len(tree.parents)), device)
    last = len(stack.blocks) - 1
    for number, block in enumerate(stack.blocks):
        if number == last:
            return _last_layer(
                model, tree, leaves, x, rotary, *_by_rows(block.keys_values, x, rotary)
            )
        queries, keys, values = _by_rows(block.project, x, rotary)
        attended = x.new_empty(1, x.shape[1], block.heads * block.head_dim)
        for group in groups:
            attention = _attend(block, group, queries[0, :, group.own], keys, values)
            attended[0, group.own.flatten()] = attention.flatten(0, 1)
        x = torch.cat(
            [
                block.close(x[:, i : i + ROWS], attended[:, i : i + ROWS])
                for i in range(0, x.shape[1], ROWS)
            ],
            dim=1,
        )
    raise AssertionError(t("a stack has at least one layer"))


def _last_layer(
    model: ScorerModel,
    tree: Tree,
    leaves: np.ndarray,
    x: Tensor,
    rotary: Rotary,
    keys: Tensor,
    values: Tensor,
) -> np.ndarray:
    """Only candidates are wanted now, and of each the token that the head reads."""
    stack, block = model.backbone.stack, model.backbone.stack.blocks[-1]
    wanted = np.unique(leaves)
    score_of: dict[int, float] = {}
    for group, numbers in zip(*_groups_of(tree, wanted.tolist(), x.device), strict=True):
        own = group.own if model.head.all_tokens else group.own[:, -1:]
        flat = own.flatten()
        here = x[:, flat]
        queries = block.queries(here, rotary.at(flat))[0].unflatten(1, own.shape)  # (H, rows, t, D)
        attended = _attend(block, group.of_last(own.shape[1]), queries, keys, values)
        states = stack.final(block.close(here, attended.flatten(0, 1)[None]))[0].unflatten(
            0, own.shape
        )
        if model.head.all_tokens:
            scores = model.head(
                states[None], torch.ones((1, *own.shape), dtype=torch.bool, device=x.device)
            )[0]
        else:
            scores = model.head(states[:, 0])
        score_of.update(zip(numbers, scores.double().tolist(), strict=True))
    return np.array([[score_of[leaf] for leaf in row] for row in leaves])


def _attend(block: Block, group: _Group, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention (rows, t, H*D) of queries (H, rows, t, D) along the branches above them."""
    places = torch.cat((group.past, group.own), dim=1)
    k, v = (t[0][:, places].transpose(0, 1) for t in (keys, values))  # (rows, K, P + T, D)
    q = queries.transpose(0, 1)
    out = functional.scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=group.seen_by(block),
        scale=block.scale,
        enable_gqa=q.shape[1] != k.shape[1],
    )
    return out.transpose(1, 2).flatten(2)


def _groups_of(
    tree: Tree, numbers: Sequence[int], device: torch.device
) -> tuple[list[_Group], list[list[int]]]:
    """Blocks of equal length side by side, those with about as much above them together."""
    groups, members = [], []
    order = sorted(numbers, key=lambda number: (len(tree.segments[number]), tree.starts[number]))
    start = 0
    for stop in range(1, len(order) + 1):
        length = len(tree.segments[order[start]])
        if (
            stop < len(order)
            and len(tree.segments[order[stop]]) == length
            and (stop - start + 1) * length <= ROWS
        ):
            continue
        rows = order[start:stop]
        own = torch.tensor(
            [[tree.offsets[number] + i for i in range(length)] for number in rows], device=device
        )
        above = [tree.above(number) for number in rows]
        width = max(len(places) for places in above)
        past = np.zeros((len(rows), width), dtype=np.int64)
        seen = np.zeros((len(rows), width), dtype=bool)
        for row, places in enumerate(above):
            past[row, : len(places)] = places
            seen[row, : len(places)] = True
        far = torch.from_numpy(seen).to(device)[:, None, None].expand(-1, 1, length, width)
        near = (
            torch.ones(length, length, dtype=torch.bool, device=device)
            .tril()
            .expand(len(rows), 1, length, length)
        )
        looking = torch.arange(length, device=device)[None, :, None]  # place within the block
        starts = torch.tensor([len(places) for places in above], device=device)[:, None, None]
        back = starts + looking - torch.arange(width, device=device)
        within = (looking - torch.arange(length, device=device)).expand(len(rows), -1, -1)
        groups.append(
            _Group(
                own,
                torch.from_numpy(past).to(device),
                torch.cat((far, near), dim=-1),
                torch.cat((back, within), dim=-1)[:, None],
            )
        )
        members.append(rows)
        start = stop
    return groups, members


def _by_rows(
    function: Callable[[Tensor, Rotary], tuple[Tensor, ...]], x: Tensor, rotary: Rotary
) -> tuple[Tensor, ...]:
    """`function` over `ROWS` tokens at a time; results (1, heads, tokens, D) joined again."""
    parts = []
    for start in range(0, x.shape[1], ROWS):
        rows = slice(start, start + ROWS)
        parts.append(function(x[:, rows], rotary.at(rows)))
    return tuple(torch.cat(part, dim=2) for part in zip(*parts, strict=True))
