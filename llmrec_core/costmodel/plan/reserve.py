"""How many devices stand by: one rule for every front.

A device is up a share of the time, independently of the others (assumed). Enough of them stand by
that the load of the busiest hour is carried with the wanted probability; or as many as the reader
says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from llmrec_core.costmodel.facts import bounds

EXACT = 20_000
"""Devices up to which the binomial is summed; above, its normal approximation."""


@dataclass(frozen=True)
class Reserve:
    """The rule for spare devices."""

    availability: float = 0.999
    """Share of the time in which the busiest hour's load can be carried."""
    each_up: float = 0.99
    """Share of the time in which one device is up (assumed)."""
    fixed: int | None = None
    """So many spares whatever the availability; None follows the rule."""

    def __post_init__(self) -> None:
        bounds.check(availability=self.availability, each_up=self.each_up, spare=self.fixed)

    def spares(self, needed: int) -> int:
        """Devices beyond the `needed` ones that the load takes; none where nothing is needed."""
        if needed < 1:
            return 0
        if self.fixed is not None:
            return self.fixed
        return _spares(needed, self.availability, 1 - self.each_up)


def _spares(needed: int, target: float, down: float) -> int:
    """The fewest spares so that at least `needed` devices are up with probability `target`.

    P(D ≤ spares), where D counts the devices that are down: binomial, needed + spares trials,
    chance `down` each.
    """
    if needed > EXACT:
        return _spares_of_many(needed, target, down)
    low, high = -1, 1
    while _chance(needed + high, high, down) < target:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if _chance(needed + middle, middle, down) < target:
            low = middle
        else:
            high = middle
    return high


def _spares_of_many(needed: int, target: float, down: float) -> int:
    """The normal approximation, by a fixed point: spares add to the devices that may be down."""
    wide = NormalDist().inv_cdf(target)
    spares = 0.0
    for _ in range(60):  # a contraction: each step moves the total by `down` of the last one
        total = needed + spares
        spares = total * down + wide * math.sqrt(total * down * (1 - down))
    return max(0, math.ceil(spares))


def _chance(devices: int, most: int, down: float) -> float:
    """Probability that at most `most` of the devices are down."""
    term = devices * math.log1p(-down)
    total = 0.0
    for k in range(most + 1):
        total += math.exp(term)
        if k < devices:
            odds = math.log(down) - math.log1p(-down)
            term += math.log((devices - k) / (k + 1)) + odds
    return total
