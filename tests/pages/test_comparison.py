"""Runs compared: two to six, their figures equal to the record, and the way there from Decide."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from llmrec_core.ledger.ledger import Ledger
from llmrec_core.metrics.seeds import group_difference
from llmrec_core.reading import several_runs
from llmrec_core.reading.pricing import AS_RECORDED
from llmrec_core.settings import load_settings
from llmrec_core.types import Measurement
from tests.reading.rows import make


@pytest.fixture
def finished(homes, monkeypatch):
    """The finished runs of the filled home, and their ledger."""
    monkeypatch.setenv("LLMREC_HOME", str(homes["filled"]))
    monkeypatch.delenv("LLMREC_LEDGER", raising=False)
    ledger = Ledger.open(load_settings())
    (study,) = [study.name for study in ledger.studies()][-1:]
    return ledger, [run for run in ledger.runs(study) if run.state == "finished"]


def compared(open_page, ids, **more):
    app = open_page("build/runs.py", runs_tab="compared", runs_compared=ids, **more)
    assert not app.exception, app.exception[0].message
    return app


def test_every_difference_is_that_of_the_recorded_values(open_page, finished):
    ledger, runs = finished
    ids = [run.id for run in runs[:6]]
    app = compared(open_page, ids, runs_base=ids[0])
    table = next(frame.value for frame in app.dataframe if "Told apart" in frame.value.columns)
    base = ledger.samples(ids[0], "ndcg@10", app_protocol(ledger, ids[0]))
    drawn = table[table["Metric"] == "NDCG@10"].set_index("Run")
    checked = 0
    for run in runs[1:6]:
        if run.name not in drawn.index:
            continue
        other = ledger.samples(run.id, "ndcg@10", app_protocol(ledger, run.id))
        assert list(base.keys) == list(other.keys)
        gap = group_difference(np.array([other.values]), np.array([base.values]))
        assert drawn.loc[run.name, "Difference"] == pytest.approx(gap.mean, abs=1e-12)
        assert drawn.loc[run.name, "Low"] == pytest.approx(gap.low, abs=1e-12)
        checked += 1
    assert checked


def app_protocol(ledger, run_id):
    table = ledger.measurements([run_id])
    return table[table["name"] == "ndcg@10"]["protocol"].iloc[0]


def test_one_run_is_no_comparison_and_the_seventh_is_not_taken(open_page, finished):
    _, runs = finished
    app = compared(open_page, [runs[0].id])
    assert "Choose two runs or more." in [caption.value for caption in app.caption]
    many = [run.id for run in runs]
    assert len(many) > several_runs.MOST
    app = compared(open_page, many)
    assert app.multiselect(key="runs_compared").value == many[: several_runs.MOST]


def test_all_charts_of_a_comparison_are_drawn(open_page, finished):
    _, runs = finished
    app = compared(open_page, [run.id for run in runs[:4]])
    specs = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    kinds = {trace["type"] for spec in specs for trace in spec["data"]}
    assert {"scatter", "bar", "parcoords"} <= kinds
    ticks = [spec["layout"].get("yaxis", {}).get("ticktext") or [] for spec in specs]
    ticks = [" ".join("".join(labels).replace("<br>", "").split()) for labels in ticks if labels]
    said = " ".join(caption.value for caption in app.caption)
    for run in runs[:4]:
        start = "".join(run.name.split())[:12]
        drawn = [labels for labels in ticks if start in "".join(labels.split())]
        wanted = 1 if run is runs[3] else 2  # the last one is what the others are compared with
        assert len(drawn) >= wanted or run.name in said, run.name
    (axes,) = [trace for spec in specs for trace in spec["data"] if trace["type"] == "parcoords"]
    left_out = re.search(r"Not drawn, a figure is missing: (.*)\.", said)
    missing = left_out.group(1).split(", ") if left_out else []
    assert len(axes["dimensions"][0]["values"]) + len(missing) == len(runs)
    for dimension in axes["dimensions"]:
        low, high = dimension["range"]
        assert all(low <= tick <= high for tick in dimension["tickvals"]), dimension["label"]


def test_parts_of_a_cost_add_up_to_the_recorded_figure():
    plain = make("a")
    memory = {"runtime": 3e8, "loaded": 5e8, "request": 1e8}
    figures = [
        Measurement(f"{name}_memory_bytes", value, "B", protocol="run")
        for name, value in memory.items()
    ]
    parts = several_runs.memory_parts([replace(plain, figures=(*plain.figures, *figures)), plain])
    assert sum(values[0] for values in parts.values()) == pytest.approx(6e8 / 2**20)
    assert [values[1] for values in parts.values()] == [None] * 3
    assert several_runs.money_parts([plain], AS_RECORDED)["training, once"] == [None]
