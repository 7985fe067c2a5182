"""Ordinary work of a real worker: records, classified failures, questions beside a study."""

from __future__ import annotations

import signal

import pytest

from llmrec_core.contract.spec import RunSpec
from llmrec_core.contract.spec_files import StudySpec
from tests.running.workers import add, drain

pytestmark = pytest.mark.usefixtures("stand_ins")


def test_runs_leave_their_records(any_settings, any_ledger):
    add(any_ledger, a={"steps": 3}, b={"steps": 1})
    rows = drain(any_settings, any_ledger)
    assert [row.state for row in rows] == ["finished", "finished"]
    assert [row.attempt for row in rows] == [1, 1]
    for row in rows:
        assert any_ledger.measurements([row.id])["name"].tolist() == [
            "ndcg@10",
            "energy_per_request_j",
        ]
        assert any_ledger.samples(row.id, "ndcg@10", "loo/100-uniform").keys == [4, 7]
    assert any_ledger.curves(rows[0].id).query("name == 'train_loss'")["step"].tolist() == [0, 1, 2]
    assert (rows[0].progress_phase, rows[0].progress_done, rows[0].progress_total) == ("fit", 3, 3)
    assert any_ledger.workers()[0].state == "stopped"


def test_borrowed_weights_come_with_their_folder(any_settings, any_ledger):
    runs = (RunSpec(name="a"), RunSpec(name="b", weights_from="a", precision="int8"))
    source, user = any_ledger.add_study(StudySpec("s", "S", runs))
    drain(any_settings, any_ledger)
    assert any_ledger.document(source, "parent") == "None"
    assert any_ledger.document(user, "parent") == str(any_settings.runs / source / "model")


def test_failures_are_classified(any_settings, any_ledger):
    segv = float(signal.SIGSEGV)
    add(
        any_ledger,
        hog={"hog": 1},
        data={"data": 1},
        bug={"bug": 1},
        full={"full": 1},
        segv={"crash": segv},
        fine={},
    )
    rows = {row.name: row for row in drain(any_settings, any_ledger)}
    found = {name: (row.state, row.error_kind) for name, row in rows.items()}
    assert found == {
        "hog": ("failed", "out_of_memory"),
        "data": ("failed", "data"),
        "bug": ("failed", "bug"),
        "full": ("paused", "disk"),
        "segv": ("failed", "bug"),
        "fine": ("finished", None),
    }
    assert rows["data"].error == "row 3 has no rating; expected a number; mend the file"
    assert "training.batch_histories" in rows["hog"].error
    assert "nothing stored is lost" in rows["full"].error
    assert "SIGSEGV" in rows["segv"].error
    assert any("KeyError: 'no such column'" in line for _, line in any_ledger.logs(rows["bug"].id))
    assert any("Segmentation fault" in line for _, line in any_ledger.logs(rows["segv"].id))


@pytest.mark.threat("killed-run")
def test_killed_child_is_resumed(any_settings, any_ledger):
    (run_id,) = add(any_ledger, a={"steps": 4, "crash_at": 1})
    (row,) = drain(any_settings, any_ledger)
    assert (row.state, row.attempt, row.retries) == ("finished", 2, 1)
    assert any("resumed at step 2" in line for _, line in any_ledger.logs(run_id))
    assert len(any_ledger.measurements([run_id])) == 2
