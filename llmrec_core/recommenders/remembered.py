"""Scores that these very weights have given already: the same request is not computed twice in one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

MOST_CELLS = 5_000_000
"""Scores kept; a full ranking of many users is not worth its memory."""

Score = Callable[[Sequence[np.ndarray], np.ndarray], np.ndarray]


class Remembered:
    """A scorer in front of another one, with a memory of whole requests (a history and its candidates).

    Valid as long as the weights stay what they are; `Recommender.score` must depend on the request alone.
    """

    def __init__(self, score: Score) -> None:
        self._score = score
        self._known: dict[tuple[bytes, bytes], np.ndarray] = {}
        self._cells = 0

    def keep(self, histories: Sequence[np.ndarray], candidates: np.ndarray, scores: np.ndarray) -> None:
        """Remember scores (B, N) that were computed elsewhere, e.g. under a stopwatch."""
        for history, offered, row in zip(histories, candidates, scores, strict=True):
            if self._cells + row.size <= MOST_CELLS:
                self._cells += row.size
                self._known[_key(history, offered)] = row

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """Scores (B, N); only requests never seen before are computed."""
        known = [self._known.get(_key(*request)) for request in zip(histories, candidates, strict=True)]
        missing = [row for row, scores in enumerate(known) if scores is None]
        if missing:
            asked = [histories[row] for row in missing], candidates[missing]
            found = self._score(*asked)
            self.keep(*asked, found)
            for row, scores in zip(missing, found, strict=True):
                known[row] = scores
        return np.stack([scores for scores in known if scores is not None])


def _key(history: np.ndarray, candidates: np.ndarray) -> tuple[bytes, bytes]:
    return np.asarray(history).tobytes(), candidates.tobytes()
