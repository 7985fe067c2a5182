"""The user's own machine: a device from measured peaks, and runs that pull the predictor."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from llmrec_core.costmodel.calibrate import own_runs
from llmrec_core.costmodel.facts import devices, model_catalogue, this_machine
from llmrec_core.costmodel.predict import predictor
from llmrec_core.costmodel.predict.request import Request
from llmrec_core.errors import DataError, UsageError

MACHINE = {"cpu": "Some CPU", "cores": 2, "memory_bytes": 8 * 10**9, "gpus": []}
READERS = Path(__file__).parent / "readers_of_one_machine.json"
"""What nine cross-encoders, cascades and decoders of one study cost on two AVX2 cores, as exported
on 25 November 2026: enough rows to calibrate a machine by, which the default study has no more."""


def measured_here():
    return this_machine.device_of(MACHINE, 180e9, 25e9)


def observed(factor, layers=6, precision="fp32", candidates=100):
    shape = replace(model_catalogue.named("minilm-l6"), layers=layers)
    request = Request(shape, 211, 12, candidates, precision=precision)
    query = request.latency_query(measured_here())
    return own_runs.Observation("run", query, factor * predictor.predict(query).value / 1e3)


def test_a_measured_machine_is_a_device_of_the_catalogue(tmp_path):
    with pytest.raises(UsageError, match="--measure"):
        devices.named("this-machine", devices.catalogue(tmp_path))
    this_machine.remember(tmp_path, measured_here())
    found = devices.named("this-machine", devices.catalogue(tmp_path))
    assert found.own and found.fp32_tflops == pytest.approx(0.18) and found.memory_gb == 8
    assert found.peak("int8-dynamic") == pytest.approx(2 * 180e9)
    slower = this_machine.device_of(
        MACHINE, 90e9, 30e9
    )  # a busy moment: the better of both readings stays
    assert this_machine.remember(tmp_path, slower).fp32_tflops == pytest.approx(0.18)
    assert devices.catalogue(tmp_path)["this-machine"].bandwidth_gb_s == pytest.approx(30)
    with pytest.raises(UsageError, match="FLOP/s"):
        this_machine.device_of(MACHINE, 0.0, 1e9)


def test_own_runs_pull_predictions_most_of_the_way():
    one = own_runs.calibrate([observed(1.5)])
    after = (
        predictor.predict(observed(1.0).query, one.coefficients).value
        / predictor.predict(observed(1.0).query).value
    )
    # 1 run: each of three levels takes 1 / 1.25 of what is left, so 1 − 0.2³ of the logarithm
    assert math.log(after) == pytest.approx(math.log(1.5) * (1 - 0.2**3), rel=1e-3)
    many = own_runs.calibrate([observed(1.5, layers) for layers in (1, 2, 3, 4, 5, 6)])
    assert many.before == pytest.approx(100 * (1 - 1 / 1.5), rel=1e-3) and many.after < 1
    found = predictor.predict(observed(1.0).query, many.coefficients)
    assert "own runs" in found.note and found.low80 <= found.value <= found.high80


def test_precisions_have_factors_of_their_own_and_other_devices_none():
    mixed = [observed(1.2, n) for n in (1, 2, 3, 4)] + [
        observed(0.6, n, "int8-dynamic") for n in (1, 2, 3, 4)
    ]
    known = own_runs.calibrate(mixed).coefficients
    for one, factor in ((mixed[0], 1.2), (mixed[-1], 0.6)):
        plain = predictor.predict(one.query).value
        assert predictor.predict(one.query, known).value / plain == pytest.approx(factor, rel=0.05)
    elsewhere = replace(mixed[0].query, device=devices.named("L4"))
    assert predictor.predict(elsewhere, known).value == predictor.predict(elsewhere).value


def test_a_calibration_is_kept_and_a_damaged_one_is_said(tmp_path):
    known = own_runs.calibrate([observed(1.5, n) for n in range(1, 7)]).coefficients
    own_runs.save(tmp_path, known)
    query = observed(1.0).query
    read = own_runs.load(tmp_path)
    assert predictor.predict(query, read).value == pytest.approx(
        predictor.predict(query, known).value, rel=1e-4
    )
    own_runs.path(tmp_path).write_text("device,regime\nx,y\n")
    with pytest.raises(DataError, match="calibrate"):
        own_runs.load(tmp_path)


def test_nothing_to_learn_from_is_said():
    with pytest.raises(DataError, match="demo"):
        own_runs.calibrate([])


def test_runs_of_a_recorded_study_calibrate_its_machine():
    study = json.loads(READERS.read_text())
    device = own_runs.machine_of([study])
    found, skipped = own_runs.observations([study], device)
    assert len(found) >= 6 and all(one.query.device.own for one in found) and not skipped
    disturbed = next(run for run in study["runs"] if run["name"] == found[0].name.rsplit(",", 1)[0])
    for row in disturbed["measurements"]:
        if row["name"] == "foreign_load":
            row["value"] = 0.5
    fewer, skipped = own_runs.observations([study], device)
    assert len(fewer) < len(found) and "others used the machine" in skipped[0] and len(skipped) == 1
    done = own_runs.calibrate(found)
    assert done.after < 10 and done.after < done.before
