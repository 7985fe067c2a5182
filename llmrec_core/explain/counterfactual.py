"""What would change the recommendation: the smallest part of a history without which the item loses its place."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from llmrec_core.errors import UsageError
from llmrec_core.explain.coalitions import Coalitions

MAX_FORWARDS = 1024
"""Coalitions that a proof may score beyond what is remembered."""


@dataclass(frozen=True)
class Counterfactual:
    """The set of players to remove, or why there is none."""

    removed: tuple[int, ...]
    """Numbers of the players; empty when nothing was found or nothing is needed."""
    found: bool
    proved: bool
    """No smaller set does it: every one was scored."""
    forwards: int
    rivals: tuple[int, ...]
    """Items the place is compared with."""
    places: int
    """The item is out as soon as so many rivals score higher."""
    tried: int = 0
    """All sets of up to so many players were scored."""
    scores: tuple[float, ...] = ()
    """Score of the item, then of the rivals, without the removed players."""


def smallest_set(
    game: Coalitions,
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

    "Below B" is rivals = [B], places 1; "out of the top k" is the other contenders of the list and places k. Sets are
    tried by size, all of one size before the next, so the first that succeeds is proved smallest (for these rivals; one
    that was not compared can only push the item further down). Beyond `limit` new coalitions the largest values are
    removed one after another, the set is thinned, and it is not proved (with `thin`, else the search ends there).

    Args:
        together: further items of the list, scored in the same passes for later questions.
        values: Shapley values of the players, for the order beyond the limit.

    Raises:
        UsageError: without rivals, or fewer rivals than places.
    """
    if places < 1 or len(rivals) < places:
        raise UsageError(f"{len(rivals)} rivals for {places} places; name at least as many items to compare with")
    removable = [i for i, player in enumerate(game.players) if player.kind in ("item", "group")]
    columns, before = list(dict.fromkeys((item, *rivals, *together))), game.forwards
    shown, tried = len(rivals) + 1, 0

    def without(sets: Sequence[Sequence[int]]) -> np.ndarray:
        masks = [game.everybody & ~sum(1 << i for i in removed) for removed in sets]
        return game.values(np.array(masks, dtype=np.int64), columns)[:, :shown]

    def out(scores: np.ndarray) -> np.ndarray:
        return (scores[..., 1:] > scores[..., :1]).sum(-1) >= places

    def result(removed: Sequence[int], found: bool, proved: bool) -> Counterfactual:
        scores = without([removed])[0]
        return Counterfactual(
            tuple(removed), found, proved, game.forwards - before, tuple(rivals), places, tried, tuple(scores.tolist())
        )

    if bool(out(without([()]))[0]):
        return result((), True, True)
    known = game.known(columns)
    for size in range(1, len(removable) + 1):
        if math.comb(len(removable), size) - len(known) > limit:
            break
        sets = list(combinations(removable, size))
        missing = sum(game.everybody & ~sum(1 << i for i in removed) not in known for removed in sets)
        if game.forwards - before + missing > limit:
            break
        scores, tried = without(sets), size
        gone = out(scores)
        if gone.any():
            margin = np.sort(scores[:, 1:], axis=1)[:, -places] - scores[:, 0]
            return result(sets[int(np.argmax(np.where(gone, margin, -np.inf)))], True, True)
    else:
        return result((), False, True)
    removed = _greedy(removable, values, without, out) if thin else None
    return result(removed or (), removed is not None, False)


def _greedy(
    removable: Sequence[int],
    values: np.ndarray | None,
    without: Callable[[Sequence[Sequence[int]]], np.ndarray],
    out: Callable[[np.ndarray], np.ndarray],
) -> list[int] | None:
    """Remove the largest values one after another, then put back what was not needed; None when nothing helps."""
    order = sorted(removable, key=lambda i: -(values[i] if values is not None else 0.0))
    steps = [order[: stop + 1] for stop in range(len(order))]
    gone = out(without(steps))
    if not gone.any():
        return None
    removed = steps[int(np.argmax(gone))]
    for player in reversed(removed[:-1]):
        thinner = [other for other in removed if other != player]
        if bool(out(without([thinner]))[0]):
            removed = thinner
    return sorted(removed)


def curves(game: Coalitions, items: Sequence[int], order: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Scores (n + 1, items) as players come in by `order` from nobody, and as they leave by it from everybody."""
    steps = np.cumsum([0, *(1 << int(i) for i in order)])
    insertion = game.values(steps, items)
    deletion = game.values(game.everybody - steps, items)
    return insertion, deletion
