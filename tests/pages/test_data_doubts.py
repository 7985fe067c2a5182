"""A diagnosis is asked for and shown on the Data page; its doubts stand beside every figure."""

from urllib.parse import parse_qsl

import numpy as np
import pandas as pd
import pytest

from llmrec_core.checks.diagnosis.answer import diagnose_and_keep
from llmrec_core.checks.diagnosis.diagnose import diagnose
from llmrec_core.contract.steps import Step, noting_steps, step_of
from llmrec_core.data import diagnosis, store
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.diagnosis import Figure, Memorised, Shuffled
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.metrics.intervals import mean_interval, share_interval
from llmrec_core.metrics.slices import CLEAR_ORDER
from llmrec_core.reading import report
from llmrec_core.running.answers import answer
from llmrec_core.settings import Settings
from llmrec_core.types import Measurement, Samples
from tests import synthetic
from tests.pages.test_pages import unescaped

UNTIED = range(0, synthetic.USERS, 2)
SHELF = "loo-cold-items/shelf"


@pytest.fixture
def settings(tmp_path):
    return Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0)


def tied_shop():
    rng = np.random.default_rng(0)
    rows = []
    for user in range(200):
        items = (int(rng.integers(60)) + np.arange(8)) % 60
        rows += [(f"u{user}", str(item), 86_400.0 * (n // 2)) for n, item in enumerate(items)]
    return build_dataset("shop", pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))


def test_the_data_page_asks_for_a_diagnosis_and_shows_it(open_page, tmp_path, settings):
    shop = tied_shop()
    store.save(shop, settings, note="test")
    app = open_page("build/data.py", tmp_path, data_name="shop")
    assert not app.exception
    key = f"data_diagnose_{shop.content_hash}"
    assert app.button(key=key).label == "Diagnose, about 5 s"
    app.button(key=key).click().run()
    ledger = Ledger.open(settings)
    ledger.add_worker("w", "here", 1, {})
    request = ledger.claim_request("w")
    assert (request.kind, request.payload) == ("diagnose", {"data": "shop"})
    with noting_steps(request.kind, request.payload, settings) as note:
        note(Step(done=1, total=4, phase="ties in another order"))
        app.run()  # the worker is at it: how far, and a way to give it up
        assert not app.exception
        assert any("ties in another order" in str(bar.proto) for bar in app.get("progress"))
        assert app.button(key=f"{key}_cancel").label == "Cancel"
    ledger.close_request(request, answer(request.kind, request.payload, settings))
    ledger.close()
    assert step_of(request.kind, request.payload, settings) is None
    app.run()
    assert not app.exception
    assert any("order of equal times" in warning.value for warning in app.warning)


def test_the_data_page_says_what_a_model_knows_by_heart(open_page, tmp_path, settings):
    store.save(tied_shop(), settings, note="test")
    findings = diagnose_and_keep("shop", settings)
    share = Figure(value=0.03, low=0.01, high=0.09, n=100)
    few = Memorised(model="small", sampled=100, completed=3, share=share, seconds=9.0)
    diagnosis.keep(findings.model_copy(update={"memorised": [few]}), settings)
    app = open_page("build/data.py", tmp_path, data_name="shop")
    assert any("small completes 3 of 100 titles" in text.value for text in app.markdown)
    app.text_input(key="data_titles_model").set_value("other").run()
    app.button(key=f"data_titles_{findings.content_hash}").click().run()
    ledger = Ledger.open(settings)
    assert ledger.claim_request("w").payload == {"data": "shop", "model": "other"}
    ledger.close()


@pytest.fixture
def doubtful(tmp_path, settings, monkeypatch):
    """A study whose data is diagnosed: ties, and a language model that knows its titles."""
    whole = synthetic.record

    def with_untied(row, number, hostile=False):
        figures, samples, documents = whole(row, number, hostile)
        for sample in samples[:4]:  # the metrics of quality
            mean, low, high = mean_interval(np.array(sample.values)[list(UNTIED)])
            figures.append(
                Measurement(
                    sample.name, mean, "1", low, high, len(UNTIED), CLEAR_ORDER, synthetic.PROTOCOL
                )
            )
        return figures, samples, documents | {"slices": {CLEAR_ORDER: list(UNTIED)}}

    monkeypatch.setattr(synthetic, "record", with_untied)
    ledger = synthetic.write_study(settings)
    content = max(run.spec["data"].get("content_hash", "") for run in ledger.runs("default"))
    ledger.close()
    rows = [(user, str(n), 1.0) for user in "uv" for n in range(4)]
    measured = diagnose(
        build_dataset("tiny", pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))
    )
    loss = Figure(value=0.2, low=0.1, high=0.3, n=2)
    lost = Shuffled(model="item-knn", as_is=loss, shuffled=0.0, loss=loss)
    value, low, high = share_interval(37, 100)
    by_heart = Memorised(
        model="smollm2-135m", sampled=100, completed=37, seconds=60.0,
        share=Figure(value=value, low=low, high=high, n=100),
    )  # fmt: skip
    ties = measured.ties.model_copy(update={"models": [lost]})
    diagnosis.keep(
        measured.model_copy(
            update={"content_hash": content, "ties": ties, "memorised": [by_heart]}
        ),
        settings,
    )
    return tmp_path


def says_its_doubts(app):
    said = [warning.value for warning in app.warning]
    assert any("order of equal times" in sentence for sentence in said)
    assert any("completes 37 of 100 titles" in sentence for sentence in said)


def flags_one_row(app):
    flags = app.dataframe[0].value.set_index("Run")["Titles by heart"]
    assert flags.pop("SmolLM2 yes/no") == "memorised by smollm2-135m: 37 of 100 titles"
    assert set(flags) == {""}


def test_decide_has_doubts_about_its_data_and_flags_memorised_rows(open_page, doubtful):
    app = open_page("answer/decide.py", doubtful, study="default")
    assert not app.exception
    says_its_doubts(app)
    flags_one_row(app)


@pytest.mark.parametrize("page", ["start", "report"])
def test_the_answer_says_its_doubts_and_is_given_without_the_tied_people(open_page, doubtful, page):
    app = open_page(f"answer/{page}.py", doubtful, study="default")
    says_its_doubts(app)
    app.toggle(key=f"{page}_untied").set_value(True).run()
    assert not app.exception


@pytest.fixture
def new_items(tmp_path, settings, monkeypatch):
    """A study in which a language model leads on new items by its guesses of tied people alone."""
    whole = synthetic.record

    def with_new_items(row, number, hostile=False):
        figures, samples, documents = whole(row, number, hostile)
        values = np.full(synthetic.USERS, 0.2)
        if row[1] == "text-sasrec":
            values[[user for user in range(synthetic.USERS) if user not in UNTIED]] = 0.6
        everybody = ("all", range(synthetic.USERS))
        for part, users in (everybody, (CLEAR_ORDER, UNTIED)):
            mean, low, high = mean_interval(values[list(users)])
            figures += [
                Measurement("ndcg@10", mean, "1", low, high, len(users), part, protocol)
                for protocol in (SHELF, synthetic.PROTOCOL)
                if (protocol, part) != (synthetic.PROTOCOL, "all")
            ]
        samples.append(Samples("ndcg@10", values.tolist(), list(everybody[1]), SHELF))
        parts = {CLEAR_ORDER: list(UNTIED)}
        return figures, samples, documents | {"slices": parts, "slices time": parts}

    monkeypatch.setattr(synthetic, "record", with_new_items)
    rows = tuple(row for row in synthetic.ROWS if row[1] in ("ease", "text-sasrec"))
    synthetic.write_study(settings, rows=rows).close()
    return tmp_path


def test_new_items_too_are_answered_without_the_tied_people(open_page, new_items, settings):
    ahead = f"new items among each other ({synthetic.USERS})"
    app = open_page("answer/start.py", new_items, study="default")
    assert ahead in unescaped(app)
    app.toggle(key="start_untied").set_value(True).run()
    assert not app.exception
    assert "new items among each other (" not in unescaped(app)
    ledger = Ledger.open(settings)
    assert ahead in report.gather(ledger, "default").finding.ahead
    assert "new items" not in report.gather(ledger, "default", untied=True).finding.ahead
    ledger.close()


def test_the_reports_link_and_command_leave_the_tied_people_out_too(open_page, doubtful):
    app = open_page("answer/report.py", doubtful, study="default")
    app.toggle(key="report_untied").set_value(True).run()
    link, _, command = (one.value for one in app.code)
    assert command.endswith(" --without-tied")
    other = open_page("answer/report.py", doubtful, **dict(parse_qsl(link[1:])))
    assert other.toggle(key="report_untied").value


def test_quality_flags_memorised_rows_and_is_read_without_the_tied_people(open_page, doubtful):
    app = open_page("measure/quality.py", doubtful, study="default")
    flags_one_row(app)
    assert set(app.dataframe[0].value["Users"]) == {synthetic.USERS}
    app.toggle(key="quality_untied").set_value(True).run()
    assert not app.exception
    table = app.dataframe[0].value
    assert set(table["Users"]) == {len(UNTIED)}
    first, others = table.iloc[0], table.iloc[1:]
    gaps = others["Against the first"] - (others["Value"] - first["Value"])
    assert gaps.abs().max() == pytest.approx(0, abs=1e-9), "paired over the same people"
