"""A beam search over the tree of a catalogue's codes: exact probabilities of what it reaches.

From the root down, every beam is followed by the codes that some offered item has there, and the
best K prefixes of each request go on; equal ones go on in the order of the lowest item code below
them. A prefix below which nothing is offered is never written, so that what comes out exists and
is offered. A request whose K is as large as what it is offered reaches everything: then the scores
are those of reading every candidate by itself, with shared prefixes read once.

Symbols: B requests, K beams of the widest, N items of the catalogue, D codes of an item.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from llmrec_core.models.cached_blocks import Memory
from llmrec_core.models.code_tree import Level


class WritesCodes(Protocol):
    """A model that reads histories and writes items after them, code by code."""

    def read(self, sequences: Tensor, lengths: Tensor) -> tuple[Tensor, Memory]:
        """As `CodeByCodeModel.read`."""

    def write(self, codes: Tensor, level: int, lengths: Tensor, memory: Memory) -> Tensor:
        """As `CodeByCodeModel.write`."""


def beams_read(tree: Sequence[Level], offered: np.ndarray, width: int) -> list[int]:
    """Beams that go on after each code but the last, for one request; their codes are read.

    Every prefix has an offered item below it, so as many go on as exist, or the width.

    Args:
        tree: as `tree_of` returns it.
        offered: item codes of the request.
        width: K.
    """
    return [min(width, len(np.unique(level.of_item[offered]))) for level in tree[1:-1]]


def search(
    model: WritesCodes,
    tree: Sequence[Level],
    sequences: Tensor,
    lengths: Tensor,
    offered: np.ndarray,
    widths: np.ndarray,
) -> np.ndarray:
    """Logarithms of the probabilities of the leaves that are reached, -inf at the others.

    Args:
        model: on the device of the tensors.
        tree: of its items.
        sequences: histories, right-padded, shape (B, T).
        lengths: real items of each, int64, shape (B,).
        offered: whether each item may come out, bool, shape (B, N).
        widths: K of each request, at least 1, int64, shape (B,).

    Returns:
        Float64, shape (B, leaves).
    """
    logs, memory = model.read(sequences, lengths)
    rows, items = np.nonzero(offered)
    nodes = np.zeros((len(offered), 1), dtype=np.int64)
    scores = np.zeros((len(offered), 1))
    for depth in range(len(tree) - 1):
        below = tree[depth + 1]
        allowed = np.zeros((len(offered), below.nodes), dtype=bool)
        allowed[rows, below.of_item[items]] = True
        beam, child = _children(tree[depth], nodes)
        row = beam // nodes.shape[1]
        kept = allowed[row, child]
        beam, child, row = beam[kept], child[kept], row[kept]
        picked = logs.flatten(0, 1)[_index(beam, logs), _index(below.code[child], logs)]
        values = scores.ravel()[beam] + picked.double().cpu().numpy()
        order = np.lexsort((below.first_item[child], -values, row))
        place = _places(row[order], len(offered))
        going_on = place < widths[row[order]]
        order, place = order[going_on], place[going_on]
        shape = (len(offered), int(place.max(initial=0)) + 1)
        origin = np.zeros(shape, dtype=np.int64)
        origin[row[order], place] = beam[order] % nodes.shape[1]
        nodes = np.full(shape, -1)
        nodes[row[order], place] = child[order]
        scores = np.zeros(shape)
        scores[row[order], place] = values[order]
        if depth + 2 < len(tree):
            codes = np.where(nodes < 0, 0, below.code[nodes])
            memory.reorder(_index(origin, logs))
            logs = model.write(_index(codes, logs), depth + 1, lengths, memory)
    reached = np.full((len(offered), tree[-1].nodes), -np.inf)
    request, beam = np.nonzero(nodes >= 0)
    reached[request, nodes[request, beam]] = scores[request, beam]
    return reached


def _children(level: Level, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of the beam, and node of the next level, of every child of every beam.

    Args:
        level: of the beams.
        nodes: where each beam stands, -1 for none, shape (B, K).
    """
    flat = nodes.ravel()
    counts = np.where(flat < 0, 0, level.children[flat])
    beam = np.repeat(np.arange(len(flat)), counts)
    ends = np.cumsum(counts)
    within = np.arange(len(beam)) - np.repeat(ends - counts, counts)
    return beam, level.first_child[flat[beam]] + within


def _places(rows: np.ndarray, requests: int) -> np.ndarray:
    """Place of each entry among those of its request; `rows` ascend."""
    begins = np.searchsorted(rows, np.arange(requests))
    return np.asarray(np.arange(len(rows)) - begins[rows])


def _index(values: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64)).to(like.device)
