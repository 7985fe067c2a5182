"""A trained run on other orders of equal times: what it loses, and when there is nothing to draw."""

import numpy as np
import pandas as pd
import pytest

from llmrec_core.checks.diagnosis.trained_again import DOCUMENT, trained_again
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data import store
from llmrec_core.data.dataset import build_dataset
from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.reading.data_doubts import trained_again_sentence
from llmrec_core.settings import Settings
from llmrec_core.types import Samples

USERS, ITEMS, DAY = 60, 24, 86_400.0
FEW = {"steps": 2, "warmup_steps": 1, "validate_every": 2, "validation_users": 4}
SASREC = {"family": "sasrec", "adaptation": "full"}


@pytest.fixture
def settings(tmp_path):
    return Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.db'}", 30.0)


@pytest.fixture
def ledger(settings):
    opened = Ledger.open(settings)
    yield opened
    opened.close()


def shop(settings, *, tied):
    """People who buy two items a day when `tied`, else one."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", str(item), DAY * (n // 2 if tied else n))
        for user in range(USERS)
        for n, item in enumerate(rng.permutation(ITEMS)[:8])
    ]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    data = build_dataset("tied" if tied else "clear", table)
    store.save(data, settings, note="test")
    return data


def finished(ledger, data, recommender, value=1.0, **body):
    """A finished run that is right about everybody, when `value` is 1."""
    spec = run_from_dict(
        {
            "name": "reader",
            "data": {"name": data.name, "content_hash": data.content_hash},
            "protocol": {"candidates": "full", "users": 0},
            "recommender": recommender,
            **body,
        }
    )
    ledger.enqueue(spec, "s")
    lease = ledger.claim("w")
    sample = Samples("ndcg@10", [value] * USERS, list(range(USERS)), "loo/full")
    ledger.finish(lease, [], [sample], {})
    return lease.run_id


def test_a_sasrec_is_trained_again_and_loses_what_it_had_above_the_other_order(ledger, settings):
    run_id = finished(ledger, shop(settings, tied=True), SASREC, training=FEW)
    again = trained_again(run_id, ledger, settings, draws=2)
    assert again.ties.as_is.value == 1.0
    assert 0 < again.ties.shuffled < 0.9, "two steps learn next to nothing"
    assert again.ties.loss.value == pytest.approx(1.0 - again.ties.shuffled)
    assert again.ties.loss.n == USERS
    assert again.ties.loss.low > 0
    assert ledger.document(run_id, DOCUMENT) == again.to_dict()
    said = trained_again_sentence(again.name, again.draws, again.ties)
    assert said.startswith("reader: NDCG@10 1.0000 as the file is, and ")
    assert "2 other orders" in said


def test_nothing_is_trained_where_no_order_decides(ledger, settings):
    run_id = finished(ledger, shop(settings, tied=False), {"family": "item-knn"})
    with pytest.raises(
        UnsupportedError, match="no order of equal times decides anything in 'clear"
    ):
        trained_again(run_id, ledger, settings)


def test_a_run_without_values_of_people_is_refused(ledger, settings):
    data = shop(settings, tied=True)
    spec = {"name": "waits", "data": {"name": "tied", "content_hash": data.content_hash}}
    run_id = ledger.enqueue(run_from_dict(spec), "s")
    with pytest.raises(UsageError, match="is queued and holds no ndcg@10"):
        trained_again(run_id, ledger, settings)
