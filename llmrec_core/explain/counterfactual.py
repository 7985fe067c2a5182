"""What would change the recommendation: the smallest part of a history that holds its place."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from llmrec_core.errors import UsageError
from llmrec_core.explain.coalitions import Game, everybody_of
from llmrec_core.language import t

MAX_FORWARDS = 1024
"""Coalitions that a proof may score beyond what is remembered."""


@dataclass(frozen=True)
class Counterfactual:
    """The set of players to remove, or why there is none."""

    removed: tuple[int, ...]
    """Numbers of the players; empty when nothing was found or nothing is needed."""
    out: bool
    """Without them the item is out."""
    proved: bool
    """No smaller set does it: every one was scored."""
    forwards: int
    """Coalitions scored for the search."""
    places: int
    """The item is out as soon as so many of the items compared score higher."""
    compared: int
    """Items it was compared with."""
    place: int
    """Its place among them with the whole history, 1 for the first."""
    place_without: int
    """Its place without the removed players."""
    tried: int = 0
    """All sets of up to so many players were scored."""

    def to_json(self) -> dict[str, Any]:
        """The same as JSON."""
        return dataclasses.asdict(self) | {"removed": list(self.removed)}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Counterfactual:
        """As `to_json` wrote it."""
        values = {name: body[name] for name in _FIELDS}
        return cls(**(values | {"removed": tuple(body["removed"])}))


_FIELDS = tuple(Counterfactual.__dataclass_fields__)


def smallest_set(
    game: Game,
    item: int,
    rivals: Sequence[int],
    *,
    places: int = 1,
    together: Sequence[int] = (),
    values: np.ndarray | None = None,
    limit: int = MAX_FORWARDS,
    thin: bool = True,
) -> Counterfactual:
    """The smallest set of history items whose removal puts at least `places` rivals above the item.

    "Below B" is rivals = [B], places 1; "out of the top k" is the other contenders of the list and
    places k. Sets are tried by size, all of one size before the next, so the first that succeeds is
    proved smallest (for these rivals; one that was not compared can only push the item further
    down). Beyond `limit` new coalitions the largest values are removed one after another, the set
    is thinned, and it is not proved (with `thin`, else the search ends there).

    Args:
        game: values of coalitions.
        item: code of the item.
        rivals: codes of the items it is compared with.
        places: rivals that must stand above it.
        together: further items of the list, scored in the same passes for later questions.
        values: Shapley values of the players, for the order beyond the limit.
        limit: coalitions that may be scored beyond those remembered.
        thin: whether to search on without a proof.

    Raises:
        UsageError: without rivals, or fewer rivals than places.
    """
    if places < 1 or len(rivals) < places:
        raise UsageError(
            t(
                "{rivals} rivals for {places} places; name at least as many items to compare with",
                rivals=len(rivals),
                places=places,
            )
        )
    search = _Search(game, item, tuple(rivals), places, together)
    if search.out(()):
        return search.result((), out=True, proved=True)
    proof = search.by_size(limit)
    if proof is not None:
        return proof
    removed = search.greedy(values) if thin else None
    return search.result(tuple(removed or ()), out=removed is not None, proved=False)


class _Search:
    """One search over the sets of removable players."""

    def __init__(
        self, game: Game, item: int, rivals: tuple[int, ...], places: int, together: Sequence[int]
    ) -> None:
        self.game, self.rivals, self.places = game, rivals, places
        self.removable = [
            number for number, player in enumerate(game.players) if player.kind in ("item", "group")
        ]
        self.columns = list(dict.fromkeys((item, *rivals, *together)))
        self.before, self.tried = game.forwards, 0

    def without(self, sets: Sequence[Sequence[int]]) -> np.ndarray:
        """Scores (sets, 1 + rivals) of the item and its rivals without each set of players."""
        masks = [self._mask(removed) for removed in sets]
        values = self.game.values(np.array(masks, dtype=np.int64), self.columns)
        return values[:, : len(self.rivals) + 1]

    def _mask(self, removed: Sequence[int]) -> int:
        return everybody_of(self.game.players) & ~sum(1 << number for number in removed)

    def _gone(self, scores: np.ndarray) -> np.ndarray:
        above: np.ndarray = (scores[..., 1:] > scores[..., :1]).sum(-1) >= self.places
        return above

    def out(self, removed: Sequence[int]) -> bool:
        """Whether the item is out without these players."""
        return bool(self._gone(self.without([removed]))[0])

    def result(self, removed: tuple[int, ...], *, out: bool, proved: bool) -> Counterfactual:
        """The record of this search."""
        whole, scores = self.without([(), removed])
        return Counterfactual(
            removed,
            out,
            proved,
            self.game.forwards - self.before,
            self.places,
            len(self.rivals),
            1 + int((whole[1:] > whole[0]).sum()),
            1 + int((scores[1:] > scores[0]).sum()),
            self.tried,
        )

    def by_size(self, limit: int) -> Counterfactual | None:
        """The proved-smallest set, or the proof of none; None beyond `limit` new coalitions."""
        scored = self.game.scored(self.columns)
        for size in range(1, len(self.removable) + 1):
            if math.comb(len(self.removable), size) - len(scored) > limit:
                return None
            sets = list(combinations(self.removable, size))
            missing = sum(self._mask(removed) not in scored for removed in sets)
            if self.game.forwards - self.before + missing > limit:
                return None
            scores, self.tried = self.without(sets), size
            gone = self._gone(scores)
            if gone.any():
                margin = np.sort(scores[:, 1:], axis=1)[:, -self.places] - scores[:, 0]
                clearest = int(np.argmax(np.where(gone, margin, -np.inf)))
                return self.result(sets[clearest], out=True, proved=True)
        return self.result((), out=False, proved=True)

    def greedy(self, values: np.ndarray | None) -> list[int] | None:
        """Remove the largest values one after another, then put back what was not needed."""
        order = sorted(self.removable, key=lambda i: -(values[i] if values is not None else 0.0))
        steps = [order[: stop + 1] for stop in range(len(order))]
        gone = self._gone(self.without(steps))
        if not gone.any():
            return None
        removed = steps[int(np.argmax(gone))]
        for player in reversed(removed[:-1]):
            thinner = [other for other in removed if other != player]
            if self.out(thinner):
                removed = thinner
        return sorted(removed)


def curves(game: Game, items: Sequence[int], order: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Scores (players + 1, items) as players come in from nobody, and as they leave from everybody.

    Args:
        game: values of coalitions.
        items: codes of the items that are scored.
        order: numbers of the players, first to come and first to leave.
    """
    steps = np.cumsum([0, *(1 << int(i) for i in order)])
    insertion = game.values(steps, items)
    deletion = game.values(everybody_of(game.players) - steps, items)
    return insertion, deletion
