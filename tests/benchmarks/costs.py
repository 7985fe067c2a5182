"""Is the recorded memory of serving what a server would need? Every family against a plain loader.

    python tests/benchmarks/costs.py [--quick] [--home HOME] [--json]

A study with a row of every family is run on ml-100k. Then each saved run is loaded by the program
of some twenty lines below, which knows nothing of the product's meters: it loads data and model,
answers 30 requests of 100 items drawn by chance, and prints the most that it had resident. The
figures that the run has recorded are held against it. `--quick` takes the families without a
language model; `--home` keeps runs in that folder, whose `assets` may hold the downloads.

The last line of the output is one JSON document: {"results": {"largest_difference", …}}.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from llmrec_core.ledger.ledger import Ledger
from llmrec_core.settings import Settings

LOADER = """
import json, sys, time
began = time.monotonic()
from pathlib import Path
import numpy as np
from llmrec_core.contract.recommender import ServesInPrecision, reader_of
from llmrec_core.contract.spec import stored_run
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.recommenders.registry import family_class, stored_as
from llmrec_core.settings import load_settings
spec = stored_run(json.loads(sys.argv[2]))
data = load_dataset(spec.data.name, load_settings())
model = family_class(stored_as(spec.recommender)).load(Path(sys.argv[1]), data)
if isinstance(reader_of(model), ServesInPrecision):
    reader_of(model).ready(spec.precision)
loaded, draw, seconds = time.monotonic() - began, np.random.default_rng(0), []
for _, items in list(data.interactions.groupby("user")["item"])[:30]:
    start = time.perf_counter()
    model.score([items.to_numpy()], draw.choice(data.n_items, (1, 100), replace=False))
    seconds.append(time.perf_counter() - start)
