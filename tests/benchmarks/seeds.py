"""How often intervals hold the truth and models that are alike are called different.

    python tests/benchmarks/seeds.py [--trials 2000] [--seeds 12] [--quick] [--json]

Three questions, answered on real values of real people:

- coverage: samples of n people from the recorded study's 200, their interval against the mean of
  all 200, for three rows and n from 5 to 200;
- null differences: the values of two rows swapped person by person by chance, so that neither is
  better, and how often they are called different;
- groups of seeds: a small SASRec trained on ml-100k with different seeds, two disjoint groups of
  three compared as two models, with intervals over people and seeds and over people alone.

The last line of the output is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.installation import ASSETS
from llmrec_core.metrics.evaluate import per_user
from llmrec_core.metrics.exam import Exam
from llmrec_core.metrics.intervals import Difference, Interval, mean_interval, paired_difference
from llmrec_core.metrics.seeds import group_difference
from llmrec_core.recommenders.registry import build
from llmrec_core.settings import load_settings

PEOPLE = (5, 7, 9, 20, 50, 200)
ROWS = ("Popularity", "Item-kNN", "MiniLM cross-encoder, 2 layers, full fine-tuning")
PROTOCOL = "loo/100-uniform"
GROUP = 3
"""Seeds of a group."""
TRIALS_OF_GROUPS = 40
USERS = 400
"""People of a trial of groups, as in the default protocol."""


def recorded_values() -> dict[str, np.ndarray]:
    """NDCG@10 of each person of the recorded study, by row, in the same order."""
    study = json.loads((ASSETS / "sample" / "study.json").read_text(encoding="utf-8"))
    values = {}
    for run in study["runs"]:
        for sample in run["samples"]:
            if sample["name"] == "ndcg@10" and sample["protocol"] == PROTOCOL:
                by_user = dict(zip(sample["keys"], sample["values"], strict=True))
                values[run["name"]] = np.array([by_user[user] for user in sorted(by_user)])
    return {name: values[name] for name in ROWS}


def percentile_bootstrap(values: np.ndarray) -> Interval:
    """What the product used before, for comparison: quantiles of 1,000 resampled means."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (1000, len(values)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(values.mean()), float(low), float(high))


def coverage(values: np.ndarray, n: int, trials: int, method: Callable[..., Interval]) -> float:
    """Share of samples of `n` people whose interval holds the mean of all people."""
    rng = np.random.default_rng(n)
    truth, held = values.mean(), 0
    for _ in range(trials):
        _, low, high = method(rng.choice(values, n))
        held += low <= truth <= high
    return float(held / trials)


def null_differences(a: np.ndarray, b: np.ndarray, n: int, trials: int) -> float:
    """Share of comparisons of two models that are alike which are called different."""
    rng = np.random.default_rng(n)
    called = 0
    for _ in range(trials):
        people, swap = rng.integers(0, len(a), n), rng.random(n) < 0.5
        first, second = a[people], b[people]
        gap = paired_difference(np.where(swap, first, second), np.where(swap, second, first))
        called += gap.distinguishable
    return float(called / trials)


def trained_seeds(seeds: int, steps: int) -> np.ndarray:
    """NDCG@10 of every person for each seed of a small SASRec, shape (seeds, users)."""
    settings = load_settings()
    protocol = ProtocolSpec(candidates="100-uniform", users=0)
    exam = Exam.of(load_dataset("ml-100k", settings), protocol)
    values = []
    for seed in range(seeds):
        recommender = {
            "family": "sasrec", "history_items": 10, "adaptation": "full", "options": {"cooccurrence": 0.0},
        }  # fmt: skip
        training = {
            "learning_rate": 2e-3, "steps": steps, "batch_histories": 128, "dropout": 0.2,
            "warmup_steps": 10, "validate_every": steps, "validation_users": 10,
        }  # fmt: skip
        spec = run_from_dict({"recommender": recommender, "training": training, "seed": seed})
        model = build(spec, exam.split.dataset, settings)
        with tempfile.TemporaryDirectory() as folder:
            model.fit(exam.split, RunContext(Path(folder)))
        values.append(per_user(model.score, exam.split, exam.cases, exam.candidates)["ndcg@10"])
        print(f"  seed {seed}: NDCG@10 {values[-1].mean():.4f}", flush=True)
    return np.stack(values)


def trials_of_groups(values: np.ndarray) -> dict[str, Any]:
    """Disjoint groups of seeds of one model compared as two models, `TRIALS_OF_GROUPS` times."""
    rng = np.random.default_rng(0)

    def both(first: np.ndarray, second: np.ndarray) -> tuple[Difference, Difference]:
        alone = paired_difference(first.mean(axis=0), second.mean(axis=0))
        return group_difference(first, second), alone

    found = []
    for _ in range(TRIALS_OF_GROUPS):
        seeds = rng.permutation(len(values))[: 2 * GROUP]
        people = rng.choice(values.shape[1], USERS, replace=False)
        some = values[seeds][:, people]
        found.append(both(some[:GROUP], some[GROUP:]))
    return {
        "trials": TRIALS_OF_GROUPS,
        "false_differences": sum(gap.distinguishable for gap, _ in found),
        "false_differences_people_alone": sum(gap.distinguishable for _, gap in found),
        "width_people_and_seeds": float(np.mean([gap.high - gap.low for gap, _ in found])),
        "width_people_alone": float(np.mean([gap.high - gap.low for _, gap in found])),
        "spread_of_seeds": float(values.mean(axis=1).std(ddof=1)),
    }


def main() -> None:
    """Answer the three questions and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--quick", action="store_true", help="300 trials, 8 seeds of 30 steps")
    parser.add_argument("--json", action="store_true", help="print the JSON document alone")
    options = parser.parse_args()
    trials = 300 if options.quick else options.trials
    say = (lambda *_: None) if options.json else print
    rows = recorded_values()
    covered: dict[str, dict[str, float]] = {}
    before: dict[str, dict[str, float]] = {}
    for name, values in rows.items():
        covered[name] = {str(n): coverage(values, n, trials, mean_interval) for n in PEOPLE}
        before[name] = {
            str(n): coverage(values, n, min(trials, 300), percentile_bootstrap) for n in PEOPLE
        }
        say(f"{name}: coverage {covered[name]}; percentile bootstrap {before[name]}")
    null = {}
    for one, other in ((0, 1), (0, 2), (1, 2)):
        a, b = rows[ROWS[one]], rows[ROWS[other]]
        title = f"{ROWS[one]} and {ROWS[other]}"
        null[title] = {str(n): null_differences(a, b, n, trials) for n in PEOPLE}
        say(f"{title}: called different though alike {null[title]}")
    seeds = 8 if options.quick else options.seeds
    groups = trials_of_groups(trained_seeds(seeds, 30 if options.quick else 80))
    say(groups)
    worst = {
        "coverage95": [
            min(value for row in covered.values() for value in row.values()),
            max(value for row in covered.values() for value in row.values()),
        ],
        "null_differences_max": max(value for row in null.values() for value in row.values()),
    }
    results = {
        **groups,
        **worst,
        "coverage": covered,
        "coverage_percentile_bootstrap": before,
        "null_differences": null,
    }
    print(json.dumps({"results": results}))


if __name__ == "__main__":
    main()
