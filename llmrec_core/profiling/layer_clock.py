"""Seconds and FLOPs of every layer's parts in one request.

Symbols: S history tokens, N candidates, T tokens of a candidate.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from llmrec_core.language import marked, t
from llmrec_core.models.blocks import Block
from llmrec_core.profiling import counts
from llmrec_core.profiling.drawn_tokens import DrawnTokens, Size
from llmrec_core.profiling.timing import synchronise
from llmrec_core.scoring.scorer import Scorer

if TYPE_CHECKING:
    from torch import Tensor

    from llmrec_core.models.blocks import Rotary

PROJECTIONS = marked("projections")
ATTENTION = marked("attention")
CLOSING = marked("output and feed-forward")
REPEATS = 3
"""Requests, of which the fastest is shown."""
_Result = TypeVar("_Result")


class LayerClock:
    """Seconds by layer and part."""

    def __init__(self) -> None:
        self.spent: dict[tuple[int, str], float] = {}
        self._projected = 0.0

    def clear(self) -> None:
        """Forget all seconds."""
        self.spent.clear()

    def project(self, layer: int, call: Callable[[], _Result]) -> _Result:
        """Make a call that projects queries, keys or values."""
        synchronise()
        before = time.perf_counter()
        result = call()
        synchronise()
        self._projected = time.perf_counter()
        self._add(layer, PROJECTIONS, self._projected - before)
        return result

    def close(self, layer: int, call: Callable[[], _Result]) -> _Result:
        """Make a call that closes a layer; since the last projection only attention has run."""
        synchronise()
        before = time.perf_counter()
        self._add(layer, ATTENTION, before - self._projected)
        result = call()
        synchronise()
        self._add(layer, CLOSING, time.perf_counter() - before)
        return result

    def _add(self, layer: int, part: str, seconds: float) -> None:
        self.spent[layer, part] = self.spent.get((layer, part), 0.0) + seconds


class ClockedBlock(Block):
    """A block under a clock."""

    def __init__(self, inner: Block, number: int, clock: LayerClock) -> None:
        """Stand before a block.

        Args:
            inner: does the work.
            number: of the layer.
            clock: is told of every call.
        """
        self.inner, self.number, self.clock = inner, number, clock
        self.kind, self.window = inner.kind, inner.window
        self.heads, self.kv_heads = inner.heads, inner.kv_heads
        self.head_dim, self.scale = inner.head_dim, inner.scale

    def queries(self, x: Tensor, rotary: Rotary) -> Tensor:
        """See `Block.queries`."""
        return self.clock.project(self.number, lambda: self.inner.queries(x, rotary))

    def keys_values(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor]:
        """See `Block.keys_values`."""
        return self.clock.project(self.number, lambda: self.inner.keys_values(x, rotary))

    def project(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor, Tensor]:
        """See `Block.project`."""
        return self.clock.project(self.number, lambda: self.inner.project(x, rotary))

    def close(self, x: Tensor, attended: Tensor) -> Tensor:
        """See `Block.close`."""
        return self.clock.close(self.number, lambda: self.inner.close(x, attended))


def layer_rows(
    scorer: Scorer, layout: DrawnTokens, size: Size, shape: counts.Shape, candidate_tokens: int
) -> list[dict[str, Any]]:
    """Seconds and FLOPs of every layer's parts; what is in no layer comes last.

    Args:
        scorer: over `layout`.
        layout: its histories take the length of `size`.
        size: of the request.
        shape: of the backbone.
        candidate_tokens: T.
    """
    stack, clock = scorer.model.backbone.stack, LayerClock()
    layout.resize(size.history_tokens)
    seconds, spent = float("inf"), dict(clock.spent)
    plain = stack.blocks
    stack.blocks = [ClockedBlock(block, number, clock) for number, block in enumerate(plain)]
    try:
        for _ in range(REPEATS):
            clock.clear()
            scorer.weights_changed()
            start = time.perf_counter()
            scorer.scores([0], np.arange(size.candidates))
            whole = time.perf_counter() - start
            if whole < seconds:
                seconds, spent = whole, dict(clock.spent)
    finally:
        stack.blocks = plain
    rows = [
        {"layer": layer, "part": t(part), "seconds": spent.get((layer, part), 0.0), "flops": flops}
        for layer in range(shape.layers)
        for part, flops in part_flops(
            shape, size, candidate_tokens, last=layer == shape.layers - 1
        ).items()
    ]
    outside = {
        "layer": None,
        "part": t("embedding, head and copies"),
        "seconds": seconds - sum(spent.values()),
        "flops": 0.0,
    }
    return [*rows, outside]


def part_flops(
    shape: counts.Shape, size: Size, candidate_tokens: int, *, last: bool
) -> dict[str, float]:
    """FLOPs of one layer's parts; all layers together are `counts.shared_flops`.

    Args:
        shape: of the backbone.
        size: of the request.
        candidate_tokens: T.
        last: whether it is the last layer, which computes one token of each candidate alone.
    """
    s, n = size.history_tokens, size.candidates
    own = n if last else n * candidate_tokens
    rows = own if last else own + s  # tokens whose output is computed
    wide = shape.heads * shape.head_dim
    read = n * candidate_tokens + s
    return {
        PROJECTIONS: 2.0 * read * shape.key_value_weights + 2.0 * rows * shape.query_weights,
        ATTENTION: 4.0 * wide * (own * (s + candidate_tokens) + (0 if last else s * s)),
        CLOSING: 2.0 * rows * shape.closing_weights,
    }
