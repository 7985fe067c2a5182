"""Studies and records: what is written is read back, on SQLite and on PostgreSQL."""

from __future__ import annotations

import dataclasses
import json
import sqlite3

import numpy as np
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from llmrec_core.errors import LedgerError, RunFailed, UsageError
from llmrec_core.experiments import schema
from llmrec_core.experiments.ledger import LeaseLost, Ledger
from llmrec_core.experiments.spec import RecommenderSpec, RunSpec, StudySpec
from llmrec_core.experiments.store import sentences
from llmrec_core.types import Measurement, Samples


def run(name: str, **fields: object) -> RunSpec:
    return RunSpec(name=name, **{"seed": len(name), **fields})


def study(*runs: RunSpec) -> StudySpec:
    return StudySpec("s", "A study", runs)


def states(ledger: Ledger) -> dict[str, str]:
    return {row.name: row.state for row in ledger.runs("s")}


def test_record_is_read_back(any_ledger):
    any_ledger.add_study(study(run("a")))
    lease = any_ledger.claim("w")
    any_ledger.report(lease, ("fit", 1, 2), [("train_loss", 0, 2.0), ("train_loss", 1, 1.5)], ["hello"])
    seen = any_ledger.run(lease.run_id)
    assert (seen.state, seen.progress_phase, seen.progress_done, seen.progress_total) == ("running", "fit", 1, 2)
    figures = [
        Measurement("ndcg@10", np.float64(0.25), "1", 0.2, 0.3, 100, protocol="loo/full"),
        Measurement("energy_per_request_j", None, "J", reason="no counter"),
    ]
    document = {"x": float("nan"), "y": np.arange(2), "z": {1: np.float32(0.5)}}
    any_ledger.finish(lease, figures, [Samples("ndcg@10", [0.0, 1.0], [np.int64(3), 5], "loo/full")], {"d": document})

    row = any_ledger.run(lease.run_id)
    assert row.state == "finished"
    assert row.created <= row.started <= row.finished
    table = any_ledger.measurements([row.id]).set_index("name")
    assert table.loc["ndcg@10", "value"] == 0.25
    assert table.loc["ndcg@10", "n"] == 100
    assert np.isnan(table.loc["energy_per_request_j", "value"])
    assert table.loc["energy_per_request_j", "reason"] == "no counter"
    assert any_ledger.samples(row.id, "ndcg@10", "loo/full") == Samples("ndcg@10", [0.0, 1.0], [3, 5], "loo/full")
    assert any_ledger.samples(row.id, "ndcg@10", "time/full") is None
    assert any_ledger.sample_names(row.id) == [("ndcg@10", "loo/full")]
    assert any_ledger.document(row.id, "d") == {"x": None, "y": [0, 1], "z": {"1": 0.5}}  # unknown is null, not NaN
    assert any_ledger.document(row.id, "none") is None
    assert any_ledger.curves(row.id)["value"].tolist() == [2.0, 1.5]
    assert [line for _, line in any_ledger.logs(row.id)] == ["hello"]


def test_later_attempt_replaces_points_of_its_curve(ledger):
    ledger.add_study(study(run("a")))
    first = ledger.claim("w")
    ledger.report(first, curves=[("train_loss", 0, 3.0), ("train_loss", 1, 2.0)])
    ledger.put_back(first)
    ledger.report(ledger.claim("w"), curves=[("train_loss", 1, 1.0)])
    assert ledger.curves(first.run_id)["value"].tolist() == [3.0, 1.0]


def test_study_again_recomputes_nothing(any_ledger):
    spec = study(run("a"), run("bb"))
    ids = any_ledger.add_study(spec)
    any_ledger.finish(any_ledger.claim("w"), [])
    assert any_ledger.add_study(spec) == ids
    assert states(any_ledger) == {"a": "finished", "bb": "queued"}
    assert [row.name for row in any_ledger.studies()] == ["s"]


def test_changed_row_is_queued_anew_with_those_that_use_its_weights(ledger):
    spec = study(run("a"), run("b", weights_from="a", precision="int8"), run("c", seed=7))
    ledger.add_study(spec)
    for _ in range(3):
        ledger.finish(ledger.claim("w"), [])
    changed = study(run("a", seed=99), run("b", weights_from="a", precision="int8"), run("c", seed=7))
    ledger.add_study(changed)
    assert states(ledger) == {"a": "queued", "b": "queued", "c": "finished"}
    assert {row.name: row.state for row in ledger.runs("s (earlier)")} == {"a": "finished", "b": "finished"}
    assert [row.name for row in ledger.studies()] == ["s (earlier)", "s"]


