"""The fit of the cost model: it finds a law that is known, ignores an outlier, and predicts a device it has not seen."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from llmrec_core.costmodel.calibrate import fit, validate
from llmrec_core.costmodel.calibrate.examples import Example, examples, read
from llmrec_core.costmodel.predict import predictor
from llmrec_core.costmodel.predict.query import framework

GPUS = ("V100-PCIe-16GB", "T4", "A100-SXM-40GB")
SLOWNESS = 1.5


def row(
    gpu: str, batch: int, tokens: int, value: float = 1.0, quality: str = "ok"
) -> dict[str, str]:
    """A measurement of BERT-base as the calibration file has it, in ms a batch."""
    return {
        "source": "made up", "model": "bert-base", "params_m": "110", "arch": "encoder", "task": "inference",
        "gpu": gpu, "n_gpus": "1", "precision": "fp16", "batch_size": str(batch), "seq_len": str(tokens),
        "input_len": "", "output_len": "", "metric": "latency_ms", "value": str(value),
        "framework": "TensorRT 7.2.1", "group": gpu, "quality": quality, "notes": "",
    }  # fmt: skip


def known_law() -> list[dict[str, str]]:
    """What the shipped coefficients say of BERT-base, on a world that is half as slow again."""
    rows = []
    for gpu in GPUS:
        for batch in (1, 2, 8, 32, 128):
            for tokens in (64, 128, 384):
                (example,) = examples([row(gpu, batch, tokens)])
                value = predictor.value_of(example.query, predictor.load()) * SLOWNESS
                rows.append(row(gpu, batch, tokens, value))
    return rows


@pytest.fixture(scope="module")
def law() -> list[Example]:
    return examples(known_law())


def ratios(measured: list[Example], coefficients) -> list[float]:
    return [math.log(predictor.value_of(one.query, coefficients) / one.value) for one in measured]


def test_a_known_law_is_found(law):
    before = fit.mdape(ratios(law, predictor.load()))
    after = fit.mdape(ratios(law, fit.fit(law, ["encoder"])))
    # The shipped coefficients are 1.5 times too fast for this world: 1 − 1/1.5 = 33 % off.
    assert before == pytest.approx(100 * (1 - 1 / SLOWNESS), abs=0.1)
    assert after < 3


def test_a_measurement_that_is_ten_times_off_moves_the_others_little(law):
    spoilt = examples(
        [*known_law()[:-1], row(GPUS[-1], 128, 384, float(known_law()[-1]["value"]) * 10)]
    )
    errors = ratios(law[:-1], fit.fit(spoilt, ["encoder"]))
    assert fit.mdape(errors) < 4
    assert max(map(abs, errors)) < math.log(1.3)


def test_a_version_that_is_faster_is_told_from_the_device(law):
    """A newer version takes 0.8 of the time wherever it runs; a device seen only with it gets no share of that."""
    factor = {"TensorRT 8.2.1": 1.0, "TensorRT 10.6.0": 0.8}
    rows = []
    for version, speed in factor.items():
        for known in known_law():
            if known["gpu"] != "T4" or version == "TensorRT 10.6.0":
                value = float(known["value"]) * speed
                rows.append(known | {"framework": version, "value": str(value)})
    measured = [example for example in examples(rows) if example.row["batch_size"] == "128"]
    coefficients = fit.fit(examples(rows), ["encoder"])
    t4 = [example for example in measured if example.row["gpu"] == "T4"]
    older = [
        replace(example, query=replace(example.query, runtime=framework("TensorRT 8.2.1")))
        for example in t4
    ]
    # The figures of the newer version are 0.8 of the older one's: ln 0.8 = −0.22 apart, three quarters of it at least.
    apart = np.subtract(ratios(t4, coefficients), ratios(older, coefficients))
    assert fit.mdape(ratios(t4, coefficients)) < 4
    assert np.median(apart) < 0.75 * math.log(0.8)


def test_a_name_without_a_version_is_taken_as_of_today():
    names = (
        "TensorRT 7.2.1",
        "TensorRT 8.5.1",
        "TensorRT 10.6.0",
        "TensorRT",
        "TensorRT-LLM 0.8",
        "ONNX Runtime 1.4.0",
    )
    assert [framework(name).version for name in names] == ["7", "8", "10", "10", "", ""]


def test_suspect_and_empty_rows_are_left_out():
    rows = [
        row("T4", 8, 128, 3.0),
        row("T4", 8, 128, 3.0, "suspect"),
        row("T4", 8, 128) | {"value": ""},
    ]
    assert [example.value for example in examples(rows)] == [3.0]


def test_an_uncertain_row_counts_less():
    certain, uncertain = examples([row("T4", 8, 128, 3.0), row("T4", 8, 128, 3.0, "uncertain")])
    assert uncertain.weight < certain.weight


def test_a_device_that_was_not_seen_is_predicted_by_the_others(law):
    results = fit.left_out(law, lambda example: example.query.device.name, ["encoder"])
    assert {group for _, group, _ in results} == set(GPUS)
    assert len(results) == len(law)
    # Nothing of a device's own rows is used, so its error is larger than with them, but the law carries over.
    assert fit.mdape(error for _, _, error in results) < 15


def test_errors_of_a_half_and_of_a_double():
    # predicted ÷ measured of 0.5, 1 and 2 are 50, 0 and 100 % off: the median is 50.
    assert fit.mdape([math.log(0.5), 0.0, math.log(2.0)]) == pytest.approx(50)
    assert math.isnan(fit.mdape([]))


def test_the_optimum_is_that_of_an_independent_minimiser():
    """Three coefficients, two terms: the same minimum as SciPy's BFGS finds for the written objective."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(0)
    amounts = rng.uniform(0.5, 2.0, (40, 2))
    design = np.zeros((2, 40, 3), dtype=np.float32)
    design[0, :, 0] = design[1, :, 1] = design[1, 20:, 2] = 1
    truth = np.array([0.4, -0.3, 0.8])
    target = np.log(sum(np.exp(design[j] @ truth) * amounts[:, j] for j in range(2))) + rng.normal(
        0, 0.05, 40
    )
    weight, centre, spread = np.full(40, 10.0), np.zeros(3), np.ones(3)

    def objective(theta: np.ndarray) -> float:
        total = sum(np.exp(design[j] @ theta) * amounts[:, j] for j in range(2))
        residual = (np.log(total) - target) * weight
        return float(
            2 * (np.sqrt(1 + residual**2) - 1).sum()
            + ((theta - centre) / spread) @ ((theta - centre) / spread)
        )

    bins, whole = np.zeros((40, 2), dtype=int), np.zeros((40, 3))
    problem = fit.Problem(design, amounts, bins, whole, target, weight, centre, spread)
    ours = fit._solve(problem)
    theirs = minimize(objective, centre, method="BFGS").x
    assert objective(ours) == pytest.approx(objective(theirs), rel=1e-3)
    assert ours == pytest.approx(theirs, abs=0.02)


def test_written_coefficients_predict_the_same_when_read_again(law, tmp_path):
    fitted = fit.fit(law, ["encoder"])
    file = tmp_path / "effects.csv"
    validate.write(fitted, file, {"encoder": len(law)})
    stored = {
        (line["family"], line["term"], line["factor"], line["level"]): float(line["log_value"])
        for line in read(file)
    }
    assert all(
        stored[key] == pytest.approx(value, abs=5e-5) for key, value in fitted.values.items()
    )
