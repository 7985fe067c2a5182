"""A run's costs on other devices: same request, same quality, other figures, and a way out when a limit fails here."""

from dataclasses import replace

import pytest

from llmrec_core.costmodel import devices
from llmrec_core.errors import UnsupportedError
from llmrec_core.experiments import elsewhere, front, tables, views
from llmrec_core.types import Measurement
from tests.experiments.test_views import PROTOCOL, constant, make

NOTES = {"layers": 6, "history_tokens": 80.0, "candidate_tokens": 11.5}


def reader(name="Reader", p50=0.25, p95=0.3, **spec):
    row = make(name, "cross-encoder", "minilm-l6", ndcg=0.4, p95=p95, per_s=3.0, **spec)
    figures = (
        *row.figures,
        Measurement("latency_p50_s", p50, "s", protocol="request/100/batch-1"),
        Measurement("gemm_peak_flops_per_s", 1.7e11, "FLOP/s", protocol="run"),
        Measurement("bandwidth_bytes_per_s", 3e10, "B/s", protocol="run"),
    )
    return replace(row, figures=figures, documents={**row.documents, "model": NOTES})


def test_the_request_is_that_of_the_record():
    request = elsewhere.request_of(reader())
    assert request.architecture.layers == 6
    assert (request.candidates, request.history_tokens, request.candidate_tokens) == (100, 80.0, 11.5)
    cascade = replace(make("c", "cascade", "minilm-l6"), documents={"model": NOTES})
    assert elsewhere.request_of(cascade).candidates == 20  # reranks 20 of the 100
    with pytest.raises(UnsupportedError, match="reads no prompt"):
        elsewhere.request_of(make("EASE"))
    with pytest.raises(UnsupportedError, match="lacks the length of its prompt"):
        elsewhere.request_of(make("old", "cross-encoder", "minilm-l6"))


def test_a_row_elsewhere_keeps_its_quality_and_changes_its_costs():
    row, known = reader(), devices.shipped()
    moved, refused = elsewhere.on_device([row, make("EASE")], known["L4"])
    assert refused == []
    there, cheap = moved
    assert there.predicted and not cheap.predicted
    assert there.figure("ndcg@10", PROTOCOL) == row.figure("ndcg@10", PROTOCOL)
    p50, p95 = there.request_figure("latency_p50_s"), there.request_figure("latency_p95_s")
    assert p95.value / p50.value == pytest.approx(0.3 / 0.25)  # the spread measured here
    assert p50.low < p50.value < p50.high < 0.25
    price = views.usd_per_million(there)
    rate = there.request_figure("throughput_requests_per_s", batch=None).value
    hour = there.figure("usd_per_hour").value
    assert price.value == pytest.approx(hour / (rate * 3600 * 0.5) * 1e6)
    assert price.low < price.value < price.high
    assert views.cost(there, "usd_per_million") == (price, True)
    assert there.figure("train_s").value is None


def test_a_device_without_the_arithmetic_refuses_with_the_reason():
    row = reader()
    row = replace(row, spec=replace(row.spec, precision="int8-dynamic"))
    bare = replace(devices.shipped()["L4"], int8_tops=None)
    moved, refused = elsewhere.on_device([row], bare)
    assert moved == []
    assert "has no int8 arithmetic" in refused[0][1]


def test_the_choice_says_predicted_and_the_table_says_where():
    moved, _ = elsewhere.on_device([reader(), make("EASE", ndcg=0.2)], devices.shipped()["L4"])
    users = {"Reader": constant(0.4), "EASE": constant(0.2)}
    choice = front.choose(moved, "ndcg@10", PROTOCOL, front.Limits(), users)
    assert "predicted on L4" in choice.sentence
    assert "80 % interval: p95 " in choice.sentence
    costs = list(tables.study_table(moved, PROTOCOL)["Costs"])
    assert costs == ["predicted on L4", "measured on CPU A"]
    assert "Costs" not in tables.study_table([reader()], PROTOCOL)


def test_when_a_limit_fails_here_the_cheapest_device_predicted_is_named():
    known, row = devices.shipped(), reader()
    rows = [row, make("EASE", ndcg=0.2, p95=0.001)]
    limits = front.Limits(p95_s=0.05)
    choice = front.choose(rows, "ndcg@10", PROTOCOL, limits, {})
    assert front.failing(choice, rows, limits) == [row]
    text = elsewhere.way_out([row], known.values(), limits)
    found = elsewhere.ways([row], known.values(), limits)
    assert text.startswith(f"Predicted, not measured: Reader on {found[0].device.name} keeps them, the cheapest of ")
    assert all(one.p95_s.value <= 0.05 for one in found)
    assert [one.usd_per_million.value for one in found] == sorted(one.usd_per_million.value for one in found)
    assert "No priced device" in elsewhere.way_out([row], known.values(), front.Limits(p95_s=1e-6))
    nothing = front.choose([row], "ndcg@10", PROTOCOL, limits, {})
    assert nothing.row is None
    assert front.failing(nothing, [row], limits) == [row]


def test_the_check_compares_with_the_machine_that_measured():
    row = reader()
    text = elsewhere.check(row, elsewhere.request_of(row))
    assert "CPU A is predicted to take" in text
    assert "it took 250 ms" in text
    assert elsewhere.check(make("EASE"), elsewhere.request_of(row)) == ""
