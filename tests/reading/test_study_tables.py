"""Tables of a study: every figure as the record holds it, the choice first, broken limits marked."""

from dataclasses import replace

import pytest

from llmrec_core.reading import pareto, study_tables
from llmrec_core.reading.choice import choose
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.pricing import usd_per_million
from llmrec_core.reading.question import Question
from tests.reading.rows import PROTOCOL, make


def test_costs_by_size_and_precision_are_medians_and_gaps_stay_gaps():
    rows = [
        make(name, "cross-encoder", "minilm-l6", depth=2, p95=p95)
        for name, p95 in (("a", 0.1), ("b", 0.3))
    ]
    cheap = make("int8", "cross-encoder", "minilm-l6", depth=4, p95=0.05)
    rows.append(replace(cheap, spec=replace(cheap.spec, precision="int8-dynamic")))
    found = study_tables.size_by_precision(rows, "latency_p95_s")
    assert found.sizes == ("minilm-l6, 2 layers", "minilm-l6, 4 layers")
    assert found.precisions == ("fp32", "int8-dynamic")
    assert found.values == ((pytest.approx(0.2), None), (None, 0.05))


def test_the_study_table_holds_the_record_with_the_choice_first_and_broken_limits_marked():
    rows = [make("slow", ndcg=0.4, p95=2.0), make("fast", ndcg=0.2, p95=0.01)]
    limits = Limits(p95_s=0.1)
    choice = choose(rows, limits, Question("ndcg@10", PROTOCOL, {}))
    table = study_tables.study_table(rows, PROTOCOL, choice=choice, limits=limits)
    assert table.ids == ("fast", "slow")
    assert table.values("NDCG@10") == [0.2, 0.4]
    assert table.values("p95") == [0.01, 2.0]
    assert table.values("$ per million") == [usd_per_million(row).value for row in rows[::-1]]
    assert table.failing == {("slow", "p95")}


def test_the_columns_of_a_study_are_numbers_where_the_record_has_numbers():
    table = study_tables.study_table([make("a")], PROTOCOL)
    frame = table.frame()
    texts = {"Run", "Energy from", "Precision", "Timing"}
    assert {head for head in frame.columns if frame[head].dtype == object} == texts
    assert "Costs" not in frame.columns and "Front" not in frame.columns


def test_the_front_and_the_slice_reach_the_table():
    rows = [make("a"), make("b", ndcg=0.1)]
    chart = pareto.chart(rows, "ndcg@10", PROTOCOL, "flops_per_request")
    assert study_tables.study_table(rows, PROTOCOL, chart).values("Front") == ["yes", ""]
    part = study_tables.study_table(rows, PROTOCOL, slice_name="cold items")
    assert part.values("NDCG@10") == [None, None]


def test_specs_that_differ_have_one_column_a_run():
    one, two = make("one"), make("two", seed=3)
    table = study_tables.spec_differences([one, two])
    assert [column.title for column in table.columns] == ["Field", "one", "two"]
    assert table.lines == (("seed", "0", "3"),)
