"""Plan: every family, bad input, what if, the curve, and the same bill as the command line."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from llmrec_core.cli import plan as plan_command
from llmrec_core.reading.choice import Choice
from llmrec_core.running import model_sizes
from pages.answer import plan_start
from tests.costmodel.public_configs import PUBLIC
from tests.pages.test_pages import unescaped
from tests.reading.rows import make
from tests.recommenders.hosted.films import hosted_run

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "assets" / "sample" / "study.json"
MINILM = "minilm-l6-h384"
INT8 = "MiniLM, 6 layers, int8"

command = typer.Typer()
plan_command.register(command)


def table(app) -> pd.DataFrame:
    """The plans as the table of all devices shows them, by device."""
    return app.dataframe[0].value.set_index("Device")


def choose(app, label: str):
    """The page for another recommender, by its name in the picker."""
    picker = app.selectbox(key="plan_model")
    picker.select_index(picker.options.index(label)).run()
    return app


def test_plan_opens_on_the_run_that_decide_chooses(open_page):
    decided = open_page("answer/decide.py").markdown[0].value.replace("\\", "")
    app = open_page("answer/plan.py")
    assert not app.exception
    chosen = app.selectbox(key="plan_model")
    assert f"Take {chosen.options[chosen.index]}:" in decided


@pytest.mark.parametrize(
    ("hosted", "why"), [(True, "is paid by the token"), (False, "has no bill")]
)
def test_plan_says_that_a_choice_without_machines_is_not_planned(
    open_page, monkeypatch, hosted, why
):
    row = make("Asked [elsewhere](x)")
    if hosted:
        row = replace(row, spec=hosted_run("http://127.0.0.1:9"))
    choice = Choice(row, None, "", "")
    monkeypatch.setattr(plan_start, "chosen", lambda *_: choice)
    app = open_page("answer/plan.py")
    assert not app.exception
    said = f"{row.name} {why}, so the plan is for Popularity."
    assert said in unescaped(app)
    assert "so the plan is for" not in unescaped(choose(app, "EASE"))


@pytest.mark.parametrize("name", ["Popularity", "Item-kNN", "EASE", "SASRec", "MiniLM cosine"])
def test_a_family_that_reads_no_prompt_is_planned_on_its_own_machine(open_page, name):
    app = choose(open_page("answer/plan.py", plan_p95="1000"), name)
    assert not app.exception and not app.error
    shown = unescaped(app)
    assert f"{name} reads no prompt, so only the machine it was measured on is planned" in shown
    rows = app.dataframe[0].value
    assert list(rows["Device"]) == ["Test CPU, 2 cores, measured"]
    assert rows["$ per month"].iloc[0] > 0


def test_a_language_model_is_planned_on_its_machine_and_on_every_device(open_page):
    app = choose(open_page("answer/plan.py", plan_p95="1000"), INT8)
    rows = table(app)
    assert len(rows) > 40
    assert rows.loc["Test CPU, 2 cores, measured", "$ per month"] > 0
    assert f"What {INT8} costs on each of {len(rows)} devices" in unescaped(app)
    app.text_input(key="plan_candidates").set_value("7").run()
    reason = table(app).loc["Test CPU, 2 cores, measured", "Why not, or what to know"]
    assert "measured with its own candidates" in reason


def test_plan_answers_ten_million_requests_a_day_on_every_device(open_page):
    app = open_page("answer/plan.py", plan_model=MINILM, plan_daily="1e7", plan_p95="50")
    shown = unescaped(app)
    assert "is the cheapest plan predicted to answer within 50 ms at p95" in shown
    assert "The runner-up, " in shown
    assert f"What {MINILM} costs on each of" in shown
    assert "10.0 M requests a day at p95 ≤ 50 ms" in shown
    rows = table(app)
    assert len(rows) > 40
    assert any("one request alone takes" in reason for reason in rows["Why not, or what to know"])
    assert [metric.label for metric in app.metric] == [
        "Devices",
        "Busy at peak",
        "p95",
        "$ per month",
        "tCO2e per month",
    ]


def test_a_hundred_times_the_traffic_costs_more(open_page):
    app = open_page("answer/plan.py", plan_model=MINILM, plan_daily="1e7", plan_p95="200")
    before = table(app).loc["L4", "$ per month"]
    app.text_input(key="plan_daily").set_value("1e9").run()
    assert table(app).loc["L4", "$ per month"] > 10 * before
    app.button_group(key="plan_way").set_value("users").run()
    app.text_input(key="plan_users").set_value("1,000,000").run()
    assert "1.00 M requests a day" in unescaped(app)


def test_plan_reads_its_traffic_from_the_address(open_page):
    app = open_page("answer/plan.py", plan_way="second", plan_rate="1000", plan_p95="200")
    assert "86.4 M requests a day at p95 ≤ 200 ms" in unescaped(app)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("plan_daily", -5.0, "requests per day is -5; expected a number from 0.001 "),
        ("plan_daily", 0.0, "requests per day is 0; expected a number from 0.001 "),
        (
            "plan_daily",
            1e30,
            "requests per day is more than 1,000,000,000,000,000,000,000; expected a number from 0.001 ",
        ),
        ("plan_p95", 0.0, "latency limit is 0 ms; expected a number from 0.001 ms"),
        ("plan_peak", 0.5, "busiest hour over the mean is 0.5; expected a number from 1"),
        ("plan_availability", 100.0, "availability is 100 %; expected a number from 1 % to"),
        ("plan_candidates", -1, "candidates is -1; expected a whole number from 1"),
        ("plan_candidates", 7.5, "candidates is 7.5; expected a whole number from 1"),
        ("plan_hits", 100.0, "share answered from a cache is 1; expected a number from 0"),
        ("plan_retrain", -1.0, "retraining hours a month is -1; expected a number from 0"),
        ("plan_spare", 1.5, "spare devices is 1.5; expected a whole number from 0"),
        ("plan_most", 1e6, "largest batch is 1,000,000; expected a whole number from 1"),
        ("plan_years", 0.0, "years of use is 0; expected a number from 0.01 "),
    ],
)
def test_plan_answers_bad_input_with_a_sentence(open_page, key, value, sentence):
    app = open_page("answer/plan.py", plan_model=MINILM, plan_own="RTX-5090")
    app.text_input(key=key).set_value(str(value)).run()
    assert not app.exception
    assert sentence in app.error[0].value.replace("\\", "")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e308", "1e400", "0", "-3", "x"])
@pytest.mark.parametrize("key", ["plan_daily", "plan_spare"])
def test_an_address_that_is_no_number_is_refused_or_ignored(open_page, key, value):
    app = open_page("answer/plan.py", plan_model=MINILM, **{key: value})
    assert not app.exception
    shown = unescaped(app).lower()
    assert "nan" not in shown.split() and "inf" not in shown.split()


def test_an_own_device_is_priced_by_purchase_and_electricity(open_page):
    app = open_page("answer/plan.py", plan_model=MINILM, plan_own="RTX-5090")
    rows = table(app)
    row = rows.loc["RTX-5090"]
    # $2,000 over three years of 8,760 hours, and $0.15 for every kilowatt-hour
    expected = row["Devices"] * 730 * 2000 / (3 * 8760) + 0.15 * row["kWh per month"]
    assert row["$ per month"] == pytest.approx(expected)


def test_offers_can_be_kept_to_a_provider(open_page):
    app = open_page("answer/plan.py", plan_model=MINILM)
    app.multiselect(key="plan_providers").select("aws").run()
    prices = [price for price in table(app)["Price from"].dropna() if price]
    assert prices and all(price.startswith("aws, ") for price in prices)


def test_typed_price_use_and_power_reach_the_machine_s_plan_and_its_caption(open_page):
    app = choose(open_page("answer/plan.py", plan_p95="1000"), "Item-kNN")
    before = app.dataframe[0].value.iloc[0]
    app.text_input(key="price").set_value("3.0").run()
    app.text_input(key="watts").set_value("50.0").run()
    after = app.dataframe[0].value.iloc[0]
    assert after["$ per month"] == pytest.approx(3.0 * 730 * before["Devices"])
    shown = unescaped(app)
    assert "$3.00 an hour each (typed in)" in shown
    assert "50 W at work each (typed in, assumed)" in shown
    app.text_input(key="utilisation").set_value("10").run()
    assert "The busiest hour has 10 times the mean" in unescaped(app)


def test_without_a_study_a_model_of_the_catalogue_is_planned(open_page):
    app = open_page("answer/plan.py", "empty")
    assert not app.exception
    assert f"{MINILM} costs on each of" in unescaped(app)
    app = open_page("answer/plan.py", "empty", plan_model="no-such-model")
    assert "near names" in app.error[0].value


def test_a_wrong_model_name_keeps_the_inputs_and_offers_near_names(open_page):
    app = open_page("answer/plan.py", plan_model="minilm-l6-h38", plan_p95="70")
    assert not app.exception
    assert "unknown model" in app.error[0].value
    assert not app.dataframe, "nothing is planned for a name that nobody knows"
    assert app.text_input(key="plan_p95").value == "70"
    assert app.button(key=f"plan_near_{MINILM}").label == "minilm\\-l6\\-h384 \\(catalogue\\)"


def test_a_folder_s_weights_are_counted_by_a_worker(open_page, tmp_path):
    folder, home = tmp_path / "lite", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    config = next(model.config for model in PUBLIC if model.name == "deepseek-v2-lite")
    (folder / "config.json").write_text(json.dumps(config))
    app = open_page("answer/plan.py", home, plan_model=str(folder), plan_p95="10000")
    assert not app.exception and not app.error
    notes = table(app)["Why not, or what to know"]
    assert "our own formulas and not counted" in notes["H200-SXM-141GB"]
    assert "no worker is running" in unescaped(app)  # the question waits for one
    assert model_sizes.ensure(str(folder), home) == ""  # as a worker does
    app = open_page("answer/plan.py", home, plan_model=str(folder), plan_p95="10000")
    assert "our own formulas" not in table(app)["Why not, or what to know"]["H200-SXM-141GB"]


def test_the_curve_of_users_is_drawn_for_up_to_three_runs(open_page):
    app = open_page("answer/plan.py", plan_tab="users", plan_p95="1000")
    choose(app, INT8)
    assert not app.exception
    users = app.dataframe[0].value["Users"]
    assert (users.iloc[0], users.iloc[-1]) == (1_000, 1_000_000_000)
    compared = app.multiselect(key="plan_compared")
    compared.select("Item-kNN").select("EASE").run()
    assert not app.exception
    chart = json.loads(app.get("plotly_chart")[0].proto.spec)
    lines = {trace["name"] for trace in chart["data"] if trace["name"] != "80 % interval"}
    assert lines == {INT8, "Item-kNN", "EASE"}


# ── what if ──────────────────────────────────────────────────────────────────────────────────────


def test_what_if_says_that_nothing_is_changed_until_something_is(open_page):
    app = open_page("answer/plan.py", plan_tab="if", plan_model=MINILM, plan_hits="99.6")
    assert not app.exception and not app.error
    assert "Nothing is changed yet" in unescaped(app)
    app.text_input(key="plan_if_daily").set_value("1e9").run()
    shown = unescaped(app)
    assert "Nothing is changed yet" not in shown and "Against the plan above: " in shown


def test_what_if_takes_the_address_exactly_and_compares_with_the_plan_above(open_page):
    same = open_page("answer/plan.py", plan_tab="if", plan_model=MINILM, plan_if_hits="0")
    assert "Nothing is changed yet" in unescaped(same)
    app = open_page("answer/plan.py", plan_tab="if", plan_model=MINILM, plan_if_hits="99.6")
    assert not app.error
    assert "Against the plan above: " in unescaped(app)
    fewer = [metric for metric in app.metric if metric.label == "Devices"]
    assert len(fewer) == 2


# ── training and prices ──────────────────────────────────────────────────────────────────────────


def test_a_training_job_that_does_not_fit_says_what_would(open_page):
    app = open_page("answer/plan.py", plan_tab="training", plan_model="llama-3.1-8b")
    assert not app.exception
    reasons = table(app)["Why not, or what to know"]
    assert reasons["T4"].startswith("does not fit: needs up to")
    assert any("; fits with " in reason for reason in reasons)
    app.text_input(key="plan_steps").set_value("0.0").run()
    assert "steps is 0; expected a whole number from 1" in unescaped(app)


def test_prices_and_grids_have_dates_and_sources(open_page):
    app = open_page("answer/plan.py", plan_tab="prices")
    assert {"Date", "Source", "On demand, $ per hour"} <= set(app.dataframe[0].value.columns)
    grids = app.dataframe[1].value.set_index("Short name")
    assert grids.loc["GEO", "g CO2e per kWh"] == 167.594
    assert grids.loc["US-GA", "g CO2e per kWh"] == 454.388


def test_the_recorded_sample_is_planned(open_page, tmp_path):
    app = open_page("answer/plan.py", tmp_path, SAMPLE)
    assert not app.exception
    assert not app.error


def test_figures_of_the_tables_are_numbers(open_page):
    for tab in ("devices", "users", "training", "prices"):
        app = open_page("answer/plan.py", plan_model=MINILM, plan_tab=tab)
        for frame in app.dataframe:
            for column in frame.value.columns:
                if any(unit in column for unit in ("$", "p95", "Busy", "Time", "kWh", "Memory")):
                    assert pd.api.types.is_numeric_dtype(frame.value[column]), column


# ── the command line and the page ────────────────────────────────────────────────────────────────

LOADS = (
    (1e3, 2.0, 200.0),
    (1e5, 1.0, 50.0),
    (1e6, 2.5, 100.0),
    (1e7, 2.0, 50.0),
    (1e7, 4.0, 20.0),
    (3.3e7, 1.5, 200.0),
    (1e8, 2.0, 100.0),
    (1e9, 3.0, 75.0),
    (1e10, 2.0, 200.0),
    (1e11, 1.2, 500.0),
)


@pytest.mark.parametrize(("daily", "peak", "p95"), LOADS)
def test_the_command_line_and_the_page_name_the_same_plans(open_page, homes, daily, peak, p95):
    words = f"--model {MINILM} --requests-per-day {daily} --peak {peak} --p95-ms {p95} --json"
    app = open_page(
        "answer/plan.py",
        "empty",
        plan_model=MINILM,
        plan_daily=str(daily),
        plan_peak=str(peak),
        plan_p95=str(p95),
    )
    rows = table(app)
    done = CliRunner().invoke(command, words.split())
    assert done.exit_code == 0, done.output
    body = json.loads(done.stdout.splitlines()[-1])
    assert body["sentence"] in unescaped(app)
    assert [plan["device"] for plan in body["plans"]] == list(rows.index)
    for plan in body["plans"]:
        row = rows.loc[plan["device"]]
        for name, column in (
            ("devices", "Devices"),
            ("spare", "of them spare"),
            ("usd_per_month", "$ per month"),
            ("usd_low80", "$ per month, low"),
            ("usd_high80", "$ per month, high"),
            ("kwh_per_month", "kWh per month"),
            ("t_co2e_per_month", "tCO2e per month"),
        ):
            told = plan.get(name) or None
            shown = None if pd.isna(row[column]) else row[column]
            assert told == shown or math.isclose(told, shown, rel_tol=1e-12), (plan, column)
