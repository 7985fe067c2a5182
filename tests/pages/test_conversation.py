"""The conversation of Why this item, What drives the model, and the factors on Decide, with answers made by hand."""

import pytest

from llmrec_core.experiments.ledger import Ledger
from llmrec_core.settings import Settings
from tests import synthetic
from tests.pages.test_pages import unescaped


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))


def answer(title="Alien (1979)", **more):
    return {
        "item_id": "1", "title": title, "base": 1.0, "prediction": 1.5, "text": "Because.", "seconds": 2.5, "forwards": 128,
        "exact": False, "estimated_error": 0.04, "additivity_gap": 1e-9, "notes": ["The model reads the last 2 of 9."],
        "players": [
            {"item_id": "50", "title": "<b>Star Wars</b> (1977)", "value": 0.6, "error": 0.05, "kind": "item"},
            {"item_id": "51", "title": "Legends (1994)", "value": -0.1, "error": 0.2, "kind": "item"},
        ],
        "smallest_set": {"text": "Without Star Wars, it falls. No smaller set does it: all were scored."},
        "interactions": None, "curves": None,
        "honesty": {
            "coalitions": 128, "of": 1024, "exact": False, "estimated_error": 0.04, "additivity_gap": 1e-9, "forwards": 128,
            "remembered": False, "cpu_seconds": 1.5, "usd": 2e-5, "faithfulness": {"z": 2.5, "z_leave_one_out": 2.1},
            "baseline_sensitivity": None, "warnings": ["1 of 2 values are smaller than their error."],
        },
        **more,
    }  # fmt: skip


def test_conversation_goes_on_after_the_first_answer(open_page, ledger, tmp_path):
    app = open_page("recommendations/why_this_item.py", tmp_path)
    app.selectbox(key="why_item").select_index(3).run()
    app.button(key="why_explain").click().run()
    asked = ledger.claim_request("w")
    assert len(asked.payload["list"]) >= 4
    assert ledger.close_request(asked, answer())
    app.run()
    assert not app.exception
    said = unescaped(app)
    assert "smaller than their error" in said and "No smaller set does it" in said and "estimated error 4 %" in said
    assert any("128 of 1,024" in str(frame.value) for frame in app.dataframe)

    app.selectbox(key="why_against").select_index(1).run()
    contrast = ledger.claim_request("w")
    assert contrast.payload["against"] != contrast.payload["item"]
    found = {"text": "Alien rather than Brazil.", "players": answer()["players"]}
    assert ledger.close_request(contrast, answer(contrast=found))
    app.run()
    assert not app.exception and "Alien rather than Brazil." in unescaped(app)


def test_what_drives_the_model_draws_an_answer(open_page, ledger, tmp_path):
    app = open_page("recommendations/what_drives.py", tmp_path)
    app.button(key="what_ask").click().run()
    asked = ledger.claim_request("w")
    assert asked.payload["scope"] == "model" and asked.payload["users"] == 30
    group = {"group": "1", "mean_abs": 0.4, "low": 0.3, "high": 0.5, "mean": 0.1, "users": 9, "players": 9}
    row = {
        "user_id": "1",
        "item_id": "2",
        "player": "<i>x</i>",
        "kind": "item",
        "recency": 1,
        "genre": "",
        "value": 1.0,
        "error": 0.1,
    }
    body = {
        "rows": [row], "users": 9, "seconds": 3.0, "fields": None, "reasons": ["no user attributes"],
        "groups": {"recency": [group], "genre": [], "popularity": [group]},
        "surrogate": {"coefficients": {"recency": -0.2}, "fidelity_r2": 0.1, "rows": 90, "users": 9},
        "randomisation": {"users": 9, "mean_abs_spearman": {"mean": 0.28, "low": 0.2, "high": 0.36}},
        "bias": [{"attribute": "gender", "mean": 0.07, "low": 0.04, "high": 0.1, "users": 9}],
    }  # fmt: skip
    assert ledger.close_request(asked, body)
    app.run()
    said = unescaped(app)
    assert not app.exception
    assert "do not read it as what the model does" in said and "as it must be" in said and "gender carries 7 %" in said


def test_exports_escape_titles():
    from pages.shared import reasons

    page = reasons.as_html(answer(title="<script>alert(1)</script>"), "run & user")
    assert "<script>" not in page and "&lt;b&gt;Star Wars" in page and "run &amp; user" in page
    assert '"prediction": 1.5' in reasons.as_json(answer())