status = dict(line.split(":") for line in open("/proc/self/status") if ":" in line)
print(int(status["VmHWM"].split()[0]) * 1024, loaded, seconds[0], sorted(seconds)[15])
"""
"""Prints bytes, seconds to load, of the first request and of the median one."""
READER = {"family": "cross-encoder", "backbone": "minilm-l6", "head": "attention"}
FEW = {"steps": 4, "warmup_steps": 1, "validate_every": 4, "validation_users": 10}
GROUPS = {**FEW, "batch_histories": 2, "positives": 2, "negatives": 4}
CHEAP: dict[str, dict[str, Any]] = {
    "Popularity": {"recommender": {"family": "popularity"}},
    "Directed counts": {"recommender": {"family": "directed-counts"}},
    "Item-kNN": {"recommender": {"family": "item-knn"}},
    "EASE": {"recommender": {"family": "ease"}},
    "TF-IDF": {"recommender": {"family": "tf-idf"}},
    "BM25": {"recommender": {"family": "bm25"}},
    "ALS": {"recommender": {"family": "als", "options": {"epochs": 2}}},
    "BPR": {"recommender": {"family": "bpr", "options": {"epochs": 2}}},
    "Fusion": {"recommender": {"family": "fusion", "retriever": "item-knn+tf-idf"}},
}
NEURAL: dict[str, dict[str, Any]] = {
    "SASRec": {"recommender": {"family": "sasrec", "adaptation": "full"}, "training": FEW},
    "Text-SASRec": {
        "recommender": {"family": "text-sasrec", "backbone": "minilm-l6", "adaptation": "full"},
        "training": FEW,
    },
    "Bi-encoder": {"recommender": {"family": "bi-encoder", "backbone": "minilm-l6"}},
    "Two towers": {
        "recommender": {
            "family": "two-towers",
            "backbone": "minilm-l6",
            "adaptation": "head",
            "history_items": 20,
        },
        "training": FEW,
    },
    "Cross-encoder, 2 layers": {
        "recommender": {**READER, "depth": 2, "adaptation": "full"},
        "training": GROUPS,
    },
    "Cross-encoder, 6 layers": {
        "recommender": {**READER, "adaptation": "full"},
        "training": GROUPS,
    },
    "Cross-encoder, 6 layers, int8": {
        "recommender": {**READER, "adaptation": "full"},
        "precision": "int8-dynamic",
        "weights_from": "Cross-encoder, 6 layers",
    },
    "Cascade": {
        "recommender": {
            **READER,
            "family": "cascade",
            "depth": 2,
            "adaptation": "full",
            "retriever": "item-knn",
            "rerank_k": 20,
        },
        "weights_from": "Cross-encoder, 2 layers",
    },
    "Decoder": {
        "recommender": {
            "family": "decoder",
            "backbone": "smollm2-135m",
            "depth": 10,
            "head": "yes-no",
            "retriever": "item-knn",
            "rerank_k": 5,
            "history_items": 5,
        },
    },
}
BEFORE_MIB = {
    "Popularity": (924, 157),
    "Item-kNN": (931, 168),
    "Bi-encoder": (1206, 334),
    "Cross-encoder, 2 layers": (2668, 656),
    "Cross-encoder, 6 layers": (2957, 689),
    "Cross-encoder, 6 layers, int8": (1220, 725),
}
"""What version 0.1 recorded on the default study, and what a plain loader needed."""
MIB = 2**20


def study(quick: bool) -> str:
    """The rows as a study file."""
    rows = CHEAP if quick else CHEAP | NEURAL
    lines = [
        'name = "costs"',
        'title = "What is served"',
        "[defaults]",
        'data = { name = "ml-100k" }',
        'protocol = { split = "loo", candidates = "100-uniform", users = 30, seed = 0, k = 10 }',
        "seed = 0",
    ]
    for name, row in rows.items():
        lines += ["[[run]]", f'name = "{name}"', *(f"{key} = {_toml(row[key])}" for key in row)]
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)


def loaded(folder: Path, spec: dict[str, Any], environment: dict[str, str]) -> list[float]:
    """What the plain loader prints of one saved run."""
    done = subprocess.run(
        [sys.executable, "-c", LOADER, str(folder), json.dumps(spec)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(word) for word in done.stdout.split()[-4:]]


def compared(home: Path, environment: dict[str, str]) -> dict[str, dict[str, float]]:
    """Recorded figures and the loader's, by row."""
    ledger = Ledger.open(Settings(home, f"sqlite:///{home / 'ledger.db'}", 30.0))
    rows = {}
    for run in ledger.export_study("costs")["runs"]:
        if run["state"] != "finished":
            raise SystemExit(f"{run['name']} is {run['state']}: {run['error']}")
        figures = {row["name"]: row["value"] for row in run["measurements"]}
        memory, load_s, first_s, later_s = loaded(
            home / "runs" / run["id"] / "model", run["spec"], environment
        )
        rows[run["name"]] = {
            "recorded_mib": figures["peak_memory_bytes"] / MIB,
            "loader_mib": memory / MIB,
            "difference": figures["peak_memory_bytes"] / memory - 1,
            "runtime_mib": figures["runtime_memory_bytes"] / MIB,
            "loaded_mib": figures["loaded_memory_bytes"] / MIB,
            "request_mib": figures["request_memory_bytes"] / MIB,
            "weights_mib": figures["weight_bytes"] / MIB,
            "train_peak_mib": figures["train_peak_memory_bytes"] / MIB,
            "load_s": figures["load_s"],
            "loader_load_s": load_s,
            "first_s": figures["first_latency_s"],
            "loader_first_s": first_s,
            "p50_s": figures["latency_p50_s"],
            "loader_p50_s": later_s,
        }
    return rows


def main() -> None:
    """Run the study, load every run again, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="no language model")
    parser.add_argument("--home", type=Path, help="keep the runs here")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON line")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = (arguments.home or Path(scratch)).resolve()
        home.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "LLMREC_HOME": str(home), "TOKENIZERS_PARALLELISM": "false"}
        environment.pop("LLMREC_LEDGER", None)
        file = home / "costs.toml"
        file.write_text(study(arguments.quick), encoding="utf-8")
        subprocess.run(
            [sys.executable, "-m", "llmrec_core", "study", str(file), "--json"],
            cwd=ROOT,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        rows = compared(home, environment)
    differences = [abs(row["difference"]) for row in rows.values()]
    results: dict[str, Any] = {
        "rows": rows,
        "largest_difference": max(differences),
        "median_difference": statistics.median(differences),
        "popularity_mib": rows["Popularity"]["recorded_mib"],
        "before_recorded_and_loader_mib": BEFORE_MIB,
    }
    if not arguments.json:
        for name, row in rows.items():
            print(
                f"{name:32} recorded {row['recorded_mib']:6.0f} MiB, loader "
                f"{row['loader_mib']:6.0f} MiB ({100 * row['difference']:+.1f} %); before anything "
                f"is loaded {row['runtime_mib']:.0f}, ready {row['loaded_mib']:.0f}, weights "
                f"{row['weights_mib']:.0f}; training {row['train_peak_mib']:.0f}; load "
                f"{row['load_s']:.1f} s, first {1e3 * row['first_s']:.1f} ms, p50 "
                f"{1e3 * row['p50_s']:.2f} ms"
            )
    print(json.dumps({"results": results}))


if __name__ == "__main__":
    main()
