"""How good are predictions for hardware nobody here owns? Whole groups left out, the naive peer, the queue, speed, own runs.

    python tests/benchmarks/costmodel.py [--quick] [--json] [--reference FOLDER] [--home HOME | --study FILE] [--local]

Left out: all rows of a GPU (and, without `--quick`, of a model, a framework, a version of one, a chip) are predicted by coefficients that
never saw them; the error is the median absolute one over rows marked ok, coverage the share of them inside intervals
whose width saw only other groups. The naive peer is FLOPs over peak or bytes over bandwidth at one fitted efficiency for
each regime. The queue: the planner's p95 against a SimPy simulation of devices that take requests in batches. Own runs:
those of a ledger (`--home`), of an exported study (`--study`, the recorded sample when nothing is given), or timed here
(`--local`: wall seconds on all cores, packed scoring of MiniLM and SmolLM2 at several depths and sizes); predicted from
measured peaks alone, then after calibration on random halves. Errors and coverage are shares: 0.12 is 12 %.
Configs: weights of public models counted from their config.json, and read by our own formulas,
against the published sizes; caches of every kind of attention against formulas written here.
The published measurements are looked for in FOLDER, LLMREC_REFERENCE or ../shared/reference; without them the first part
is left out and said. The last line is JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from llmrec_core.costmodel.calibrate import examples, fit, own_runs, validate
from llmrec_core.costmodel.facts import config_reading, devices, model_catalogue, this_machine
from llmrec_core.costmodel.plan import queueing
from llmrec_core.costmodel.predict import (
    counts,
    estimate_csv,
    predictor,
    query,
    query_rows,
    weights,
)
from llmrec_core.costmodel.predict.request import Request

TARGETS = {"encoder": 0.10, "training": 0.12, "decode": 0.12, "serving": 0.20, "memory": 0.06}
NAMES = {"encoder": "encoder_latency"}
HISTORY, MINILM_CANDIDATE, SMOLLM2_CANDIDATE = 211, 12, 14


def left_out(rows: Sequence[dict[str, str]], quick: bool) -> dict[str, Any]:
    """Errors and coverage by what was left out and regime, ours and the naive peer's."""
    data = examples.examples(rows)
    found: dict[str, Any] = {}
    for kind in ("gpu",) if quick else validate.GROUPS:
        ours = validate.GROUPS[kind], fit.left_out(data, validate.GROUPS[kind])
        naive = fit.summary(validate.roofline(data, ours[0]))
        covered = validate.coverage(ours[1])
        found[kind] = {
            regime: {
                "rows": count,
                "error": error / 100,
                "naive": naive[regime][0] / 100,
                "coverage80": covered.get(regime),
            }
            for regime, (error, count) in fit.summary(ours[1]).items()
            if count
        } | {"overall": {"coverage80": covered["overall"]}}
    return found


def queue_errors(quick: bool) -> list[float]:
    """Relative differences of the planner's p95 from simulations, over loads, batch sizes and numbers of devices."""
    from tests.costmodel.test_queueing import LOADS, simulated

    def service(k: float) -> float:
        return 0.010 + 0.004 * (k - 1)

    errors = []
    for count, most, load in LOADS:
        rate = load * count * most / service(most)
        expected = simulated(rate, count, service, most, 7, 8_000 if quick else 30_000)
        errors.append(abs(queueing.waiting(rate, count, service, most).p95_s / expected - 1))
    return errors


def config_sizes() -> dict[str, float]:
    """Relative differences of counted and of read weights from the published sizes of configs."""
    from llmrec_core.errors import DataError
    from llmrec_core.running.model_sizes import count
    from tests.costmodel.public_configs import PUBLIC

    counted, read = [], []
    for model in PUBLIC:
        counted.append(abs(count(model.config).total / model.total - 1))
        try:
            shape = config_reading.from_config(model.config, model.name)
            read.append(abs(weights.parameters(shape).total / model.total - 1))
        except DataError:  # left to the family's defaults, which our own reading does not know
            continue
    return {
        "config_sizes": len(counted),
        "config_sizes_max_error": max(counted),
        "config_sizes_read": len(read),
        "config_sizes_read_max_error": max(read),
    }


