"""`ledger check`: one changed byte in a record, a model or a data set is found and named."""

from __future__ import annotations

import dataclasses
import json
import sys

import pytest

from llmrec_core.cli import main
from llmrec_core.data import store
from llmrec_core.errors import CheckpointError
from llmrec_core.recommenders.finished_run import load_run
from llmrec_core.running.integrity import check
from tests.metrics.test_facets import dataset
from tests.running.workers import add, drain


@pytest.fixture
def recorded(settings, ledger, stand_ins):
    (run_id,) = add(ledger, a={})
    drain(settings, ledger)
    return run_id


def kinds(ledger):
    return [(finding.kind, finding.subject) for finding in check(ledger)]


def test_untouched_home_has_nothing_to_say(recorded, ledger):
    assert check(ledger) == []


@pytest.mark.threat("changed-figure")
def test_changed_figure_is_found(recorded, ledger):
    with ledger.writing() as connection:
        connection.exec_driver_sql("UPDATE measurements SET value = 0.26 WHERE name = 'ndcg@10'")
    assert kinds(ledger) == [("record", recorded)]


@pytest.mark.threat("damaged-model")
def test_changed_missing_and_added_files_of_a_model_are_found(recorded, settings, ledger):
    model = settings.runs / recorded / "model"
    weights = model / "weights.bin"
    good = weights.read_bytes()
    weights.write_bytes(bytes([good[0] ^ 1]) + good[1:])
    (model / "added.npz").touch()
    assert [finding.sentence for finding in check(ledger)] == [
        "added.npz is not part of the model that was saved",
        "weights.bin was changed or damaged since it was saved",
    ]
    with pytest.raises(CheckpointError, match=r"added\.npz is not part of the model"):
        load_run(recorded, settings)
    (model / "added.npz").unlink()
    weights.unlink()
    assert [finding.sentence for finding in check(ledger)] == ["weights.bin is missing"]


@pytest.mark.threat("growing-home")
def test_folder_without_a_run_is_an_orphan_and_no_damage(recorded, settings, ledger):
    (settings.runs / "deadbeef").mkdir()
    (finding,) = check(ledger)
    assert (finding.kind, finding.subject, finding.damage) == ("orphan", "deadbeef", False)


@pytest.mark.threat("damaged-data")
def test_damaged_data_set_is_found(settings, ledger):
    shop = dataclasses.replace(dataset(), name="shop")
    store.save(shop, settings, note="test")
    assert check(ledger) == []
    path = store.folder_of("shop", settings) / "v1" / "items.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert kinds(ledger) == [("data", "shop@1")]
    path.unlink()
    assert [finding.sentence for finding in check(ledger)] == ["items.parquet is missing"]


@pytest.mark.threat("changed-figure")
def test_command_ends_with_status_1_when_something_is_damaged(
    recorded, ledger, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", ["llmrec_core", "ledger", "check", "--json"])
    with pytest.raises(SystemExit) as leaving:
        main.main()
    assert leaving.value.code == 0
    body = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert body == {"damaged": 0, "findings": []}
    with ledger.writing() as connection:
        connection.exec_driver_sql("DELETE FROM documents")
    with pytest.raises(SystemExit) as leaving:
        main.main()
    assert leaving.value.code == 1
    body = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [finding["kind"] for finding in body["findings"]] == ["record"]
