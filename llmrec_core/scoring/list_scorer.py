"""Scores of whole lists: one reading of a history, then one of each order of its candidates.

The history's keys and values are read once for all orders and remembered between requests, as the
packed scorer does; an order of the candidates then costs one sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from llmrec_core.scoring.finite import require_finite
from llmrec_core.scoring.scorer import BATCH_TOKENS, Scorer, passes


@dataclass(frozen=True)
class ListRequest:
    """One history, and its candidates in one order or several."""

    prompt: list[int]
    """Token ids of the history."""
    rows: list[list[int]]
    """Token ids of the list in each order."""

    @property
    def tokens(self) -> int:
        """Tokens that are read, each row as long as the longest."""
        return len(self.prompt) + len(self.rows) * self.width

    @property
    def width(self) -> int:
        """Tokens of the longest row."""
        return max(map(len, self.rows))


class ListScorer(Scorer):
    """Asks a `ScorerModel` with the head `letters` about whole lists."""

    @torch.inference_mode()
    def logits(self, requests: Sequence[ListRequest]) -> list[np.ndarray]:
        """Logits of the letters, one array (orders, letters) of float32 a request.

        Requests are sorted by length and read several at a time; all have equally many orders.

        Args:
            requests: histories with their lists.

        Raises:
            NotFiniteError: when a logit is no finite number.
        """
        found: dict[int, np.ndarray] = {}
        for part in passes(np.array([request.tokens for request in requests]), BATCH_TOKENS):
            some = [requests[number] for number in part.rows]
            history = (
                self.prefix(some[0].prompt)
                if len(some) == 1
                else self.model.read_history([request.prompt for request in some])
            )
            values = self.model.list_logits(history, [request.rows for request in some])
            arrays = require_finite(values.float().cpu().numpy())
            found.update(zip(part.rows.tolist(), arrays, strict=True))
        return [found[number] for number in range(len(requests))]
