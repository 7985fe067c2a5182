"""`estimate` and `plan` as a person types them."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from llmrec_core.cli import estimate, plan
from llmrec_core.errors import UsageError
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.settings import load_settings

SAMPLE = Path(__file__).parents[2] / "assets" / "sample" / "study.json"

app = typer.Typer()
estimate.register(app)
plan.register(app)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMREC_HOME", str(tmp_path))
    monkeypatch.delenv("LLMREC_LEDGER", raising=False)
    return tmp_path


def call(*words):
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.strip().splitlines()[-1])


def refused(*words):
    done = CliRunner().invoke(app, list(words))
    assert isinstance(done.exception, UsageError), done.output
    return str(done.exception)


def recorded_study():
    Ledger.open(load_settings()).import_study(json.loads(SAMPLE.read_text()))


def test_own_runs_calibrate_and_the_machine_answers_by_name():
    recorded_study()
    said = call("estimate", "--calibrate", "--json")
    assert said["figures"] >= 6 and said["error_after_percent"] < said["error_before_percent"]
    words = "estimate --model minilm-l6 --device this-machine --precision fp32 --json"
    latency = call(*words.split())["figures"]["latency_ms"]
    assert "own runs" in latency["note"] and latency["low80"] < latency["value"] < latency["high80"]


def test_one_command_answers_for_the_whole_catalogue():
    words = (
        "plan --model minilm-l6 --requests-per-day 1e7 --p95-ms 50 --history-tokens 211 "
        "--candidates 100 --candidate-tokens 12 --json"
    )
    body = call(*words.split())
    assert len(body["plans"]) > 40 and "runner-up" in body["sentence"]
    assert body["plans"][0]["usd_low80"] and body["plans"][0]["t_co2e_per_month"] > 0


def test_what_was_not_stated_stands_in_the_answer():
    body = call("plan", "--device", "L4", "--users", "1e6", "--json")
    assert body["taken"] == [
        "1 request of a user in a day",
        "a busiest hour of 2 times the mean",
        "no limit on the latency",
        "100 candidates",
        "160 tokens of history",
        "12 tokens a candidate",
        "fp16",
        "eager",
    ]
    typed = call("plan", "--device", "L4", "--requests-per-day", "1e6", "--peak", "3", "--json")
    assert typed["peak"] == 3 and not [one for one in typed["taken"] if "busiest" in one]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--users 0", "--users is 0: no request needs no device and costs nothing"),
        ("--users 1e6 --requests-per-user-day 0", "--requests-per-user-day is 0: no request"),
        ("--requests-per-day 0", "--requests-per-day is 0"),
        ("--requests-per-s 0", "--requests-per-s is 0"),
        ("--curve --requests-per-user-day 0", "--requests-per-user-day is 0"),
        ("--users 5 --requests-per-day 5", "--users and --requests-per-day both state"),
        ("", "give the traffic"),
    ],
)
def test_no_traffic_is_never_some_traffic(words, sentence):
    assert sentence in refused("plan", "--device", "L4", *words.split())


@pytest.mark.parametrize(
    "words",
    [
        "plan --device L4 --users 1e6 --peak nan",
        "plan --device L4 --users inf",
        "plan --device L4 --users 1e6 --peak inf",
        "plan --device L4 --users 1e6 --retrain-hours nan",
        "plan --device L4 --users 1e30",
        "plan --device L4 --users 1e6 --usd-per-hour nan",
        "plan --device L4 --users 1e6 --p95-ms nan",
        "plan --device L4 --users 1e6 --availability 1",
        f"plan --device L4 --users 1e6 --candidates {'9' * 400}",
        "estimate --model llama-3.1-8b --device L4 --task decode --output-tokens nan",
        "estimate --model minilm-l6-h384 --device L4 --batch inf",
        "estimate --model minilm-l6-h384 --device L4 --devices 0",
    ],
)
def test_a_number_that_is_none_is_refused_by_the_name_of_its_option(words):
    option = words.split()[-2]
    said = refused(*words.split())
    assert said.startswith(f"{option} is ") and "; expected a " in said


def test_a_classical_run_is_planned_on_the_machine_that_measured_it():
    recorded_study()
    study = json.loads(SAMPLE.read_text())
    run = next(r for r in study["runs"] if r["spec"]["recommender"]["family"] == "item-knn")
    body = call("plan", "--run", run["name"], "--requests-per-day", "1e5", "--json")
    assert len(body["plans"]) == 1
    only = body["plans"][0]
    assert only["device"].endswith(", measured") and only["usd_per_month"] > 0
    hour = next(m["value"] for m in run["measurements"] if m["name"] == "usd_per_hour")
    assert only["usd_per_month"] == pytest.approx(hour * 730 * only["devices"])
    typed = call(*f"plan --requests-per-day 1e5 --usd-per-hour 2 --json --run {run['id']}".split())
    assert typed["plans"][0]["usd_per_month"] == pytest.approx(2 * 730 * only["devices"])
    assert typed["plans"][0]["price_source"] == "typed in"
    assert "reads no prompt" in refused(
        "plan", "--run", run["id"], "--users", "1e6", "--candidates", "50"
    )


def test_a_run_with_a_language_model_is_planned_here_and_elsewhere():
    recorded_study()
    study = json.loads(SAMPLE.read_text())
    run = next(
        r
        for r in study["runs"]
        if r["spec"]["recommender"]["family"] == "cross-encoder" and r["state"] == "finished"
    )
    words = ["plan", "--run", run["id"], "--requests-per-day", "1e4", "--p95-ms", "2000", "--json"]
    body = call(*words)
    assert len(body["plans"]) > 40
    here = [one for one in body["plans"] if one["device"].endswith(", measured")]
    assert len(here) == 1 and here[0]["usd_per_month"] > 0
    other = call(*words[:-1], "--candidates", "7", "--json")
    here = next(one for one in other["plans"] if one["device"].endswith(", measured"))
    assert "measured with its own candidates" in here["reason"]
