"""What a reader needs, typed once and kept on every page: traffic, latency, money, worth.

No limit holds unless it was typed: an empty field is no limit, on every page that reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from llmrec_core.language import marked, t
from llmrec_core.reading import number_format
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.verdict import DEFAULT_TRAFFIC, Traffic
from pages.shared.fields import carried_number, limit_field, number_field, scale

MILLION = 1e6


@dataclass(frozen=True)
class Field:
    """A number that several pages ask for."""

    key: str
    """Of the field, which is also its name in the address."""
    label: str
    low: float
    high: float
    default: float | None = None
    """What an untouched field holds; None for a limit, which then is none."""
    help: str = ""

    def drawn(self, place: DeltaGenerator) -> float | None:
        """The number in the field, drawn at a place."""
        return number_field(
            place,
            t(self.label),
            self.key,
            default=self.default,
            low=self.low,
            high=self.high,
            help=t(self.help) if self.help else None,
            placeholder=t("no limit") if self.default is None else None,
        )

    def carried(self) -> float | None:
        """The number that was typed on another page, or stands in the address."""
        return carried_number(
            t(self.label), self.key, default=self.default, low=self.low, high=self.high
        )


REQUESTS = Field(
    "requests",
    marked("Million requests a month"),
    1e-6,
    1e9,
    DEFAULT_TRAFFIC.requests_per_month / MILLION,
    marked("One request is one user's list of ten."),
)
P95 = Field(
    "p95",
    marked("Slowest p95, ms"),
    0.001,
    1e7,
    help=marked("95 of 100 requests are answered within this time."),
)
BUDGET = Field("budget", marked("Budget, $ per month"), 0.01, 1e12)
PER_MILLION = Field("per_million", marked("Highest price of a million requests, $"), 0.0, 1e12)
WORTH = Field(
    "worth",
    marked("A hit is worth, $"),
    0.0,
    1e9,
    DEFAULT_TRAFFIC.hit_worth_usd,
    marked("What it brings when the item a user wants stands in the list."),
)
FIELDS = (REQUESTS, P95, BUDGET, PER_MILLION, WORTH)


def traffic() -> Traffic:
    """All fields in a row, and what they say."""
    columns = st.columns(len(FIELDS), vertical_alignment="bottom")
    return _traffic(
        {field.key: field.drawn(place) for field, place in zip(FIELDS, columns, strict=True)}
    )


def carried() -> Traffic:
    """What was typed on other pages, for a page without these fields."""
    return _traffic({field.key: field.carried() for field in FIELDS})


def _traffic(typed: dict[str, float | None]) -> Traffic:
    requests, worth = typed[REQUESTS.key], typed[WORTH.key]
    assert requests is not None and worth is not None, "these two have defaults"
    return Traffic(
        requests * MILLION,
        typed[BUDGET.key],
        _seconds(typed[P95.key]),
        worth,
        typed[PER_MILLION.key],
    )


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def limits(p95_s: list[float | None], usd_per_million: list[float | None]) -> Limits:
    """The limits and the traffic, two of them with sliders over the measured values.

    Args:
        p95_s: measured latencies.
        usd_per_million: measured prices.
    """
    latency, price = st.columns(2)
    p95_ms = _with_slider(
        latency,
        P95,
        [1000 * stop for stop in scale(p95_s)],
        lambda stop: t("≤ {limit:g} ms", limit=stop),
    )
    usd = _with_slider(
        price,
        PER_MILLION,
        scale(usd_per_million),
        lambda stop: t("≤ {limit}", limit=number_format.small_dollars(stop)),
    )
    monthly, requests, _ = st.columns([1, 1, 2])
    budget, millions = BUDGET.drawn(monthly), REQUESTS.drawn(requests)
    assert millions is not None, "it has a default"
    return Limits(_seconds(p95_ms), usd, budget, millions * MILLION)


def _with_slider(
    place: DeltaGenerator, field: Field, stops: list[float], words: Callable[[float], str]
) -> float | None:
    return limit_field(
        place, t(field.label), field.key, stops, words, low=field.low, high=field.high
    )
