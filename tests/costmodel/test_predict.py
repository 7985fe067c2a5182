"""Predictions: monotone, below peaks, with intervals, fast, and every row of a table kept."""

import csv
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from llmrec_core.costmodel.facts import csv_facts, devices, model_catalogue
from llmrec_core.costmodel.predict import estimate_csv, predictor, query, query_rows, work
from llmrec_core.errors import DataError, UsageError

ROOT = Path(__file__).parents[2]
REFERENCE = Path(os.environ.get("LLMREC_REFERENCE", ROOT.parent / "shared" / "reference"))
MEASUREMENTS = REFERENCE / "hardware_measurements_calibration.csv"


def ask(**changes):
    base = query.Query(
        model_catalogue.named("bert-base"),
        devices.named("L4"),
        "inference",
        "latency_ms",
        "fp16",
        8.0,
        128.0,
        runtime=query.framework("TensorRT"),
    )
    return replace(base, **changes)


@pytest.mark.parametrize(
    "device", [one.name for one in devices.shipped().values() if one.kind == "gpu"]
)
def test_time_grows_with_work_and_never_beats_the_peak(device):
    chip = devices.named(device)
    times = [
        predictor.predict(
            ask(device=chip, batch=float(b), precision="bf16" if not chip.fp16_tflops else "fp16")
        )
        for b in (1, 2, 8, 64, 512)
    ]
    assert [one.value for one in times] == sorted(one.value for one in times)
    last = ask(device=chip, batch=512.0, precision="bf16" if not chip.fp16_tflops else "fp16")
    terms = work.encoder_terms(last)
    assert times[-1].value / 1e3 >= (terms["compute"] + terms["attention"]) * 0.999
    for one in times:
        assert 0 < one.low80 < one.value < one.high80


def test_weight_only_formats_read_less():
    llama = ask(
        model=model_catalogue.named("llama-3-8b"),
        task="decode",
        metric="tokens_s",
        batch=1.0,
        runtime=query.framework("vllm"),
    )
    rates = [
        predictor.predict(replace(llama, precision=p)).value
        for p in ("fp16", "int8-gptq", "int4-gptq")
    ]
    assert rates == sorted(rates)


def test_an_unknown_runtime_is_wider_and_says_so():
    usual, odd = (
        predictor.predict(ask()),
        predictor.predict(ask(runtime=query.framework("quantum-9000"))),
    )
    assert odd.high80 / odd.value > usual.high80 / usual.value
    assert "not measured" in odd.note or "wider" in odd.note


def test_too_large_is_said_with_what_would_hold_it():
    found = predictor.predict(
        ask(
            model=model_catalogue.named("llama-3-70b"),
            task="decode",
            batch=1.0,
            runtime=query.framework("vllm"),
        )
    )
    assert "does not fit" in found.note and "would hold it" in found.note


@pytest.mark.parametrize(
    "changes", [{"batch": -1.0}, {"input_tokens": 0.0}, {"task": "sing"}, {"precision": "fp3"}]
)
def test_nonsense_is_refused(changes):
    with pytest.raises(UsageError):
        ask(**changes)


def table(path: Path, rows: int) -> Path:
    line = dict.fromkeys(query_rows.COLUMNS, "") | {
        "model": "bert-base",
        "arch": "encoder",
        "task": "inference",
        "gpu": "T4",
        "precision": "fp16",
        "seq_len": "128",
        "metric": "latency_ms",
        "framework": "TensorRT",
    }
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, query_rows.COLUMNS)
        writer.writeheader()
        for i in range(rows):
            writer.writerow(
                line | {"batch_size": str(1 + i % 64), "gpu": "T4" if i % 5 else "no such card"}
            )
    return path


def test_every_row_is_kept_in_order(tmp_path):
    out = tmp_path / "out.csv"
    assert estimate_csv.run(table(tmp_path / "in.csv", 50), out) == (50, 40)
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["batch_size"] for row in rows] == [str(1 + i % 64) for i in range(50)]
    assert rows[0]["predicted"] == "" and "near names" in rows[0]["note"]
    assert float(rows[1]["low80"]) < float(rows[1]["predicted"]) < float(rows[1]["high80"])
    assert rows[1]["unit"] == "ms" and rows[1]["regime"] == "encoder"


def test_missing_columns_are_named(tmp_path):
    (tmp_path / "in.csv").write_text("model,gpu\nbert-base,T4\n")
    with pytest.raises(DataError, match="precision"):
        estimate_csv.run(tmp_path / "in.csv", tmp_path / "out.csv")


def test_a_prediction_takes_less_than_a_millisecond():
    question = ask()
    predictor.predict(question)
    began = time.process_time()
    for _ in range(300):
        predictor.predict(question)
    assert (time.process_time() - began) / 300 < 1e-3


def test_it_imports_without_torch_and_scipy():
    code = "import sys, llmrec_core.cli.estimate, llmrec_core.cli.plan, llmrec_core.costmodel.plan.planner; print({'torch','scipy','pandas'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_every_published_gpu_and_framework_is_understood(tmp_path):
    """Names as sources write them: every one of the recorded validation makes a prediction."""
    known = {(row["gpu"], row["framework"]) for row in csv_facts.rows("residuals")}
    source = tmp_path / "in.csv"
    line = dict.fromkeys(query_rows.COLUMNS, "") | {
        "model": "bert-base",
        "arch": "encoder",
        "task": "inference",
        "precision": "fp16",
        "batch_size": "8",
        "seq_len": "128",
        "metric": "latency_ms",
    }
    with source.open("w", newline="") as file:
        writer = csv.DictWriter(file, query_rows.COLUMNS)
        writer.writeheader()
        writer.writerows(line | {"gpu": gpu, "framework": name} for gpu, name in sorted(known))
    assert estimate_csv.run(source, tmp_path / "out.csv") == (len(known), len(known))


@pytest.mark.outside_data(MEASUREMENTS)
def test_calibration_rows_are_predicted(tmp_path):
    rows, predicted = estimate_csv.run(MEASUREMENTS, tmp_path / "out.csv")
    assert predicted / rows >= 0.95
