"""The game of a list whose scores are made of several recommenders': a cascade or a fusion.

Such a list puts its parts on one scale, standard deviations over its candidates, and adds them up.
With that scale held as it was when the list was made, the score of an item is a weighted sum of the
parts' own scores plus a constant (`ListScore`). That sum is the game: base + values is then the
very score that the list shows, and since Shapley values are linear, they are the weighted sums of
those of the parts. Every part keeps its own memory, which other lists share. No torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from llmrec_core.contract.recommender import ListScore
from llmrec_core.errors import UsageError
from llmrec_core.explain.coalitions import Coalitions
from llmrec_core.language import t


class ListGame:
    """Values of coalitions on the scale of one list.

    Args:
        score: how the scores of the list come about.
        candidates: its candidates, item codes (candidates,).
        games: the game of each part that has a say, by role; all about the same players.
    """

    def __init__(
        self, score: ListScore, candidates: np.ndarray, games: Mapping[str, Coalitions]
    ) -> None:
        self.score, self.games = score, dict(games)
        self._column = {int(item): column for column, item in enumerate(candidates)}
        first = next(iter(self.games.values()))
        self.players = first.players
        self.lengths = first.lengths

    @property
    def forwards(self) -> int:
        """Coalitions scored so far by the part that scored most of them."""
        return max(game.forwards for game in self.games.values())

    @property
    def cpu_seconds(self) -> float:
        """Processor seconds spent on scoring by all parts."""
        return sum(game.cpu_seconds for game in self.games.values())

    def column(self, item: int) -> int:
        """Where an item stands among the candidates.

        Raises:
            UsageError: when it is none of them.
        """
        if item not in self._column:
            raise UsageError(
                t(
                    "item code {item} was not among the {count} candidates that this list was "
                    "made from, so it has no score in it; name an item of the list",
                    item=item,
                    count=len(self._column),
                )
            )
        return self._column[item]

    def shares(self, item: int) -> dict[str, float]:
        """Share of each part in the score of an item; parts without a say are left out."""
        column = self.column(item)
        shares = {part.role: float(part.shares[column]) for part in self.score.parts}
        return {role: share for role, share in shares.items() if share}

    def weights(self, item: int) -> dict[str, float]:
        """What one unit of each part's own score adds to the score of an item."""
        column = self.column(item)
        return {
            part.role: float(part.weights[column])
            for part in self.score.parts
            if part.weights[column]
        }

    def offset(self, item: int) -> float:
        """The constant in the score of an item."""
        return float(self.score.offsets[self.column(item)])

    def values(self, masks: np.ndarray, items: Sequence[int]) -> np.ndarray:
        """V float64 (masks, items) on the scale of the list.

        Args:
            masks: coalitions as bit masks, int64, shape (masks,).
            items: item codes of the list.
        """
        columns = [self.column(int(item)) for item in items]
        total = np.tile(self.score.offsets[columns].astype(np.float64), (np.size(masks), 1))
        for part in self.score.parts:
            weights = part.weights[columns]
            heard = np.flatnonzero(weights).tolist()
            if heard:
                own = self.games[part.role].values(masks, [items[i] for i in heard])
                total[:, heard] += own * weights[heard]
        return total

    def scored(self, items: Sequence[int]) -> set[int]:
        """Coalitions already scored for all of these items, by every part with a say in them."""
        scored = []
        for part in self.score.parts:
            heard = [item for item in items if part.weights[self.column(int(item))]]
            if heard:
                scored.append(self.games[part.role].scored(heard))
        return set.intersection(*scored) if scored else set()
