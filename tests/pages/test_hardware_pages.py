"""Other hardware, Plan, and Decide on a predicted device: empty, filled, bad input; one change, one other number."""

from pathlib import Path

import pytest

from tests.pages.test_pages import unescaped

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "assets" / "sample" / "study.json"


def planned(app) -> dict[str, str]:
    """$ a month by device, as the table of all devices shows it."""
    table = app.dataframe[0].value
    return dict(zip(table["Device"], table["$ per month"], strict=True))


# ── Other hardware ───────────────────────────────────────────────────────────────────────────────


def test_other_hardware_puts_predictions_beside_the_measurement(open_page):
    app = open_page("measure/other_hardware.py")
    shown = unescaped(app)
    assert not app.exception
    assert "MiniLM, 6 layers, int8 answers a request in 152 ms on Test CPU, 2 cores (median, measured)" in shown
    table = app.dataframe[0].value
    assert table["How"].iloc[0] == "measured"
    assert set(table["How"][1:]) == {"predicted"}
    line = table.set_index("Machine").loc["L4"]
    assert " to " in line["Latency"]
    assert " to " in line["$ per million"]
    before = line["Latency"]
    app.selectbox(key="other_run").select_index(len(app.selectbox(key="other_run").options) - 1).run()
    assert app.dataframe[0].value.set_index("Machine").loc["L4", "Latency"] != before


def test_other_hardware_shows_every_device_and_says_what_cannot_be_predicted(open_page):
    app = open_page("measure/other_hardware.py", other_precision="fp8")
    app.toggle(key="other_all").set_value(True).run()
    assert len(app.dataframe[0].value) > 35
    app.selectbox(key="other_precision").select("int8-dynamic").run()
    assert "has no int8 arithmetic" in unescaped(app)


def test_other_hardware_without_runs_still_explains_how_good_predictions_are(open_page):
    app = open_page("measure/other_hardware.py", "empty")
    assert "Nothing to predict from yet" in unescaped(app)
    app = open_page("measure/other_hardware.py", "empty", other_tab="How good the predictions are")
    assert not app.exception
    assert "On GPUs it had never seen, the median prediction was off by " in unescaped(app)
    errors = app.dataframe[0].value
    assert {"Median error", "Naive", "Inside the 80 % interval", "Aimed at"} <= set(errors.columns)
    app.button_group(key="other_left_out").set_value("framework").run()
    assert list(app.dataframe[0].value["Median error"]) != list(errors["Median error"])


def test_other_hardware_lists_the_devices_with_sources(open_page):
    app = open_page("measure/other_hardware.py", other_tab="The devices")
    assert {"Verified", "Source"} <= set(app.dataframe[0].value.columns)


# ── Plan ─────────────────────────────────────────────────────────────────────────────────────────


def test_plan_answers_ten_million_requests_a_day_on_every_device(open_page):
    app = open_page("answer/plan.py")
    shown = unescaped(app)
    assert "is the cheapest plan predicted to answer within 50 ms at p95" in shown
    assert "The runner-up, " in shown
    assert "MiniLM, 6 layers, int8 costs on each of" in shown
    assert "10.0 M requests a day at p95 ≤ 50 ms" in shown
    table = app.dataframe[0].value
    assert len(table) > 40
    assert any("one request alone takes" in reason for reason in table["Why not, or what to know"])
    assert [one.label for one in app.metric] == [
        "Devices", "Busy at peak", "p95", "$ per month", "tCO2e per month",
    ]  # fmt: skip


def test_plan_a_hundred_times_the_traffic_costs_more(open_page):
    app = open_page("answer/plan.py")
    before = planned(app)
    app.number_input(key="plan_daily").set_value(1e9).run()
    after = planned(app)
    assert before["L4"] != after["L4"]
    app.button_group(key="plan_way").set_value("Users").run()
    assert "1.00 M requests a day" in unescaped(app)


