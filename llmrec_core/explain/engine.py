"""From a question to an explanation: score coalitions until the values are as certain as asked. No torch.

Up to ten players or so every coalition can be scored and the values are exact; else the budget grows until the estimated
error meets the asked one, and every value carries its bar.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from llmrec_core.errors import UsageError
from llmrec_core.explain.coalitions import Coalitions
from llmrec_core.explain.estimate import Estimate, coalition_order, estimate
from llmrec_core.explain.players import MAX_EXACT, Player
from llmrec_core.explain.shapley import decayed_shapley, interactions_from_table

TARGETS = ("score", "probability")
FIRST, GROWTH = 32, 1.5
"""Coalitions of the first estimate, and the factor by which they grow."""
HARD_LIMIT = 2048
"""Coalitions at most when only an error is asked for."""


@dataclass(frozen=True)
class Explanation:
    """What each player is worth for one item, in units of the target: base + values = prediction."""

    item: int
    players: tuple[Player, ...]
    values: np.ndarray
    errors: np.ndarray
    """Half-widths of the 95 % interval of each value, 0 when exact."""
    base: float
    """The target with no player."""
    prediction: float
    """The target with all of them."""
    exact: bool
    masks: np.ndarray = field(repr=False)
    """Coalitions behind the values, int64 bit masks, nobody first and everybody second."""
    table: np.ndarray = field(repr=False)
    """The target of each."""
    target: str = "score"
    baseline: str = "remove"
    against: int | None = None
    forwards: int = 0
    """Coalitions scored for this answer; the rest was remembered."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def additivity_gap(self) -> float:
        """|base + sum of values - prediction|: rounding alone."""
        return abs(self.base + float(self.values.sum()) - self.prediction)

    @property
    def relative_error(self) -> float:
        """Estimated error: summed over the players, relative to the sum of absolute values."""
        return Estimate(self.values, self.errors, self.exact).relative_error

    @property
    def full_table(self) -> np.ndarray | None:
        """v of all 2^n coalitions by bit mask, or None when not all were scored."""
        if len(self.table) != 1 << len(self.players):
            return None
        return self.table[np.argsort(self.masks)]

    @property
    def interactions(self) -> np.ndarray | None:
        """Pairwise Shapley interactions (n, n), or None when not all coalitions were scored."""
        return None if self.full_table is None else interactions_from_table(self.full_table)

    @property
    def leave_one_out(self) -> np.ndarray:
        """What the prediction loses without each player alone; NaN where that coalition was not scored."""
        known = dict(zip(self.masks.tolist(), self.table.tolist(), strict=True))
        everybody = (1 << len(self.players)) - 1
        return np.array([self.prediction - known.get(everybody ^ 1 << i, np.nan) for i in range(len(self.players))])

    def to_shap(self, names: Sequence[str] | None = None) -> Any:
        """A `shap.Explanation` of this one row; its `error_std` holds standard errors."""
        import shap

        labels = list(names) if names is not None else [player.label for player in self.players]
        return shap.Explanation(
            values=self.values[None],
            base_values=np.array([self.base]),
            data=np.ones((1, len(self.players))),
            feature_names=labels,
            error_std=self.errors[None] / 1.96,
            compute_time=self.seconds,
        )


def to_target(scores: np.ndarray, target: str) -> np.ndarray:
    """Scores (…, C) of an item and perhaps its rival as one number: the item's, or the first minus the second.

    `probability` is 1 / (1 + exp(-score)): of "yes" for a yes/no head, of beating an item with score 0 for a ranker;
    with a rival, of beating it (Bradley & Terry 1952).
    """
    if target not in TARGETS:
        raise UsageError(f"target is {target!r}; expected one of {', '.join(TARGETS)}")
    logit = scores[..., 0] - scores[..., 1] if scores.shape[-1] == 2 else scores[..., 0]
    return logit if target == "score" else 0.5 * (1.0 + np.tanh(0.5 * logit))


