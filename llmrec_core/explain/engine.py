"""From a game to an explanation: score coalitions until the values are certain enough. No torch.

Up to a dozen players every coalition can be scored and the values are exact; else the budget grows
until the estimated error meets the asked one, and every value carries its error bar.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np

from llmrec_core.errors import UsageError
from llmrec_core.explain.coalitions import Game, everybody_of
from llmrec_core.explain.estimate import coalition_order, estimate
from llmrec_core.explain.explanation import Explanation
from llmrec_core.explain.players import MAX_EXACT
from llmrec_core.explain.shapley import decayed_shapley
from llmrec_core.language import t

TARGETS = ("score", "probability")
FIRST, GROWTH = 32, 1.5
"""Coalitions of the first estimate, and the factor by which they grow."""
HARD_LIMIT = 2048
"""Coalitions at most when only an error is asked for."""
FEW_PLAYERS = 4
"""Up to so many players every coalition is scored at once."""


def to_target(scores: np.ndarray, target: str) -> np.ndarray:
    """Scores of an item as what is explained.

    `probability` is 1 / (1 + exp(-score)): of "yes" for a yes/no head, of beating an item with
    score 0 for a ranker (Bradley & Terry 1952).

    Args:
        scores: of any shape.
        target: `score` or `probability`.

    Raises:
        UsageError: for another target.
    """
    if target not in TARGETS:
        raise UsageError(
            t(
                "target is {target!r}; expected one of {targets}",
                target=target,
                targets=", ".join(TARGETS),
            )
        )
    return scores if target == "score" else 0.5 * (1.0 + np.tanh(0.5 * scores))


def explain(
    game: Game,
    item: int,
    *,
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
        game: values of coalitions.
        item: code of the item.
        together: further items of the list, scored in the same passes and remembered for later
            questions.
        target: `score` or `probability`.
        budget: coalitions to score at most, remembered ones included; None lets `error` decide.
        error: asked summed error relative to the summed values; 0 asks for exact values. With a
            `budget`, all of it is used unless the values are exact before.
        seed: of the order in which coalitions are scored.
        baseline: what stands in for an absent player in `game`, for the record.
        progress: called with every intermediate explanation.

    Raises:
        UsageError: for a budget below players + 2, or an exact answer over more than 12 players.
    """
    n = len(game.players)
    _check(n, budget, error)
    began, cpu, before = time.perf_counter(), time.process_time(), game.forwards
    columns = [item, *(other for other in dict.fromkeys(together) if other != item)]
    count, limit = _effort(n, budget, error)
    order = coalition_order(n, seed)
    masks: list[int] = []
    while True:
        masks += islice(order, count - len(masks))
        scored = np.array(masks, dtype=np.int64)
        table = to_target(game.values(scored, columns)[:, 0], target)
        estimated = estimate(scored, table, n, game.lengths)
        result = Explanation(
            game.players,
            estimated.values,
            estimated.errors,
            float(table[0]),
            float(table[min(1, len(table) - 1)]),
            estimated.exact,
            item=item,
            target=target,
            baseline=baseline,
            masks=scored,
            table=table,
            forwards=game.forwards - before,
            seconds=time.perf_counter() - began,
            cpu_seconds=time.process_time() - cpu,
        )
        if progress is not None:
            progress(result)
        if estimated.exact or len(masks) >= limit or result.relative_error <= error:
            return result
        count = min(limit, max(count + 2, int(count * GROWTH) // 2 * 2))


def _check(players: int, budget: int | None, error: float) -> None:
    if players == 0:
        raise UsageError(
            t(
                "there is nobody to attribute the score to; ask for players 'fields' or give a "
                "history"
            )
        )
    if budget is not None and budget < players + 2:
        raise UsageError(
            t(
                "a budget of {budget} coalitions is too small for {players} players: at least "
                "{least} are needed, about {useful} give useful error bars",
                budget=budget,
                players=players,
                least=players + 2,
                useful=20 * players,
            )
        )
    if not 0 <= error < 1:
        raise UsageError(
            t("error is {error}; expected a share from 0 (exact) up to 1, e.g. 0.05", error=error)
        )
    if error == 0 and budget is None and players > MAX_EXACT:
        raise UsageError(
            t(
                "exact values of {players} players need {whole} scorings; at most {most} "
                "players are exact: give a budget, an error above 0, or fewer players",
                players=players,
                whole=1 << players,
                most=MAX_EXACT,
            )
        )


def _effort(players: int, budget: int | None, error: float) -> tuple[int, int]:
    """Coalitions of the first estimate, and at most."""
    whole = 1 << players
    if budget is not None:
        limit = min(whole, budget)
    else:
        limit = whole if error == 0 else min(whole, max(HARD_LIMIT, players + 2))
    if budget is not None or error == 0 or players <= FEW_PLAYERS:
        return limit, limit
    return min(limit, max(FIRST, 2 * players + 2)), limit


def explain_decayed(game: Game, item: int, decay: float) -> Explanation:
    """Exact values in closed form for a score that sums items.

    An item's weight shrinks by `decay` with every later item.

    EASE, item-kNN and TF-IDF are such; n + 2 scorings are enough for any number of single items.

    Args:
        game: of a recommender that sums items (`SumsItems`), every player a single history item.
        item: code of the item.
        decay: its `item_decay`.
    """
    began, cpu, before = time.perf_counter(), time.process_time(), game.forwards
    n = len(game.players)
    masks = np.array([0, everybody_of(game.players), *(1 << i for i in range(n))], dtype=np.int64)
    table = game.values(masks, [item])[:, 0]
    values = decayed_shapley(table[2:] - table[0], decay)
    # float32 rounding of the scores is spread evenly
    values = values + (table[1] - table[0] - values.sum()) / n
    return Explanation(
        game.players,
        values,
        np.zeros(n),
        float(table[0]),
        float(table[1]),
        True,
        item=item,
        masks=masks,
        table=table,
        forwards=game.forwards - before,
        seconds=time.perf_counter() - began,
        cpu_seconds=time.process_time() - cpu,
    )
