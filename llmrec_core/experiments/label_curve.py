"""Label efficiency: what each method reaches when only n interactions may be learned from, and what that costs.

A label is one training interaction. Whole people are drawn, by seed and nested (the n = 1,000 draw holds the n = 300
draw), until n interactions are reached; everything else of the training is hidden. The people asked are those of the
protocol, with their own histories, so nothing but the learning is cut short. A curve's interval is over people, of the
mean over seeds; the spread between seeds stands beside it.

`frozen` is the language model's text cosine, which needs no label; `head` trains a head on frozen states.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llmrec_core.data.candidates import candidate_sets, sample_cases
from llmrec_core.data.dataset import Dataset, load_dataset
from llmrec_core.data.splits import Split, split
from llmrec_core.errors import UsageError
from llmrec_core.experiments.context import RunContext
from llmrec_core.experiments.spec import RunSpec, run_from_dict
from llmrec_core.metrics.evaluate import per_user
from llmrec_core.metrics.intervals import bootstrap_mean
from llmrec_core.profiling import device as devices
from llmrec_core.profiling.economics import economics_of
from llmrec_core.recommenders.registry import build
from llmrec_core.settings import Settings

LABELS = (300, 1_000, 3_000, 10_000, 30_000)
LM = {"family": "cross-encoder", "backbone": "minilm-l6", "head": "attention", "history_attention": "per_item"}
GROUPS = {"positives": 4, "negatives": 12}
METHODS: dict[str, dict[str, Any]] = {
    "popularity": {"recommender": {"family": "popularity"}},
    "item-knn": {"recommender": {"family": "item-knn"}},
    "ease": {"recommender": {"family": "ease"}},
    "fusion": {"recommender": {"family": "fusion", "retriever": "item-knn+ease+tf-idf"}},
    "frozen": {"recommender": {"family": "bi-encoder", "backbone": "minilm-l6"}},
    "head": {"recommender": {**LM, "adaptation": "head"}, "training": {**GROUPS, "learning_rate": 1e-2}},
    "lora": {"recommender": {**LM, "adaptation": "lora"}, "training": {**GROUPS, "learning_rate": 2e-3}},
    "full": {"recommender": {**LM, "adaptation": "full"}, "training": {**GROUPS, "learning_rate": 1e-3}},
}
TITLES = {
    "popularity": "Popularity",
    "item-knn": "Item-kNN",
    "ease": "EASE",
    "fusion": "Fusion of item-kNN, EASE and TF-IDF",
    "frozen": "MiniLM cosine, frozen",
    "head": "MiniLM, trained head on frozen states",
    "lora": "MiniLM, LoRA",
    "full": "MiniLM, full fine-tuning",
}
CANDIDATES = "100-uniform"


@dataclass(frozen=True)
class Plan:
    """One curve: which labels, methods and draws."""

    data: str = "ml-100k"
    labels: tuple[int, ...] = LABELS
    methods: tuple[str, ...] = tuple(METHODS)
    seeds: int = 3
    users: int = 200
    steps: int = 60
    depth: int = 2

    def __post_init__(self) -> None:
        for method in self.methods:
            if method not in METHODS:
                raise UsageError(f"--method {method!r} is unknown; expected one of {', '.join(METHODS)}")
        if min(self.labels) < 2 or self.seeds < 1 or self.steps < 2:
            raise UsageError("a label curve needs at least 2 labels, 1 seed and 2 steps")

    def spec(self, method: str, seed: int) -> RunSpec:
        """The run that one point of the curve amounts to."""
        body = METHODS[method]
        recommender = dict(body["recommender"])
        training = {"steps": self.steps, "warmup_steps": min(10, self.steps // 2), "validate_every": self.steps}
        if "adaptation" in recommender:
            recommender["depth"] = self.depth
        protocol = {"candidates": CANDIDATES, "users": self.users}
        training |= {"validation_users": 20, **body.get("training", {})}
        return run_from_dict(
            {"name": method, "seed": seed, "protocol": protocol, "recommender": recommender, "training": training}
        )


def restrict(parts: Split, labels: int, seed: int) -> Split:
    """The split with about `labels` training interactions, of whole people drawn by seed; validation of those people alone.

    The last person drawn is cut to fit; with fewer interactions in all, nothing is cut.
    """
    order = np.random.default_rng((seed, 6)).permutation(len(parts.train))
    train = [items[:0] for items in parts.train]
    left, drawn = labels, set()
    for user in order.tolist():
        if left <= 0:
            break
        train[user] = parts.train[user][-left:] if left < len(parts.train[user]) else parts.train[user]
        left -= len(train[user])
        drawn.add(user)
    valid = [case for case in parts.valid if case.user in drawn]
    return dataclasses.replace(parts, train=train, valid=valid)


def measure(plan: Plan, settings: Settings, say: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """The `label curve` document: one row per method and number of labels.

    Raises:
        UsageError: when the data set has fewer interactions than the smallest draw.
    """
    dataset = load_dataset(plan.data, settings)
    parts = split(dataset, "loo")
    all_labels = sum(map(len, parts.train))
    if min(plan.labels) > all_labels:
        raise UsageError(
            f"{plan.data!r} has {all_labels} training interactions, fewer than --labels {min(plan.labels)}"
        )
    cases = sample_cases(parts.test, plan.users, 0)
    offered = candidate_sets(parts, cases, CANDIDATES, 0)
    machine = devices.describe()
    price = economics_of(machine).usd_per_hour
    rows: list[dict[str, Any]] = []
    for labels in sorted({min(n, all_labels) for n in plan.labels}):
        for method in plan.methods:
            found = [_point(plan, method, seed, labels, dataset, parts, settings) for seed in range(plan.seeds)]
            values = np.stack([_ndcg(model, parts, cases, offered) for model, _ in found])
            seconds = float(np.mean([spent for _, spent in found]))
            rows.append(_row(method, labels, values, seconds, price))
            spread = rows[-1]["spread"]
            say(
                f"{TITLES[method]:40} {labels:7,} labels  NDCG@10 {rows[-1]['value']:.3f} "
                f"({rows[-1]['low']:.3f} to {rows[-1]['high']:.3f}), {'one seed' if spread is None else f'seeds ± {spread:.3f}'}, "
                f"training {seconds:.1f} s"
            )
    conditions = (
        f"{plan.data} {dataset.content_hash[:8]}, loo/{CANDIDATES}, {len(cases)} people, {plan.seeds} draws of labels; "
        f"fine-tuning {plan.steps} steps of {plan.depth or 'all'} layers of MiniLM-L6 · {machine.name}"
    )
    return {"rows": rows, "metric_title": "NDCG@10", "conditions": conditions, "plan": dataclasses.asdict(plan)}


def _point(
    plan: Plan, method: str, seed: int, labels: int, dataset: Dataset, parts: Split, settings: Settings
) -> tuple[Any, float]:
    """The method learned from one draw, and the seconds that took."""
    known = restrict(parts, labels, seed)
    model: Any = build(plan.spec(method, seed), dataset, settings)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        model.fit(known, RunContext(Path(folder)))
        spent = time.perf_counter() - began
    if hasattr(model, "ready"):
        model.ready("fp32")
    return model, spent


def _ndcg(model: Any, parts: Split, cases: Any, offered: np.ndarray) -> np.ndarray:
    return per_user(model.score, parts, cases, offered, batch=8)["ndcg@10"]


def _row(method: str, labels: int, values: np.ndarray, seconds: float, price: float | None) -> dict[str, Any]:
    """Mean over seeds with its interval over people; values of shape (seeds, people)."""
    mean, low, high = bootstrap_mean(values.mean(axis=0))
    by_seed = values.mean(axis=1)
    return {
        "method": TITLES[method],
        "labels": labels,
        "value": mean,
        "low": low,
        "high": high,
        "seeds": by_seed.tolist(),
        "spread": float(by_seed.std(ddof=1)) if len(by_seed) > 1 else None,
        "train_s": seconds,
        "train_usd": None if price is None else seconds / 3600 * price,
    }
