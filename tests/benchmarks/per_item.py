"""Would it pay to encode every history item once for the whole catalogue (mode `per_item`)? An experiment.

    python tests/benchmarks/per_item.py [--quick] [--json]

In mode `shared` a history is read once per request. If no history item saw another one, the keys and values of each item
could be kept for all users, and a request would read candidates only. That is another model, so it is trained in that mode:
MiniLM cut to its first layers, the same steps, seed and data as `shared`, on ml-100k, leave-one-out, 100 uniform candidates.
Printed: NDCG@10 of both and their difference user by user, and the share of a request's time that reading the history takes,
which is the most that the mode can save. The last line is JSON.
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

from llmrec_core.data.candidates import candidate_sets, sample_cases
from llmrec_core.data.dataset import load_dataset
from llmrec_core.data.splits import split
from llmrec_core.experiments.context import RunContext
from llmrec_core.experiments.execute import versions
from llmrec_core.experiments.spec import ProtocolSpec, run_from_dict
from llmrec_core.metrics.evaluate import evaluate
from llmrec_core.metrics.intervals import bootstrap_mean, paired_difference
from llmrec_core.models.packed import History, read_history
from llmrec_core.models.scorer_model import ScorerModel
from llmrec_core.profiling.allocator import keep_freed_memory
from llmrec_core.recommenders.language_model import LanguageModelRecommender
from llmrec_core.settings import load_settings

DEPTH, USERS = 2, 400
TRAINING = {
    "learning_rate": 1e-3, "steps": 120, "positives": 4, "negatives": 12, "validate_every": 1000, "validation_users": 2
}  # fmt: skip


class PerItem(ScorerModel):
    """A scorer whose history items are read alone, each with the opening token; candidates see all of them."""

    def read_history(self, histories: Sequence[Sequence[int]]) -> History:
        pieces = [self._pieces(list(history)) for history in histories]
        most = max(len(row) for row in pieces)
        filled = [piece for row in pieces for piece in [*row, *[[]] * (most - len(row))]]
        tokens, mask = self.tensors(filled)
        read = read_history(self.backbone.stack, tokens, mask)
        groups, seen = len(pieces), mask.view(len(pieces), -1)

        def joined(heads: torch.Tensor) -> torch.Tensor:  # (groups * items, K, S, D) → (groups, K, items * S, D)
            return heads.unflatten(0, (groups, most)).transpose(1, 2).flatten(2, 3)

        keys, values = [joined(k) for k in read.keys], [joined(v) for v in read.values]
        return History(keys, values, seen.sum(-1), seen)

    def _pieces(self, history: list[int]) -> list[list[int]]:
        opening, end = self.layout.opening, self.layout.pieces[0][-1]
        found, piece = [], list(opening)
        for token in history[len(opening) : len(history) - len(self.layout.closing)]:
            piece.append(token)
            if token == end:
                found.append(piece)
                piece = list(opening)
        return found or [piece]


def trained(mode: str, steps: int, users: int) -> tuple[LanguageModelRecommender, np.ndarray, list[Any], np.ndarray]:
    """The recommender of a mode, and NDCG@10 of each test user."""
    settings = load_settings()
    reader = {
        "family": "cross-encoder",
        "backbone": "minilm-l6",
        "depth": DEPTH,
        "head": "attention",
        "adaptation": "full",
    }
    spec = run_from_dict({"recommender": reader, "training": TRAINING | {"steps": steps}})
    dataset = load_dataset("ml-100k", settings)
    parts = split(dataset, "loo")
    cases = sample_cases(parts.test, users, 0)
    offered = candidate_sets(parts, cases, "100-uniform", 0)
    made = LanguageModelRecommender(spec, dataset, settings)
    if mode == "per_item":
        made.model.__class__ = PerItem
    with tempfile.TemporaryDirectory() as folder:
        made.fit(parts, RunContext(Path(folder)))
    made.ready("fp32")
    _, samples = evaluate(made.score, parts, cases, offered, ProtocolSpec().name, 10, batch=8)
    return made, np.array(next(s.values for s in samples if s.name == "ndcg@10")), cases, offered


def history_share(made: LanguageModelRecommender, cases: Sequence[Any], offered: np.ndarray, count: int) -> float:
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON line")
    parser.add_argument("--quick", action="store_true", help="20 steps, 50 users")
    arguments = parser.parse_args()
    keep_freed_memory()
    steps, users = (20, 50) if arguments.quick else (TRAINING["steps"], USERS)
    values, results = {}, {}
    for mode in ("shared", "per_item"):
        made, values[mode], cases, offered = trained(mode, int(steps), users)
        mean, low, high = bootstrap_mean(values[mode])
        results[f"{mode}_ndcg"] = {"mean": mean, "low": low, "high": high}
        results[f"{mode}_loss"] = made.result.last_loss
        if mode == "shared":
            results |= {f"history_share_{n}": history_share(made, cases, offered, n) for n in (10, 100)}
    difference = paired_difference(values["per_item"], values["shared"])
    results["per_item_minus_shared"] = {
        "mean": difference.mean, "low": difference.low, "high": difference.high, "users": difference.n
    }  # fmt: skip
    if not arguments.json:
        for name, value in results.items():
            print(f"{name}: {value}")
    conditions = {"versions": versions(), "layers": DEPTH, "steps": steps, "training": TRAINING, "seed": 0}
    print(json.dumps({"bench": "per_item", "conditions": conditions, "results": results}))


if __name__ == "__main__":
    main()
