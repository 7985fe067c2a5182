"""Buttons queue checks for the worker; how long, how far and what came of it stand on the page."""

from __future__ import annotations

import dataclasses

import pytest

from llmrec_core.access import Person
from llmrec_core.checks import check_files, label_files
from llmrec_core.checks.checked_families import usual_families
from llmrec_core.contract.requests import LabelCurveRequest
from llmrec_core.contract.steps import Step, noting_steps
from llmrec_core.data import store
from llmrec_core.profiling.device import describe
from llmrec_core.reading import number_format
from llmrec_core.running import answers, check_answers
from llmrec_core.settings import Settings
from pages.shared import access, records
from tests import synthetic
from tests.finished_home import ring

QUALITY = "measure/quality.py"
MACHINE = dataclasses.replace(describe(), name="Test CPU, 2 cores")
"""The one on which the synthetic runs were measured."""
KNN, READER = "Item-kNN", "MiniLM cross-encoder, 2 layers"
DOCUMENTS = synthetic.record(synthetic.ROWS[7], 7)[2]
"""Of a run that has been measured."""


@pytest.fixture
def settings(tmp_path):
    return Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0)


@pytest.fixture
def ledger(settings, monkeypatch):
    """A study none of whose runs has a document of robustness or of a policy, and a worker."""
    made = synthetic.record

    def without(*arguments):
        figures, samples, documents = made(*arguments)
        kept = {
            name: body for name, body in documents.items() if name not in ("robustness", "policy")
        }
        return figures, samples, kept

    monkeypatch.setattr(synthetic, "record", without)
    monkeypatch.setattr(records, "device", lambda: MACHINE)
    store.save(ring(), settings, note="a ring")
    opened = synthetic.write_study(settings)
    opened.add_worker("w", "here", 1, {})
    yield opened
    opened.close()


def run_of(ledger, name):
    return next(run for run in ledger.runs("default") if run.name == name)


def words(app):
    kinds = ("markdown", "caption", "text", "info", "warning", "error", "success")
    shown = [str(one.value) for kind in kinds for one in app.main.get(kind)]
    return "\n".join(shown).replace("\\", "")


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────


def test_robustness_of_chosen_runs_is_queued_watched_and_shown(open_page, settings, ledger):
    app = open_page(QUALITY, settings.home, quality_tab="robustness")
    assert "Not measured yet" in words(app)
    knn, reader = run_of(ledger, KNN), run_of(ledger, READER)
    app.multiselect(key="quality_noise_runs").set_value([knn.id, reader.id])
    app.text_input(key="quality_noise_users").set_value("50").run()
    button = app.button(key="quality_noise_ask")
    # Half of the requests of the reader take 76 ms and of item-kNN 0.72 ms. The reader is asked
    # without noise, under two of histories and three of titles: 50 × (6 × 0.076 + 3 × 0.00072) s.
    assert button.label == "Measure 2 runs, about 23 s"
    button.click().run()
    first = ledger.claim_request("w", measurements=True)
    asked = {"robustness": {"run": first.payload["run"], "users": 50}}
    assert asked == {first.kind: first.payload}
    with noting_steps(first.kind, first.payload, settings) as note:
        note(Step(done=2, total=7, phase="truncated titles"))
        app.run()
        assert "0 of 2 runs are done." in words(app)
        assert any("truncated titles" in str(bar.proto) for bar in app.get("progress"))
    ledger.add_document(first.payload["run"], "robustness", DOCUMENTS["robustness"])
    ledger.close_request(first, {"run": first.payload["run"]})
    second = ledger.claim_request("w", measurements=True)
    assert {first.payload["run"], second.payload["run"]} == {knn.id, reader.id}
    ledger.close_request(second, None, "run x has no weights under y; run it again on this machine")
    app.run()
    assert not app.exception
    assert len(set(app.dataframe[0].value["Run"])) == 1
    assert "was not measured: run x has no weights under y; run it again" in words(app)
    assert not any(one.key == "quality_noise_cancel" for one in app.button)


