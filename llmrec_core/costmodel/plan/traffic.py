"""What has to be served: how many requests, how unevenly over the day, and how soon."""

from __future__ import annotations

from dataclasses import dataclass

from llmrec_core.costmodel.facts import bounds
from llmrec_core.costmodel.facts.prices import DAYS_PER_MONTH

DEFAULT_PEAK = 2.0
"""Busiest hour over the mean: machines that are full then are busy half of the time.

The same assumption as the utilisation of 50 % in `assets/economics.toml`.
"""
DEFAULT_P95_S = 0.2


@dataclass(frozen=True)
class Traffic:
    """Requests that arrive at random, and the latency that 95 % of them must meet."""

    requests_per_day: float
    peak: float = DEFAULT_PEAK
    """Busiest hour over the mean of the day."""
    p95_s: float | None = DEFAULT_P95_S
    """None where no latency is asked for."""
    hit_rate: float = 0.0
    """Share of requests answered from a cache of finished lists."""

    def __post_init__(self) -> None:
        bounds.check(
            requests_per_day=self.requests_per_day,
            peak=self.peak,
            p95_s=self.p95_s,
            hit_rate=self.hit_rate,
        )

    @classmethod
    def of_month(
        cls,
        requests_per_month: float,
        utilisation: float = 1 / DEFAULT_PEAK,
        **limits: float | None,
    ) -> Traffic:
        """The traffic of a month on machines that are busy `utilisation` of the time at most.

        Machines that are full in the busiest hour are busy 1 / peak of the time, so the two say
        the same thing.

        Args:
            requests_per_month: requests of a twelfth of a year.
            utilisation: share of the hours in which a machine works, above 0 and up to 1.
            **limits: `p95_s` and `hit_rate`.
        """
        bounds.check(requests_per_month=requests_per_month, utilisation=utilisation)
        daily = requests_per_month / DAYS_PER_MONTH
        return cls(daily, max(1.0, 1 / utilisation), **limits)  # type: ignore[arg-type] # floats

    @property
    def requests_per_month(self) -> float:
        """Requests of a twelfth of a year, those answered from the cache included."""
        return self.requests_per_day * DAYS_PER_MONTH

    @property
    def mean_per_s(self) -> float:
        """Requests per second that reach the model, mean of the day."""
        return self.requests_per_day / 86_400 * (1 - self.hit_rate)

    @property
    def busiest_per_s(self) -> float:
        """Requests per second that reach the model in the busiest hour."""
        return self.mean_per_s * self.peak
