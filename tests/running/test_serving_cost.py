"""What a run costs to serve is measured in a process that does nothing else."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data import store
from llmrec_core.data.dataset import build_dataset
from llmrec_core.errors import RunError
from llmrec_core.metrics.exam import Exam
from llmrec_core.profiling.measure import CostMeter
from llmrec_core.profiling.peaks import Peaks
from llmrec_core.recommenders.registry import build
from llmrec_core.running import worker_peaks
from llmrec_core.running.serving_cost import Serving

MIB = 2**20
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shop(settings):
    rows = [
        (f"u{user}", f"i{(user * 7 + n) % 30}", float(n)) for user in range(12) for n in range(6)
    ]
    dataset = build_dataset("shop", pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))
    store.save(dataset, settings, note="")
    return dataset


def fitted(shop, settings, folder):
    """The spec, the meter and the recommender of a run that is fitted and saved."""
    spec = run_from_dict(
        {
            "name": "Item-kNN",
            "data": {"name": "shop"},
            "recommender": {"family": "item-knn"},
            "protocol": {"candidates": "20-uniform", "users": 10},
        }
    )
    exam = Exam.of(shop, spec.protocol)
    recommender = build(spec, shop, settings)
    recommender.fit(exam.split, RunContext(folder))
    recommender.save(folder / "model")
    return spec, recommender, CostMeter(recommender, exam.histories, exam.candidates)


def test_a_run_is_served_by_a_process_without_training_or_meters(shop, settings, tmp_path):
    spec, recommender, meter = fitted(shop, settings, tmp_path)
    kept = []
    meter.keep = lambda *scored: kept.append(scored)
    with Serving(spec, shop.content_hash, tmp_path / "model") as served:
        served.window(meter)
        served.window(meter)
        rows = {row.name: row.value for row in served.measurements()}
    assert len(meter.single) == len(meter.batched) == 2
    # numpy, scipy and pandas are about 130 MiB; torch alone would add 200
    assert 60 * MIB < rows["peak_memory_bytes"] < 260 * MIB
    assert rows["runtime_memory_bytes"] < rows["loaded_memory_bytes"] <= rows["peak_memory_bytes"]
    beyond = rows["peak_memory_bytes"] - rows["loaded_memory_bytes"]
    assert rows["request_memory_bytes"] == beyond
    assert rows["load_s"] > rows["first_latency_s"] > 0
    histories, offered, scores = kept[0]
    assert np.array_equal(scores, recommender.score(histories, offered))


def test_a_model_that_cannot_be_loaded_ends_the_run_with_its_reason(shop, settings, tmp_path):
    spec, _, meter = fitted(shop, settings, tmp_path)
    (tmp_path / "model" / "item-knn.npz").unlink()
    with (
        Serving(spec, shop.content_hash, tmp_path / "model") as served,
        pytest.raises(RunError, match=r"could not be served: no item-knn\.npz") as raised,
    ):
        served.window(meter)
    assert raised.value.kind == "data"


def test_a_run_that_is_asked_to_stop_does_not_wait_for_the_window(shop, settings, tmp_path):
    spec, _, meter = fitted(shop, settings, tmp_path)
    with (
        Serving(spec, shop.content_hash, tmp_path / "model", lambda: True) as served,
        pytest.raises(RunError, match="stopped on request"),
    ):
        served.window(meter)


def test_a_cheap_run_loads_no_torch(shop, settings, tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from llmrec_core.contract.run_context import RunContext\n"
        "from llmrec_core.contract.spec import run_from_dict\n"
        "from llmrec_core.data.catalogue import load_dataset\n"
        "from llmrec_core.running import execute\n"
        "from llmrec_core.settings import load_settings\n"
        "from llmrec_core.running import worker_peaks\n"
        "from llmrec_core.profiling.peaks import Peaks\n"
        "worker_peaks._measured = lambda device: Peaks(1e11, 1e10)\n"
        "settings = load_settings(); data = load_dataset('shop', settings)\n"
        "spec = run_from_dict({'name': 'Popularity', 'data': {'name': 'shop'},\n"
        "  'recommender': {'family': 'popularity'},\n"
        "  'protocol': {'candidates': '20-uniform', 'users': 10}})\n"
        "execute.execute(spec, data, RunContext(Path(sys.argv[1])), settings)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_peaks_are_measured_once_a_worker(tmp_path, monkeypatch):
    measured = []

    def measure(device):
        measured.append(device)
        return Peaks(1e11, float(len(measured)))

    monkeypatch.setattr(worker_peaks, "_measured", measure)
    assert worker_peaks.peaks_of_worker("cpu", tmp_path) == Peaks(1e11, 1.0)
    assert worker_peaks.peaks_of_worker("cpu", tmp_path) == Peaks(1e11, 1.0)
    monkeypatch.setattr(worker_peaks, "_worker", lambda: "another one")
    assert worker_peaks.peaks_of_worker("cpu", tmp_path) == Peaks(1e11, 2.0)
    (tmp_path / worker_peaks.FILE).write_text("half a fi", encoding="utf-8")
    assert worker_peaks.peaks_of_worker("cpu", tmp_path) == Peaks(1e11, 3.0)


def test_a_small_program_behind_a_large_one_is_small():
    """Linux hands `ru_maxrss` on to what a process starts; the figure here begins anew."""
    large = np.ones(300 * MIB // 8)
    code = "from llmrec_core.profiling.resident import highest_resident_bytes as now; print(now())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert large.nbytes == 300 * MIB
    assert int(done.stdout) < 100 * MIB
