"""Backups: taken while the ledger is in use, restored into an empty one, from either database."""

from __future__ import annotations

import dataclasses
import sqlite3
import stat

import pytest

from llmrec_core.contract.spec import RunSpec
from llmrec_core.contract.spec_files import StudySpec
from llmrec_core.errors import LedgerError, UsageError
from llmrec_core.ledger.backup import backup, restore
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.types import Measurement, Samples


def filled(ledger: Ledger) -> list[str]:
    """One run that has finished, one under way, one that waits."""
    specs = tuple(RunSpec(name=name, seed=seed) for seed, name in enumerate("abc"))
    ids = ledger.add_study(StudySpec("s", "S", specs), asked_by="anna@example.org")
    first = ledger.claim("w")
    ledger.report(first, ("fit", 1, 2), [("train_loss", 0, 2.0)], ["hello"])
    samples = [Samples("ndcg@10", [0.0, 1 / 3], [3, 5], "loo/full")]
    figures = [Measurement("ndcg@10", 0.46, "1", 0.44, 0.48, 100, protocol="loo/full")]
    ledger.finish(first, figures, samples, {"z": {"x": 0.1}, "a": [1]})
    ledger.add_document(ids[0], "late", {"y": 1})
    ledger.claim("w")
    ledger.request("explain", {"user": 1}, "anna@example.org")
    return ids


@pytest.fixture
def other(settings, tmp_path):
    """An empty ledger of another home."""
    home = tmp_path / "other"
    opened = Ledger.open(
        dataclasses.replace(settings, home=home, ledger_url=f"sqlite:///{home / 'ledger.db'}")
    )
    yield opened
    opened.close()


@pytest.mark.threat("backup")
def test_restored_ledger_holds_what_was_stored(any_ledger, other, tmp_path):
    ids = filled(any_ledger)
    file = tmp_path / "ledger-backup.db"
    assert backup(any_ledger, file) == 3
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.glob("*ledger-backup*")) == [file.name]
    assert restore(other, file) == 3
    assert [run.state for run in other.runs("s")] == ["finished", "queued", "queued"]
    assert other.damaged(ids) == []
    assert other.run(ids[0]).digest == any_ledger.run(ids[0]).digest
    assert other.documents(ids[0]) == any_ledger.documents(ids[0])
    assert other.measurements(ids).equals(any_ledger.measurements(ids))
    assert other.curves(ids[0]).equals(any_ledger.curves(ids[0]))
    assert other.logs(ids[0]) == any_ledger.logs(ids[0])
    assert other.run(ids[2]).asked_by == "anna@example.org"
    assert other.workers() == []
    assert other.claim("w2").run_id == ids[1]  # the work goes on
    other.enqueue(RunSpec(name="d", seed=9), "s")


@pytest.mark.threat("backup")
def test_backup_of_sqlite_is_restored_into_postgresql(settings, ledger, postgres, tmp_path):
    postgres.empty()
    ids = filled(ledger)
    backup(ledger, tmp_path / "a.db")
    server = Ledger.open(dataclasses.replace(settings, ledger_url=postgres.url))
    restore(server, tmp_path / "a.db")
    assert server.damaged(ids) == []
    assert server.samples(ids[0], "ndcg@10", "loo/full").values == [0.0, 1 / 3]
    lease = server.claim("w")
    server.finish(lease, [Measurement("mrr", 0.5, "1")], documents={"new": 1})
    assert server.document(lease.run_id, "new") == 1  # the server's own numbers go on
    server.close()


@pytest.mark.threat("backup")
def test_nothing_is_overwritten(ledger, other, tmp_path):
    filled(ledger)
    file = tmp_path / "a.db"
    file.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        backup(ledger, file)
    assert file.read_text() == "mine"
    filled(other)
    good = tmp_path / "b.db"
    backup(ledger, good)
    with pytest.raises(UsageError, match="holds studies already"):
        restore(other, good)


@pytest.mark.threat("backup")
def test_damaged_backup_is_refused(ledger, other, tmp_path):
    filled(ledger)
    file = tmp_path / "a.db"
    backup(ledger, file)
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE measurements SET value = 0.492")
    raw.close()
    with pytest.raises(LedgerError, match="is damaged: the record of run"):
        restore(other, file)
    (tmp_path / "c.db").write_text("no database at all " * 100)
    with pytest.raises(LedgerError, match="damaged or not a ledger"):
        restore(other, tmp_path / "c.db")
    with pytest.raises(UsageError, match="there is no file"):
        restore(other, tmp_path / "none.db")
    assert other.studies() == []
