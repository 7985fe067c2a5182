"""A home made by version 0.1 opens after an upgrade with everything in it.

The archive was written by version 0.1.0: an imported shop, a study of five runs, a policy, two label
curves and noise measured on a run. The JSON file holds what that version answered.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from llmrec_core.checks.label_files import read_all
from llmrec_core.data import store
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.reading import listing
from llmrec_core.running.answers import answer
from llmrec_core.settings import Settings

FIXTURES = Path(__file__).parent / "fixtures"
ANSWERED = json.loads((FIXTURES / "home-0.1.json").read_text())
HISTORY = ["Tea number 0", "Coffee number 1", "Tea number 6"]


@pytest.fixture
def old_home(settings: Settings) -> Settings:
    with tarfile.open(FIXTURES / "home-0.1.tar.gz") as archive:
        archive.extractall(settings.home, filter="data")
    return settings


def test_every_run_of_an_old_home_keeps_its_figures(old_home: Settings) -> None:
    ledger = Ledger.open(old_home)
    runs = ledger.runs("shop")
    rows = listing.rows_of(ledger, runs)
    figures = {row.run_id: row.figure("ndcg@10", row.spec.protocol.name).value for row in rows}
    assert figures == {run["id"]: run["ndcg@10"] for run in ANSWERED["runs"]}
    documents = {name: ledger.document("9972fbd3", name) for name in ("lists", "policy")}
    assert documents["policy"]["users"] == 30 and len(documents["lists"]["users"]) == 16
    assert ledger.document("b9b49e77", "robustness") is not None


@pytest.mark.parametrize("name", list(ANSWERED["recommend"]))
def test_every_model_of_an_old_home_answers_as_it_did(old_home: Settings, name: str) -> None:
    (run,) = [run for run in Ledger.open(old_home).runs("shop") if run.name == name]
    question = {"run": run.id, "history_titles": HISTORY, "k": 5}
    items = answer("recommend", question, old_home)["items"]
    before = ANSWERED["recommend"][name]
    assert [item["item_id"] for item in items] == [item for item, _ in before]
    assert [item["score"] for item in items] == pytest.approx([score for _, score in before])


def test_data_and_label_curves_of_an_old_home_are_there(old_home: Settings) -> None:
    dataset = load_dataset("shop", old_home)
    assert (dataset.n_users, dataset.n_items, len(dataset.interactions)) == (60, 45, 840)
    assert store.manifest("shop", old_home).versions[0].number == 1
    assert set(read_all(old_home)) == {"shop", "shop-few-shot"}
