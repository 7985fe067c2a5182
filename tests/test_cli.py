"""The command line: exit statuses, one sentence per mistake, one JSON document on the last line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from llmrec_core.contract.families import families
from llmrec_core.contract.spec import RunSpec, run_from_dict
from llmrec_core.ledger import schema
from llmrec_core.ledger.ledger import Ledger
from tests import synthetic

ROOT = Path(__file__).parents[1]

STUDY = """
name = "tiny"
title = "A tiny study"
[defaults]
data = { name = "tiny" }
recommender = { family = "stand-in" }
[[run]]
name = "a"
minutes = 0.1
[[run]]
name = "b"
seed = 1
weights_from = "a"
"""


@pytest.fixture
def command(home, command_line) -> Callable[..., SimpleNamespace]:
    """Run the command line on an empty home: status, stdout, stderr."""
    return command_line


@pytest.fixture
def tiny_data(monkeypatch):
    """A data set called tiny, as far as queueing goes; the runs are stand-ins that read none."""
    tiny = SimpleNamespace(
        content_hash="0123456789abcdef", n_users=9, n_items=9, interactions=range(99)
    )
    monkeypatch.setattr("llmrec_core.data.catalogue.load_dataset", lambda name, settings: tiny)
    monkeypatch.setenv("LLMREC_EXECUTE", "tests.running.fake_run")
    monkeypatch.syspath_prepend(ROOT / "tests" / "plugins")
    families.cache_clear()
    yield
    families.cache_clear()


def write(tmp_path: Path, text: str) -> str:
    file = tmp_path / "spec.toml"
    file.write_text(text, encoding="utf-8")
    return str(file)


# ── studies ──────────────────────────────────────────────────────────────────────────────────────


def test_study_runs_and_again_recomputes_nothing(command, tiny_data, tmp_path, ledger):
    file = write(tmp_path, STUDY)
    first = command("study", file, "--json")
    assert first.status == 0, first.err
    body = json.loads(first.out.splitlines()[-1])
    assert [(row["name"], row["state"]) for row in body] == [("a", "finished"), ("b", "finished")]
    assert body[0]["quality"]["loo/100-uniform"]["ndcg@10"] == {
        "value": 0.25, "unit": "1", "low": 0.2, "high": 0.3, "n": 100,
    }  # fmt: skip
    assert body[0]["energy_per_request_j"]["value"] is None
    assert body[0]["energy_per_request_j"]["reason"]
    assert ledger.runs("tiny")[0].spec["data"]["content_hash"] == "0123456789abcdef"

    began, workers = time.monotonic(), len(ledger.workers())
    again = command("study", file)
    assert again.status == 0
    assert time.monotonic() - began < 10
    assert len(ledger.workers()) == workers  # none was started
    assert [run.attempt for run in ledger.runs("tiny")] == [1, 1]
    assert "A tiny study" in again.out
    assert "2 of 2 done" in again.out


def test_a_row_that_fails_is_told_and_exits_1(command, tiny_data, tmp_path):
    failing = STUDY.replace("[[run]]", "[[run]]\nrecommender = { options = { data = 1.0 } }", 1)
    done = command("study", write(tmp_path, failing))
    assert done.status == 1
    text = " ".join(done.out.split())
    assert "row 3 has no rating; expected a number; mend the file" in text
    assert "the run whose weights it uses did not finish ('a' failed)" in text


def test_one_run(command, tiny_data, tmp_path, ledger):
    done = command("run", write(tmp_path, 'name = "alone"\n[data]\nname = "tiny"\n'), "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out.splitlines()[-1])[0]["name"] == "alone"
    assert [run.study for run in ledger.runs()] == ["single runs"]


LAUNCH = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # as __main__ does
from types import SimpleNamespace
import llmrec_core.data.catalogue as catalogue
from llmrec_core.cli.main import main
sys.path.insert(0, "tests/plugins")
catalogue.load_dataset = lambda name, settings: SimpleNamespace(
    content_hash="x", n_users=9, n_items=9, interactions=range(99)
)
sys.argv = ["llmrec_core", "study", {file!r}]
main()
"""


