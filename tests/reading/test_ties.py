"""Who is best, who is tied, and who cannot be compared."""

import pytest

from llmrec_core.reading import listing, ties
from llmrec_core.reading.comparison import best_first
from llmrec_core.reading.people import of_mapping, of_sample
from tests import synthetic

METRIC, PROTOCOL = "ndcg@10", synthetic.PROTOCOL


@pytest.fixture
def study(settings):
    ledger = synthetic.write_study(settings)
    rows = [
        row for row in listing.rows_of(ledger, ledger.runs("default")) if row.state == "finished"
    ]
    users = {row.run_id: of_sample(ledger.samples(row.run_id, METRIC, PROTOCOL)) for row in rows}
    yield best_first(rows, METRIC, PROTOCOL), users
    ledger.close()


def test_best_only_when_every_other_row_is_worse_after_holm(study):
    order, users = study
    found = ties.pairs(order, users)
    assert len(found) == 14 * 13 // 2
    words = ties.marks(order, METRIC, PROTOCOL, found)
    assert words[order[0].run_id] == "tied"
    assert "Tied: " in ties.verdict(order, METRIC, PROTOCOL, found, "NDCG@10")
    assert words[order[-1].run_id] == "worse"
    two = [order[0], order[-1]]
    found = ties.pairs(two, users)
    assert ties.marks(two, METRIC, PROTOCOL, found)[order[0].run_id] == "best"
    assert ties.verdict(two, METRIC, PROTOCOL, found, "NDCG@10").startswith(
        f"Best: {order[0].name}"
    )


def test_correction_over_more_pairs_makes_no_p_smaller(study):
    order, users = study
    few = {(pair.a.name, pair.b.name): pair.p for pair in ties.pairs(order[:4], users)}
    many = {(pair.a.name, pair.b.name): pair.p for pair in ties.pairs(order, users)}
    assert all(many[pair] >= p for pair, p in few.items())


@pytest.mark.parametrize("people", [0, 4, 19])
def test_rows_that_share_too_few_people_are_neither_marked_nor_called_best(study, people):
    order, _ = study
    users = {
        order[0].run_id: of_mapping(dict.fromkeys(range(people), 1.0)),
        order[1].run_id: of_mapping(dict.fromkeys(range(people), 0.0)),
    }
    found = ties.pairs(order[:2], users)
    assert found == []
    assert set(ties.marks(order[:2], METRIC, PROTOCOL, found).values()) == {""}
    said = ties.verdict(order[:2], METRIC, PROTOCOL, found, "NDCG@10")
    assert "shares fewer than 20 people" in said
    assert "every other row is worse" not in said


def test_the_table_shows_the_paired_difference_from_the_first(study):
    order, users = study
    table = ties.quality_table(order, METRIC, PROTOCOL, users, ties.pairs(order, users))
    assert table.values("Run") == [row.name for row in order]
    values, gaps = table.values("Value"), table.values("Against the first")
    assert gaps[-1] == pytest.approx(values[-1] - values[0])
    assert table.values("Difference high")[-1] < 0
    assert table.values("p (Holm)")[-1] < 0.05
    assert table.values("p (Holm)")[0] is None, "the first row is not compared with itself"
    assert table.ids == tuple(row.run_id for row in order)