def ids_in(app):
    """Request id by key, as the address names them."""
    asked = dict(app.query_params).items()
    return {name: value for name, value in asked if name.startswith("quality_noise_")}


def test_a_page_loaded_again_still_knows_what_it_asked(open_page, settings, ledger):
    app = open_page(QUALITY, settings.home, quality_tab="robustness")
    knn, reader = run_of(ledger, KNN), run_of(ledger, READER)
    app.multiselect(key="quality_noise_runs").set_value([knn.id, reader.id]).run()
    app.button(key="quality_noise_ask").click().run()
    ids = ids_in(app)
    assert set(ids) == {f"quality_noise_{knn.id}", f"quality_noise_{reader.id}"}
    # loaded again: the progress is there, and the same is not queued twice
    app = open_page(QUALITY, settings.home, quality_tab="robustness", **ids)
    assert "0 of 2 runs are done." in words(app)
    assert any(one.key == "quality_noise_cancel" for one in app.button)
    app.multiselect(key="quality_noise_runs").set_value([knn.id, reader.id]).run()
    app.button(key="quality_noise_ask").click().run()
    assert ids_in(app) == ids
    assert ledger.open_questions()["queued"] == 2
    # what was answered leaves the address at the end, what failed stays to be read
    for place in range(2):
        row = ledger.claim_request("w", measurements=True)
        ledger.close_request(row, *((None, "no weights") if place else ({"run": "x"},)))
    app = open_page(QUALITY, settings.home, quality_tab="robustness", **ids)
    assert "was not measured: no weights" in words(app)
    assert list(ids_in(app).values()) == [row.id]


def test_cancel_gives_up_all_runs_that_wait(open_page, settings, ledger):
    app = open_page(QUALITY, settings.home, quality_tab="robustness")
    decoder = run_of(ledger, "SmolLM2 yes/no")  # alone too long for the worker
    assert len(ledger.runs("default")) - 3 == len(app.multiselect(key="quality_noise_runs").value)
    assert decoder.id not in app.multiselect(key="quality_noise_runs").value
    app.button(key="quality_noise_ask").click().run()
    first = ledger.claim_request("w", measurements=True)
    app.run()
    app.button(key="quality_noise_cancel").click().run()
    assert ledger.claim_request("w", measurements=True) is None
    assert ledger.answer(first.id).state == "cancelled"


def test_an_earlier_measurement_says_how_long_the_next_one_takes(open_page, settings, ledger):
    knn = run_of(ledger, KNN)
    document = DOCUMENTS["robustness"] | {"users": 100, "seconds": 30.0}
    ledger.add_document(knn.id, "robustness", document)
    app = open_page(QUALITY, settings.home, quality_tab="robustness")
    assert knn.id not in app.multiselect(key="quality_noise_runs").value  # measured already
    app.multiselect(key="quality_noise_runs").set_value([knn.id]).run()
    assert app.button(key="quality_noise_ask").label == "Measure 1 run, about 60 s"


def test_what_was_measured_elsewhere_says_nothing_about_here(
    open_page, settings, ledger, monkeypatch
):
    monkeypatch.setattr(records, "device", lambda: dataclasses.replace(MACHINE, name="another"))
    app = open_page(QUALITY, settings.home, quality_tab="robustness")
    assert app.button(key="quality_noise_ask").label.startswith("Measure 14 runs")
    assert "about" not in app.button(key="quality_noise_ask").label
    assert "has not been measured on this machine" in words(app)


def test_how_long_answers_took_with_the_wait_turns_no_button_off(
    open_page, settings, ledger, monkeypatch
):
    monkeypatch.setattr(records, "device", lambda: dataclasses.replace(MACHINE, name="another"))
    monkeypatch.setattr(type(ledger), "usual_answer_s", lambda self, kind: 7_200.0)
    for page, key, address in (
        (QUALITY, "quality_noise_ask", {"quality_tab": "robustness"}),
        (QUALITY, "quality_policy_ask", {"quality_tab": "policy"}),
        (QUALITY, "quality_data_check_ask", {"quality_tab": "checks"}),
        ("build/data.py", "data_clean_ask", {"data_name": "ring"}),
    ):
        app = open_page(page, settings.home, **address)
        assert not app.button(key=key).disabled, key
        assert "about" not in app.button(key=key).label, key
        assert f"usually come {number_format.duration(7_200)} after they are asked" in words(app), (
            key
        )


