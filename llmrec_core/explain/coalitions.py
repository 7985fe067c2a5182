"""The game's values: what a recommender scores when only some of the players are there, remembered by coalition.

One pass over a shortened history can score many candidates, so values are kept for whole lists: a second item of the
same list, a contrast or a counterfactual then costs nothing. No torch.
"""

from __future__ import annotations

import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from llmrec_core.errors import DataError, UsageError
from llmrec_core.explain.players import Player
from llmrec_core.explain.shapley import present

BASELINES = ("remove", "mask", "average")
"""What stands in for an absent player: nothing, [MASK] tokens, or the items of a few other users in turn."""
CHUNK = 512
"""Coalitions per call of a recommender."""
KEPT = 64
"""Games remembered per recommender."""

Evaluate = Callable[[np.ndarray, Sequence[int]], np.ndarray]
"""(coalitions as booleans (m, players), C item codes) → scores (m, C) float64; its attribute `lengths`, where there is one,
says what each player adds to the length of what is read."""


class HistoryScores:
    """Any recommender, by its own `score`: absent items are left out, or replaced by those of other users."""

    def __init__(
        self, recommender: Any, items: np.ndarray, players: Sequence[Player], stand_ins: np.ndarray | None = None
    ) -> None:
        self.recommender, self.items, self.stand_ins = recommender, np.asarray(items, dtype=np.int64), stand_ins
        self.owner = owners(players, len(items))
        self.lengths = None if stand_ins is not None else [len(player.places) for player in players]
        other = [player.kind for player in players if player.kind not in ("item", "group")]
        if other:
            raise UsageError(
                f"players of kind {other[0]!r} need a model that reads text; this recommender reads item ids only: "
                "ask for players 'history'"
            )

    def __call__(self, there: np.ndarray, items: Sequence[int]) -> np.ndarray:
        kept = np.concatenate((there, np.ones((len(there), 1), dtype=bool)), axis=1)[:, self.owner]  # (m, history)
        if self.stand_ins is None:
            return self._score([self.items[row] for row in kept], items)
        total = np.zeros((len(there), len(items)))
        for other in self.stand_ins:
            total += self._score([np.where(row, self.items, other) for row in kept], items)
        return total / len(self.stand_ins)

    def _score(self, histories: list[np.ndarray], items: Sequence[int]) -> np.ndarray:
        parts = []
        for start in range(0, len(histories), CHUNK):
            some = histories[start : start + CHUNK]
            offered = np.tile(np.asarray(items, dtype=np.int64), (len(some), 1))
            parts.append(np.asarray(self.recommender.score(some, offered), dtype=np.float64))
        return np.concatenate(parts)


def owners(players: Sequence[Player], length: int) -> np.ndarray:
    """Which player holds each place of the history; the number of players where none does (always present)."""
    result = np.full(length, len(players), dtype=np.int64)
    for number, player in enumerate(players):
        result[list(player.places)] = number
    return result


class Coalitions:
    """Values of coalitions of one prompt for any number of items, scored once each.

    Args:
        rows: values known from earlier questions, item → bit mask → score; extended in place.
    """

    def __init__(
        self, players: Sequence[Player], evaluate: Evaluate, rows: dict[int, dict[int, float]] | None = None
    ) -> None:
        self.players = tuple(players)
        if len(self.players) > 60:
            raise UsageError(f"{len(self.players)} players; at most 60: group the history by recency or genre")
        self._evaluate = evaluate
        self.lengths: Sequence[float] | None = getattr(evaluate, "lengths", None)
        self._rows: dict[int, dict[int, float]] = {} if rows is None else rows
        self.forwards = 0
        """Coalitions scored, each with all the items asked for at once."""
        self.seconds = 0.0
        self.cpu_seconds = 0.0

    @property
    def everybody(self) -> int:
        return (1 << len(self.players)) - 1

    def values(self, masks: np.ndarray, items: Sequence[int]) -> np.ndarray:
        """v (masks, items) float64; whatever is known is not scored again.

        Raises:
            DataError: when a score is not a number.
        """
        wanted = [int(mask) for mask in np.asarray(masks).ravel()]
        rows = [self._rows.setdefault(int(item), {}) for item in items]
        missing = sorted({mask for row in rows for mask in wanted if mask not in row})
        if missing:
            began, cpu = time.perf_counter(), time.process_time()
            lacking = [i for i, row in enumerate(rows) if any(mask not in row for mask in missing)]
            there = present(np.array(missing, dtype=np.int64), len(self.players))
            scores = self._evaluate(there, [int(items[i]) for i in lacking])
            if not np.isfinite(scores).all():
                raise DataError(
                    f"{int((~np.isfinite(scores)).sum())} of {scores.size} scores are not numbers, so nothing can be "
                    "explained: the weights are damaged or training diverged; retrain the model"
                )
            for column, i in enumerate(lacking):
                rows[i].update(zip(missing, scores[:, column].tolist(), strict=True))
            self.forwards += len(missing)
            self.seconds += time.perf_counter() - began
            self.cpu_seconds += time.process_time() - cpu
        return np.array([[row[mask] for row in rows] for mask in wanted], dtype=np.float64).reshape(
            len(wanted), len(rows)
        )

    def known(self, items: Sequence[int]) -> set[int]:
        """Coalitions already scored for all of these items."""
        return set.intersection(*(set(self._rows.get(int(item), ())) for item in items))


class Memory:
    """Values of earlier questions, by recommender, weights, prompt and baseline; forgotten with the recommender.

    Only numbers are kept: a game would hold on to the recommender, and a model would never leave memory.
    """

    def __init__(self) -> None:
        self._of: weakref.WeakKeyDictionary[Any, OrderedDict[Any, dict[int, dict[int, float]]]] = (
            weakref.WeakKeyDictionary()
        )

    def rows(self, recommender: Any, key: tuple[Any, ...]) -> dict[int, dict[int, float]]:
        """What is known under `key` for these very weights, to be handed to `Coalitions`."""
        games = self._of.setdefault(recommender, OrderedDict())
        whole = (weights_version(recommender), *key)
        found = games.setdefault(whole, {})
        games.move_to_end(whole)
        while len(games) > KEPT:
            games.popitem(last=False)
        return found

    def __len__(self) -> int:
        return len(self._of)


def weights_version(recommender: Any) -> tuple[Any, ...]:
    """Changes whenever a weight is written or replaced; constant for recommenders without parameters."""
    model: Any = getattr(recommender, "model", None)
    if not hasattr(model, "parameters"):
        return ()
    return tuple((id(p), 0 if p.is_inference() else p._version) for p in model.parameters())
