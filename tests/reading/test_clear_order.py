"""A study without the people whose last items share one moment: figures, people and a record that cannot tell."""

from dataclasses import replace

import pytest

from llmrec_core.metrics.slices import CLEAR_ORDER
from llmrec_core.reading import clear_order
from llmrec_core.reading.comparison import best_first
from llmrec_core.types import Measurement
from tests.reading.rows import PROTOCOL, make, people

OTHERS = [1, 3, 5]
"""The people of an odd number have no tied last items."""


def told_apart(name: str, everybody: float, others: float):
    row = make(name, ndcg=everybody)
    part = Measurement("ndcg@10", others, "1", others - 0.1, others + 0.1, 3, CLEAR_ORDER, PROTOCOL)
    rare = Measurement("ndcg@10", 0.9, "1", 0.8, 1.0, 50, "rare items", PROTOCOL)
    return replace(
        row,
        figures=(*row.figures, part, rare),
        documents={**row.documents, "slices": {CLEAR_ORDER: OTHERS}},
    )


def test_the_figures_are_those_of_the_other_people():
    tied, honest = told_apart("tied", 0.5, 0.1), told_apart("honest", 0.4, 0.3)
    assert [row.name for row in best_first([tied, honest], "ndcg@10", PROTOCOL)] == [
        "tied",
        "honest",
    ]
    rows = clear_order.without_tied([tied, honest])
    assert [row.name for row in best_first(rows, "ndcg@10", PROTOCOL)] == ["honest", "tied"]
    figure = rows[0].figure("ndcg@10", PROTOCOL)
    assert (figure.value, figure.low, figure.n) == (0.1, 0.0, 3)
    assert rows[0].figure("latency_p95_s") == tied.figure("latency_p95_s"), "costs are nobody's"
    slices = {figure.slice for figure in rows[0].figures if figure.name == "ndcg@10"}
    assert slices == {"all"}, "figures of other slices are of everybody"


def test_values_of_the_other_people_stay():
    row = told_apart("tied", 0.5, 0.1)
    left = clear_order.people_without_tied(
        [row], {"tied": people(lambda user: user / 100)}, PROTOCOL
    )
    assert left["tied"].users == (1, 3, 5)
    assert left["tied"].means.tolist() == pytest.approx([0.01, 0.03, 0.05])


def test_a_protocol_s_people_are_named_by_a_row_that_was_asked_under_it():
    shelf = "loo-cold-items/shelf"
    main = told_apart("main", 0.5, 0.1)
    main = replace(main, documents={**main.documents, "slices time": {CLEAR_ORDER: [2, 4]}})
    asked = told_apart("asked", 0.5, 0.1)
    asked = replace(
        asked,
        spec=replace(asked.spec, protocol=replace(asked.spec.protocol, split="loo-cold-items")),
        figures=tuple(replace(figure, protocol=shelf) for figure in asked.figures),
    )
    left = clear_order.people_without_tied([main, asked], {"asked": people(0.5)}, shelf)
    assert left["asked"].users == tuple(OTHERS), "2 and 4 are people of the cut in time"


def test_a_record_that_does_not_tell_them_apart_has_no_figure():
    _, old = clear_order.without_tied([told_apart("new", 0.5, 0.1), make("old", ndcg=0.7)])
    figure = old.figure("ndcg@10", PROTOCOL)
    assert figure.value is None
    assert "does not tell" in figure.reason


def test_nothing_changes_where_nobody_is_tied():
    row, everybody = make("a"), people(0.5)
    assert not clear_order.some_are_tied([row], PROTOCOL)
    assert clear_order.without_tied([row]) == [row]
    assert clear_order.people_without_tied([row], {"a": everybody}, PROTOCOL) == {"a": everybody}
    assert clear_order.some_are_tied([told_apart("b", 0.5, 0.1)], PROTOCOL)
    assert not clear_order.some_are_tied([told_apart("b", 0.5, 0.1)], "time/full")
