"""`estimate` and `plan` as a person types them."""

import json
from pathlib import Path

import typer
from typer.testing import CliRunner

from llmrec_core.costmodel import cli
from llmrec_core.experiments.ledger import Ledger
from llmrec_core.settings import load_settings

SAMPLE = Path(__file__).parents[2] / "assets" / "sample" / "study.json"


app = typer.Typer()
cli.register(app)


def call(*words):
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_own_runs_calibrate_and_the_machine_answers_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMREC_HOME", str(tmp_path))
    Ledger.open(load_settings()).import_study(json.loads(SAMPLE.read_text()))
    said = call("estimate", "--calibrate", "--json")
    assert said["figures"] >= 6 and said["error_after_percent"] < said["error_before_percent"]
    body = call("estimate", "--model", "minilm-l6", "--device", "this-machine", "--precision", "fp32", "--json")
    latency = body["figures"]["latency_ms"]
    assert "own runs" in latency["note"] and latency["low80"] < latency["value"] < latency["high80"]


def test_one_command_answers_for_the_whole_catalogue(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMREC_HOME", str(tmp_path))
    words = "plan --model minilm-l6 --requests-per-day 1e7 --p95-ms 50 --history-tokens 211 --candidates 100 --candidate-tokens 12"
    body = call(*words.split(), "--json")
    assert len(body["plans"]) > 40 and "runner-up" in body["sentence"]
    assert body["plans"][0]["usd_low80"] and body["plans"][0]["t_co2e_per_month"] > 0
