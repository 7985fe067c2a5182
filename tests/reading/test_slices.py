"""Each row by groups of people: means with intervals, the weakest among groups large enough."""

import pytest

from llmrec_core.reading import listing, slices
from llmrec_core.reading.people import of_mapping, of_sample
from tests import synthetic
from tests.reading.rows import make


def test_the_weakest_group_of_a_row_is_named(settings):
    ledger = synthetic.write_study(settings)
    row = listing.rows_of(ledger, ledger.runs("default"))[1]
    document = ledger.document(row.run_id, "facets")
    assert slices.facet_names(document) == ["gender"]
    groups = slices.members(document, "gender")
    assert groups["gender F"] == list(range(0, 120, 2))
    people = of_sample(ledger.samples(row.run_id, "ndcg@10", synthetic.PROTOCOL))
    table = slices.slice_table([row], {row.run_id: people}, groups)
    values = dict(zip(table.values("Group"), table.values("Value"), strict=True))
    assert values["gender F"] == pytest.approx(people.only(groups["gender F"]).means.mean())
    weakest = dict(zip(table.values("Group"), table.values("Weakest"), strict=True))
    assert weakest[min(values, key=values.get)] == "weakest"
    assert list(weakest.values()).count("weakest") == 1
    ledger.close()


def test_a_group_below_twenty_people_is_never_the_weakest_and_never_certain():
    groups = {"few": list(range(19)), "many": list(range(19, 70)), "more": list(range(70, 120))}
    people = of_mapping({user: float(user >= 19) for user in range(120)})
    table = slices.slice_table([make("a")], {"a": people}, groups)
    line = dict(zip(table.values("Group"), table.values("Weakest"), strict=True))
    assert line["few"] == ""
    assert table.values("Low")[0] == 0.0
    assert table.values("High")[0] == pytest.approx(1 - 0.025 ** (1 / 19))  # 0 of 19