def test_what_the_worker_would_give_up_is_not_queued(open_page, settings, ledger):
    app = open_page(QUALITY, settings.home, quality_tab="robustness")
    decoder = run_of(ledger, "SmolLM2 yes/no")
    app.multiselect(key="quality_noise_runs").set_value([decoder.id])
    app.text_input(key="quality_noise_users").set_value("400").run()  # 6 × 400 × 2.16 s
    assert app.button(key="quality_noise_ask").disabled
    assert "would take about 86 min, and the worker gives up after 30 min" in words(app)


def test_a_policy_is_put_together_queued_and_its_effect_shown(open_page, settings, ledger):
    app = open_page(QUALITY, settings.home, quality_tab="policy")
    knn = run_of(ledger, KNN)
    app.text_input(key="quality_policy_block").set_value("i1, i2")
    app.multiselect(key="quality_policy_block_genres").set_value([])
    app.multiselect(key="quality_policy_runs").set_value([]).run()
    assert app.button(key="quality_policy_ask").label == "Measure 0 runs"
    assert app.button(key="quality_policy_ask").disabled
    assert "How long this takes" not in words(app)
    app.multiselect(key="quality_policy_genres").set_value(["Crime", "*Sci-Fi*"]).run()
    app.text_input(key="quality_policy_penalty_*Sci-Fi*").set_value("0.3x").run()
    assert app.button(key="quality_policy_ask").disabled
    assert "Penalty for *Sci-Fi*: '0.3x' is no number" in words(app)
    app.text_input(key="quality_policy_penalty_*Sci-Fi*").set_value("0.3")
    app.text_input(key="quality_policy_penalty_Crime").set_value("-0.5")
    app.multiselect(key="quality_policy_runs").set_value([knn.id]).run()
    assert app.button(key="quality_policy_ask").label == "Measure 1 run, about 1 s"  # 200 × 0.72 ms
    app.button(key="quality_policy_ask").click().run()
    assert not app.exception
    asked = ledger.claim_request("w", measurements=True)
    policy = {
        "block": ["i1", "i2"],
        "block_genres": [],
        "popularity_penalty": 0.2,
        "genre_penalty": {"Crime": -0.5, "*Sci-Fi*": 0.3},
        "review_flagged": True,
    }
    assert (asked.kind, asked.payload) == ("policy-effect", {"run": knn.id, "policy": policy})
    ledger.add_document(knn.id, "policy", DOCUMENTS["policy"])
    ledger.close_request(asked, {"run": knn.id})
    app.run()
    assert "the policy changes 7 of 120 lists" in words(app)


def test_nothing_is_queued_while_a_field_is_refused(open_page, settings, ledger):
    app = open_page(QUALITY, settings.home, quality_tab="policy")
    assert not app.button(key="quality_policy_ask").disabled
    app.text_input(key="quality_policy_popularity").set_value("0,1x").run()
    assert "'0,1x' is no number" in words(app)
    assert app.button(key="quality_policy_ask").disabled
    app.text_input(key="quality_policy_popularity").set_value("0,1").run()
    assert not app.button(key="quality_policy_ask").disabled


@pytest.mark.parametrize(
    ("tab", "key"),
    [
        ("robustness", "quality_noise_ask"),
        ("policy", "quality_policy_ask"),
        ("labels", "quality_label_curve_ask"),
        ("checks", "quality_data_check_ask"),
    ],
)
def test_a_viewer_cannot_queue_work(tab, key, open_page, settings, ledger, monkeypatch):
    monkeypatch.setattr(access, "person", lambda: Person("vera@example.org", "viewer"))
    app = open_page(QUALITY, settings.home, quality_tab=tab)
    assert not app.exception
    button = app.button(key=key)
    assert button.disabled
    assert "needs the role analyst" in button.help
    monkeypatch.setattr(access, "person", lambda: Person("ben@example.org", "analyst"))
    app.run()
    assert not app.button(key=key).disabled


