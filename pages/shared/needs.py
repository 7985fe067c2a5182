"""What a reader needs, typed once and kept on every page: traffic, latency, money, worth.

No limit holds unless it was typed: an empty field is no limit, on every page that reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from llmrec_core.errors import UsageError
from llmrec_core.language import marked, t
from llmrec_core.reading import limits_sentence, number_format
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.typed_numbers import as_typed
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
SHARE = Field(
    "share",
    marked("At least, % of the best quality"),
    1.0,
    100.0,
    help=marked(
        "The cheapest recommender that reaches so much of the best one is taken; without a number "
        "the best, or the cheapest that cannot be told apart from it."
    ),
)
WORTH = Field(
    "worth",
    marked("A hit is worth, $"),
    0.0,
    1e9,
    DEFAULT_TRAFFIC.hit_worth_usd,
    marked("What it brings when the item a user wants stands in the list."),
)
_NAMED = {
    limits_sentence.P95_MS: P95,
    limits_sentence.PER_MILLION: PER_MILLION,
    limits_sentence.PER_MONTH: BUDGET,
    limits_sentence.SHARE: SHARE,
}
_SENTENCE, _REFUSED_SENTENCE = "decide_sentence", "_decide_sentence_refused"
FIELDS = (REQUESTS, WORTH, P95, PER_MILLION, BUDGET, SHARE)


def traffic() -> Traffic:
    """All fields, three in a row, and what they say."""
    typed: dict[str, float | None] = {}
    for first in range(0, len(FIELDS), 3):
        row = FIELDS[first : first + 3]
        columns = st.columns(3, vertical_alignment="bottom")
        typed |= {field.key: field.drawn(place) for field, place in zip(row, columns, strict=True)}
    return _traffic(typed)


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
        _part(typed[SHARE.key]),
    )


def _part(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


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
    monthly, requests, least, _ = st.columns([1, 1, 1, 1], vertical_alignment="bottom")
    budget, millions = BUDGET.drawn(monthly), REQUESTS.drawn(requests)
    share = SHARE.drawn(least)
    assert millions is not None, "it has a default"
    _as_sentence({P95: p95_ms, PER_MILLION: usd, BUDGET: budget, SHARE: share})
    return Limits(_seconds(p95_ms), usd, budget, millions * MILLION, _part(share))


def _as_sentence(typed: Mapping[Field, float | None]) -> None:
    """The limits as a sentence, which may be typed in place of the fields."""
    refused = st.session_state.pop(_REFUSED_SENTENCE, "")
    if not refused:
        held = {name: typed[field] for name, field in _NAMED.items()}
        st.session_state[_SENTENCE] = limits_sentence.written(held)
    st.text_input(
        t("The limits as a sentence"),
        key=_SENTENCE,
        on_change=_take_sentence,
        placeholder=t("p95 ≤ 50 ms, ≤ $5, at least 99 % of the best"),
        help=t("What the sentence does not name is not limited. $ a month is the budget."),
    )
    if refused:
        st.error(number_format.plain(refused))


def _take_sentence() -> None:
    """Write a sentence into the fields, or keep it with the reason why not."""
    try:
        limits = limits_sentence.read(st.session_state[_SENTENCE])
    except UsageError as error:
        st.session_state[_REFUSED_SENTENCE] = str(error)
        return
    for name, field in _NAMED.items():
        st.session_state[field.key] = as_typed(limits[name]) if name in limits else ""


def _with_slider(
    place: DeltaGenerator, field: Field, stops: list[float], words: Callable[[float], str]
) -> float | None:
    return limit_field(
        place, t(field.label), field.key, stops, words, low=field.low, high=field.high
    )
