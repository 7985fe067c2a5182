"""Robustness, label curves and checks of finished runs as tables and sentences."""

import pytest

from llmrec_core.checks import label_files
from llmrec_core.errors import UsageError
from llmrec_core.reading import check_results, listing
from llmrec_core.reading.labels import distinct
from tests import synthetic
from tests.reading.rows import make


def test_robustness_becomes_a_table_with_gaps_as_gaps(settings):
    ledger = synthetic.write_study(settings)
    rows = listing.rows_of(ledger, ledger.runs("default"))[:3]
    documents = {row.run_id: ledger.document(row.run_id, "robustness") for row in rows}
    table = check_results.robustness_table(rows, documents)
    assert len(table.lines) == 9
    flips = [line for line in table.lines if "label flips" in line]
    assert all("--retrain" in str(line[-1]) for line in flips)
    assert check_results.grid(table, "Run", "Noise", "Kept")[2][0][2] is None
    assert "Hit hardest: injected items" in check_results.worst_sentence(
        rows[0].name, documents[rows[0].run_id]
    )
    ledger.close()


def test_two_runs_of_one_name_keep_their_own_checks():
    rows = distinct([make("twin", run_id="1", seed=1), make("twin", run_id="2", seed=2)])
    check = {"check": "candidates", "passed": True, "detail": "fine"}
    documents = {"1": [check], "2": [{**check, "passed": False, "detail": "wrong"}]}
    table = check_results.check_table(rows, documents)
    assert table.values("Run") == ["twin (seed 1)", "twin (seed 2)"]
    assert table.values("Result") == ["passed", "FAILED"]
    assert "twin (seed 2): candidates" in check_results.check_sentence(table)


def test_label_curves_are_read_from_their_files_and_become_tables(settings):
    row = {"method": "Item-kNN", "labels": 100, "value": 0.2, "low": 0.1, "high": 0.3}
    row |= {"seeds": [0.2, 0.2, 0.2], "train_usd": 0.001}
    label_files.write("a-curve", {"rows": [row]}, settings)
    (label_files.folder(settings) / "damaged.json").write_text("{")
    curves = label_files.read_all(settings)
    assert list(curves) == ["a-curve"]
    assert check_results.curve_table(curves["a-curve"]).values("Seeds") == [3]
    with pytest.raises(UsageError, match="cannot be called"):
        label_files.write("../out", {}, settings)
