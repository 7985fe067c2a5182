"""The packed scorer: one user's candidates against a history that is read once and remembered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from llmrec_core.errors import UsageError
from llmrec_core.models.packed import History
from llmrec_core.models.scorer_model import ScorerModel

if TYPE_CHECKING:
    from llmrec_core.scoring.early_exit import EarlyExit
    from llmrec_core.settings import Settings

CHUNK_TOKENS = 800
"""Candidate tokens per pass. Larger chunks leave the cache of a CPU core (measured: 50–100 candidates of 12 tokens best)."""
FULL_BATCH_TOKENS = 4096
"""Tokens per batch of whole sequences in mode `full`."""
BATCH_TOKENS = 1024
"""Tokens per pass over several users (`score_batch`)."""
PREFIX_BYTES = 256 << 20
"""Memory for remembered histories, least recently used out first."""


class Scorer:
    """Ranks candidates for histories with a trained `ScorerModel`.

    Remembers the keys and values of recent histories. A history is found again only if its token ids are the same
    and no weight has changed since: torch counts the changes of every tensor, and another count forgets everything.
    """

    def __init__(
        self, model: ScorerModel, *, chunk_tokens: int = CHUNK_TOKENS, prefix_bytes: int = PREFIX_BYTES
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

    @classmethod
    def load(cls, path: Path | str, settings: Settings | None = None) -> Scorer:
        """The scorer of a finished run: `path` is its `model` folder."""
        from llmrec_core.recommenders.language_model import LanguageModelRecommender
        from llmrec_core.settings import load_settings

        return LanguageModelRecommender.open(Path(path), settings or load_settings()).scorer

    def weights_changed(self) -> None:
        """Forget every history, as after a change that torch cannot count (modules swapped for quantised ones)."""
        self._prefixes.clear()
        self._held = 0

    def rank(
        self, history: Sequence[int], candidates: Sequence[int] | np.ndarray, *, k: int = 10
    ) -> tuple[np.ndarray, np.ndarray]:
        """The `k` best candidates.

        Args:
            history: item codes, oldest first; may be empty.
            candidates: item codes, at least one.

        Returns:
            item codes and scores, best first; ties in the order of `candidates`.

        Raises:
            UsageError: when there is no candidate, `k` is not positive or an item is unknown.
        """
        items = np.asarray(candidates, dtype=np.int64)
        if items.size == 0 or k < 1:
            raise UsageError(f"rank got {items.size} candidates and k = {k}; expected at least one of each")
        scores = self.scores(history, items)
        best = np.argsort(-scores, kind="stable")[:k]
        return items[best], scores[best]

    @torch.inference_mode()
    def scores(self, history: Sequence[int], candidates: np.ndarray) -> np.ndarray:
        """Scores (N,) float32 of candidate item codes (N,) for one history of item codes."""
        layout = self.model.layout
        for item in (*history, *(int(candidates.min()), int(candidates.max()))) if len(candidates) else history:
            if not 0 <= item < len(layout.candidates):
                raise UsageError(f"item code {item} is not in the catalogue of {len(layout.candidates)} items")
        if self.model.history_attention == "full":
            return self.score_prompts([layout.history(history)], candidates[None])[0]
        prefix = self.prefix(layout.history(history))
        if self.exit is not None and len(candidates) > self.exit.k:
            return checked(self.exit.scores(self, prefix, candidates))
        return checked(self.through(candidates, lambda items: self.model.score_items(prefix, items)))

    def through(self, candidates: np.ndarray, read: Callable[[np.ndarray], torch.Tensor]) -> np.ndarray:
        """What `read` says of items (1, n), for all candidates (N) in chunks: (N, …) float32."""
        parts = chunks(self.model.layout.candidate_lengths[candidates], self.chunk_tokens)
        found = [read(candidates[chunk][None])[0].float().cpu().numpy() for chunk in parts]
        result = np.empty((len(candidates), *found[0].shape[1:]), dtype=np.float32)
        for chunk, rows in zip(parts, found, strict=True):
            result[chunk] = rows
        return result

    @torch.inference_mode()
    def score_batch(self, prompts: Sequence[Sequence[int]], items: np.ndarray) -> np.ndarray:
        """Scores (B, N) of many short requests in few passes: B histories as token ids, N item codes each.

        For N so small that a pass per user would leave the hardware idle: explanations (one candidate, hundreds of
        shortened histories), or a GPU. Histories are sorted by length; nothing is remembered.
        """
        if self.model.history_attention == "full":
            return self.score_prompts(prompts, items)
        lengths = np.array([len(prompt) for prompt in prompts]) + items.shape[1] * int(
            self.model.layout.candidate_lengths[items].max()
        )
        result = np.empty(items.shape, dtype=np.float32)
        for chunk in chunks(lengths, BATCH_TOKENS):
            history = self.model.read_history([prompts[i] for i in chunk])
            result[chunk] = self.model.score_items(history, items[chunk]).float().cpu().numpy()
        return checked(result)

    @torch.inference_mode()
    def score_prompts(self, prompts: Sequence[Sequence[int]], candidates: np.ndarray) -> np.ndarray:
        """Scores (B, N) of history token ids (B) and item codes (B, N), every pair read alone (mode `full`).

        Batches are sorted by length, so that little is padded.
        """
        layout = self.model.layout
        groups, count = candidates.shape
        flat = candidates.ravel()
        lengths = np.repeat([len(p) for p in prompts], count) + layout.candidate_lengths[flat]
        result = np.empty(groups * count, dtype=np.float32)
        for chunk in chunks(lengths, FULL_BATCH_TOKENS):
            scores = self.model.score_pairs(
                [prompts[i // count] for i in chunk], [layout.candidates[flat[i]] for i in chunk]
            )
            result[chunk] = scores.float().cpu().numpy()
        return checked(result).reshape(groups, count)

    def prefix(self, tokens: Sequence[int]) -> History:
        """Keys and values of one history, from memory when the same tokens were read before."""
        weights = tuple((id(p), 0 if p.is_inference() else p._version) for p in self.model.parameters())
        if weights != self._weights:
            self.weights_changed()
            self._weights = weights
        key = tuple(tokens)
        found = self._prefixes.get(key)
        if found is not None:
            self._prefixes.move_to_end(key)
            self.prefix_hits += 1
            return found
        history = self.model.read_history([tokens])
        if history.bytes <= self.prefix_bytes:
            self._prefixes[key] = history
            self._held += history.bytes
            while self._held > self.prefix_bytes:
                self._held -= self._prefixes.popitem(last=False)[1].bytes
        return history


def chunks(lengths: np.ndarray, budget: int) -> list[np.ndarray]:
    """Indices in order of length, cut so that rows × longest row stays within `budget` tokens (one row at least)."""
    order = np.argsort(lengths, kind="stable")
    result, start = [], 0
    for stop in range(1, len(order) + 1):
        if stop == len(order) or (stop - start + 1) * lengths[order[stop]] > budget:
            result.append(order[start:stop])
            start = stop
    return result


def checked(scores: np.ndarray) -> np.ndarray:
    """The scores, refused if any is NaN: a ranking of NaN looks valid and is not."""
    if np.isnan(scores).any():
        raise UsageError(
            f"{int(np.isnan(scores).sum())} of {scores.size} scores are NaN: the weights are damaged or training diverged; retrain"
        )
    return scores