def cache_errors() -> dict[str, float]:
    """Relative differences of cache bytes from formulas written here, over kinds of attention.

    L layers, K key heads, D elements a head, T tokens, two bytes a value.
    """
    from tests.costmodel.public_configs import PUBLIC

    configs = {model.name: model.config for model in PUBLIC}
    expected = {
        # kind: (model, bytes of T tokens)
        "plain": ("pythia-1.4b", lambda t: 24 * 2 * 16 * 128 * t * 2),
        "grouped": ("llama-3.1-8b", lambda t: 32 * 2 * 8 * 128 * t * 2),
        "latent": ("deepseek-v2-lite", lambda t: 27 * (512 + 64) * t * 2),
        "sliding": ("mistral-7b-v0.1", lambda t: 32 * 2 * 8 * 128 * min(t, 4096) * 2),
        "alternating": ("gemma-2-9b", lambda t: 21 * 2 * 8 * 256 * (min(t, 4096) + t) * 2),
        "every sixth": ("gemma-3-1b", lambda t: 2 * 256 * (22 * min(t, 512) + 4 * t) * 2),
        "recurrent": ("mamba-130m", lambda t: 24 * 1536 * (16 + 4) * 2),
    }
    errors = {}
    for kind, (name, formula) in expected.items():
        shape = config_reading.from_config(configs[name], name)
        errors[kind] = max(
            abs(counts.kv_cache_bytes(shape, tokens, 3.0) / (3 * formula(tokens)) - 1)
            for tokens in (1, 100, 512, 4096, 4097, 32_768, 131_072)
        )
    return {"cache_kinds": len(errors), "cache_max_error": max(errors.values())}