def test_plan_reads_its_traffic_from_the_address(open_page):
    app = open_page("answer/plan.py", plan_way="Requests a second", plan_rate="1000", plan_p95="200")
    assert "86.4 M requests a day at p95 ≤ 200 ms" in unescaped(app)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("plan_daily", -5.0, "requests per day is -5; expected a number above 0"),
        ("plan_p95", 0.0, "expected a number above 0"),
        ("plan_peak", 0.5, "expected at least 1"),
        ("plan_availability", 100.0, "availability is 100 %; expected above 0 % and below 100 %"),
        ("plan_candidates", -1, "expected a whole number above 0"),
        ("plan_hits", 100.0, "cache hit rate is 1"),
        ("plan_retrain", -1.0, "expected 0 or more"),
    ],
)
def test_plan_answers_bad_input_with_a_sentence(open_page, key, value, sentence):
    app = open_page("answer/plan.py")
    app.number_input(key=key).set_value(value).run()
    assert not app.exception
    assert sentence in app.error[0].value.replace("\\", "")


def test_plan_an_own_device_is_priced_by_purchase_and_electricity(open_page):
    app = open_page("answer/plan.py")
    before = planned(app)["RTX-5090"]
    app.selectbox(key="plan_own").select("RTX-5090").run()
    assert planned(app)["RTX-5090"] != before
    app.number_input(key="plan_years").set_value(0.0).run()
    assert "years is 0; expected a number above 0" in unescaped(app)


def test_plan_without_a_study_takes_a_model_of_the_catalogue(open_page):
    app = open_page("answer/plan.py", "empty")
    assert not app.exception
    assert "minilm-l6-h384 costs on each of" in unescaped(app)
    app = open_page("answer/plan.py", "empty", plan_model="no-such-model")
    assert "near names" in app.error[0].value


def test_plan_draws_the_curve_of_users(open_page):
    app = open_page("answer/plan.py", plan_tab="10³ to 10⁹ users")
    assert not app.exception
    assert app.dataframe[0].value["Users"].iloc[0] == "1,000"
    assert app.dataframe[0].value["Users"].iloc[-1] == "1,000,000,000"


def test_plan_what_if_twice_the_traffic(open_page):
    app = open_page("answer/plan.py", plan_tab="What if")
    assert not app.exception
    app.select_slider(key="plan_if_times").set_value(100.0).run()
    assert not app.exception
    assert "is the cheapest plan predicted" in unescaped(app)


def test_plan_a_training_job_that_does_not_fit_says_what_would(open_page):
    app = open_page("answer/plan.py", plan_tab="A training job", plan_model="llama-3.1-8b")
    assert not app.exception
    told = dict(zip(app.dataframe[0].value["Device"], app.dataframe[0].value["Why not, or what to know"], strict=True))
    assert told["T4"].startswith("does not fit: needs up to")
    assert any("; fits with " in reason for reason in told.values())
    app.number_input(key="plan_steps").set_value(0.0).run()
    assert "steps is 0; expected a number above 0" in unescaped(app)


def test_plan_lists_prices_with_dates_and_sources(open_page):
    app = open_page("answer/plan.py", plan_tab="Prices and carbon")
    assert {"Date", "Source", "On demand, $ per hour"} <= set(app.dataframe[0].value.columns)


# ── Decide on a predicted device ─────────────────────────────────────────────────────────────────


def test_decide_names_the_machine_and_that_it_is_predicted(open_page):
    app = open_page("answer/decide.py", decide_language="true")
    assert "measured on Test CPU, 2 cores" in unescaped(app)
    app.selectbox(key="decide_machine").select("L4").run()
    assert not app.exception
    table = app.dataframe[0].value.set_index("Run")
    assert table.loc["MiniLM cross-encoder, 6 layers", "Costs"] == "predicted on L4"
    assert table.loc["Text-SASRec, MiniLM", "Costs"] == "measured on Test CPU, 2 cores"
    app = open_page("answer/decide.py", decide_machine="L4, predicted")
    assert app.dataframe[0].value.set_index("Run").loc["EASE", "Costs"] == "measured on Test CPU, 2 cores"


def test_decide_names_the_cheapest_device_predicted_when_the_limit_fails_here(open_page):
    app = open_page("answer/decide.py", decide_language="true")
    tight = next(one for one in app.select_slider(key="decide_p95").options if "3.10 ms" in one)
    app.select_slider(key="decide_p95").set_value("0.0031").run()
    assert "Nothing measured keeps these limits" in unescaped(app), tight
    shown = unescaped(app)
    assert not app.exception
    assert "Predicted, not measured: " in shown or "No priced device" in shown


def test_the_recorded_sample_is_planned_and_predicted(open_page, tmp_path):
    for page in ("answer/plan.py", "measure/other_hardware.py"):
        app = open_page(page, tmp_path, SAMPLE)
        assert not app.exception
        assert not app.error
