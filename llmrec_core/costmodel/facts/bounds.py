"""Which values each quantity of the cost model may have: one checker for every front.

A number arrives from an option, a page's address, a CSV cell or a config. It is finite, inside the
range of its quantity and whole where the quantity is counted; anything else is refused here, so
that no formula behind it meets an infinity or asks for a whole number of one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from llmrec_core.errors import UsageError
from llmrec_core.language import digits, marked, t


@dataclass(frozen=True)
class Bound:
    """The values of one quantity."""

    name: str
    """As a person reads it; marked for the catalogue of sentences."""
    low: float
    high: float
    whole: bool = False
    below: bool = False
    """Whether `high` itself is refused."""
    factor: float = 1.0
    """What a value is multiplied by where it is shown, e.g. 100 for percent."""
    unit: str = ""
    least: float = 0.0
    """The smallest value besides 0, where 0 says that there is nothing of it."""

    def check(self, value: float, called: str = "") -> None:
        """Refuse a value that is no number of this quantity.

        Args:
            value: what came in.
            called: what the reader calls the quantity, e.g. the option that was typed.

        Raises:
            UsageError: naming the quantity, the value and the range.
        """
        if self._holds(value):
            return
        raise UsageError(
            t(
                self._expected(),
                name=called or t(self.name),
                value=self._shown(value),
                low=self._shown(self.least or self.low),
                high=self._shown(self.high),
            )
        )

    def _holds(self, value: float) -> bool:
        try:
            finite = math.isfinite(value)
        except OverflowError:  # a whole number of hundreds of digits
            return False
        return (
            finite
            and (value >= self.low if not self.least else value == 0 or value >= self.least)
            and (value < self.high if self.below else value <= self.high)
            and not (self.whole and value != int(value))
        )

    def _expected(self) -> str:
        if self.whole:
            return marked("{name} is {value}; expected a whole number from {low} to {high}")
        if self.least:
            return marked("{name} is {value}; expected a number from {low} to {high}, or 0")
        if self.below:
            return marked("{name} is {value}; expected a number from {low} up to below {high}")
        return marked("{name} is {value}; expected a number from {low} to {high}")

    def _shown(self, value: float) -> str:
        try:
            text = digits(round(value * self.factor, 12))
        except OverflowError:
            text = t("more than any number here")
        return f"{text} {self.unit}".strip()


QUANTITIES: dict[str, Bound] = {
    "users": Bound(marked("number of users"), 1, 1e11, whole=True),
    "requests_per_user_day": Bound(marked("requests of a user in a day"), 1e-6, 1e6),
    "requests_per_second": Bound(marked("requests per second"), 1e-8, 1e10),
    "requests_per_day": Bound(marked("requests per day"), 0.001, 1e15),
    "requests_per_month": Bound(marked("requests per month"), 0.01, 3e16),
    "peak": Bound(marked("busiest hour over the mean"), 1, 1000),
    "p95_s": Bound(marked("latency limit"), 1e-6, 86_400, factor=1000, unit="ms"),
    "hit_rate": Bound(marked("share answered from a cache"), 0, 1, below=True),
    "candidates": Bound(marked("candidates"), 1, 1e6, whole=True),
    "keep": Bound(marked("items the model reads in a cascade"), 0, 1e6, whole=True),
    "history_tokens": Bound(marked("history tokens"), 0.01, 1e7),
    "candidate_tokens": Bound(marked("candidate tokens"), 0.01, 1e7),
    "input_tokens": Bound(marked("input tokens"), 0.01, 1e8),
    "output_tokens": Bound(marked("output tokens"), 0, 1e8, least=0.01),
    "batch": Bound(marked("batch"), 0.001, 1e6),
    "largest_batch": Bound(marked("largest batch"), 1, 1024, whole=True),
    "devices": Bound(marked("devices"), 1, 4096, whole=True),
    "instances": Bound(marked("copies of the model on a device"), 1, 4096, whole=True),
    "spare": Bound(marked("spare devices"), 0, 100_000, whole=True),
    "availability": Bound(marked("availability"), 0.01, 0.9999999, factor=100, unit="%"),
    "each_up": Bound(marked("availability of one device"), 0.5, 0.9999999, factor=100, unit="%"),
    "retrain_hours": Bound(marked("retraining hours a month"), 0, 1e7),
    "usd_per_hour": Bound(marked("$ per hour"), 1e-6, 1e6),
    "purchase_usd": Bound(marked("purchase price"), 0.01, 1e9, unit="$"),
    "years": Bound(marked("years of use"), 0.01, 100),
    "usd_per_kwh": Bound(marked("$ per kWh"), 0, 1000),
    "watts": Bound(marked("power under load"), 0.001, 1e6, unit="W"),
    "g_per_kwh": Bound(marked("grid intensity"), 0, 10_000, unit="g/kWh"),
    "utilisation": Bound(marked("utilisation"), 0.001, 1, factor=100, unit="%"),
    "requests_per_s_measured": Bound(marked("measured requests per second"), 1e-9, 1e12),
    "service_s": Bound(marked("seconds of a request"), 1e-9, 1e9),
    "steps": Bound(marked("steps"), 1, 1e12, whole=True),
    "accumulate": Bound(marked("micro-batches in a step"), 1, 1e6, whole=True),
    "tokens": Bound(marked("tokens of a sequence"), 0.01, 1e8),
}
"""Every quantity that comes from outside, by the name of its argument.

The ends are past anything that exists (10^11 users, one request in three years, a million dollars
an hour) and near enough that no product and no quotient of them overflows.
"""


def check(**values: float | None) -> None:
    """Refuse values outside their quantity's range; `None` stands for "not stated" and passes.

    Args:
        **values: by the names of `QUANTITIES`.

    Raises:
        UsageError: naming the first quantity that is wrong.
    """
    for name, value in values.items():
        if value is not None:
            QUANTITIES[name].check(value)
