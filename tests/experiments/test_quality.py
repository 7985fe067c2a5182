"""Tie marks, slices, robustness and label curves as tables, on figures that are known."""

import doctest

import pytest

from llmrec_core.errors import UsageError
from llmrec_core.experiments import label_files, listing, quality
from tests import synthetic


@pytest.fixture
def study(settings):
    ledger = synthetic.write_study(settings)
    rows = [row for row in listing.rows_of(ledger, ledger.runs("default")) if row.state == "finished"]
    samples = {row.run_id: ledger.samples(row.run_id, "ndcg@10", synthetic.PROTOCOL) for row in rows}
    users = {run_id: dict(zip(kept.keys, kept.values, strict=True)) for run_id, kept in samples.items()}
    yield ledger, quality.best_first(rows, "ndcg@10", synthetic.PROTOCOL), users
    ledger.close()


def test_best_only_when_every_other_row_is_worse_after_holm(study):
    _, order, users = study
    found = quality.pairs(order, users)
    assert len(found) == 14 * 13 // 2
    words = quality.marks(order, "ndcg@10", synthetic.PROTOCOL, found)
    assert words[order[0].run_id] == "tied"
    assert "Tied: " in quality.verdict(order, "ndcg@10", synthetic.PROTOCOL, found, "NDCG@10")
    assert words[order[-1].run_id] == "worse"
    two = [order[0], order[-1]]
    found = quality.pairs(two, users)
    assert quality.marks(two, "ndcg@10", synthetic.PROTOCOL, found)[order[0].run_id] == "best"
    assert quality.verdict(two, "ndcg@10", synthetic.PROTOCOL, found, "NDCG@10").startswith(f"Best: {order[0].name}")


def test_correction_over_more_pairs_makes_no_p_smaller(study):
    _, order, users = study
    few = {(pair.a.name, pair.b.name): pair.p for pair in quality.pairs(order[:4], users)}
    many = {(pair.a.name, pair.b.name): pair.p for pair in quality.pairs(order, users)}
    assert all(many[pair] >= p for pair, p in few.items())


def test_rows_without_people_in_common_are_not_marked(study):
    _, order, _ = study
    apart = {order[0].run_id: {1: 0.5, 2: 0.5}, order[1].run_id: {3: 0.1, 4: 0.1}}
    found = quality.pairs(order[:2], apart)
    assert found == []
    assert set(quality.marks(order[:2], "ndcg@10", synthetic.PROTOCOL, found).values()) == {""}


def test_quality_table_shows_the_paired_difference_from_the_first(study):
    _, order, users = study
    table = quality.quality_table(order, "ndcg@10", synthetic.PROTOCOL, users, quality.pairs(order, users))
    assert table["Run"].tolist() == [row.name for row in order]
    last = table.iloc[-1]
    assert last["Against the first"] == pytest.approx(last["Value"] - table.iloc[0]["Value"])
    assert last["Difference high"] < 0
    assert last["p (Holm)"] < 0.05


def test_slices_name_the_weakest_group_of_each_row(study):
    ledger, order, users = study
    document = ledger.document(order[0].run_id, "facets")
    assert quality.facet_names(document) == ["gender"]
    groups = quality.members(document, "gender")
    assert groups["gender F"] == list(range(0, 120, 2))
    table = quality.slice_table(order, users, groups)
    mine = table[table["Run"] == order[0].name].set_index("Group")
    values = users[order[0].run_id]
    assert mine.loc["gender F", "Value"] == pytest.approx(sum(values[user] for user in groups["gender F"]) / 60)
    assert (mine["Weakest"] == "weakest").sum() == 1
    assert mine["Value"].idxmin() == mine["Weakest"].idxmax()


def test_a_group_below_twenty_people_is_never_the_weakest(study):
    _, order, _ = study
    groups = {"few": list(range(19)), "many": list(range(19, 70)), "more": list(range(70, 120))}
    table = quality.slice_table(order[:1], {order[0].run_id: {user: float(user >= 19) for user in range(120)}}, groups)
    assert table.set_index("Group").loc["few", "Weakest"] == ""


def test_robustness_and_label_curves_become_tables(study, settings):
    ledger, order, _ = study
    documents = {row.name: ledger.document(row.run_id, "robustness") for row in order[:3]}
    table = quality.robustness_table(documents)
    assert len(table) == 9
    assert table[table["Noise"] == "label flips"]["Note"].str.contains("--retrain").all()
    assert quality.grid(table, "Noise", "Kept")[2][0][2] is None
    assert "Hit hardest: injected items" in quality.worst_sentence(order[0].name, documents[order[0].name])
    row = {"method": "Item-kNN", "labels": 100, "value": 0.2, "low": 0.1, "high": 0.3, "seeds": [0.2, 0.2, 0.2]}
    label_files.write("a-curve", {"rows": [row | {"train_usd": 0.001}]}, settings)
    (label_files.folder(settings) / "damaged.json").write_text("{")
    curves = label_files.read_all(settings)
    assert list(curves) == ["a-curve"]
    assert quality.curve_table(curves["a-curve"]).iloc[0]["Seeds"] == 3
    with pytest.raises(UsageError, match="cannot be called"):
        label_files.write("../out", {}, settings)


def test_examples_in_the_documentation():
    assert not doctest.testmod(quality).failed
