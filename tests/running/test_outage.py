"""The ledger is away when a run ends: the record is safe, and there is one result."""

from __future__ import annotations

import json
import signal
import sqlite3
import threading
import time

import pytest

from llmrec_core.ledger import database
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.ledger.model_files import files_of
from llmrec_core.running import ledger_context
from llmrec_core.running.ledger_context import LedgerContext, RecordKept
from llmrec_core.running.run_record import FILE, RunRecord
from llmrec_core.running.turns import Turns
from llmrec_core.settings import load_settings
from llmrec_core.types import Measurement, Samples
from tests.running.workers import add, drain, wait_for

pytestmark = pytest.mark.usefixtures("stand_ins")

AWAY_S = 60.0


@pytest.mark.threat("ledger-away")
@pytest.mark.slow
def test_postgres_stopped_at_the_end_of_a_run(home, monkeypatch, postgres, start):
    """The server goes in the run's last seconds and comes back after a minute: one result."""
    postgres.empty()
    monkeypatch.setenv("LLMREC_LEDGER", postgres.url)
    settings = load_settings()
    ledger = Ledger.open(settings)
    (run_id,) = add(ledger, a={"steps": 3, "step_s": 0.1, "window_s": 3.0})
    worker = start()
    wait_for(lambda: ledger.run(run_id).progress_done == 3)
    ledger.close()
    postgres.stop()
    try:
        wait_for(lambda: (settings.runs / run_id / FILE).exists())
        time.sleep(AWAY_S)
    finally:
        postgres.start()
    wait_for(lambda: ledger.run(run_id).state == "finished")
    row = ledger.run(run_id)
    assert (row.attempt, row.retries, row.losses) == (1, 0, 0)
    assert ledger.measurements([run_id])["name"].tolist() == ["ndcg@10", "energy_per_request_j"]
    assert ledger.curves(run_id).query("name == 'train_loss'")["step"].tolist() == [0, 1, 2]
    assert ledger.damaged([run_id]) == []
    assert worker.poll() is None
    ledger.close()


@pytest.mark.threat("ledger-away")
def test_postgres_crashes_while_a_run_works(home, monkeypatch, postgres, start):
    postgres.empty()
    monkeypatch.setenv("LLMREC_LEDGER", postgres.url)
    ledger = Ledger.open(load_settings())
    (run_id,) = add(ledger, a={"steps": 40, "step_s": 0.1})
    start()
    wait_for(lambda: (ledger.run(run_id).progress_done or 0) >= 3)
    ledger.close()
    postgres.stop(signal.SIGKILL)
    time.sleep(3.0)
    postgres.start()
    wait_for(lambda: ledger.run(run_id).state == "finished")
    assert ledger.run(run_id).attempt == 1
    assert ledger.curves(run_id).query("name == 'train_loss'")["step"].tolist() == list(range(40))
    ledger.close()


@pytest.mark.threat("ledger-away", "ledger-locked")
def test_sqlite_locked_at_the_end_of_a_run(settings, monkeypatch):
    """Another program holds the file while the run ends, for longer than a writer waits."""
    monkeypatch.setattr(database, "BUSY_S", 0.2)
    ledger = Ledger.open(settings)
    (run_id,) = add(ledger, a={})
    lease = ledger.claim("w")
    context = LedgerContext(ledger, lease, settings.runs / run_id, None, Turns(settings.home))
    context.measure(Measurement("mrr", 0.5, "1"))
    context.log("the last line")
    other = sqlite3.connect(
        settings.home / "ledger.db", isolation_level=None, check_same_thread=False
    )
    other.execute("BEGIN EXCLUSIVE")
    threading.Timer(3.0, other.execute, ["ROLLBACK"]).start()
    began = time.monotonic()
    context.finish(ledger.run(run_id).spec_hash)
    assert time.monotonic() - began > 2.5
    assert ledger.run(run_id).state == "finished"
    assert ledger.measurements([run_id])["value"].tolist() == [0.5]
    assert [line for _, line in ledger.logs(run_id)] == ["the last line"]
    other.close()
    ledger.close()


