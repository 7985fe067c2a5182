"""Studies and records: what is written is read back, on SQLite and on PostgreSQL."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sqlite3

import hypothesis
import numpy as np
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st

from llmrec_core.contract.spec import RecommenderSpec, RunSpec
from llmrec_core.contract.spec_files import StudySpec
from llmrec_core.errors import LedgerError, LlmrecError, RunError, UsageError
from llmrec_core.ledger import questions, schema, studies
from llmrec_core.ledger.database import make_engine, sentences
from llmrec_core.ledger.ledger import LeaseLostError, Ledger
from llmrec_core.ledger.migration import move_to, version_of
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
    any_ledger.report(
        lease, ("fit", 1, 2), [("train_loss", 0, 2.0), ("train_loss", 1, 1.5)], ["hello"]
    )
    seen = any_ledger.run(lease.run_id)
    assert (seen.state, seen.progress_phase, seen.progress_done, seen.progress_total) == (
        "running",
        "fit",
        1,
        2,
    )
    figures = [
        Measurement("ndcg@10", np.float64(0.25), "1", 0.2, 0.3, 100, protocol="loo/full"),
        Measurement("energy_per_request_j", None, "J", reason="no counter"),
    ]
    document = {"x": float("nan"), "y": np.arange(2), "z": {1: np.float32(0.5)}}
    any_ledger.finish(
        lease,
        figures,
        [Samples("ndcg@10", [0.0, 1.0], [np.int64(3), 5], "loo/full")],
        {"d": document},
    )

    row = any_ledger.run(lease.run_id)
    assert row.state == "finished"
    assert row.created <= row.started <= row.finished
    table = any_ledger.measurements([row.id]).set_index("name")
    assert table.loc["ndcg@10", "value"] == 0.25
    assert table.loc["ndcg@10", "n"] == 100
    assert np.isnan(table.loc["energy_per_request_j", "value"])
    assert table.loc["energy_per_request_j", "reason"] == "no counter"
    assert any_ledger.samples(row.id, "ndcg@10", "loo/full") == Samples(
        "ndcg@10", [0.0, 1.0], [3, 5], "loo/full"
    )
    assert any_ledger.samples(row.id, "ndcg@10", "time/full") is None
    assert any_ledger.sample_names(row.id) == [("ndcg@10", "loo/full")]
    assert any_ledger.document(row.id, "d") == {
        "x": None,
        "y": [0, 1],
        "z": {"1": 0.5},
    }  # unknown is null, not NaN
    assert any_ledger.document(row.id, "none") is None
    assert any_ledger.curves(row.id)["value"].tolist() == [2.0, 1.5]
    assert [line for _, line in any_ledger.logs(row.id)] == ["hello"]


def test_later_attempt_replaces_points_of_its_curve(any_ledger):
    any_ledger.add_study(study(run("a")))
    first = any_ledger.claim("w")
    any_ledger.report(first, curves=[("train_loss", 0, 3.0), ("train_loss", 1, 2.0)])
    any_ledger.put_back(first)
    any_ledger.report(any_ledger.claim("w"), curves=[("train_loss", 1, 1.0)])
    assert any_ledger.curves(first.run_id)["value"].tolist() == [3.0, 1.0]


def test_study_again_recomputes_nothing(any_ledger):
    spec = study(run("a"), run("bb"))
    ids = any_ledger.add_study(spec)
    any_ledger.finish(any_ledger.claim("w"), [])
    assert any_ledger.add_study(spec) == ids
    assert states(any_ledger) == {"a": "finished", "bb": "queued"}
    assert [row.name for row in any_ledger.studies()] == ["s"]


def test_changed_row_is_queued_anew_with_those_that_use_its_weights(any_ledger):
    spec = study(run("a"), run("b", weights_from="a", precision="int8"), run("c", seed=7))
    any_ledger.add_study(spec)
    for _ in range(3):
        any_ledger.finish(any_ledger.claim("w"), [])
    changed = study(
        run("a", seed=99), run("b", weights_from="a", precision="int8"), run("c", seed=7)
    )
    any_ledger.add_study(changed)
    assert states(any_ledger) == {"a": "queued", "b": "queued", "c": "finished"}
    assert {row.name: row.state for row in any_ledger.runs("s (earlier)")} == {
        "a": "finished",
        "b": "finished",
    }
    assert [row.name for row in any_ledger.studies()] == ["s (earlier)", "s"]


def test_enqueue_takes_what_is_there(any_ledger):
    first = any_ledger.enqueue(run("a"), "s")
    assert any_ledger.enqueue(run("a"), "s") == first
    any_ledger.cancel(first)
    assert any_ledger.enqueue(run("a"), "s") == first
    assert any_ledger.run(first).state == "queued"
    assert any_ledger.enqueue(run("bb"), "s") != first
    with pytest.raises(UsageError, match=r"fits no run of the study 's'\. Did you mean 'a'"):
        any_ledger.enqueue(run("x", weights_from="aa"), "s")


def test_weights_from_a_circle_is_refused(any_ledger):
    with pytest.raises(UsageError, match="a → b → a"):
        any_ledger.add_study(study(run("a", weights_from="b"), run("b", weights_from="a")))
    assert any_ledger.studies() == []  # nothing of it was stored


def test_export_and_import(any_ledger, any_settings, tmp_path):
    any_ledger.add_study(study(run("a"), run("bb")))
    lease = any_ledger.claim("w")
    any_ledger.report(lease, curves=[("train_loss", 0, 1.0)], lines=["x"])
    any_ledger.finish(
        lease, [Measurement("mrr", 0.5, "1")], [Samples("mrr", [0.5], [1])], {"d": [1]}
    )
    body = json.loads(json.dumps(any_ledger.export_study("s")))
    other = Ledger.open(
        dataclasses.replace(any_settings, ledger_url=f"sqlite:///{tmp_path / 'other.db'}")
    )
    assert other.import_study(body) == "s"
    assert states(other) == {"a": "finished", "bb": "cancelled"}
    assert other.measurements([lease.run_id])["value"].tolist() == [0.5]
    assert other.run(lease.run_id).finished == any_ledger.run(lease.run_id).finished
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


def test_an_import_takes_what_an_older_version_recorded_and_ignored(any_ledger, any_settings):
    any_ledger.add_study(study(run("a", recommender={"family": "sasrec", "adaptation": "full"})))
    body = json.loads(json.dumps(any_ledger.export_study("s")))
    body["study"]["name"] = "old"
    (row,) = body["runs"]
    row["id"], row["spec"]["training"]["objective"] = "0" * 8, "bce"
    assert any_ledger.import_study(body) == "old"
    row["spec"]["training"]["objective"] = "nonsense"
    body["study"]["name"] = "worse"
    with pytest.raises(UsageError, match="objective"):
        any_ledger.import_study(body)


def test_unknown_run_names_the_nearest(any_ledger):
    run_id = any_ledger.enqueue(run("a"), "s")
    with pytest.raises(UsageError, match=f"Did you mean {run_id}"):
        any_ledger.run(run_id[:-1] + "x")


# ── digests ──────────────────────────────────────────────────────────────────────────────────────


def _recorded(ledger: Ledger) -> str:
    (run_id,) = ledger.add_study(study(run("a")))
    samples = [Samples("ndcg@10", [0.0, 1 / 3], [3, 5], "loo/full")]
    figures = [Measurement("ndcg@10", 0.46, "1", 0.44, 0.48, 100, protocol="loo/full")]
    ledger.finish(ledger.claim("w"), figures, samples, {"d": {"x": 0.1}, "c": [1, None]})
    return run_id


@pytest.mark.threat("changed-figure")
def test_untouched_record_has_the_digest_that_was_written(any_ledger):
    run_id = _recorded(any_ledger)
    assert len(any_ledger.run(run_id).digest) == 64
    any_ledger.add_document(run_id, "b", {"added": "later"})
    any_ledger.add_document(run_id, "d", {"x": 0.2})
    assert any_ledger.damaged([run_id]) == []


@pytest.mark.threat("changed-figure")
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE measurements SET value = 0.492",
        "UPDATE measurements SET high = NULL",
        "UPDATE samples SET protocol = 'time/full'",
        "UPDATE documents SET body = '{\"x\": 0.2}' WHERE name = 'd'",
        "DELETE FROM documents WHERE name = 'c'",
        "UPDATE runs SET spec = '{}'",
    ],
)
def test_one_changed_value_is_noticed(any_ledger, damage):
    """A flipped bit that raised a figure from 0.460 to 0.492 went unnoticed."""
    run_id = _recorded(any_ledger)
    with any_ledger.writing() as connection:
        connection.exec_driver_sql(damage)
    assert any_ledger.damaged([run_id]) == [run_id]
    with pytest.raises(LedgerError, match="is not the one that was written"):
        any_ledger.add_document(run_id, "b", {})


@pytest.mark.threat("changed-figure")
def test_damaged_json_is_noticed(ledger):
    run_id = _recorded(ledger)
    with ledger.writing() as connection:
        connection.exec_driver_sql("UPDATE documents SET body = '{\"x\": 0.' WHERE name = 'd'")
    assert ledger.damaged([run_id]) == [run_id]


# ── limits ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.threat("endless-queue")
def test_queue_has_an_end(any_ledger, monkeypatch):
    monkeypatch.setattr(studies, "MAX_QUEUED", 3)
    ids = any_ledger.add_study(study(*(RunSpec(name=f"r{n}", seed=n) for n in range(3))))
    with pytest.raises(UsageError, match="4 runs would wait, more than the 3 that are allowed"):
        any_ledger.enqueue(run("one more"), "s")
    assert len(any_ledger.runs()) == 3
    any_ledger.cancel(ids[0])
    any_ledger.enqueue(run("one more"), "s")


@pytest.mark.threat("endless-queue")
def test_questions_have_an_end(any_ledger, monkeypatch):
    monkeypatch.setattr(questions, "MAX_WAITING", 2)
    for number in range(2):
        any_ledger.request("explain", {"user": number})
    with pytest.raises(UsageError, match="2 questions wait already"):
        any_ledger.request("explain", {"user": 3})
    any_ledger.claim_request("w")
    any_ledger.request("explain", {"user": 3})


@pytest.mark.threat("growing-home")
def test_answered_questions_are_pruned(any_ledger):
    ids = [any_ledger.request("explain", {"user": number}) for number in range(2)]
    any_ledger.close_request(any_ledger.claim_request("w"), {"items": []})
    assert any_ledger.prune_requests(keep_s=3600.0) == 0
    assert any_ledger.prune_requests(keep_s=-1.0) == 1
    assert any_ledger.answer(ids[0]) is None
    assert any_ledger.answer(ids[1]).state == "queued"  # it waits still


# ── opening ──────────────────────────────────────────────────────────────────────────────────────


def test_migrations_make_what_the_code_reads(any_ledger):
    with any_ledger.engine.connect() as connection:
        options = {"version_table": schema.VERSION_TABLE}
        assert (
            compare_metadata(MigrationContext.configure(connection, opts=options), schema.metadata)
            == []
        )


@pytest.mark.threat("schema")
def test_newer_ledger_is_refused(any_ledger, any_settings):
    any_ledger.add_study(study(run("a")))
    with any_ledger.writing() as connection:
        connection.execute(sa.text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(LedgerError, match=r"has schema 9999, newer than .* Nothing was changed"):
        Ledger.open(any_settings)
    assert len(any_ledger.runs()) == 1


@pytest.mark.threat("schema")
def test_schema_moves_down_and_up_with_everything_in_it(any_ledger, any_settings):
    (run_id,) = any_ledger.add_study(study(run("a")))
    lease = any_ledger.claim("w")
    any_ledger.report(lease, curves=[("train_loss", 0, 2.0)], lines=["hello"])
    any_ledger.finish(lease, [Measurement("mrr", 0.5, "1")], documents={"d": [1]})
    request = any_ledger.request("explain", {"user": 1})
    move_to(any_ledger, "0001")
    assert version_of(any_ledger) == "0001"
    assert "audit" not in _tables(any_ledger)
    any_ledger.close()

    again = Ledger.open(any_settings)  # opening brings it up to date
    assert version_of(again) == schema.REVISIONS[-1]
    assert _tables(again) >= {"audit", "data_owners"}
    assert again.run(run_id).state == "finished"
    assert again.run(run_id).digest is None  # written before there were digests: not judged
    assert again.damaged([run_id]) == []
    assert again.measurements([run_id])["value"].tolist() == [0.5]
    assert again.document(run_id, "d") == [1]
    assert again.curves(run_id)["value"].tolist() == [2.0]
    assert again.answer(request).payload == {"user": 1}
    again.close()


@pytest.mark.threat("schema")
def test_older_sqlite_file_is_copied_aside_first(ledger, settings):
    (run_id,) = ledger.add_study(study(run("a")))
    move_to(ledger, "0001")
    ledger.close()
    Ledger.open(settings).close()
    copy = settings.home / "ledger.db.before-0002-from-0001"
    with sqlite3.connect(copy) as older:
        assert older.execute("SELECT id FROM runs").fetchall() == [(run_id,)]
        assert older.execute(f"SELECT version_num FROM {schema.VERSION_TABLE}").fetchone() == (
            "0001",
        )
    older.close()


def test_unknown_schema_is_refused(any_ledger):
    with pytest.raises(UsageError, match="no schema '0815'; this code knows 0001, 0002"):
        move_to(any_ledger, "0815")


def _tables(ledger: Ledger) -> set[str]:
    with ledger.engine.connect() as connection:
        return set(sa.inspect(connection).get_table_names())


@pytest.mark.threat("unreadable-ledger")
def test_unreadable_ledger_is_a_sentence_and_is_left_alone(settings):
    settings.home.mkdir(parents=True)
    file = settings.home / "ledger.db"
    file.write_text(
        "no database at all, but long enough to have a header of one hundred bytes, which is read first "
        * 3
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


@pytest.mark.threat("any-address")
@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense"])
def test_wrong_address(settings, url):
    with pytest.raises(UsageError, match="LLMREC_LEDGER is"):
        Ledger.open(dataclasses.replace(settings, ledger_url=url))


@pytest.mark.threat("any-address")
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://host:port/x",
        "postgresql://[::1/x",
        "postgresql+psycopg_async://127.0.0.1:1/x",
        "postgresql://\ud800:x@127.0.0.1:1/x",
        "postgresql+asyncpg://127.0.0.1:1/x",
        "postgresql://127.0.0.1:1/x?no_such_option=1",
        "postgresql://127.0.0.1:99999999/x",
        "sqlite:///\0x",
        "sqlite:///x?timeout=abc",
        "sqlite:///x?check_same_thread=maybe",
        "sqlite+aiosqlite:///x",
        "sqlite:////dev/null/x",
        "sqlite:////" + "a" * 5000,
    ],
)
def test_odd_address_is_a_sentence(settings, url):
    with pytest.raises(LlmrecError) as refusal:
        Ledger.open(dataclasses.replace(settings, ledger_url=url))
    assert "\n" not in str(refusal.value).strip()


PARTS = st.sampled_from(
    ["sqlite", "postgresql", "+psycopg", "+", "://", ":///", "/", "@", ":", "?", "&", "=", "[", "]",
     "127.0.0.1", "99999", "%", "%zz", "é", "\0", "mode=ro", "uri=true", "#"]
)  # fmt: skip


@pytest.mark.threat("any-address")
@given(st.lists(PARTS | st.text(max_size=3), max_size=12).map("".join))
@hypothesis.settings(max_examples=500, deadline=None)
def test_any_text_is_an_engine_or_a_sentence(url):
    """Nothing is connected to here; `make_engine` alone reads the address."""
    with contextlib.suppress(LlmrecError):
        make_engine(url).dispose()


@pytest.mark.threat("any-address", "secrets")
def test_no_server_is_a_sentence_without_the_password(settings):
    pytest.importorskip("psycopg", reason="no psycopg")
    with pytest.raises(LedgerError, match="check that the server runs") as caught:
        Ledger.open(dataclasses.replace(settings, ledger_url="postgresql://u:canary@127.0.0.1:1/x"))
    assert "canary" not in str(caught.value)


@pytest.mark.threat("full-disk")
def test_full_disk_is_a_sentence_and_loses_nothing(ledger):
    ledger.add_study(study(run("a")))
    lease = ledger.claim("w")
    with ledger.writing() as connection:  # SQLite's own limit gives the very error of a full disk
        pages = connection.execute(sa.text("PRAGMA page_count")).scalar()
    ledger.close()

    @sa.event.listens_for(ledger.engine, "connect")
    def limit(raw, record):
        raw.execute(f"PRAGMA max_page_count = {pages}").close()

    with pytest.raises(
        RunError, match=r"could not be written: .*full.* nothing stored is lost"
    ) as caught:
        ledger.finish(lease, [], [Samples("x", [0.5] * 100_000)])
    assert caught.value.kind == "disk"
    assert ledger.run(lease.run_id).state == "running"
    sa.event.remove(ledger.engine, "connect", limit)


@pytest.mark.threat("ledger-locked")
def test_locked_ledger_is_a_sentence():
    locked = sqlite3.OperationalError("database is locked")
    with pytest.raises(LedgerError, match="another program held it for over 30 s"), sentences("x"):
        raise sa.exc.OperationalError("UPDATE", {}, locked)


@pytest.mark.threat("torn-write")
def test_finish_is_all_or_nothing(any_ledger):
    any_ledger.add_study(study(run("a")))
    lease = any_ledger.claim("w")
    with pytest.raises(TypeError, match="holds a object"):
        any_ledger.finish(lease, [Measurement("mrr", 0.5, "1")], documents={"d": object()})
    assert any_ledger.run(lease.run_id).state == "running"
    assert any_ledger.measurements([lease.run_id]).empty
    any_ledger.put_back(lease)
    with pytest.raises(LeaseLostError):
        any_ledger.finish(lease, [Measurement("mrr", 0.5, "1")])
    assert any_ledger.measurements([lease.run_id]).empty


def test_many_runs_are_read_at_once(any_ledger):
    any_ledger.add_study(study(*(RunSpec(name=f"r{number}", seed=number) for number in range(600))))
    assert len(any_ledger.runs("s")) == 600
    assert any_ledger.measurements([row.id for row in any_ledger.runs("s")]).empty


def test_best_source_is_the_best_validated(any_ledger):
    cross = RecommenderSpec(family="cross-encoder", backbone="minilm-l6")
    rows = [RunSpec(name=name, recommender=cross, seed=seed) for seed, name in enumerate("ab")]
    tuned = RunSpec(
        name="int8", recommender=cross, precision="int8", weights_from="best:cross-encoder"
    )
    any_ledger.add_study(study(*rows, tuned))
    leases = [any_ledger.claim("w"), any_ledger.claim("w")]
    assert any_ledger.claim("w") is None  # its sources are still running
    for lease, value in zip(leases, (0.2, 0.4), strict=True):
        any_ledger.report(lease, curves=[("valid_ndcg@10", 1, value)])
        any_ledger.finish(lease, [])
    assert any_ledger.claim("w").source_id == leases[1].run_id
