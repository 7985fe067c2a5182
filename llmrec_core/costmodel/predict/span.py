"""A figure with its interval."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """A figure and its 80 % interval; a figure without one has its own value at both ends."""

    value: float
    low: float
    high: float

    def over(self, amount: float) -> Span:
        """`amount` divided by this: a rate from a time."""
        return Span(amount / self.value, amount / self.high, amount / self.low)

    def times(self, factor: float) -> Span:
        """This multiplied by a positive factor."""
        return Span(self.value * factor, self.low * factor, self.high * factor)
