"""What readers are told of a cascade's gate, and what is not said of its run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmrec_core.errors import UnsupportedError
from llmrec_core.explain.cost_difference import run_cost
from llmrec_core.reading import bills, gate, other_devices, predicted_rows
from llmrec_core.types import Measurement
from pages.build import run_charts
from tests.reading.rows import figure_changed, make

BODY = {
    "outcome": "some", "metric": "ndcg@10", "people": 1_000, "share": 0.2, "served_share": 0.21,
    "threshold": 0.01, "ndcg": 0.0512, "always": 0.0514, "never": 0.0401,
    "difference": {"mean": -0.0002, "low": -0.0009, "high": 0.0005},
    "helped": 0.1, "harmed": 0.05, "calibration_error": 0.0031, "calibration_error_by_chance": 0.0028,
    "bins": [{"people": 500, "expected": 0.0, "observed": 0.001, "standard_error": 0.002},
             {"people": 500, "expected": 0.02, "observed": 0.019, "standard_error": 0.003}],
    "curve": [{"share": 0.0, "ndcg": 0.0401}, {"share": 0.2, "ndcg": 0.0512}, {"share": 1.0, "ndcg": 0.0514}],
}  # fmt: skip


def cascade(**model):
    found = make("Cascade", family="cascade", backbone="minilm-l6")
    figures = (
        Measurement("requests_read", 0.23, "1", n=3_000, protocol=found.spec.protocol.name),
        Measurement("latency_mean_s", 0.0125, "s", n=40, protocol="request/100/batch-1"),
    )
    notes = {"history_tokens": 90.0, "candidate_tokens": 12.0, **model}
    return replace(
        found, figures=(*found.figures, *figures), documents={**found.documents, "model": notes}
    )


def test_the_sentences_name_the_share_the_quality_and_the_mean_time():
    read, quality, calibration, seconds = gate.sentences(cascade(gate="some"), BODY)
    assert read.startswith("The language model reads 23 % of the requests of 3,000 people")
    assert "0.0512 with 20 % of them read, 0.0514 with all, 0.0401 with none" in quality
    assert "-0.0009 to +0.0005" in quality
    assert "off by 0.0031" in calibration and "0.0028 by chance" in calibration
    assert "12.5 ms on average" in seconds


def test_never_is_said_and_such_a_row_is_no_language_model():
    found = cascade(gate="never")
    assert gate.sentences(found, {**BODY, "outcome": "never"})[0].startswith(
        "The language model reads no request"
    )
    assert found.language_model_silent and found.never_read and not found.unweighted
    assert not cascade(gate="some").language_model_silent


def test_reading_everything_is_said_as_such():
    said = gate.sentences(cascade(gate="always"), {**BODY, "outcome": "always"})[0]
    assert said.startswith("The language model reads every request")


def test_a_plan_takes_the_mean_time_of_the_mix():
    """Four in five requests take 1 ms and the fifth 200 ms: half of 1 ms says nothing of a queue."""
    row = cascade(gate="some")
    for name, seconds in (
        ("latency_p50_s", 0.001),
        ("latency_p95_s", 0.2),
        ("latency_mean_s", 0.0408),
    ):
        row = figure_changed(row, name, value=seconds)
    service = bills.service_of(row)
    assert service.one_s.value == pytest.approx(0.0408)
    assert service.alone_p95_s == pytest.approx(0.2)
    # √(0.8 · 1² + 0.2 · 200² − 40.8²) ÷ 40.8 = 1.95, against 121 from the median
    assert service.scatter == pytest.approx(1.95, abs=0.5)
    assert (
        predicted_rows.tail([row]) == 1.0
    )  # its spread says nothing of requests that are all read
    assert predicted_rows.tail([cascade(gate="always")]) == pytest.approx(2.0)


def test_the_curve_and_the_gains_are_drawn():
    curve, chance, chosen = run_charts.gate_curve(BODY).data
    assert list(curve.x) == [0, 20, 100] and list(chance.y) == [0.0401, 0.0514]
    assert (chosen.x[0], chosen.y[0]) == (20, 0.0512)
    groups = run_charts.gains(BODY).data[0]
    assert list(groups.x) == [0.0, 0.02] and list(groups.y) == [0.001, 0.019]


@pytest.mark.parametrize("outcome", ["some", "never"])
def test_what_reads_some_requests_is_predicted_nowhere(outcome):
    with pytest.raises(UnsupportedError, match="lets only some requests through"):
        other_devices.request_of(cascade(gate=outcome))
    with pytest.raises(UnsupportedError, match="lets only some requests through"):
        run_cost(cascade(gate=outcome), 1.0)
    assert other_devices.request_of(cascade(gate="always")).candidates > 0
