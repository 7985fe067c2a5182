"""The packed scorer: one user's candidates against a history that is read once and remembered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.models.packed import History
from llmrec_core.models.scorer_model import ScorerModel
from llmrec_core.models.weights_version import weights_version
from llmrec_core.scoring.finite import require_finite

if TYPE_CHECKING:
    from llmrec_core.scoring.early_exit import EarlyExit

CHUNK_TOKENS = 800
"""Candidate tokens per pass.

Larger chunks leave the cache of a CPU core: 50 to 100 candidates of 12 tokens measured best.
"""
FULL_BATCH_TOKENS = 4096
"""Tokens per batch of whole sequences in mode `full`."""
BATCH_TOKENS = 1024
"""Tokens per pass over several users (`score_batch`)."""
PREFIX_BYTES = 256 << 20
"""Memory for remembered histories; the least recently used leave first."""


@dataclass(frozen=True)
class Pass:
    """Rows that are read together."""

    rows: np.ndarray
    """Which of the request's rows, shape (n,)."""
    width: int
    """Tokens of the longest."""
    tokens: int
    """Tokens of all of them."""


class Scorer:
    """Ranks candidates for histories with a trained `ScorerModel`.

    It remembers the keys and values of recent histories. A history is found again only if its
    token ids are the same and no weight has changed since: torch counts the changes of every
    tensor, and another count forgets everything.
    """

    def __init__(
        self,
        model: ScorerModel,
        *,
        chunk_tokens: int = CHUNK_TOKENS,
        prefix_bytes: int = PREFIX_BYTES,
    ) -> None:
        self.model = model.eval()
        self.chunk_tokens = chunk_tokens
        self.prefix_bytes = prefix_bytes
        self._prefixes: OrderedDict[tuple[int, ...], History] = OrderedDict()
        self._held = 0
        self._weights: tuple[tuple[int, int], ...] = ()
        self.prefix_hits = 0
        self.exit: EarlyExit | None = None
        """Skips the deeper layers for candidates that cannot enter the top k (early_exit.py)."""

    def weights_changed(self) -> None:
        """Forget every history, as after a change that torch cannot count, e.g. quantising."""
        self._prefixes.clear()
        self._held = 0

    def rank(
        self, history: Sequence[int], candidates: Sequence[int] | np.ndarray, *, k: int = 10
    ) -> tuple[np.ndarray, np.ndarray]:
        """The `k` best candidates.

        Args:
            history: item codes, oldest first; may be empty.
            candidates: item codes, at least one.
            k: length of the list, at least 1.

        Returns:
            Item codes and scores, best first; ties in the order of `candidates`.

        Raises:
            UsageError: when there is no candidate, `k` is not positive or an item is unknown.
            NotFiniteError: when a score is no finite number.
        """
        items = np.asarray(candidates, dtype=np.int64)
        if items.size == 0 or k < 1:
            raise UsageError(
                t(
                    "rank got {size} candidates and k = {k}; expected at least one of each",
                    size=items.size,
                    k=k,
                )
            )
        scores = self.scores(history, items)
        best = np.argsort(-scores, kind="stable")[:k]
        return items[best], scores[best]

    @torch.inference_mode()
    def scores(self, history: Sequence[int], candidates: np.ndarray) -> np.ndarray:
        """Scores (N,) float32 of candidate item codes (N,) for one history of item codes.

        Raises:
            UsageError: for an item that is not in the catalogue.
            NotFiniteError: when a score is no finite number.
        """
        self._require_known(history, candidates)
        layout = self.model.layout
        if self.model.history_attention == "full":
            whole: np.ndarray = self.score_prompts([layout.history(history)], candidates[None])[0]
            return whole
        prefix = self.prefix(layout.history(history))
        if self.exit is not None and len(candidates) > self.exit.k:
            return require_finite(self.exit.scores(self, prefix, candidates))
        return require_finite(
            self.through(candidates, lambda items: self.model.score_items(prefix, items))
        )

    def _require_known(self, history: Sequence[int], candidates: np.ndarray) -> None:
        count = len(self.model.layout.candidates)
        ends = (int(candidates.min()), int(candidates.max())) if len(candidates) else ()
        for item in (*history, *ends):
            if not 0 <= item < count:
                raise UsageError(
                    t(
                        "item code {item} is not in the catalogue of {count} items",
                        item=item,
                        count=count,
                    )
                )

    def candidate_passes(self, candidates: np.ndarray) -> list[Pass]:
        """How the candidates (N,) of one history are read, in chunks of like length."""
        return passes(self.model.layout.candidate_lengths[candidates], self.chunk_tokens)

    def pair_passes(self, prompts: Sequence[Sequence[int]], candidates: np.ndarray) -> list[Pass]:
        """How the pairs of prompts (B) and candidates (B, N) are read in mode `full`.

        Rows count through the pairs, prompt by prompt.
        """
        own = self.model.layout.candidate_lengths[candidates.ravel()]
        lengths = np.repeat([len(prompt) for prompt in prompts], candidates.shape[1]) + own
        return passes(lengths, FULL_BATCH_TOKENS)

    def through(
        self, candidates: np.ndarray, read: Callable[[np.ndarray], torch.Tensor]
    ) -> np.ndarray:
        """What `read` says of items (1, n), for all candidates (N,) in chunks: (N, …) float32."""
        parts = self.candidate_passes(candidates)
        values = [read(candidates[part.rows][None])[0].float().cpu().numpy() for part in parts]
        result = np.empty((len(candidates), *values[0].shape[1:]), dtype=np.float32)
        for part, rows in zip(parts, values, strict=True):
            result[part.rows] = rows
        return result

    @torch.inference_mode()
    def score_batch(self, prompts: Sequence[Sequence[int]], items: np.ndarray) -> np.ndarray:
        """Scores (B, N) of many short requests in few passes.

        This is for N so small that a pass per user would leave the hardware idle: explanations
        (one candidate, hundreds of shortened histories), or a GPU. Histories are sorted by
        length; nothing is remembered.

        Args:
            prompts: B histories as token ids.
            items: item codes, shape (B, N).

        Raises:
            NotFiniteError: when a score is no finite number.
        """
        if self.model.history_attention == "full":
            whole: np.ndarray = self.score_prompts(prompts, items)
            return whole
        longest = int(self.model.layout.candidate_lengths[items].max())
        lengths = np.array([len(prompt) for prompt in prompts]) + items.shape[1] * longest
        result = np.empty(items.shape, dtype=np.float32)
        for part in passes(lengths, BATCH_TOKENS):
            history = self.model.read_history([prompts[i] for i in part.rows])
            scores = self.model.score_items(history, items[part.rows])
            result[part.rows] = scores.float().cpu().numpy()
        return require_finite(result)

    @torch.inference_mode()
    def score_prompts(self, prompts: Sequence[Sequence[int]], candidates: np.ndarray) -> np.ndarray:
        """Scores (B, N) of pairs that are each read alone (mode `full`).

        Batches are sorted by length, so that little is padded.

        Args:
            prompts: B histories as token ids.
            candidates: item codes, shape (B, N).

        Raises:
            NotFiniteError: when a score is no finite number.
        """
        layout = self.model.layout
        groups, count = candidates.shape
        flat = candidates.ravel()
        result = np.empty(groups * count, dtype=np.float32)
        for part in self.pair_passes(prompts, candidates):
            scores = self.model.score_pairs(
                [prompts[row // count] for row in part.rows],
                [layout.candidates[flat[row]] for row in part.rows],
            )
            result[part.rows] = scores.float().cpu().numpy()
        return require_finite(result).reshape(groups, count)

    def prefix(self, tokens: Sequence[int]) -> History:
        """Keys and values of one history, from memory when the same tokens were read before."""
        weights = weights_version(self.model)
        if weights != self._weights:
            self.weights_changed()
            self._weights = weights
        key = tuple(tokens)
        remembered = self._prefixes.get(key)
        if remembered is not None:
            self._prefixes.move_to_end(key)
            self.prefix_hits += 1
            return remembered
        history: History = self.model.read_history([tokens])
        if history.bytes <= self.prefix_bytes:
            self._prefixes[key] = history
            self._held += history.bytes
            while self._held > self.prefix_bytes:
                self._held -= self._prefixes.popitem(last=False)[1].bytes
        return history


def chunks(lengths: np.ndarray, budget: int) -> list[np.ndarray]:
    """Indices in order of length, cut so that rows × longest row stays within the budget.

    Args:
        lengths: tokens of each row.
        budget: tokens; a single longer row is a chunk of its own.
    """
    order = np.argsort(lengths, kind="stable")
    result, start = [], 0
    for stop in range(1, len(order) + 1):
        if stop == len(order) or (stop - start + 1) * lengths[order[stop]] > budget:
            result.append(order[start:stop])
            start = stop
    return result


def passes(lengths: np.ndarray, budget: int) -> list[Pass]:
    """As `chunks`, with the tokens of each."""
    return [
        Pass(rows, int(lengths[rows].max()), int(lengths[rows].sum()))
        for rows in chunks(lengths, budget)
    ]
