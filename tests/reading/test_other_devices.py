"""A run's costs on other devices: same request, same quality, other figures, and a way out when a limit fails here."""

from dataclasses import replace

import pytest

from llmrec_core.costmodel.facts import devices
from llmrec_core.errors import UnsupportedError
from llmrec_core.reading import other_devices, predicted_rows, study_tables
from llmrec_core.reading.choice import choose, failing
from llmrec_core.reading.limits import Limits
from llmrec_core.reading.pricing import axis_cost, usd_per_million
from llmrec_core.reading.question import Question
from llmrec_core.types import Measurement
from tests.reading.rows import PROTOCOL, make, people

NOTES = {"layers": 6, "history_tokens": 80.0, "candidate_tokens": 11.5}


def reader(name="Reader", p50=0.25, p95=0.3, **spec):
    row = make(name, "cross-encoder", "minilm-l6", ndcg=0.4, p95=p95, per_s=3.0, **spec)
    figures = (
        *(figure for figure in row.figures if figure.name != "latency_p50_s"),
        Measurement("latency_p50_s", p50, "s", protocol="request/100/batch-1"),
        Measurement("gemm_peak_flops_per_s", 1.7e11, "FLOP/s", protocol="run"),
        Measurement("bandwidth_bytes_per_s", 3e10, "B/s", protocol="run"),
    )
    return replace(row, figures=figures, documents={**row.documents, "model": NOTES})


def test_the_request_is_that_of_the_record():
    request = other_devices.request_of(reader())
    assert request.architecture.layers == 6
    assert (request.candidates, request.history_tokens, request.candidate_tokens) == (
        100,
        80.0,
        11.5,
    )
    cascade = replace(make("c", "cascade", "minilm-l6"), documents={"model": NOTES})
    assert other_devices.request_of(cascade).candidates == 20  # reranks 20 of the 100
    with pytest.raises(UnsupportedError, match="reads no prompt"):
        other_devices.request_of(make("EASE"))
    with pytest.raises(UnsupportedError, match="lacks the length of its prompt"):
        other_devices.request_of(make("old", "cross-encoder", "minilm-l6"))


def test_a_row_elsewhere_keeps_its_quality_and_changes_its_costs():
    row, known = reader(), devices.shipped()
    moved, refused = predicted_rows.on_device([row, make("EASE")], known["L4"])
    assert refused == []
    there, cheap = moved
    assert there.predicted and not cheap.predicted
    assert there.figure("ndcg@10", PROTOCOL) == row.figure("ndcg@10", PROTOCOL)
    p50, p95 = there.request_figure("latency_p50_s"), there.request_figure("latency_p95_s")
    assert p95.value / p50.value == pytest.approx(0.3 / 0.25)  # the spread measured here
    assert p50.low < p50.value < p50.high < 0.25
    price = usd_per_million(there)
    rate = there.request_figure("throughput_requests_per_s", batch=None).value
    hour = there.figure("usd_per_hour").value
    assert price.value == pytest.approx(hour / (rate * 3600 * 0.5) * 1e6)
    assert price.low < price.value < price.high
    assert axis_cost(there, "usd_per_million") == (price, True)
    assert there.figure("train_s").value is None


def test_a_device_without_the_arithmetic_refuses_with_the_reason():
    row = reader()
    row = replace(row, spec=replace(row.spec, precision="int8-dynamic"))
    bare = replace(devices.shipped()["L4"], int8_tops=None)
    moved, refused = predicted_rows.on_device([row], bare)
    assert moved == []
    assert "has no int8 arithmetic" in refused[0][1]


def test_the_choice_says_predicted_and_the_table_says_where():
    moved, _ = predicted_rows.on_device([reader(), make("EASE", ndcg=0.2)], devices.shipped()["L4"])
    users = {"Reader": people(0.4), "EASE": people(0.2)}
    choice = choose(moved, Limits(), Question("ndcg@10", PROTOCOL, users))
    assert "predicted on L4" in choice.sentence
    assert "80 % interval: p95 " in choice.sentence
    costs = study_tables.study_table(moved, PROTOCOL).values("Costs")
    assert costs == ["predicted on L4", "measured on CPU A"]
    assert "Costs" not in study_tables.study_table([reader()], PROTOCOL).frame()


def test_when_a_limit_fails_here_the_cheapest_device_predicted_is_named():
    known, row = devices.shipped(), reader()
    rows = [row, make("EASE", ndcg=0.2, p95=0.001)]
    limits = Limits(p95_s=0.05)
    question = Question("ndcg@10", PROTOCOL, {})
    choice = choose(rows, limits, question)
    assert failing(choice, rows, limits, question) == [row]
    text = predicted_rows.way_out([row], known.values(), limits)
    found = predicted_rows.ways([row], known.values(), limits)
    assert text.startswith(
        f"Predicted, not measured: Reader on {found[0].device.name} keeps them, the cheapest of "
    )
    assert all(one.p95_s.value <= 0.05 for one in found)
    assert [one.usd_per_million.value for one in found] == sorted(
        one.usd_per_million.value for one in found
    )
    assert "No priced device" in predicted_rows.way_out([row], known.values(), Limits(p95_s=1e-6))
    nothing = choose([row], limits, question)
    assert nothing.row is None
    assert failing(nothing, [row], limits, question) == [row]


def test_the_check_compares_with_the_machine_that_measured():
    row = reader()
    text = other_devices.check(row, other_devices.request_of(row))
    assert "CPU A is predicted to take" in text
    assert "it took 250 ms" in text
    assert other_devices.check(make("EASE"), other_devices.request_of(row)) == ""
