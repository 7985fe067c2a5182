"""The report: complete, small, escaped, without script and without an address to call."""

import re
from html import unescape

import pytest

from llmrec_core.errors import UsageError
from llmrec_core.reading import report, verdict
from llmrec_core.reading.pricing import Pricing
from llmrec_core.settings import Settings
from tests import synthetic


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory):
    homes = {name: tmp_path_factory.mktemp(name) for name in ("plain", "hostile")}
    return {
        name: synthetic.write_study(
            Settings(home, f"sqlite:///{home}/ledger.db", 30.0), hostile=name == "hostile"
        )
        for name, home in homes.items()
    }


def test_the_report_holds_verdict_comment_chart_table_explanation_and_conditions(ledgers):
    html = report.render(
        report.gather(ledgers["plain"], "default", comment="First line\nSecond & last")
    )
    for part in (
        "Not distinguishable",
        "Second &amp; last",
        "<svg",
        "Cascade: item-kNN",
        "Shapley value",
        "Test CPU",
    ):
        assert part in html
    assert len(html) < 6 * 2**20
    assert "Colour: kind of recommender. Shape: precision." in html
    assert "Empty in all lines: Energy per request (no NVML energy counter" in html


@pytest.mark.threat("script-in-title", "remote-image")
def test_nothing_in_the_report_runs_or_calls_out(ledgers):
    html = report.render(report.gather(ledgers["hostile"], "default", comment=synthetic.HOSTILE))
    assert "default-src &#39;none&#39;" in html
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;img src=x" in html
    assert not re.search(
        r"(?:src|href)=[\"']?(?!#)", re.sub(r"&[a-z#0-9]+;", "", html.replace("img src=x", ""))
    )


def test_an_unknown_study_is_named_with_those_there_are(ledgers):
    with pytest.raises(UsageError, match="there are: default"):
        report.gather(ledgers["plain"], "defualt")


def test_a_study_without_finished_runs_still_renders(tmp_path):
    ledger = synthetic.write_study(
        Settings(tmp_path, f"sqlite:///{tmp_path}/ledger.db", 30.0), rows=()
    )
    assert "No run has finished yet" in report.render(report.gather(ledger, "default"))


def test_the_report_holds_ones_own_traffic_limits_price_and_plan(ledgers):
    traffic = verdict.Traffic(3e6, usd_per_month=500.0, p95_s=0.0011, hit_worth_usd=0.02)
    pricing = Pricing(usd_per_hour=0.2)
    content = report.gather(ledgers["plain"], "default", traffic=traffic, pricing=pricing)
    html = unescape(report.render(content))
    assert (
        "For: 3.00 M requests a month · at most $500.00 a month · p95 within 1.10 ms · "
        "a hit is worth $0.02"
    ) in html
    assert content.choice.row.name == "EASE"
    # one machine and its spare: 2 × $0.20 × 730 hours
    assert "$292.00 a month with EASE." in html
    assert "$0.20 per hour (typed in)" in html
    assert "a test, 2026-11-24" not in html
    assert html.count('class="number failing"') > 0


def test_printed_on_paper_tables_are_not_cut_and_folded_parts_are_open():
    style = report.html.fragment("style.css")
    assert "@media print" in style
    assert "overflow:visible" in style
    assert "details-content" in style
