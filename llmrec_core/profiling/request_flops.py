"""FLOPs of one request to a language model, counted in the very passes that the scorer makes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from llmrec_core.models.scorer_model import ScorerModel
from llmrec_core.profiling import counts
from llmrec_core.scoring.list_scorer import ListRequest
from llmrec_core.scoring.scorer import Pass, Scorer


def request_flops(scorer: Scorer, prompt: Sequence[int], items: np.ndarray) -> float:
    """FLOPs of reading a history and scoring candidates after it.

    Args:
        scorer: of the model.
        prompt: token ids of the history as it is read.
        items: item codes offered, shape (N,).
    """
    if not len(items):
        return 0.0
    model, length = scorer.model, len(prompt)
    stack = model.backbone.stack
    shape = dataclasses.replace(counts.shape_of(stack.config), layers=len(stack.blocks))
    if model.history_attention == "full":
        return sum(
            counts.whole_flops(shape, len(part.rows), part.width) + _head_flops(scorer, part)
            for part in scorer.pair_passes([prompt], items[None])
        )
    parts, early = scorer.candidate_passes(items), scorer.exit
    flops, share = counts.history_flops(shape, length), 1.0
    if early is not None and len(items) > early.k:
        first = dataclasses.replace(shape, layers=early.depth)
        share = early.survivors
        flops += sum(_pass_flops(first, length, part, one_row=True) for part in parts)
    one_row = not model.head.all_tokens
    return flops + share * sum(
        _pass_flops(shape, length, part, one_row=one_row) + _head_flops(scorer, part)
        for part in parts
    )


def list_flops(model: ScorerModel, request: ListRequest) -> float:
    """FLOPs of reading a history and its candidates as whole lists (head `letters`).

    Args:
        model: whose head reads letters.
        request: the history and its lists.
    """
    stack, orders, length = model.backbone.stack, len(request.rows), len(request.prompt)
    shape = dataclasses.replace(counts.shape_of(stack.config), layers=len(stack.blocks))
    part = Pass(np.arange(orders), request.width, sum(map(len, request.rows)))
    head: float = model.head.flops(orders, orders * part.width)
    return (
        counts.history_flops(shape, length) + _pass_flops(shape, length, part, one_row=True) + head
    )


def _head_flops(scorer: Scorer, part: Pass) -> float:
    rows = len(part.rows)
    flops: float = scorer.model.head.flops(rows, rows * part.width)
    return flops


def _pass_flops(shape: counts.Shape, history_tokens: int, part: Pass, *, one_row: bool) -> float:
    return counts.candidates_flops(
        shape,
        history_tokens,
        len(part.rows),
        part.width,
        one_row=one_row,
        real_tokens=part.tokens,
    )
