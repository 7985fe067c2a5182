"""Ten million generated interactions: import, popularity, item-kNN, and EASE or its refusal, each with time and peak memory.

Each step runs in a child of its own under an address-space limit (`--limit-gb`), so "within 4 GB" is enforced and not only observed.
Users have Zipf-like activity over a catalogue of 50,000 items in blocks of taste; the text file is a CSV of about 270 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ITEMS = 50_000
STEPS = ("import", "popularity", "item-knn", "ease")


def generate(path: Path, rows: int) -> None:
    """A CSV with header, in time order, without holding it in memory."""
    rng = np.random.default_rng(0)
    users = max(rows // 100, 10)
    with path.open("w", encoding="utf-8") as file:
        file.write("user_id,item_id,rating,timestamp\n")
        for start in range(0, rows, 500_000):
            n = min(500_000, rows - start)
            user = rng.integers(users, size=n)
            block = user % 50
            item = (rng.zipf(1.3, size=n) % (ITEMS // 50)) + block * (ITEMS // 50)
            rating = rng.integers(1, 6, size=n)
            when = 1_300_000_000 + (start + np.arange(n)) * 10
            columns = zip(user.tolist(), item.tolist(), rating.tolist(), when.tolist(), strict=True)
            file.write("".join(f"u{u},i{i},{r},{t}\n" for u, i, r, t in columns))


def step(name: str, csv: str) -> None:
    """One step in this process; prints a JSON line with seconds, peak bytes and what came of it."""
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.contract.spec import RecommenderSpec, RunSpec
    from llmrec_core.data.candidates import sample_cases
    from llmrec_core.data.catalogue import load_dataset
    from llmrec_core.data.importing.reading import import_path
    from llmrec_core.data.splits import split
    from llmrec_core.errors import LlmrecError
    from llmrec_core.metrics.evaluate import per_user
    from llmrec_core.metrics.intervals import mean_interval
    from llmrec_core.recommenders.registry import build
    from llmrec_core.settings import load_settings

    settings, began = load_settings(), time.perf_counter()
    said: dict[str, object] = {}
    try:
        if name == "import":
            said["rows"] = len(import_path(Path(csv), "ten-million", settings).interactions)
        else:
            made = split(load_dataset("ten-million", settings), "loo")
            options = {"neighbours": 200} if name == "item-knn" else {}
            spec = RunSpec(recommender=RecommenderSpec(family=name, options=options))
            model = build(spec, made.dataset, settings)
            fit_began = time.perf_counter()
            model.fit(made, RunContext(settings.home))
            said["fit_s"] = time.perf_counter() - fit_began
            cases = sample_cases(made.test, 500, 0)
            said["ndcg@10"] = mean_interval(
                per_user(model.score, made, cases, "100-uniform")["ndcg@10"]
            )
    except LlmrecError as error:
        said["refused"] = str(error)
    said |= {
        "wall_s": time.perf_counter() - began,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps(said))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--quick", action="store_true", help="one million rows")
    parser.add_argument("--limit-gb", type=float, default=4.0)
    parser.add_argument("--step", choices=STEPS)
    parser.add_argument("--csv", default="")
    chosen = parser.parse_args()
    if chosen.step:
        limit = int(chosen.limit_gb * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        step(chosen.step, chosen.csv)
        return
    rows = 1_000_000 if chosen.quick else 10_000_000
    results: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "events.csv"
        generate(csv, rows)
        environment = {
            **os.environ,
            "LLMREC_HOME": folder,
            "OPENBLAS_NUM_THREADS": "2",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        for name in STEPS:
            command = [
                sys.executable,
                __file__,
                "--step",
                name,
                "--csv",
                str(csv),
                "--limit-gb",
                str(chosen.limit_gb),
            ]
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False
            )
            lines = done.stdout.strip().splitlines()
            results[name] = (
                json.loads(lines[-1])
                if lines
                else {"failed": done.stderr.strip().splitlines()[-1:]}
            )
            if not chosen.json:
                print(name, results[name], flush=True)
        size = csv.stat().st_size
    conditions = {
        "rows": rows,
        "items": ITEMS,
        "csv_bytes": size,
        "limit_gb": chosen.limit_gb,
        "cpus": os.cpu_count(),
    }
    print(json.dumps({"bench": "ten_million", "conditions": conditions, "results": results}))


if __name__ == "__main__":
    main()