@pytest.mark.threat("ledger-away")
def test_next_worker_commits_what_it_finds(any_settings, any_ledger, start):
    """Worker and run are killed between the record and the ledger: nothing is computed again."""
    (run_id,) = add(any_ledger, a={"steps": 500, "step_s": 0.05})
    worker = start()
    wait_for(lambda: (any_ledger.run(run_id).progress_done or 0) >= 1)
    worker.kill()
    worker.wait()
    spec_hash = any_ledger.run(run_id).spec_hash
    figures = [Measurement("ndcg@10", 0.46, "1"), Measurement("train_usd", None, "USD", reason="?")]
    record = RunRecord(
        spec_hash, figures, [Samples("ndcg@10", [0.5], [3])], {"d": [1]}, [("loss", 7, 0.5)], ["hi"]
    )
    record.write(any_settings.runs / run_id)
    (row,) = drain(any_settings, any_ledger)
    assert (row.state, row.attempt) == ("finished", 2)
    assert any_ledger.measurements([run_id])["name"].tolist() == ["ndcg@10", "train_usd"]
    assert any_ledger.document(run_id, "d") == [1]
    assert ("loss", 7, 0.5) in any_ledger.curves(run_id).itertuples(index=False, name=None)
    lines = [line for _, line in any_ledger.logs(run_id)]
    assert "hi" in lines
    assert "an earlier attempt has finished; its record is taken as it is" in lines


@pytest.mark.threat("ledger-away")
def test_run_gives_up_waiting_and_its_worker_commits(any_settings, any_ledger, monkeypatch):
    """As when the ledger stays away for longer than a run waits."""
    monkeypatch.setattr(ledger_context, "COMMIT_S", 0.0)
    (run_id,) = add(any_ledger, a={})
    lease = any_ledger.claim("w")
    turns = Turns(any_settings.home)
    context = LedgerContext(any_ledger, lease, any_settings.runs / run_id, None, turns)
    context.measure(Measurement("mrr", 0.5, "1"))
    with monkeypatch.context() as patch:
        patch.setattr(type(any_ledger), "finish", _away)
        with pytest.raises(RecordKept, match="is away"):
            context.finish(any_ledger.run(run_id).spec_hash)
    record = RunRecord.read(context.folder, any_ledger.run(run_id).spec_hash)
    record.commit(any_ledger, lease)
    assert any_ledger.measurements([run_id])["value"].tolist() == [0.5]


def _away(*words: object, **named: object) -> None:
    from llmrec_core.errors import LedgerError

    raise LedgerError("the ledger is away")


@pytest.mark.threat("torn-write")
def test_damaged_or_foreign_record_is_not_taken(tmp_path):
    record = RunRecord("abc", [Measurement("mrr", 0.5, "1")])
    assert RunRecord.read(tmp_path, "abc") is None
    record.write(tmp_path)
    assert RunRecord.read(tmp_path, "abc").measurements == record.measurements
    assert RunRecord.read(tmp_path, "another spec") is None
    text = (tmp_path / FILE).read_text()
    for damaged in (text.replace("0.5", "0.6"), text[:-10], "", "[]", json.dumps({"format": 1})):
        (tmp_path / FILE).write_text(damaged)
        assert RunRecord.read(tmp_path, "abc") is None


@pytest.mark.threat("damaged-model")
def test_every_file_of_a_model_is_named_and_hashed(settings, ledger):
    (run_id,) = add(ledger, a={})
    drain(settings, ledger)
    model = settings.runs / run_id / "model"
    listed = ledger.document(run_id, "files")
    assert listed == files_of(model)
    assert listed["weights.bin"]["bytes"] == 256 * 64
    (model / "weights.bin").write_bytes(bytes(range(256)) * 63 + bytes(256))
    assert files_of(model) != listed


@pytest.mark.threat("worker-outage")
def test_worker_lives_through_an_outage(home, monkeypatch, postgres, start):
    postgres.empty()
    monkeypatch.setenv("LLMREC_LEDGER", postgres.url)
    ledger = Ledger.open(load_settings())
    worker = start()
    wait_for(lambda: ledger.workers())
    ledger.close()
    postgres.stop()
    time.sleep(2.0)
    postgres.start()
    (run_id,) = add(ledger, a={})
    wait_for(lambda: ledger.run(run_id).state == "finished")
    assert worker.poll() is None
    ledger.close()