@pytest.mark.threat("signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopping_a_study_loses_nothing(home, ledger, tmp_path, monkeypatch, number):
    """Ctrl-C, and even kill -9, of the study: its worker saves, puts the run back and leaves; then it goes on."""
    monkeypatch.setenv("LLMREC_EXECUTE", "tests.running.fake_run")
    slow = STUDY.replace(
        "[[run]]", "[[run]]\nrecommender = { options = { steps = 40, step_s = 0.1 } }", 1
    )
    command = [sys.executable, "-c", LAUNCH.format(file=write(tmp_path, slow))]
    study = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    until = time.monotonic() + 60
    while not any((run.progress_done or 0) >= 2 for run in ledger.runs()):
        assert time.monotonic() < until
        time.sleep(0.05)
    study.send_signal(number)
    study.communicate(timeout=60)
    assert study.returncode == (130 if number == signal.SIGINT else -number)
    while ledger.workers()[0].state != "stopped":
        assert time.monotonic() < until
        time.sleep(0.05)
    assert [run.state for run in ledger.runs()] == ["queued", "queued"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first = ledger.runs()[0]
    assert any("resumed at step" in line for _, line in ledger.logs(first.id))


# ── wrong input: a sentence, and nothing stored is lost ──────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[trainin]\nsteps = 3", "unknown field 'trainin'. Did you mean 'training'?"),
        (
            "[training]\nlearning_rate = 0.0",
            "training.learning_rate is 0.0; expected a number above 0",
        ),
        (
            "[training]\nlearning_rate = nan",
            "training.learning_rate is nan; expected a finite number",
        ),
        ("[training]\nsteps = 5\nwarmup_steps = 9", "warmup_steps 9 contradicts training.steps 5"),
        (
            '[recommender]\nfamily = "cascade"',
            "needs recommender.retriever and recommender.rerank_k",
        ),
        ("name = ", "cannot be read as TOML"),
    ],
)
def test_wrong_spec(command, tmp_path, text, sentence):
    done = command("run", write(tmp_path, text))
    assert done.status == 2
    assert sentence in done.err
    assert "Traceback" not in done.err


def test_no_file(command, tmp_path):
    done = command("study", str(tmp_path / "none.toml"))
    assert done.status == 2
    assert "give the path of a TOML file" in done.err


def test_unknown_verb(command):
    done = command("studdy")
    assert done.status == 2
    assert "'study'" in done.err


@pytest.mark.parametrize(
    "words", [("runs", "show", "x"), ("runs", "cancel", "x"), ("runs", "resume", "x")]
)
def test_unknown_run(command, words):
    done = command(*words)
    assert done.status == 2
    assert "no run 'x' in the ledger" in done.err


def test_unknown_study(command):
    for words in (
        ("runs", "list", "--study", "x"),
        ("runs", "export", "--study", "x"),
        ("report", "--study", "x"),
    ):
        done = command(*words)
        assert done.status == 2
        assert "no study 'x'" in done.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("recommend", "--run", "r"), "exactly one of --user ID, --history TITLE"),
        (("recommend", "--run", "r", "--user", "1", "--all-users"), "exactly one of"),
        (("recommend", "--run", "r", "--all-users"), "--all-users and --out FILE go together"),
        (("profile",), "exactly one of --run ID or --model NAME"),
        (("up", "--port", "80"), "expected a number from 1024 to 65535"),
    ],
)
def test_contradictory_options(command, words, sentence):
    done = command(*words)
    assert done.status == 2
    assert sentence in done.err


