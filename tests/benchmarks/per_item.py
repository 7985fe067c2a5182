"""What does a model lose whose history items do not see each other (mode `per_item`)?

    python tests/benchmarks/per_item.py [--depth 2] [--steps 120] [--seeds 3] [--users 0] [--quick] [--json]

Such a model explains itself at a fraction of the price (explain.py). Here it is trained beside `shared`: MiniLM cut to its first
layers, the same steps, seeds and data, on ml-100k, leave-one-out, 100 uniform candidates. Printed: NDCG@10 of both,
their difference user by user (mean over the seeds), and the share of a request's time that reading the history takes, which is
the most that keeping all items' keys and values for the whole catalogue could save. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch

from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.metrics.evaluate import evaluate
from llmrec_core.metrics.exam import Exam
from llmrec_core.metrics.intervals import mean_interval, paired_difference
from llmrec_core.profiling.allocator import keep_freed_memory
from llmrec_core.recommenders.language_model import LanguageModelRecommender
from llmrec_core.running.execute import versions
from llmrec_core.settings import load_settings

TRAINING = {
    "learning_rate": 1e-3, "positives": 4, "negatives": 12, "validate_every": 100_000, "validation_users": 2
}  # fmt: skip


def trained(
    mode: str, depth: int, steps: int, users: int, seed: int
) -> tuple[LanguageModelRecommender, np.ndarray, list[Any], np.ndarray]:
    """The recommender of a mode, and NDCG@10 of each test user."""
    settings = load_settings()
    reader = {
        "family": "cross-encoder", "backbone": "minilm-l6", "depth": depth, "head": "attention", "adaptation": "full",
        "history_attention": mode,
    }  # fmt: skip
    spec = run_from_dict(
        {"recommender": reader, "training": TRAINING | {"steps": steps}, "seed": seed}
    )
    dataset = load_dataset("ml-100k", settings)
    protocol = ProtocolSpec(candidates="100-uniform", users=users)
    exam = Exam.of(dataset, protocol)
    made = LanguageModelRecommender(spec, dataset, settings)
    with tempfile.TemporaryDirectory() as folder:
        made.fit(exam.split, RunContext(Path(folder)))
    made.ready("fp32")
    _, samples = evaluate(
        made.score, exam.split, exam.cases, exam.candidates, protocol.name, 10, batch=8
    )
    ndcg = np.array(next(s.values for s in samples if s.name == "ndcg@10"))
    return made, ndcg, exam.cases, exam.candidates


def history_share(
    made: LanguageModelRecommender, cases: Sequence[Any], offered: np.ndarray, count: int
) -> float:
    """Median share of a request's seconds that reading the history takes, for `count` candidates."""
    shares = []
    with torch.inference_mode():
        for case, items in zip(cases[:40], offered, strict=False):
            start = time.perf_counter()
            history = made.model.read_history([made.model.layout.history(case.history)])
            middle = time.perf_counter()
            made.model.score_items(history, items[None, :count])
            shares.append((middle - start) / (time.perf_counter() - start))
    return float(np.median(shares))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON line")
    parser.add_argument("--depth", type=int, default=2, help="layers kept")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--users", type=int, default=0, help="test users; 0 = all")
    parser.add_argument("--quick", action="store_true", help="one seed, 20 steps, 50 users")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.seeds, chosen.steps, chosen.users = 1, 20, 50
    keep_freed_memory()
    values: dict[str, list[np.ndarray]] = {"shared": [], "per_item": []}
    results: dict[str, Any] = {}
    for seed in range(chosen.seeds):
        for mode, rows in values.items():
            made, ndcg, cases, offered = trained(
                mode, chosen.depth, chosen.steps, chosen.users, seed
            )
            rows.append(ndcg)
            if not chosen.json:
                print(
                    f"{mode}, seed {seed}: NDCG@10 {ndcg.mean():.4f}, loss {made.result.last_loss:.3f}",
                    flush=True,
                )
            if mode == "shared" and not seed:
                results |= {
                    f"history_share_{n}": history_share(made, cases, offered, n) for n in (10, 100)
                }
    for mode, rows in values.items():
        mean, low, high = mean_interval(np.mean(rows, axis=0))
        results[f"{mode}_ndcg"] = {
            "mean": mean,
            "low": low,
            "high": high,
            "seeds": [float(r.mean()) for r in rows],
        }
    difference = paired_difference(
        np.mean(values["per_item"], axis=0), np.mean(values["shared"], axis=0)
    )
    results["per_item_minus_shared"] = {
        "mean": difference.mean, "low": difference.low, "high": difference.high, "users": difference.n
    }  # fmt: skip
    if not chosen.json:
        for name, value in results.items():
            print(f"{name}: {value}")
    conditions = {
        "versions": versions(), "layers": chosen.depth, "steps": chosen.steps, "training": TRAINING, "seeds": chosen.seeds
    }  # fmt: skip
    print(json.dumps({"bench": "per_item", "conditions": conditions, "results": results}))


if __name__ == "__main__":
    main()
