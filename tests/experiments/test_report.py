"""The report: complete, small, escaped, without script and without an address to call."""

import re

import pytest

from llmrec_core.errors import UsageError
from llmrec_core.experiments import report
from llmrec_core.settings import Settings
from tests import synthetic


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory):
    homes = {name: tmp_path_factory.mktemp(name) for name in ("plain", "hostile")}
    return {
        name: synthetic.write_study(Settings(home, f"sqlite:///{home}/ledger.db", 30.0), hostile=name == "hostile")
        for name, home in homes.items()
    }


def test_the_report_holds_verdict_comment_chart_table_explanation_and_conditions(ledgers):
    html = report.render(report.gather(ledgers["plain"], "default", comment="First line\nSecond & last"))
    for part in ("Not distinguishable", "Second &amp; last", "<svg", "Cascade: item-kNN", "Shapley value", "Test CPU"):
        assert part in html
    assert len(html) < 6 * 2**20
    assert "not measured: no NVML energy counter" in html


def test_nothing_in_the_report_runs_or_calls_out(ledgers):
    html = report.render(report.gather(ledgers["hostile"], "default", comment=synthetic.HOSTILE))
    assert "default-src 'none'" in html
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;img src=x" in html
    assert not re.search(r"(?:src|href)=[\"']?(?!#)", re.sub(r"&[a-z#0-9]+;", "", html.replace("img src=x", "")))


def test_an_unknown_study_is_named_with_those_there_are(ledgers):
    with pytest.raises(UsageError, match="there are: default"):
        report.gather(ledgers["plain"], "defualt")


def test_a_study_without_finished_runs_still_renders(tmp_path):
    ledger = synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path}/ledger.db", 30.0), rows=())
    assert "No run has finished yet" in report.render(report.gather(ledger, "default"))