def explain(
    game: Coalitions,
    item: int,
    *,
    against: int | None = None,
    together: Sequence[int] = (),
    target: str = "score",
    budget: int | None = None,
    error: float = 0.05,
    seed: int = 0,
    baseline: str = "remove",
    progress: Callable[[Explanation], None] | None = None,
) -> Explanation:
    """Shapley values of the players of `game` for one item.

    Args:
        against: explain the score of `item` minus this one's.
        together: further items of the list, scored in the same passes and remembered for later questions.
        budget: coalitions to score at most, remembered ones included; None lets `error` decide.
        error: asked summed error relative to the summed values; 0 asks for exact values. With a `budget`, all of it is
            used unless the values are exact before.
        progress: called with every intermediate explanation.

    Raises:
        UsageError: for a budget below players + 2, or an exact answer over more than 12 players.
    """
    n = len(game.players)
    if n == 0:
        raise UsageError("there is nobody to attribute the score to; ask for players 'fields' or give a history")
    whole = 1 << n
    if budget is not None and budget < n + 2:
        raise UsageError(
            f"a budget of {budget} coalitions is too small for {n} players: at least {n + 2} are needed, about "
            f"{20 * n} give useful error bars"
        )
    if not 0 <= error < 1:
        raise UsageError(f"error is {error}; expected a share from 0 (exact) up to 1, e.g. 0.05")
    if error == 0 and budget is None and n > MAX_EXACT:
        raise UsageError(
            f"exact values of {n} players need {whole} scorings; at most {MAX_EXACT} players are exact: give a budget, "
            "an error above 0, or fewer players"
        )
    began, cpu, before = time.perf_counter(), time.process_time(), game.forwards
    items = [item] if against is None else [item, against]
    columns = [*items, *(other for other in dict.fromkeys(together) if other not in items)]
    limit = min(whole, budget if budget is not None else (whole if error == 0 else max(HARD_LIMIT, n + 2)))
    count = limit if budget is not None or error == 0 or n <= 4 else min(limit, max(FIRST, 2 * n + 2))
    order = coalition_order(n, seed)
    masks: list[int] = []
    while True:
        masks += islice(order, count - len(masks))
        scored = np.array(masks, dtype=np.int64)
        table = to_target(game.values(scored, columns)[:, : len(items)], target)
        found = estimate(scored, table, n, game.lengths)
        result = Explanation(
            item, game.players, found.values, found.errors, float(table[0]), float(table[min(1, len(table) - 1)]),
            found.exact, scored, table, target, baseline, against, game.forwards - before,
            time.perf_counter() - began, time.process_time() - cpu,
        )  # fmt: skip
        if progress is not None:
            progress(result)
        if found.exact or len(masks) >= limit or found.relative_error <= error:
            return result
        count = min(limit, max(count + 2, int(count * GROWTH) // 2 * 2))


def explain_decayed(game: Coalitions, item: int, decay: float) -> Explanation:
    """Exact values in closed form for a score in which an item's weight shrinks by `decay` with every later item.

    EASE, item-kNN and TF-IDF are such; n + 2 scorings are enough for any number of single items.
    """
    began, cpu, before = time.perf_counter(), time.process_time(), game.forwards
    n = len(game.players)
    masks = np.array([0, game.everybody, *(1 << i for i in range(n))], dtype=np.int64)
    table = game.values(masks, [item])[:, 0]
    values = decayed_shapley(table[2:] - table[0], decay)
    values = values + (table[1] - table[0] - values.sum()) / n  # float32 rounding of the scores, spread evenly
    return Explanation(
        item, game.players, values, np.zeros(n), float(table[0]), float(table[1]), True, masks, table,
        forwards=game.forwards - before, seconds=time.perf_counter() - began, cpu_seconds=time.process_time() - cpu,
    )  # fmt: skip


def contrast(first: Explanation, second: Explanation) -> Explanation:
    """Why the first item rather than the second: the difference of two explanations of one game, with no new scoring.

    Shapley values are linear in the game, so this is exact where both are; else the two errors are
    added in squares.

    Raises:
        UsageError: when the two are not about the same players, target and baseline.
    """
    if first.players != second.players or first.target != second.target or first.baseline != second.baseline:
        raise UsageError("the two explanations have other players, targets or baselines; explain both the same way")
    began, cpu = time.perf_counter(), time.process_time()
    values = first.values - second.values
    errors = np.hypot(first.errors, second.errors)
    if np.array_equal(first.masks, second.masks):
        masks, table = first.masks, first.table - second.table
    else:
        masks, here, there = np.intersect1d(first.masks, second.masks, return_indices=True)
        order = np.argsort(masks != 0, kind="stable")
        order = np.concatenate((order[:1], order[-1:], order[1:-1])) if len(order) > 1 else order
        masks, table = masks[order], (first.table[here] - second.table[there])[order]
    return Explanation(
        first.item, first.players, values, errors, first.base - second.base, first.prediction - second.prediction,
        first.exact and second.exact, masks, table, first.target, first.baseline, second.item,
        seconds=time.perf_counter() - began, cpu_seconds=time.process_time() - cpu,
    )  # fmt: skip