def test_enqueue_takes_what_is_there(ledger):
    first = ledger.enqueue(run("a"), "s")
    assert ledger.enqueue(run("a"), "s") == first
    ledger.cancel(first)
    assert ledger.enqueue(run("a"), "s") == first
    assert ledger.run(first).state == "queued"
    assert ledger.enqueue(run("bb"), "s") != first
    with pytest.raises(UsageError, match=r"fits no run of the study 's'\. Did you mean 'a'"):
        ledger.enqueue(run("x", weights_from="aa"), "s")


def test_weights_from_a_circle_is_refused(ledger):
    with pytest.raises(UsageError, match="a → b → a"):
        ledger.add_study(study(run("a", weights_from="b"), run("b", weights_from="a")))
    assert ledger.studies() == []  # nothing of it was stored


def test_export_and_import(ledger, settings, tmp_path):
    ledger.add_study(study(run("a"), run("bb")))
    lease = ledger.claim("w")
    ledger.report(lease, curves=[("train_loss", 0, 1.0)], lines=["x"])
    ledger.finish(lease, [Measurement("mrr", 0.5, "1")], [Samples("mrr", [0.5], [1])], {"d": [1]})
    body = json.loads(json.dumps(ledger.export_study("s")))
    other = Ledger.open(dataclasses.replace(settings, ledger_url=f"sqlite:///{tmp_path / 'other.db'}"))
    assert other.import_study(body) == "s"
    assert states(other) == {"a": "finished", "bb": "cancelled"}
    assert other.measurements([lease.run_id])["value"].tolist() == [0.5]
    assert other.run(lease.run_id).finished == ledger.run(lease.run_id).finished
    assert other.document(lease.run_id, "d") == [1]
    again = other.export_study("s")
    assert again["runs"][0]["measurements"] == body["runs"][0]["measurements"]
    with pytest.raises(UsageError, match="has a study 's' already"):
        other.import_study(body)
    with pytest.raises(UsageError, match="no exported study"):
        other.import_study({"format": "else"})
    with pytest.raises(UsageError, match="damaged, 'runs' is missing"):
        other.import_study({"format": body["format"], "study": {**body["study"], "name": "t"}})
    with pytest.raises(UsageError, match="it has: s"):
        other.export_study("t")
    other.close()


def test_unknown_run_names_the_nearest(ledger):
    run_id = ledger.enqueue(run("a"), "s")
    with pytest.raises(UsageError, match=f"Did you mean {run_id}"):
        ledger.run(run_id[:-1] + "x")


# ── opening ──────────────────────────────────────────────────────────────────────────────────────


def test_migrations_make_what_the_code_reads(any_ledger):
    with any_ledger.engine.connect() as connection:
        options = {"version_table": schema.VERSION_TABLE}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), schema.metadata) == []


def test_newer_ledger_is_refused(any_ledger, any_settings):
    any_ledger.add_study(study(run("a")))
    with any_ledger.writing() as connection:
        connection.execute(sa.text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(LedgerError, match=r"has schema 9999, newer than .* Nothing was changed"):
        Ledger.open(any_settings)
    assert len(any_ledger.runs()) == 1


def test_older_ledger_is_copied_aside_and_brought_up_to_date(settings, monkeypatch):
    """A ledger of before the first migration, as far as its version table goes."""
    settings.home.mkdir(parents=True)
    with sqlite3.connect(settings.home / "ledger.db") as old:
        old.execute(f"CREATE TABLE {schema.VERSION_TABLE} (version_num VARCHAR(32) NOT NULL)")
    old.close()
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "_version", lambda self: None if not _tables(self) >= {"runs"} else "0001")
        Ledger.open(settings).close()
    opened = Ledger.open(settings)
    assert _tables(opened) >= {"runs", "requests"}
    opened._copy_aside("0000")
    assert (settings.home / "ledger.db.before-0001-from-0000").exists()
    opened.close()


def _tables(ledger: Ledger) -> set[str]:
    with ledger.engine.connect() as connection:
        return set(sa.inspect(connection).get_table_names())


