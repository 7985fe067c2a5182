"""A run of other data in the study: no page pairs it with the others, each says why."""

from dataclasses import replace

import pytest

from llmrec_core.settings import Settings
from tests import synthetic
from tests.pages.test_pages import unescaped

OTHER = "SmolLM2 yes/no"
REFUSAL = "Not compared: "


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """A finished study in which one run, with a language model, is of other data."""
    made = synthetic.spec

    def spec(row):
        run = made(row)
        if row[0] != OTHER:
            return run
        return replace(run, data=replace(run.data, content_hash="ffff0000ffff0000"))

    monkeypatch.setattr(synthetic, "spec", spec)
    return synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))


@pytest.fixture
def ids(ledger):
    return {run.name: run.id for run in ledger.runs("default")}


def test_decide_explains_no_price_across_data(open_page, ids, tmp_path):
    app = open_page(
        "answer/decide.py", tmp_path, decide_from=ids[synthetic.READER], decide_to=ids[OTHER]
    )
    assert not app.exception
    assert f"{REFUSAL}{synthetic.READER} was measured on" in unescaped(app)
    assert "multiply to the ratio of the two" not in unescaped(app)


def test_what_drives_asks_no_run_of_other_data(open_page, ledger, ids, tmp_path):
    page = "recommendations/what_drives.py"
    app = open_page(page, tmp_path, what_run=ids[synthetic.READER], what_other=ids[OTHER])
    assert f"{REFUSAL}{synthetic.READER} was measured on" in unescaped(app)
    app.button(key="what_ask").click().run()
    assert ledger.claim_request("w").payload["run"] == ids[synthetic.READER]
    assert ledger.claim_request("w") is None, "the other run is not asked"


def test_why_this_item_asks_no_run_of_other_data(open_page, ledger, ids, tmp_path):
    page = "recommendations/why_this_item.py"
    app = open_page(page, tmp_path, why_run=ids[synthetic.READER])
    app.selectbox(key="why_other").set_value(ids[OTHER]).run()
    assert not app.exception
    assert f"{REFUSAL}{synthetic.READER} was measured on" in unescaped(app)
    assert ledger.claim_request("w") is None


def test_runs_compared_leaves_a_run_of_other_data_out(open_page, ids, tmp_path):
    chosen = [ids[synthetic.READER], ids["EASE"], ids[OTHER]]
    app = open_page(
        "build/runs.py", tmp_path, runs_tab="compared", runs_compared=chosen, runs_base=chosen[0]
    )
    assert not app.exception
    assert f"{REFUSAL}{OTHER} was measured on" in unescaped(app)
    table = next(one.value for one in app.dataframe if "Told apart" in one.value.columns)
    assert set(table["Run"]) == {"EASE"}