def test_newer_and_unreadable_ledger(command, ledger, settings):
    with ledger.writing() as connection:
        connection.execute(sa.text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'"))
    done = command("runs", "list")
    assert done.status == 1
    assert "newer than" in done.err
    ledger.close()
    (settings.home / "ledger.db").write_bytes(b"\0" * 10_000)
    for left in settings.home.glob("ledger.db-*"):
        left.unlink()
    done = command("runs", "list")
    assert done.status == 1
    assert "move the file away" in done.err


def test_port_in_use_names_a_free_one(command):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for verb in ("up", "demo"):
            done = command(verb, "--port", str(port))
            assert done.status == 2
            assert f"port {port} is in use" in done.err
            assert "is free: --port" in done.err


def test_lease_that_is_no_number(command, monkeypatch):
    monkeypatch.setenv("LLMREC_LEASE_S", "soon")
    done = command("runs", "list")
    assert done.status == 2
    assert "LLMREC_LEASE_S is 'soon'" in done.err


@pytest.mark.threat("full-disk")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_full_disk(command, settings):
    synthetic.write_study(settings).close()
    (study,) = (row.name for row in _open(settings).studies())
    done = command("runs", "export", "--study", study, "--out", "/dev/full")
    assert done.status == 1
    assert "No space left on device; nothing stored is lost" in done.err


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def _open(settings) -> Ledger:
    return Ledger.open(settings)


def test_runs_list_tells_runs_of_one_name_apart(command, ledger):
    for study, seed, split in (("one", 0, "loo"), ("one", 7, "loo"), ("two", 0, "time")):
        body = {"name": "r", "seed": seed, "recommender": {"family": "ease"}}
        data, protocol = {"data": {"name": "shop"}}, {"protocol": {"split": split}}
        ledger.enqueue(run_from_dict(body | data | protocol), study)
    lines = [line.split() for line in command("runs", "list").out.splitlines() if " r " in line]
    assert [line[1:6] for line in lines] == [
        ["one", "shop", "loo/100-uniform", "0", "r"],
        ["one", "shop", "loo/100-uniform", "7", "r"],
        ["two", "shop", "time/100-uniform", "0", "r"],
    ]


def test_runs_list_has_quality_and_cost_of_every_row(command, settings):
    synthetic.write_study(settings).close()
    body = json.loads(command("runs", "list", "--json").out.splitlines()[-1])
    finished = [row for row in body if row["state"] == "finished"]
    assert finished
    for row in finished:
        quality = row["quality"]["loo/100-uniform"]["ndcg@10"]
        assert quality["low"] <= quality["value"] <= quality["high"]
        for name in (
            "flops_per_request",
            "latency_p50_s",
            "latency_p95_s",
            "peak_memory_bytes",
            "usd_per_million",
        ):
            assert row[name]["value"] is not None, name
        energy = row["energy_per_request_j"]
        assert energy["value"] is not None or energy["reason"]
    text = command("runs", "list")
    assert text.status == 0
    shown = command("runs", "show", finished[0]["id"], "--json")
    figures = json.loads(shown.out.splitlines()[-1])["measurements"]
    assert {"ndcg@10", "latency_p95_s"} <= {figure["name"] for figure in figures}
    assert command("runs", "show", finished[0]["name"]).status == 0


def test_export_can_be_imported(command, settings, tmp_path):
    synthetic.write_study(settings).close()
    (study,) = (row.name for row in _open(settings).studies())
    out = tmp_path / "out.json"
    assert command("runs", "export", "--study", study, "--out", str(out)).status == 0
    other = Ledger.open(
        type(settings)(tmp_path / "b", f"sqlite:///{tmp_path / 'b' / 'ledger.db'}", 30.0)
    )
    assert other.import_study(json.loads(out.read_text(encoding="utf-8"))) == study
    other.close()


def test_cancel_and_resume(command, ledger):
    run_id = ledger.enqueue(RunSpec(name="a"), "s")
    assert "cancelled" in command("runs", "cancel", run_id).out
    assert command("runs", "cancel", run_id).status == 2
    assert "queued; a worker takes it" in command("runs", "resume", "a").out
    assert ledger.run(run_id).state == "queued"


def test_report(command, settings, tmp_path):
    synthetic.write_study(settings).close()
    (study,) = (row.name for row in _open(settings).studies())
    out = tmp_path / "report.html"
    assert (
        command("report", "--study", study, "--out", str(out), "--comment", "seen by me").status
        == 0
    )
    assert "seen by me" in out.read_text(encoding="utf-8")
    printed = tmp_path / "report.pdf"
    assert command("report", "--study", study, "--out", str(printed)).status == 0
    assert printed.read_bytes().startswith(b"%PDF-")


def test_models_list(command):
    rows = json.loads(command("models", "list", "--json").out.splitlines()[-1])
    assert {"ml-100k", "minilm-l6", "smollm2-135m", "gemma3-270m"} == {row["name"] for row in rows}
    assert not any(row["cached"] for row in rows)  # an empty home


def test_python_m():
    done = subprocess.run(
        [sys.executable, "-m", "llmrec_core", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ},
        check=True,
    )
    for verb in (
        "demo",
        "up",
        "worker",
        "study",
        "run",
        "runs",
        "models",
        "data",
        "recommend",
        "profile",
        "report",
    ):
        assert verb in done.stdout
