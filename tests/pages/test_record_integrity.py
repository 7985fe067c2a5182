"""A damaged record says so on every page; what a run did otherwise stands on its own page."""

from __future__ import annotations

import sqlite3

import pytest

from llmrec_core.contract.spec import RunSpec
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.settings import Settings
from tests import synthetic


@pytest.fixture
def own_home(tmp_path):
    settings = Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0)
    synthetic.write_study(settings).close()
    return settings


@pytest.mark.threat("changed-figure")
@pytest.mark.parametrize("page", ["answer/start.py", "answer/decide.py", "build/runs.py"])
def test_changed_figure_is_said_on_the_page(open_page, own_home, page):
    """One flipped bit raised a model's figure from 0.460 to 0.492, and nobody was told."""
    app = open_page(page, own_home.home)
    assert not [error.value for error in app.error if "not the one that was written" in error.value]
    ledger = Ledger.open(own_home)
    run = next(run for run in ledger.runs("default") if run.name == "EASE")
    ledger.close()
    with sqlite3.connect(own_home.home / "ledger.db") as raw:
        raw.execute("UPDATE measurements SET value = value + 0.032 WHERE run_id = ?", (run.id,))
    raw.close()
    from pages.shared import records

    records._damaged.clear()  # as after ten minutes
    app = open_page(page, own_home.home)
    (said,) = [
        error.value.replace("\\", "")  # as a reader sees it
        for error in app.error
        if "not the one that was written" in error.value
    ]
    assert f"EASE ({run.id})" in said
    assert "Do not use these figures" in said


@pytest.mark.threat("resource-limits", "damaged-checkpoint")
def test_smaller_batch_and_damaged_checkpoints_stand_on_the_runs_page(open_page, own_home):
    ledger = Ledger.open(own_home)
    (run_id,) = (ledger.enqueue(RunSpec(name="short of memory", minutes=0.1), "default"),)
    lease = ledger.claim("w")
    while lease.run_id != run_id:
        ledger.fail(lease, "bug", "not this one")
        lease = ledger.claim("w")
    sentences = {
        "smaller_batch": "memory was short, so the run went on with half the batch",
        "damaged_checkpoints": "1 damaged checkpoint(s) passed over",
    }
    documents = {name: {"sentence": sentence} for name, sentence in sentences.items()}
    ledger.finish(lease, [], documents=documents)
    ledger.close()
    app = open_page("build/runs.py", own_home.home, study="default", runs_id=run_id)
    shown = " ".join(warning.value for warning in app.warning)
    for sentence in sentences.values():
        assert sentence.split("(")[0] in shown