def test_a_recorded_study_cannot_be_measured(open_page, homes):
    from tests.pages.test_walk import SAMPLE

    app = open_page(QUALITY, "sample", SAMPLE, quality_tab="robustness")
    assert "has no models on this machine" in words(app)
    assert not any(one.key == "quality_noise_ask" for one in app.button)
    assert "llmrec_core robustness" not in words(app)
    app = open_page(QUALITY, "sample", SAMPLE, quality_tab="policy")
    assert "policy measure" not in words(app)


def test_the_command_quotes_the_name_of_a_study(open_page, settings):
    synthetic.write_study(settings, "mine; all", rows=synthetic.ROWS[:1]).close()
    app = open_page(QUALITY, settings.home, quality_tab="robustness")
    shown = [line for line in words(app).splitlines() if "--study" in line]
    assert shown == ["`python -m llmrec_core robustness --study 'mine; all'`"]


# ── data sets ────────────────────────────────────────────────────────────────────────────────────


def test_a_label_curve_is_queued_and_shown(open_page, settings, ledger):
    app = open_page(QUALITY, settings.home, quality_tab="labels")
    app.multiselect(key="quality_label_curve_methods").set_value(["popularity"])
    assert app.multiselect(key="quality_label_curve_labels_ring").value == [40 * 4]
    app.text_input(key="quality_label_curve_seeds").set_value("2").run()
    assert "has not been measured on this machine" in words(app)
    app.button(key="quality_label_curve_ask").click().run()
    asked = ledger.claim_request("w", measurements=True)
    question = {"data": "ring", "labels": [160], "methods": ["popularity"], "seeds": 2}
    assert (asked.kind, asked.payload) == ("label-curve", question)
    answer = answers.answer(asked.kind, asked.payload, settings)
    ledger.close_request(asked, answer)
    app.run()
    assert not app.exception
    shown = app.dataframe[0].value
    assert (shown["Method"].tolist(), shown["Labels"].tolist()) == (["Popularity"], [160])
    assert "The curve is kept as ring." in words(app)
    # Both draws of one method together took what the stored curve says; another method is unknown.
    label_files.write(
        "ring", label_files.read_all(settings)["ring"] | {"point_s": {"popularity": 9.0}}, settings
    )
    app.run()
    assert app.button(key="quality_label_curve_ask").label == "Measure a curve, about 18 s"
    app.multiselect(key="quality_label_curve_methods").set_value(["popularity", "ease"]).run()
    assert app.button(key="quality_label_curve_ask").label == "Measure a curve"


def test_a_data_set_is_checked_and_the_checks_are_shown(open_page, settings, ledger):
    app = open_page(QUALITY, settings.home, quality_tab="checks")
    app.selectbox(key="quality_data_check_split").select("time")
    app.text_input(key="quality_data_check_users").set_value("10").run()
    app.button(key="quality_data_check_ask").click().run()
    asked = ledger.claim_request("w", measurements=True)
    assert (asked.kind, asked.payload) == (
        "check-data",
        {"data": "ring", "split": "time", "users": 10},
    )
    rows = [
        {"subject": "data", "check": "train-test-overlap", "passed": True, "detail": "none"},
        {"subject": "ease", "check": "shuffled-labels", "passed": False, "detail": "0.5"},
    ]
    others = [family for family in usual_families(ring()) if family != "ease"]
    rows += [rows[0] | {"subject": family, "check": "shuffled-labels"} for family in others]
    content = {"data": "ring", "content_hash": ring().content_hash, "protocol": "time/100-uniform"}
    check_files.write(content | {"users": 10, "rows": rows, "seconds": 7.0}, settings)
    ledger.close_request(asked, {"content_hash": content["content_hash"]})
    app.run()
    assert not app.exception
    assert app.dataframe[-1].value["Subject"].tolist()[:2] == ["the split", "EASE"]
    failed = f"1 of {len(rows)} checks failed, so do not rely on EASE: shuffled-labels."
    assert failed in words(app)
    button = "quality_data_check_ask"
    assert app.button(key=button).label == "Check this data set, about 7 s"
    # twice the people take twice the time, and there are no more than 40
    app.text_input(key="quality_data_check_users").set_value("20").run()
    assert app.button(key=button).label == "Check this data set, about 14 s"
    app.text_input(key="quality_data_check_users").set_value("400").run()
    assert app.button(key=button).label == "Check this data set, about 28 s"
    # other families say nothing about these
    check_files.write(content | {"users": 10, "rows": rows[:2], "seconds": 7.0}, settings)
    app.run()
    assert app.button(key=button).label == "Check this data set"