def speed(rows: int = 10_000) -> dict[str, float]:
    """Seconds of a prediction, of a table, and of the import, the last in a fresh process."""
    asked = [
        query.Query(
            model_catalogue.named(name),
            devices.named(card),
            "inference",
            "latency_ms",
            "fp16",
            float(size),
            128.0,
        )
        for name in ("minilm-l6", "bert-base", "bert-large")
        for card in ("L4", "T4", "A100-SXM-80GB", "H100-SXM-80GB")
        for size in range(1, 60)
    ]
    predictor.predict(asked[0])
    start = time.process_time()
    for one in asked:
        predictor.predict(one)
    each = (time.process_time() - start) / len(asked)
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in.csv", Path(folder) / "out.csv"
        line = dict.fromkeys(query_rows.COLUMNS, "") | {
            "model": "bert-base", "arch": "encoder", "task": "inference", "precision": "fp16", "seq_len": "128",
            "metric": "latency_ms", "framework": "TensorRT",
        }  # fmt: skip
        with source.open("w", newline="") as file:
            writer = csv.DictWriter(file, query_rows.COLUMNS)
            writer.writeheader()
            for i in range(rows):
                writer.writerow(
                    line | {"gpu": ("T4", "L4", "V100")[i % 3], "batch_size": str(1 + i % 512)}
                )
        start = time.process_time()
        estimate_csv.run(source, out)
        table = time.process_time() - start
    code = (
        "import sys, time; t = time.process_time(); import llmrec_core.costmodel.predict.predictor, llmrec_core.costmodel.predict.estimate_csv; "
        "llmrec_core.costmodel.predict.predictor.load(); print(time.process_time() - t, 'torch' in sys.modules)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported, torch = said.stdout.split()
    assert torch == "False", "the cost model imported torch"
    return {"predict_s": each, "csv_10000_rows_s": table, "import_s": float(imported)}


def recorded(home: Path | None, study: Path | None) -> tuple[list[own_runs.Observation], str]:
    """Figures of finished runs, and where they come from."""
    if home is not None:
        from llmrec_core.ledger.ledger import Ledger
        from llmrec_core.settings import load_settings

        ledger = Ledger.open(replace(load_settings(), home=home))
        studies, source = [ledger.export_study(one.name) for one in ledger.studies()], "a ledger"
    else:
        path = study or ROOT / "assets" / "sample" / "study.json"
        studies, source = [json.loads(path.read_text(encoding="utf-8"))], path.name
    machine = own_runs.machine_of(studies)
    if machine is None:
        return [], source
    return own_runs.observations(studies, machine)[0], source


def timed(quick: bool) -> list[own_runs.Observation]:
    """Packed scoring timed here in wall seconds on all cores; peak and copy are measured in the same rounds."""
    import numpy as np
    import torch

    from llmrec_core.models.backbones import load_backbone
    from llmrec_core.models.scorer_model import ScorerModel
    from llmrec_core.profiling import device as found
    from llmrec_core.profiling.allocator import keep_freed_memory
    from llmrec_core.scoring.scorer import Scorer
    from llmrec_core.settings import load_settings
    from tests.benchmarks.speed import HISTORY_ITEMS, Clock, decoder_layout, encoder_layout

    keep_freed_memory()
    clock = Clock()
    source = torch.zeros(32 << 20)
    target, copies = torch.empty_like(source), []
    for _ in range(5):
        start = clock.now()
        target.copy_(source)
        copies.append(clock.now() - start)
    cases: list[tuple[str, str, int, int, str]] = [
        ("minilm-l6", mode, depth, count, f"MiniLM, {depth} layers, {mode}, {count} candidates")
        for depth in (2, 4, 6)
        for mode, sizes in (("shared", (20, 50, 100, 200)), ("full", (10, 20)))
        for count in sizes
    ] + [
        ("smollm2-135m", "shared", depth, count, f"SmolLM2, {depth} layers, {count} candidates")
        for depth in (10, 20, 30)
        for count in (10, 40)
    ]
    built: dict[tuple[str, str, int], Any] = {}
    for name, mode, depth, count, label in cases:
        if (name, mode, depth) not in built:
            built.clear()
            backbone = load_backbone(name, load_settings(), depth=depth)
            layout = (
                decoder_layout(backbone, HISTORY, SMOLLM2_CANDIDATE, 256)
                if backbone.decoder
                else encoder_layout(backbone, HISTORY, MINILM_CANDIDATE, 256)
            )
            torch.manual_seed(0)
            built[name, mode, depth] = Scorer(
                ScorerModel(backbone, layout, head="linear", history_attention=mode)
            )
        scorer = built[name, mode, depth]

        def score(scorer: Any = scorer, count: int = count) -> None:
            scorer.weights_changed()
            scorer.scores(list(range(HISTORY_ITEMS)), np.arange(count))

        score()
        clock.rounds({label: score}, 2 if quick else 5)
    machine = this_machine.device_of(
        found.describe().to_dict(), clock.peak_flops_per_s, 2.0 * source.nbytes / min(copies)
    )
    observed = []
    for name, mode, depth, count, label in cases:
        shape = replace(model_catalogue.named(name), layers=depth)
        each = MINILM_CANDIDATE if name == "minilm-l6" else SMOLLM2_CANDIDATE
        request = Request(shape, HISTORY, each, count, mode, "fp32")
        asked = request.latency_query(machine)
        observed.append(own_runs.Observation(label, asked, clock.fastest(label)))
    return observed


def judged(found: Sequence[own_runs.Observation]) -> dict[str, float]:
    """Errors of own runs: before, after on the other half, after on all others."""
    done = own_runs.calibrate(found)
    return {
        "local_runs": len(found),
        "local_latency_mdape": done.before / 100,
        "local_calibrated_half_mdape": own_runs.halves(found) / 100,
        "local_calibrated_mdape": done.after / 100,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON line")
    parser.add_argument("--quick", action="store_true", help="whole GPUs only, shorter simulations")
    parser.add_argument("--reference", type=Path, help="folder of the published measurements")
    parser.add_argument("--home", type=Path, help="own runs: the ledger under this LLMREC_HOME")
    parser.add_argument("--study", type=Path, help="own runs: an exported study")
    parser.add_argument(
        "--local",
        action="store_true",
        help="own runs: time packed scoring here, on a quiet machine",
    )
    arguments = parser.parse_args()
    began = time.perf_counter()

    def say(text: str) -> None:
        if not arguments.json:
            print(text, flush=True)

    results: dict[str, Any] = {}
    folder = arguments.reference or Path(
        os.environ.get("LLMREC_REFERENCE", ROOT.parent / "shared" / "reference")
    )
    if (folder / examples.MEASUREMENTS[0]).exists():
        rows = examples.read_folder(folder)
        tables = left_out(rows, arguments.quick)
        for kind, regimes in tables.items():
            for regime, one in regimes.items():
                if regime != "overall":
                    say(
                        f"{kind:<10} out, {regime:<9} {one['rows']:>5} rows: {100 * one['error']:5.1f} %, naive "
                        f"{100 * one['naive']:5.1f} %, 80 % intervals cover {100 * one['coverage80']:.1f} %"
                    )
            say(
                f"{kind:<10} out, overall: 80 % intervals cover {100 * regimes['overall']['coverage80']:.1f} %"
            )
        logo = tables["gpu"]
        results |= {
            f"logo_{NAMES.get(regime, regime)}_mdape": logo[regime]["error"] for regime in TARGETS
        }
        results |= {
            f"naive_{NAMES.get(regime, regime)}_mdape": logo[regime]["naive"] for regime in TARGETS
        }
        results["coverage80"] = logo["overall"]["coverage80"]
        results["coverage80_by_regime"] = {
            name: one["coverage80"] for name, one in logo.items() if name != "overall"
        }
        results["rows_predicted_share"] = sum(
            bool(estimate_csv.predict_row(row)["predicted"]) for row in rows
        ) / len(rows)
        results["left_out"] = tables
        say(f"rows predicted: {100 * results['rows_predicted_share']:.1f} %")
    else:
        say(f"the published measurements are not in {folder.name}: nothing left out")
    results |= config_sizes() | cache_errors()
    say(
        f"weights of {results['config_sizes']} public configs: at most "
        f"{100 * results['config_sizes_max_error']:.2f} % from the published sizes counted, "
        f"{100 * results['config_sizes_read_max_error']:.2f} % read by our own formulas; caches of "
        f"{results['cache_kinds']} kinds: at most {100 * results['cache_max_error']:.2f} % off"
    )
    errors = queue_errors(arguments.quick)
    results |= {"queue_p95_error": max(errors), "queue_loads": len(errors)}
    say(
        f"p95 of the queue, {len(errors)} loads: at most {100 * max(errors):.1f} % from the simulation"
    )
    results |= speed()
    say(
        f"a prediction {1e3 * results['predict_s']:.3f} ms, 10,000 rows {results['csv_10000_rows_s']:.1f} s, "
        f"import {results['import_s']:.2f} s"
    )
    found, own_source = (
        (timed(arguments.quick), "timed here, wall seconds")
        if arguments.local
        else recorded(arguments.home, arguments.study)
    )
    if found:
        results |= judged(found)
        for one in found:
            say(
                f"{one.name}: {1e3 * one.seconds:.1f} ms, predicted {predictor.predict(one.query).value:.1f} ms"
            )
        say(
            f"{len(found)} own figures: {100 * results['local_latency_mdape']:.1f} % from measured peaks alone, "
            f"{100 * results['local_calibrated_half_mdape']:.1f} % after calibration on half"
        )
    conditions = {
        "quick": arguments.quick,
        "python": platform.python_version(),
        "rows": "marked ok",
        "errors": "median absolute, shares",
        "own_runs": own_source,
        "seconds": round(time.perf_counter() - began, 1),
        "clock": "CPU seconds of this process for the speed figures",
    }
    print(json.dumps({"bench": "costmodel", "conditions": conditions, "results": results}))


if __name__ == "__main__":
    main()
