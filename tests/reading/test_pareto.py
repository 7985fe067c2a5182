"""The front, the points of a chart, and the rows it cannot draw."""

import re
from dataclasses import replace

import pytest

from llmrec_core.reading import chart_symbols, pareto, svg
from pages.shared import charts, pareto_chart
from tests.reading.rows import PROTOCOL, figure_changed, make

WORK = "flops_per_request"


def test_the_front_keeps_what_nothing_beats_in_both():
    rows = [
        make("cheap", ndcg=0.1, per_s=100),
        make("worse", ndcg=0.09, per_s=50),
        make("best", ndcg=0.3, per_s=1),
    ]
    chart = pareto.chart(rows, "ndcg@10", PROTOCOL, "usd_per_million")
    assert [point.row.name for point in chart.front] == ["cheap", "best"]
    assert pareto.non_dominated([(1, 1), (1, 1)]) == {0, 1}, "equal points do not beat each other"


def test_a_row_without_the_cost_is_left_out_with_the_reason():
    chart = pareto.chart([make("a")], "ndcg@10", PROTOCOL, "energy_per_request_j")
    assert chart.left_out == (("a", "Energy per request: no counter"),)
    assert not chart.points


def test_a_row_of_other_data_is_left_out_with_the_reason():
    other = make("b")
    other = replace(other, spec=replace(other.spec, data=replace(other.spec.data, name="books")))
    chart = pareto.chart([make("a"), make("c"), other], "ndcg@10", PROTOCOL, WORK)
    assert [point.row.name for point in chart.points] == ["a", "c"]
    assert chart.left_out[0][0] == "b"
    assert "measured on books" in chart.left_out[0][1]


def zero_and_more():
    rows = [make("free", ndcg=0.1, flops=0.0), make("dear", ndcg=0.3, flops=3e6)]
    return pareto.chart(rows, "ndcg@10", PROTOCOL, WORK)


def marks_of(figure):
    """Where each run's mark stands along the cost, by its id."""
    return {
        run_id: x
        for trace in figure.data
        if trace.customdata is not None
        for run_id, x in zip(trace.customdata, trace.x, strict=True)
    }


def test_a_cost_of_zero_is_drawn_at_a_marked_edge_and_named():
    chart = zero_and_more()
    assert [point.row.name for point in chart.front] == ["free", "dear"]
    assert chart.edge == 1e6  # the smallest cost above 0, divided by 3
    figure = pareto_chart.pareto(chart)
    assert marks_of(figure) == {"free": 1e-3, "dear": 3e-3}  # GFLOP
    line = next(trace for trace in figure.data if trace.mode == "lines")
    assert list(line.x) == [1e-3, 3e-3], "the front starts where its first mark stands"
    assert [note.text for note in figure.layout.annotations] == ["0"]
    said = pareto_chart.under_the_chart(chart, True, True)
    assert any("edge marked 0" in sentence and "free" in sentence for sentence in said)


def test_a_linear_axis_shows_zero_where_it_is():
    figure = pareto_chart.pareto(zero_and_more(), logarithmic=False)
    assert marks_of(figure)["free"] == 0.0
    assert pareto_chart.under_the_chart(zero_and_more(), True, False) == []


@pytest.mark.parametrize(("dearest", "ticks"), [(2e6, None), (2e7, "D2"), (1e9, 1)])
def test_the_axis_of_cost_has_numbers_and_the_cheapest_name_stands_inside(dearest, ticks):
    """Within a decade plotly chooses the numbers: 1, 2 and 5 may all lie outside."""
    rows = [make("cheap", ndcg=0.1, flops=1e6), make("dear", ndcg=0.3, flops=dearest)]
    figure = pareto_chart.pareto(pareto.chart(rows, "ndcg@10", PROTOCOL, WORK))
    assert figure.layout.xaxis.dtick == ticks
    places = {
        run_id: place
        for trace in figure.data
        if trace.customdata is not None
        for run_id, place in zip(trace.customdata, trace.textposition, strict=True)
    }
    assert places == {"cheap": "top right", "dear": "top left"}


