"""What is known of one person leaves data sets, records and questions, and nobody else's does."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from llmrec_core.cli.main import app
from llmrec_core.contract.spec import DataSpec, RunSpec
from llmrec_core.data import store
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.data.dataset import build_dataset
from llmrec_core.data.removal import remove_person
from llmrec_core.errors import UsageError
from llmrec_core.running.integrity import check
from llmrec_core.types import Measurement, Samples

pytestmark = pytest.mark.threat("forget-a-person")

PEOPLE = ("anna", "canary", "cleo")
"""Their codes are 0, 1 and 2."""


def shop():
    rows = [(user, f"i{n}", float(n), 1e9 + n) for user in PEOPLE for n in range(4)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "timestamp"])
    users = pd.DataFrame({"user_id": PEOPLE, "town": ["Oslo", "Canary Wharf", "Rome"]})
    edges = pd.DataFrame({"user_id": ["anna", "canary"], "friend_id": ["canary", "cleo"]})
    return build_dataset("shop", frame, users=users, extras={"edges": edges})


@pytest.fixture
def run_id(any_settings, any_ledger):
    """A finished run on the shop, whose record names its people, and a question about one."""
    before = shop()
    report = {"examples": ["user canary bought i1 twice"]}
    store.save(before, any_settings, note="imported", report=report)
    store.save(before, any_settings, note="cleaned")
    spec = RunSpec(name="r", data=DataSpec("shop", before.content_hash))
    run_id = any_ledger.enqueue(spec, "s")
    any_ledger.finish(
        any_ledger.claim("w"),
        [Measurement("mrr", 0.5, "1")],
        [
            Samples("mrr", [0.1, 0.2, 0.3], [0, 1, 2], "loo/full"),
            Samples("latency_s", [0.1, 0.2], [], "window"),
        ],
        {
            "slices": {"few": [1, 2], "many": [0]},
            "facets": {
                "users": [0, 1, 2],
                "facets": {"town": {"names": ["a", "b"], "groups": [0, 1, 0]}},
            },
            "lists": {"protocol": "loo/full", "users": {"canary": ["i1"], "anna": ["i2"]}},
            "explanations": {"canary": {"item": "i1"}, "cleo": {"item": "i2"}},
            "reasons": {
                "rows": [{"user_id": "canary", "value": 1}, {"user_id": "cleo", "value": 2}]
            },
        },
    )
    folder = any_settings.runs / run_id
    folder.mkdir(parents=True)
    (folder / "record.json").write_text('{"lists": {"canary": []}}')
    any_ledger.request("explain", {"run": run_id, "user": "canary"})
    any_ledger.request("explain", {"run": run_id, "user": "anna"})
    return run_id


def everything_stored(settings, ledger):
    """Every text of the home and of the ledger."""
    with ledger.reading() as connection:
        from llmrec_core.ledger import schema

        rows = [connection.execute(table.select()).all() for table in schema.metadata.sorted_tables]
    tables = [
        pd.read_parquet(path).to_csv() for path in sorted(settings.datasets.rglob("*.parquet"))
    ]
    files = [
        path.read_bytes()
        for path in settings.home.rglob("*")
        if path.is_file() and path.suffix != ".parquet"
    ]
    return repr([rows, tables, files])


def test_nothing_of_the_person_is_left_and_all_of_the_others(
    run_id, any_settings, any_ledger, capsys
):
    assert "canary" in everything_stored(any_settings, any_ledger)
    app(["people", "forget", "shop", "canary", "--yes", "--json"], standalone_mode=False)
    body = json.loads(capsys.readouterr().out.splitlines()[-1])
    # 4 interactions in each of 2 versions
    assert (body["interactions"], body["versions"], body["runs"]) == (8, 2, [run_id])
    left = everything_stored(any_settings, any_ledger)
    assert "canary" not in left
    assert "Canary" not in left
    record = any_ledger
    assert record.samples(run_id, "mrr", "loo/full").keys == [0, 2]
    assert record.samples(run_id, "mrr", "loo/full").values == [0.1, 0.3]
    assert record.samples(run_id, "latency_s", "window").values == [0.1, 0.2]
    assert record.document(run_id, "slices") == {"few": [2], "many": [0]}
    facets = record.document(run_id, "facets")
    assert facets["users"] == [0, 2]
    assert facets["facets"]["town"]["groups"] == [0, 0]
    assert record.document(run_id, "lists")["users"] == {"anna": ["i2"]}
    assert record.document(run_id, "explanations") == {"cleo": {"item": "i2"}}
    assert record.document(run_id, "reasons") == {"rows": [{"user_id": "cleo", "value": 2}]}
    assert [finding for finding in check(any_ledger) if finding.damage] == []


def test_codes_of_the_others_stay_and_old_runs_find_their_data(run_id, any_settings, any_ledger):
    before = shop()
    remove_person("shop", "canary", any_settings)
    after = load_dataset("shop", any_settings, before.content_hash)
    assert after.content_hash != before.content_hash
    assert [after.user_code(user) for user in ("anna", "cleo")] == [0, 2]
    assert after.users["town"].tolist()[::2] == ["Oslo", "Rome"]
    assert sorted(after.interactions["user"].unique()) == [0, 2]
    assert after.extras["edges"].empty  # both rows named the person
    with pytest.raises(UsageError, match="has no user 'canary'"):
        remove_person("shop", "canary", any_settings)


def test_a_damaged_record_is_not_made_to_look_whole(run_id, any_settings, any_ledger):
    with any_ledger.writing() as connection:
        from llmrec_core.ledger import schema

        connection.execute(schema.measurements.update().values(value=0.9))
    assert any_ledger.remove_person("shop", "canary", 1) == []
    assert any_ledger.damaged([run_id]) == [run_id]


def test_models_go_on_request(run_id, any_settings, any_ledger, capsys):
    model = any_settings.runs / run_id / "model"
    model.mkdir(parents=True)
    (model / "weights.bin").write_bytes(bytes(10))
    app(
        ["people", "forget", "shop", "canary", "--yes", "--models", "--json"],
        standalone_mode=False,
    )
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["models_bytes"] == 10
    assert not model.exists()
