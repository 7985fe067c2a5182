"""Scores that these very weights have given already: a run computes no request twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmrec_core.contract.recommender import Score

MOST_CELLS = 5_000_000
"""Scores kept; a full ranking of many users is not worth its memory."""


class Remembered:
    """A scorer in front of another one, with a memory of whole requests.

    A request is a history and its candidates. The memory holds as long as the weights stay what
    they are; the score must depend on the request alone.

    Args:
        score: the scorer behind it.
    """

    def __init__(self, score: Score) -> None:
        self._score = score
        self._scores: dict[tuple[bytes, bytes], np.ndarray] = {}
        self._cells = 0

    def keep(
        self, histories: Sequence[np.ndarray], candidates: np.ndarray, scores: np.ndarray
    ) -> None:
        """Remember scores (batch, N) that were computed elsewhere, e.g. under a stopwatch."""
        for history, offered, row in zip(histories, candidates, scores, strict=True):
            if self._cells + row.size <= MOST_CELLS:
                self._cells += row.size
                self._scores[_key(history, offered)] = row

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """As `Recommender.score`; only requests never seen before are computed."""
        rows = [
            self._scores.get(_key(*request)) for request in zip(histories, candidates, strict=True)
        ]
        missing = [place for place, row in enumerate(rows) if row is None]
        if missing:
            requests = [histories[place] for place in missing], candidates[missing]
            computed = self._score(*requests)
            self.keep(*requests, computed)
            for place, row in zip(missing, computed, strict=True):
                rows[place] = row
        return np.stack([row for row in rows if row is not None])


def _key(history: np.ndarray, candidates: np.ndarray) -> tuple[bytes, bytes]:
    return np.asarray(history).tobytes(), candidates.tobytes()
