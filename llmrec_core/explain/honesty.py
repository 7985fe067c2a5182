"""How far an explanation can be trusted: does the order of its values say what happens?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from llmrec_core.explain.coalitions import Game, everybody_of
from llmrec_core.explain.engine import to_target
from llmrec_core.explain.explanation import Explanation

RANDOM_ORDERS = 200
FEW_ORDERS = 12
"""Random orders where each of their coalitions must still be scored."""
NO_SPREAD = 1e-12
"""Below this the gains of random orders are all alike: the game is constant."""


@dataclass(frozen=True)
class Faithfulness:
    """Does the order of the values say what happens when players come and go?

    0 is no better than chance; the order of leave-one-out stands beside it.
    """

    gain: float
    """Mean of the insertion curve minus the mean of the deletion curve."""
    z: float | None
    """Standard deviations of the gain above those of random orders; None for a constant game."""
    z_leave_one_out: float | None
    """The same for the order of leave-one-out."""
    orders: int
    """Random orders it was compared with."""


def faithfulness(explanation: Explanation, game: Game, *, seed: int = 0) -> Faithfulness:
    """Insertion and deletion by the explanation's order, by leave-one-out's, and by random orders.

    With all coalitions scored nothing is scored anew; else about (2 n - 1) coalitions per order
    are.

    Args:
        explanation: of one item, made from `game`.
        game: values of coalitions.
        seed: of the random orders.
    """
    n, everybody = len(explanation.players), everybody_of(explanation.players)
    table = explanation.full_table

    def values(masks: np.ndarray) -> np.ndarray:
        if table is not None:
            remembered: np.ndarray = table[masks]
            return remembered
        return to_target(game.values(masks, [explanation.item])[:, 0], explanation.target)

    without = np.array([everybody ^ 1 << i for i in range(n)], dtype=np.int64)
    losses = explanation.prediction - values(without)
    rng = np.random.default_rng(seed)
    count = RANDOM_ORDERS if table is not None else FEW_ORDERS
    orders = np.stack(
        [np.argsort(-explanation.values, kind="stable"), np.argsort(-losses, kind="stable")]
        + [rng.permutation(n) for _ in range(count)]
    )
    gains = order_gains(values, orders)
    spread = float(gains[2:].std(ddof=1))
    if spread <= NO_SPREAD:
        return Faithfulness(float(gains[0]), None, None, count)
    scores = (gains[:2] - gains[2:].mean()) / spread
    return Faithfulness(float(gains[0]), float(scores[0]), float(scores[1]), count)


def order_gains(values: Callable[[np.ndarray], np.ndarray], orders: np.ndarray) -> np.ndarray:
    """Mean of insertion minus mean of deletion, float64 (orders,).

    Args:
        values: v of coalitions given as bit masks.
        orders: numbers of the players, one order a row.
    """
    n = orders.shape[1]
    steps = np.concatenate(
        (
            np.zeros((len(orders), 1), dtype=np.int64),
            np.cumsum(np.int64(1) << orders.astype(np.int64), axis=1),
        ),
        axis=1,
    )
    coming, going = values(steps.ravel()), values(((1 << n) - 1 - steps).ravel())
    gains: np.ndarray = coming.reshape(steps.shape).mean(1) - going.reshape(steps.shape).mean(1)
    return gains