def test_the_legend_names_kinds_and_precisions_once_each_and_no_run():
    rows = [
        make("a"),
        make("b", "item-knn", ndcg=0.25),
        make("c", "cross-encoder", "minilm-l6", depth=2, ndcg=0.3, flops=2e6),
    ]
    figure = pareto_chart.pareto(pareto.chart(rows, "ndcg@10", PROTOCOL, WORK))
    shown = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert shown[1:] == ["Counts, words, factors", "Cross-encoder"]  # after the front
    half = replace(rows[2].spec, precision="int8")
    rows.append(replace(rows[2], run_id="d", name="d", spec=half))
    figure = pareto_chart.pareto(pareto.chart(rows, "ndcg@10", PROTOCOL, WORK))
    shown = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert shown[1:] == ["Counts, words, factors", "Cross-encoder", "fp32", "int8"]
    drawn = svg.pareto(pareto.chart(rows, "ndcg@10", PROTOCOL, WORK))
    for name in shown[1:]:
        assert drawn.count(f">{name}</text>") == 1, "the report's chart has the same legend"
    assert drawn.count(f'fill="{chart_symbols.NEUTRAL}"') == 2, "a shape each for fp32 and int8"


def test_marks_off_the_front_are_smaller_and_never_pale():
    """A pale mark stands out from the page by less than 3 : 1."""
    rows = [make("cheap", ndcg=0.3, flops=1e6), make("dear", ndcg=0.1, flops=2e6)]
    chart = pareto.chart(rows, "ndcg@10", PROTOCOL, WORK)
    (marks,) = (trace for trace in pareto_chart.pareto(chart).data if trace.customdata is not None)
    assert marks.customdata == ("cheap", "dear") and marks.marker.opacity == 1
    assert marks.marker.size[0] > marks.marker.size[1]
    assert "opacity" not in svg.pareto(chart) and 'r="6"' in svg.pareto(chart)


def test_many_rows_and_the_legend_below_them_fit_the_chart_of_the_report():
    rows = [make(f"row {place}", ndcg=0.2 + place / 1000) for place in range(40)]
    drawn = svg.pareto(pareto.chart(rows, "ndcg@10", PROTOCOL, WORK))
    height = float(re.search(r'viewBox="0 0 \d+ ([\d.]+)"', drawn).group(1))
    lowest = max(float(y) for y in re.findall(r'<text x="[\d.]+" y="([\d.]+)"', drawn))
    legend = re.search(r'y="([\d.]+)"[^>]*>Counts, words, factors<', drawn).group(1)
    assert lowest == float(legend) < height


@pytest.mark.parametrize("logarithmic", [True, False])
def test_what_lies_beyond_a_limit_is_shaded_and_nothing_else(logarithmic):
    chart = zero_and_more()  # 0 and 3e6 FLOP
    figure = pareto_chart.pareto(chart, logarithmic=logarithmic, limit=1e6)
    (area,) = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert (area.x0, area.x1) == pytest.approx((1e-3, 3.6e-3))  # GFLOP
    assert "beyond the limit" in [note.text for note in figure.layout.annotations]
    roomy = pareto_chart.pareto(chart, logarithmic=logarithmic, limit=4e6)
    assert not [shape for shape in roomy.layout.shapes if shape.type == "rect"]


def test_the_chart_of_the_report_marks_zero_too():
    drawn = svg.pareto(zero_and_more())
    assert ">0</text>" in drawn
    assert drawn.count("<title>") == 2


def test_every_row_is_drawn_or_named():
    rows = [
        make("good", ndcg=0.3),
        make("pale", ndcg=0.1, flops=2e6),
        figure_changed(make("none"), WORK, value=None, reason="not counted"),
        replace(make("running"), state="running", figures=()),
    ]
    chart = pareto.chart(rows, "ndcg@10", PROTOCOL, WORK)
    figure = pareto_chart.pareto(chart, show_dominated=False)
    drawn = marks_of(figure)
    said = " ".join(pareto_chart.under_the_chart(chart, False, True))
    for name in ("good", "pale", "none"):
        assert name in drawn or name in said


def test_bars_write_zero_and_the_curve_of_labels_marks_it():
    figure = charts.bars(["a", "b"], [0.0, 2.0], ["#000", "#000"], "ms")
    assert figure.data[0].x == (None, 2.0)
    assert [(note.text, note.y) for note in figure.layout.annotations] == [("0", 0)]


def test_the_choice_has_a_ring():
    chart = zero_and_more()
    figure = pareto_chart.pareto(chart, choice=chart.points[1].row)
    ring = next(trace for trace in figure.data if trace.name == "the choice")
    assert ring.x[0] == 3e-3
