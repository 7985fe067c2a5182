"""Prices and energy of a request, worked out by hand."""

from dataclasses import replace

import pytest

from llmrec_core.reading.pricing import Pricing, origin, request_energy, usd_per_million
from llmrec_core.types import Measurement
from tests.reading.rows import make


def test_usd_per_million_is_price_over_requests_of_the_largest_batch():
    # 0.36 $/h ÷ (10 requests/s × 3600 s × 0.5) × 1e6 = 20 $; twice the rate = 10 $, half the rate = 40 $
    found = usd_per_million(make("a"))
    assert (found.value, found.low, found.high) == (
        pytest.approx(20),
        pytest.approx(10),
        pytest.approx(40),
    )
    typed = usd_per_million(make("a"), Pricing(usd_per_hour=0.72, utilisation=1.0))
    assert typed.value == pytest.approx(20)  # twice the price, twice the use


def test_unknown_figures_say_why_and_are_never_zero():
    row = make("a")
    silent = replace(row, figures=tuple(f for f in row.figures if f.name != "usd_per_hour"))
    found = usd_per_million(silent)
    assert found.value is None
    assert "price" in found.reason
    assert (
        usd_per_million(replace(row, state="running", figures=())).reason
        == "the run has not finished"
    )
    assert row.request_figure("latency_p99_s").value is None


def test_typed_watts_give_assumed_energy_only_where_nothing_was_measured():
    row = make("a")
    assert request_energy(row).joules.reason == "no counter"
    found = request_energy(row, Pricing(watts=50))
    assert found.assumed
    assert found.joules.value == pytest.approx(5)  # 50 W ÷ 10 requests/s
    assert found.grams_per_million.value == pytest.approx(5 / 3.6e6 * 400 * 1e6)
    measured = Measurement("energy_per_request_j", 2.0, "J", protocol="request/100/batch-8")
    metered = replace(
        row, figures=(*(f for f in row.figures if f.name != "energy_per_request_j"), measured)
    )
    assert not request_energy(metered, Pricing(watts=50)).assumed
    assert request_energy(metered, Pricing(watts=50)).joules.value == 2.0


def test_a_typed_price_reaches_the_figure_and_the_sentence_about_its_origin():
    row = make("a")
    assert origin(row) == "$0.36 per hour (source not recorded), 50 % utilisation"
    typed = Pricing(usd_per_hour=0.72, utilisation=0.25, watts=50)
    assert usd_per_million(row, typed).value == pytest.approx(4 * usd_per_million(row).value)
    assert origin(row, typed) == (
        "$0.72 per hour (typed in), 25 % utilisation (typed in), 50 W assumed"
    )
