"""The conversation of Why this item, What drives the model, and the factors on Decide, with answers made by hand."""

import pytest

from llmrec_core.explain import many_rows
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.reading import explanations
from llmrec_core.settings import Settings
from pages.shared import reasons
from tests import synthetic
from tests.pages.test_pages import unescaped


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return synthetic.write_study(Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0))


def player(item_id, title, value, error):
    return {
        "item_id": item_id, "title": title, "value": value, "error": error, "kind": "item",
        "items": [item_id], "back": 1, "field": "",
    }  # fmt: skip


def answer(title="Alien (1979)", **more):
    """An answer as `explain_answer` writes it."""
    return {
        "item_id": "1", "title": title, "rival_id": "", "rival": "", "base": 1.0, "prediction": 1.5,
        "players": [
            player("50", "<b>Star Wars</b> (1977)", 0.6, 0.05), player("51", "Legends (1994)", -0.1, 0.2)
        ],
        "exact": False, "estimated_error": 0.04, "additivity_gap": 1e-9, "target": "score", "baseline": "remove",
        "shares": {}, "forwards": 128, "seconds": 2.5, "cpu_seconds": 1.5,
        "notes": [{"text": "", "message": "The model reads the last {read} of {all} items.", "values": {"read": 2, "all": 9}}],
        "smallest_set": change(["Star Wars"], ["Brazil (1985)", "Heat (1995)"]),
        "others": [], "contrast": None, "without": None, "words": None, "interactions": None, "curves": None,
        "honesty": {
            "coalitions": 128, "of": 1024, "exact": False, "estimated_error": 0.04, "additivity_gap": 1e-9, "forwards": 128,
            "remembered": False, "cpu_seconds": 1.5, "usd": 2e-5, "faithfulness": {"z": 2.5, "z_leave_one_out": 2.1},
            "baseline_sensitivity": None, "warnings": [],
        },
        **more,
    }  # fmt: skip


def change(removed, rivals, **more):
    """What would change it, as `explain_answer` writes it: from the first place to the last."""
    return {
        "removed": [0], "out": True, "proved": True, "forwards": 3, "places": 1, "compared": len(rivals),
        "place": 1, "place_without": len(rivals) + 1, "tried": 1, "items": ["50"], "players": removed,
        "rivals": [{"item_id": str(n), "title": title} for n, title in enumerate(rivals)],
        **more,
    }  # fmt: skip


def test_conversation_goes_on_after_the_first_answer(open_page, ledger, tmp_path):
    app = open_page("recommendations/why_this_item.py", tmp_path)
    app.selectbox(key="why_item").select_index(3).run()
    app.button(key="why_explain").click().run()
    question = ledger.claim_request("w")
    assert len(question.payload["listed"]) >= 4
    assert ledger.close_request(question, answer())
    app.run()
    assert not app.exception
    said = unescaped(app)
    assert "1 of 2 values are smaller than their error" in said
    assert "Without Star Wars, Alien (1979) falls from place 1 to place 3 of the 3" in said
    assert (
        "No smaller set does it" in said and "estimated error 22.8 %" in said
    )  # 1.25 / 1.96 x 0.25 / 0.7
    assert "The model reads the last 2 of 9 items." in said
    assert "Subsets scored: 128 of 1,024" in said

    app.selectbox(key="why_against").select_index(1).run()
    contrast = ledger.claim_request("w")
    assert contrast.payload["against"] != contrast.payload["item"]
    both = answer(rival="Brazil (1985)", rival_id="7", prediction=0.5, base=0.0)
    below = change(["Star Wars"], ["Brazil (1985)"])
    assert ledger.close_request(contrast, answer(contrast=both, smallest_set=below))
    app.run()
    said = unescaped(app)
    assert not app.exception and "Alien (1979) rather than Brazil (1985) is recommended" in said
    assert "Without Star Wars, Alien (1979) falls below Brazil (1985)." in said

    app.pills(key="why_without").set_value(["50"]).run()
    removal = ledger.claim_request("w")
    assert removal.payload["without"] == ["50"]
    without = {
        "removed": ["Star Wars"], "text": "The list stays in the same order, with Alien first.",
        "items": [{"item_id": "1", "title": "Alien", "score": 0.9, "before": 1.5, "place_before": 1}],
    }  # fmt: skip
    assert ledger.close_request(removal, answer(without=without))
    app.run()
    assert not app.exception and "stays in the same order" in unescaped(app)


def test_the_address_asks_the_same_again(open_page, ledger, tmp_path):
    app = open_page("recommendations/why_this_item.py", tmp_path)
    app.selectbox(key="why_item").select_index(3).run()
    app.segmented_control(key="why_baseline").set_value("average").run()
    app.segmented_control(key="why_effort").set_value("5-percent").run()
    app.button(key="why_explain").click().run()
    question = ledger.claim_request("w")
    assert question.payload["baseline"] == "average" and question.payload["error"] == 0.05
    assert ledger.close_request(question, answer())
    link = dict(app.query_params)
    assert link["why_item"] == question.payload["item"] and link["why_asked"]

    now = open_page("recommendations/why_this_item.py", tmp_path, **link)
    assert not now.exception and "Star Wars" in unescaped(now)
    assert ledger.claim_request("w") is None, "the answer is still there"

    del link["why_explain_request"]  # as when answers of that age have been removed
    other = open_page("recommendations/why_this_item.py", tmp_path, **link)
    same = ledger.claim_request("w")
    assert same.payload == question.payload
    assert ledger.close_request(same, answer())
    other.run()
    assert not other.exception and "Star Wars" in unescaped(other)


def test_a_run_whose_reasons_look_random_warns_beside_each_of_them(open_page, ledger, tmp_path):
    app = open_page("recommendations/why_this_item.py", tmp_path)
    run_id = app.selectbox(key="why_run").value
    assert "random layers" not in unescaped(app)
    alike = {"users": 30, "mean_abs_spearman": {"mean": 0.6, "low": 0.5, "high": 0.7}}
    ledger.add_document(run_id, many_rows.DOCUMENT, {"randomisation": alike})
    app.run()
    assert "much like those of a model with random layers" in unescaped(app)


def test_what_drives_the_model_draws_an_answer(open_page, ledger, tmp_path):
    app = open_page("recommendations/what_drives.py", tmp_path)
    app.button(key="what_ask").click().run()
    asked = ledger.claim_request("w")
    assert asked.kind == "explain-many" and asked.payload["randomise"] is True
    group = {
        "group": "1",
        "mean_abs": 0.4,
        "low": 0.3,
        "high": 0.5,
        "mean": 0.1,
        "users": 9,
        "players": 9,
    }
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
    assert (
        "do not read it as what the model does" in said
        and "as it must be" in said
        and "gender carries 7 %" in said
    )


@pytest.mark.threat("script-in-title")
def test_exports_escape_titles():
    hostile = answer(title="<script>alert(1)</script>")
    shown = explanations.read(hostile, run="run & more")
    page = explanations.page(shown, "user <b>9</b>")
    assert "<script>" not in page and "&lt;b&gt;Star Wars" in page and "run &amp; more" in page
    assert "user &lt;b&gt;9&lt;/b&gt;" in page and "default-src &#39;none&#39;" in page
    assert "<h1>" in page and page.startswith("<!doctype html>")
    assert '"prediction": 1.5' in reasons.as_json(hostile)
