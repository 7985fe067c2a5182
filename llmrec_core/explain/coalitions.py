"""What a recommender scores when only some of the players are there, remembered by coalition.

One pass over a shortened history can score many candidates, so values are kept for whole lists: a
second item of the same list, a contrast or a counterfactual then costs nothing. No torch.
"""

from __future__ import annotations

import time
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from llmrec_core.contract.recommender import Neural, Recommender
from llmrec_core.errors import DataError, UsageError
from llmrec_core.explain.players import Player
from llmrec_core.explain.shapley import present
from llmrec_core.language import t

CHUNK = 512
"""Coalitions per call of a recommender."""
KEPT = 64
"""Games remembered per recommender."""
MOST_PLAYERS = 60
"""Players that a bit mask of 64 bits holds safely."""

Rows = dict[int, dict[int, float]]
"""Scores that are known: item code → bit mask of the coalition → score."""


class Scores(Protocol):
    """What a recommender says of items when only some of the players are there."""

    @property
    def lengths(self) -> Sequence[float] | None:
        """What each player adds to the length of what is read, None where they are all alike."""

    def __call__(self, there: np.ndarray, items: Sequence[int]) -> np.ndarray:
        """Scores float64 (coalitions, items) of coalitions as booleans (coalitions, players)."""


class Game(Protocol):
    """The values that an explanation is computed from."""

    @property
    def players(self) -> tuple[Player, ...]:
        """Whose presence varies."""

    @property
    def lengths(self) -> Sequence[float] | None:
        """What each player adds to the length of what is read, None where they are all alike."""

    @property
    def forwards(self) -> int:
        """Coalitions scored so far, each with all the items asked for at once."""

    @property
    def cpu_seconds(self) -> float:
        """Processor seconds spent on them."""

    def values(self, masks: np.ndarray, items: Sequence[int]) -> np.ndarray:
        """V float64 (masks, items); what was scored before is not scored again.

        Args:
            masks: coalitions as bit masks, int64, shape (masks,).
            items: item codes.
        """

    def scored(self, items: Sequence[int]) -> set[int]:
        """Coalitions already scored for all of these items."""


def everybody_of(players: Sequence[Player]) -> int:
    """The bit mask of all players."""
    return (1 << len(players)) - 1


class HistoryScores:
    """Any recommender, by its own `score`: absent items are left out, or replaced by others'.

    Players that are no history items change nothing here.

    Args:
        recommender: who scores.
        items: item codes of the history that is read, oldest first.
        players: whose presence varies.
        stand_ins: item codes (backgrounds, history) in place of absent ones; None leaves them out.
    """

    def __init__(
        self,
        recommender: Recommender,
        items: np.ndarray,
        players: Sequence[Player],
        stand_ins: np.ndarray | None = None,
    ) -> None:
        self.recommender, self.stand_ins = recommender, stand_ins
        self.items = np.asarray(items, dtype=np.int64)
        self.owner = owners(players, len(items))
        self.lengths = None if stand_ins is not None else [len(player.places) for player in players]

    def __call__(self, there: np.ndarray, items: Sequence[int]) -> np.ndarray:
        """Scores float64 (coalitions, items) of coalitions as booleans (coalitions, players)."""
        always = np.ones((len(there), 1), dtype=bool)
        kept = np.concatenate((there, always), axis=1)[:, self.owner]  # (coalitions, history)
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
    """Which player holds each place of the history; the number of players where none does.

    A place that nobody holds is always there.

    Args:
        players: of the game.
        length: items of the history.
    """
    result = np.full(length, len(players), dtype=np.int64)
    for number, player in enumerate(players):
        result[list(player.places)] = number
    return result


class Coalitions:
    """Values of coalitions of one prompt for any number of items, scored once each.

    Args:
        players: whose presence varies.
        evaluate: scores coalitions that are not known yet.
        rows: values known from earlier questions; extended in place.

    Raises:
        UsageError: for more players than a bit mask holds.
    """

    def __init__(
        self, players: Sequence[Player], evaluate: Scores, rows: Rows | None = None
    ) -> None:
        self.players = tuple(players)
        if len(self.players) > MOST_PLAYERS:
            raise UsageError(
                t(
                    "{players} players; at most {most}: group the history by recency or genre",
                    players=len(self.players),
                    most=MOST_PLAYERS,
                )
            )
        self._evaluate = evaluate
        self.lengths = evaluate.lengths
        self._rows: Rows = {} if rows is None else rows
        self.forwards = 0
        self.cpu_seconds = 0.0

    def values(self, masks: np.ndarray, items: Sequence[int]) -> np.ndarray:
        """V float64 (masks, items); what was scored before is not scored again.

        Args:
            masks: coalitions as bit masks, int64, shape (masks,).
            items: item codes.

        Raises:
            DataError: when a score is not a number.
        """
        wanted = [int(mask) for mask in np.asarray(masks).ravel()]
        rows = [self._rows.setdefault(int(item), {}) for item in items]
        missing = sorted({mask for row in rows for mask in wanted if mask not in row})
        if missing:
            self._score(missing, items, rows)
        return np.array([[row[mask] for row in rows] for mask in wanted], dtype=np.float64).reshape(
            len(wanted), len(rows)
        )

    def _score(
        self, missing: Sequence[int], items: Sequence[int], rows: Sequence[dict[int, float]]
    ) -> None:
        cpu = time.process_time()
        lacking = [i for i, row in enumerate(rows) if any(mask not in row for mask in missing)]
        there = present(np.array(missing, dtype=np.int64), len(self.players))
        scores = self._evaluate(there, [int(items[i]) for i in lacking])
        if not np.isfinite(scores).all():
            raise DataError(
                t(
                    "{wrong} of {count} scores are not numbers, so nothing can be explained: the "
                    "weights are damaged or training diverged; retrain the model",
                    wrong=int((~np.isfinite(scores)).sum()),
                    count=scores.size,
                )
            )
        for column, i in enumerate(lacking):
            rows[i].update(zip(missing, scores[:, column].tolist(), strict=True))
        self.forwards += len(missing)
        self.cpu_seconds += time.process_time() - cpu

    def scored(self, items: Sequence[int]) -> set[int]:
        """Coalitions already scored for all of these items."""
        return set.intersection(*(set(self._rows.get(int(item), ())) for item in items))


class Memory:
    """Values of earlier questions, forgotten with their recommender.

    They are kept by recommender, weights, prompt and baseline.

    Only numbers are kept: a game would hold on to the recommender, and a model would never leave
    memory.
    """

    def __init__(self) -> None:
        self._of: weakref.WeakKeyDictionary[Recommender, OrderedDict[object, Rows]] = (
            weakref.WeakKeyDictionary()
        )

    def rows(self, recommender: Recommender, key: tuple[object, ...]) -> Rows:
        """What was scored under `key` with these very weights, to be handed to `Coalitions`.

        Args:
            recommender: whose scores they are.
            key: what else decides a score: the items read, players, baseline, data.
        """
        games = self._of.setdefault(recommender, OrderedDict())
        version = recommender.weights_version() if isinstance(recommender, Neural) else ()
        whole = (version, *key)
        rows = games.setdefault(whole, {})
        games.move_to_end(whole)
        while len(games) > KEPT:
            games.popitem(last=False)
        return rows

    def __len__(self) -> int:
        return len(self._of)
