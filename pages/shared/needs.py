"""What a reader needs, typed once and kept on every page: traffic, budget, latency, worth."""

from __future__ import annotations

import streamlit as st

from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.typed_numbers import read_number
from llmrec_core.reading.verdict import Traffic
from pages.shared.fields import limit_field, number_field, scale

MILLION = 1e6
DEFAULT_MILLIONS = 10.0
DEFAULT_BUDGET = 100.0
DEFAULT_WORTH = 0.001


def traffic() -> Traffic:
    """Four fields in a row, and what they say."""
    requests, budget, latency, worth = st.columns(4)
    millions = number_field(
        requests,
        t("Million requests a month"),
        "requests",
        default=DEFAULT_MILLIONS,
        low=1e-6,
        high=1e9,
        help=t("One request is one user's list of ten."),
    )
    usd = number_field(
        budget,
        t("Budget, $ per month"),
        "budget",
        default=DEFAULT_BUDGET,
        low=0.01,
        high=1e12,
    )
    p95_ms = number_field(
        latency,
        t("Slowest p95, ms"),
        "p95",
        low=0.001,
        high=1e7,
        placeholder=t("no limit"),
        help=t("95 of 100 requests are answered within this time."),
    )
    hit = number_field(
        worth,
        t("A hit is worth, $"),
        "worth",
        default=DEFAULT_WORTH,
        high=1e9,
        help=t("What it brings when the item a user wants stands in the list."),
    )
    return Traffic(
        (DEFAULT_MILLIONS if millions is None else millions) * MILLION,
        usd,
        None if p95_ms is None else p95_ms / 1000,
        DEFAULT_WORTH if hit is None else hit,
    )


def limits(p95_s: list[float | None], usd_per_million: list[float | None]) -> Limits:
    """Two limits with sliders over the measured values.

    Args:
        p95_s: measured latencies.
        usd_per_million: measured prices.
    """
    latency, price = st.columns(2)
    p95_ms = limit_field(
        latency,
        t("Slowest p95, ms"),
        "p95",
        [1000 * stop for stop in scale(p95_s)],
        lambda stop: t("≤ {limit:g} ms", limit=stop),
        high=1e7,
    )
    usd = limit_field(
        price,
        t("Highest price of a million requests, $"),
        "per_million",
        scale(usd_per_million),
        lambda stop: t("≤ ${limit:g}", limit=stop),
        high=1e12,
    )
    return Limits(None if p95_ms is None else p95_ms / 1000, usd)


def kept_millions() -> float:
    """Million requests a month as typed on Start or in the report, on pages without that field."""
    typed = str(st.query_params.get("requests") or st.session_state.get("_requests_kept") or "")
    try:
        return read_number(typed, t("Million requests a month"), 1e-6, 1e9)
    except UsageError:
        return DEFAULT_MILLIONS