def test_data_alone_can_be_checked_and_asked_for_a_curve(open_page, settings):
    store.save(ring(), settings, note="a ring")
    app = open_page(QUALITY, settings.home)
    assert not app.exception
    assert "No run of this study has finished yet, so there is no quality to read." in words(app)
    assert [one.label for one in app.tabs] == ["Checks", "Labels"]
    assert not app.button(key="quality_data_check_ask").disabled
    app.button(key="quality_data_check_ask").click().run()
    asked = records.ledger().claim_request("w", measurements=True)
    assert asked.payload == {"data": "ring"}
    app = open_page(QUALITY, settings.home, quality_tab="labels")
    assert not app.button(key="quality_label_curve_ask").disabled


def test_a_data_set_is_cleaned_from_its_page(open_page, settings, ledger):
    app = open_page("build/data.py", settings.home, data_name="ring")
    rules = app.multiselect(key="data_clean_rules")
    assert rules.label == "What to remove or repair"
    assert "duplicates" in rules.value and "bots" not in rules.value
    rules.set_value([*(rule for rule in rules.value if rule != "duplicates"), "bots"])
    app.text_input(key="data_clean_k_core").set_value("20").run()
    app.button(key="data_clean_ask").click().run()
    asked = ledger.claim_request("w", measurements=True)
    question = {"data": "ring", "on": ["bots"], "off": ["duplicates"], "k_core": 20}
    assert (asked.kind, asked.payload) == ("clean-data", question)
    ledger.close_request(asked, {"version": 2, "content_hash": "x"})
    app.run()
    assert not app.exception
    assert "Stored as ring@2." in words(app)


def test_only_its_owner_cleans_a_data_set(open_page, settings, ledger, monkeypatch):
    monkeypatch.setattr(access, "person", lambda: Person("ben@example.org", "analyst"))
    app = open_page("build/data.py", settings.home, data_name="ring")
    assert app.button(key="data_clean_ask").disabled
    ledger.own("ring", "ben@example.org")
    app.run()
    assert not app.button(key="data_clean_ask").disabled


def test_the_built_in_data_set_is_fetched_from_its_page(open_page, settings, monkeypatch):
    data = ring()
    app = open_page("build/data.py", settings.home)
    app.button(key="data_fetch").click().run()
    ledger = records.ledger()
    asked = ledger.claim_request("w", measurements=True)
    assert (asked.kind, asked.payload) == ("fetch-data", {"data": "ml-100k"})
    monkeypatch.setattr(check_answers, "load_dataset", lambda name, settings: data)
    answer = answers.answer(asked.kind, asked.payload, settings)
    assert answer == {"content_hash": data.content_hash}
    ledger.close_request(asked, answer)
    app.run()
    assert not app.exception
    assert "The worker has fetched it, but not onto the machine that serves these" in words(app)


def test_no_page_shows_a_shell_line_in_place_of_a_button(open_page, settings, ledger):
    for tab in ("robustness", "labels", "policy", "checks"):
        app = open_page(QUALITY, settings.home, quality_tab=tab)
        assert not app.main.get("code"), tab
        assert "From a terminal" in [one.label for one in app.main.get("expander")]


def test_a_curve_of_every_method_is_a_question(settings):
    from llmrec_core.checks.label_methods import LABELS, METHODS

    LabelCurveRequest(data="shop", labels=LABELS, methods=tuple(METHODS))