def test_unreadable_ledger_is_a_sentence_and_is_left_alone(settings):
    settings.home.mkdir(parents=True)
    file = settings.home / "ledger.db"
    file.write_text(
        "no database at all, but long enough to have a header of one hundred bytes, which is read first " * 3
    )
    before = file.read_bytes()
    with pytest.raises(LedgerError, match="damaged or not a ledger; move the file away"):
        Ledger.open(settings)
    assert file.read_bytes() == before


def test_database_of_another_program_is_refused(settings):
    settings.home.mkdir(parents=True)
    with sqlite3.connect(settings.home / "ledger.db") as other:
        other.execute("CREATE TABLE trials (x)")
    other.close()
    with pytest.raises(LedgerError, match="another program \\(tables: trials\\)"):
        Ledger.open(settings)


def test_folder_that_is_a_file(settings, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="cannot be made"):
        Ledger.open(dataclasses.replace(settings, home=tmp_path / "file" / "home"))


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense"])
def test_wrong_address(settings, url):
    with pytest.raises(UsageError, match="LLMREC_LEDGER is"):
        Ledger.open(dataclasses.replace(settings, ledger_url=url))


def test_no_server_is_a_sentence_without_the_password(settings):
    pytest.importorskip("psycopg", reason="no psycopg")
    with pytest.raises(LedgerError, match="check that the server runs") as caught:
        Ledger.open(dataclasses.replace(settings, ledger_url="postgresql://u:canary@127.0.0.1:1/x"))
    assert "canary" not in str(caught.value)


def test_full_disk_is_a_sentence_and_loses_nothing(ledger):
    ledger.add_study(study(run("a")))
    lease = ledger.claim("w")
    with ledger.writing() as connection:  # SQLite's own limit gives the very error of a full disk
        pages = connection.execute(sa.text("PRAGMA page_count")).scalar()
    ledger.close()

    @sa.event.listens_for(ledger.engine, "connect")
    def limit(raw, record):
        raw.execute(f"PRAGMA max_page_count = {pages}").close()

    with pytest.raises(RunFailed, match=r"could not be written: .*full.* nothing stored is lost") as caught:
        ledger.finish(lease, [], [Samples("x", [0.5] * 100_000)])
    assert caught.value.kind == "disk"
    assert ledger.run(lease.run_id).state == "running"
    sa.event.remove(ledger.engine, "connect", limit)


def test_locked_ledger_is_a_sentence():
    locked = sqlite3.OperationalError("database is locked")
    with pytest.raises(LedgerError, match="another program held it for over 30 s"), sentences("x"):
        raise sa.exc.OperationalError("UPDATE", {}, locked)


def test_finish_is_all_or_nothing(ledger):
    ledger.add_study(study(run("a")))
    lease = ledger.claim("w")
    with pytest.raises(TypeError, match="holds a object"):
        ledger.finish(lease, [Measurement("mrr", 0.5, "1")], documents={"d": object()})
    assert ledger.run(lease.run_id).state == "running"
    assert ledger.measurements([lease.run_id]).empty
    ledger.put_back(lease)
    with pytest.raises(LeaseLost):
        ledger.finish(lease, [Measurement("mrr", 0.5, "1")])
    assert ledger.measurements([lease.run_id]).empty


def test_many_runs_are_read_at_once(ledger):
    ledger.add_study(study(*(RunSpec(name=f"r{number}", seed=number) for number in range(600))))
    assert len(ledger.runs("s")) == 600
    assert ledger.measurements([row.id for row in ledger.runs("s")]).empty


def test_best_source_is_the_best_validated(ledger):
    cross = RecommenderSpec(family="cross-encoder", backbone="minilm-l6")
    rows = [RunSpec(name=name, recommender=cross, seed=seed) for seed, name in enumerate("ab")]
    tuned = RunSpec(name="int8", recommender=cross, precision="int8", weights_from="best:cross-encoder")
    ledger.add_study(study(*rows, tuned))
    leases = [ledger.claim("w"), ledger.claim("w")]
    assert ledger.claim("w") is None  # its sources are still running
    for lease, value in zip(leases, (0.2, 0.4), strict=True):
        ledger.report(lease, curves=[("valid_ndcg@10", 1, value)])
        ledger.finish(lease, [])
    assert ledger.claim("w").source_id == leases[1].run_id
