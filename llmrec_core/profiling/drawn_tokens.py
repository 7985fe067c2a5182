"""Requests of exact lengths in drawn token ids, so that a profile needs no data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmrec_core.models.prompt_layout import pad


@dataclass(frozen=True)
class Size:
    """One cell of the grid."""

    batch: int
    history_tokens: int
    candidates: int


class DrawnTokens:
    """What a scorer needs of a prompt layout: histories of one length, candidates of another."""

    def __init__(
        self, vocabulary: int, history_tokens: int, candidates: int, candidate_tokens: int
    ) -> None:
        """Draw the candidates.

        Args:
            vocabulary: token ids are below it.
            history_tokens: of every history.
            candidates: how many there are.
            candidate_tokens: of every candidate.
        """
        self._rng, self._vocabulary = np.random.default_rng(0), vocabulary
        self.history_tokens = history_tokens
        self.candidates = [self._draw(candidate_tokens) for _ in range(candidates)]
        self.candidate_lengths = np.full(candidates, candidate_tokens)
        self._grid = pad(self.candidates)
        self._histories: dict[int, list[int]] = {}

    def _draw(self, size: int) -> list[int]:
        return [int(token) for token in self._rng.integers(0, self._vocabulary, size)]

    def resize(self, history_tokens: int) -> None:
        """Have histories of another length from now on."""
        self.history_tokens = history_tokens
        self._histories.clear()

    def history(self, user: Sequence[int]) -> list[int]:
        """Token ids of one user, named by the only code in `user`."""
        if user[0] not in self._histories:
            self._histories[user[0]] = self._draw(self.history_tokens)
        return self._histories[user[0]]

    def candidate_grid(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Token ids (items, T) of item codes and their mask, which is True everywhere."""
        tokens, mask = self._grid
        return tokens[items], mask[items]
