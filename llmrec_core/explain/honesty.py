"""How far an explanation can be trusted: faithfulness, dependence on the baseline, what it cost. NumPy only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from llmrec_core.explain.coalitions import Coalitions
from llmrec_core.explain.engine import Explanation, to_target

RANDOM_ORDERS = 200
FEW_ORDERS = 12
"""Random orders where each of their coalitions must still be scored."""


@dataclass(frozen=True)
class Faithfulness:
    """Does the order of the values say what happens when players come and go?

    `gain` is the mean of the insertion curve minus the mean of the deletion curve, `z` how many standard deviations it
    lies above those of random orders. 0 = no better than chance; leave-one-out's order stands beside it.
    """

    gain: float
    z: float | None
    z_leave_one_out: float | None
    orders: int


def faithfulness(explanation: Explanation, game: Coalitions, *, seed: int = 0) -> Faithfulness:
    """Insertion and deletion by the explanation's order, by leave-one-out's, and by random orders.

    With all coalitions known nothing is scored; else about (2 n - 1) coalitions per order are.
    """
    n = len(explanation.players)
    items = [explanation.item] if explanation.against is None else [explanation.item, explanation.against]
    everybody = (1 << n) - 1
    table = explanation.full_table

    def values(masks: np.ndarray) -> np.ndarray:
        if table is not None:
            return table[masks]
        return to_target(game.values(masks, items), explanation.target)

    without = np.array([everybody ^ 1 << i for i in range(n)], dtype=np.int64)
    loo = explanation.prediction - values(without)
    rng = np.random.default_rng(seed)
    count = RANDOM_ORDERS if table is not None else FEW_ORDERS
    orders = np.stack(
        [np.argsort(-explanation.values, kind="stable"), np.argsort(-loo, kind="stable")]
        + [rng.permutation(n) for _ in range(count)]
    )
    gains = order_gains(values, orders)
    spread = float(gains[2:].std(ddof=1))
    if spread <= 1e-12:
        return Faithfulness(float(gains[0]), None, None, count)
    scores = (gains[:2] - gains[2:].mean()) / spread
    return Faithfulness(float(gains[0]), float(scores[0]), float(scores[1]), count)


def order_gains(values: Callable[[np.ndarray], np.ndarray], orders: np.ndarray) -> np.ndarray:
    """Mean of insertion minus mean of deletion (orders,) for orders (orders, n) of the players."""
    n = orders.shape[1]
    steps = np.concatenate(
        (np.zeros((len(orders), 1), dtype=np.int64), np.cumsum(np.int64(1) << orders.astype(np.int64), axis=1)), axis=1
    )
    coming, going = values(steps.ravel()), values(((1 << n) - 1 - steps).ravel())
    return coming.reshape(steps.shape).mean(1) - going.reshape(steps.shape).mean(1)


def spearman(a: np.ndarray, b: np.ndarray) -> float | None:
    """Rank correlation with mean ranks for ties; None when one side is constant or shorter than 2.

    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([3.0, 5.0, 4.0]))
    0.5
    """
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    from scipy.stats import rankdata

    return float(np.round(np.corrcoef(rankdata(a), rankdata(b))[0, 1], 12))


def uncertain(explanation: Explanation) -> list[int]:
    """Players whose value is smaller than its error: their sign is not known."""
    return [
        i for i, (v, e) in enumerate(zip(explanation.values, explanation.errors, strict=True)) if e > 0 and abs(v) < e
    ]
