"""Random small catalogues and specs: every run ends in figures that can be reckoned again, or in a sentence.

    python tests/benchmarks/random_runs.py --json                   1,000 runs, about half an hour
    python tests/benchmarks/random_runs.py --json --quick           60 runs
    python tests/benchmarks/random_runs.py --first 417 --runs 1     run 417 alone

Run n depends on (seed, n) alone. It draws a catalogue (few people, few items, repeats, equal or
unknown times, missing titles) and a spec of any family (also impossible ones), fits it, keeps the
scores that the evaluation saw in a file, saves the model and loads it again. The figures are then
reckoned from that file by the definitions, in plain Python, and compared. A run may end in

- `figures`: all of them equal those reckoned to 1e-9, and the loaded model gives the same scores;
- `a sentence`: an error of the product, which says what to do;
- `other`: other figures, another kind of error, or no end within two minutes. There is to be none.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from llmrec_core.contract.recommender import ServesInPrecision, reader_of
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import RunSpec, run_from_dict
from llmrec_core.data.dataset import Dataset, build_dataset
from llmrec_core.errors import LlmrecError
from llmrec_core.metrics.evaluate import evaluate
from llmrec_core.metrics.exam import Exam
from llmrec_core.recommenders.registry import build, family_class, stored_as
from llmrec_core.settings import Settings, load_settings
from llmrec_core.types import REPEATS, SPLITS, Measurement, Samples
from tests.tiny import tiny_backbone, training_for

LARGEST_DIFFERENCE = 1e-9
LONGEST_S = 120
RELOADED = 1e-4
"""Of a loaded model's scores, as a share of the largest: lower precisions round again."""
NOT_RECKONED = ("effective_users", "snips_ndcg", "diversity")
"""tests/metrics holds these to simulations and definitions."""
CHEAP = ("popularity", "item-knn", "ease", "tf-idf", "bm25", "als", "bpr", "fusion")
NEURAL = (
    "sasrec", "text-sasrec", "parallel-codes", "tiger", "bi-encoder", "two-towers", "cross-encoder",
    "decoder", "cascade",
)  # fmt: skip
WORDS = ("white", "black", "field", "drama", "comedy", "1999", "number3", "number7", "Łódź", "商品")


class NoEndError(Exception):
    """A run that took longer than it may."""


def draw_tables(rng: np.random.Generator) -> Dataset:
    """A catalogue of 2 to 25 items and 1 to 14 people, with whatever real logs have."""
    items, people = int(rng.integers(2, 26)), int(rng.integers(1, 15))
    repeats = rng.random() < 0.4
    rows = []
    for user in range(people):
        length = int(rng.integers(1, min(items, 14) + 1)) if rng.random() > 0.1 else items
        own = rng.choice(items, length, replace=repeats)
        rows += [(f"u{user}", f"i{item}") for item in own]
    table = pd.DataFrame(rows, columns=["user_id", "item_id"])
    times = str(rng.choice(["apart", "tied", "none", "some"], p=[0.6, 0.2, 0.1, 0.1]))
    stamps = rng.permutation(len(table)) * 3600.0
    if times == "tied":
        stamps = np.floor(stamps / (3600.0 * 6))
    if times == "some":
        stamps[rng.random(len(table)) < 0.3] = np.nan
    if times != "none":
        table["timestamp"] = stamps
    if rng.random() < 0.3:
        table["rating"] = rng.integers(1, 6, len(table)).astype(float)
    titles = [" ".join(rng.choice(WORDS, rng.integers(0, 6))) for _ in range(items)]
    known = pd.DataFrame({"item_id": [f"i{n}" for n in range(items)], "title": titles})
    if rng.random() < 0.3:
        known["genres"] = rng.choice(["Drama", "Drama|Comedy", ""], items)
    if rng.random() < 0.15:
        known = known.drop(columns="title")
    shuffled = table.sample(frac=1.0, random_state=int(rng.integers(2**31)))
    order = "time" if times == "apart" else str(rng.choice(["time", "file", "none"]))
    return build_dataset("random", shuffled.reset_index(drop=True), known, order=order)


def pick(rng: np.random.Generator, *choices: Any) -> Any:
    """One of the choices."""
    return choices[int(rng.integers(len(choices)))]


def draw_spec(rng: np.random.Generator, backbones: dict[str, str]) -> dict[str, Any]:
    """A table as somebody would write it: any family, settings within and at their ends, some odd."""
    family = str(pick(rng, *CHEAP) if rng.random() < 0.5 else pick(rng, *NEURAL))
    chosen = {"family": family, "history_items": pick(rng, 1, 2, 5, 10, 200)}
    chosen |= draw_classical(rng, family) | draw_neural(rng, family, backbones)
    protocol = {
        "split": pick(rng, *SPLITS), "k": pick(rng, 1, 3, 10, 40), "users": pick(rng, 0, 1, 5),
        "candidates": pick(rng, "full", "full", "5-uniform", "100-uniform", "10-popular"),
        "repeats": pick(rng, *REPEATS), "also_full": pick(rng, True, False),
        "seed": pick(rng, 0, 1),
    }  # fmt: skip
    table = {"recommender": chosen, "protocol": protocol}
    if chosen.get("adaptation", "none") != "none":
        table["training"] = training_for(chosen["family"], draw_training(rng))
    if "head" in chosen:
        table["precision"] = pick(rng, "fp32", "fp32", "bf16", "int8", "int8-dynamic", "int4")
    return table


def draw_classical(rng: np.random.Generator, family: str) -> dict[str, Any]:
    """Settings of a family that counts."""
    options: dict[str, Any] = {}
    if family in ("tf-idf", "bm25", "item-knn", "ease") and rng.random() < 0.5:
        options = {"history_items": pick(rng, 0, 1, 3), "popularity": pick(rng, -1, 0, 0.5)}
    if family == "ease":
        options["l2"] = pick(rng, 1e-6, 0.5, 500.0)
    if family in ("als", "bpr"):
        options = {"factors": pick(rng, 1, 8), "epochs": pick(rng, 1, 3)}
    chosen: dict[str, Any] = {"options": options} if options else {}
    if family == "fusion":
        members = ("item-knn+tf-idf", "popularity+ease", "bm25+popularity+als")
        chosen["retriever"] = pick(rng, *members)
    return chosen


def draw_neural(rng: np.random.Generator, family: str, backbones: dict[str, str]) -> dict[str, Any]:
    """Settings of a family that reads with a network."""
    chosen: dict[str, Any] = {}
    if family in ("sasrec", "text-sasrec"):
        options = {"width": pick(rng, 4, 8), "layers": 1, "heads": pick(rng, 1, 2)}
        chosen["options"] = options | pick(rng, {}, {"ips": 1.0}, {"ahead": 3})
        chosen["adaptation"] = "full"
    if family == "parallel-codes":
        options = {"width": 8, "codes": pick(rng, 1, 4), "temperature": pick(rng, 0.01, 1.0)}
        chosen |= {"options": options | pick(rng, {}, {"codebook": 3}), "adaptation": "full"}
    if family == "tiger":
        options = {"width": 8, "levels": pick(rng, 1, 3), "beam": pick(rng, 1, 4, 100)}
        chosen |= {"options": options | pick(rng, {}, {"codebook": 3}), "adaptation": "full"}
    if family in (
        "text-sasrec",
        "parallel-codes",
        "tiger",
        "bi-encoder",
        "two-towers",
        "cross-encoder",
    ):
        chosen["backbone"] = backbones["bert"]
    if family == "two-towers":
        chosen["adaptation"] = pick(rng, "head", "lora", "full", "none")
        chosen["options"] = pick(rng, {}, {"mined": 2, "uniform": 5}, {"correction": 0})
    if family == "cross-encoder":
        chosen["head"] = pick(rng, "linear", "attention", "pooler", "yes-no")
        chosen["history_attention"] = pick(rng, "shared", "per_item", "full")
        chosen["adaptation"] = pick(rng, "head", "lora", "full", "none")
    if family in ("decoder", "cascade"):
        chosen["backbone"] = backbones[pick(rng, "llama", "gpt2", "qwen2")]
        chosen["head"] = pick(rng, "yes-no", "yes-no", "letters")
        chosen["history_attention"] = pick(rng, "shared", "full")
        chosen["adaptation"] = pick(rng, "none", "lora")
    if family == "cascade":
        chosen |= {
            "family": pick(rng, "decoder", "cascade"),
            "retriever": pick(rng, "popularity", "item-knn"),
            "rerank_k": pick(rng, 1, 3, 50), "blend": pick(rng, "none", "validation"),
            "gate": pick(rng, "none", "none", "validation"),
        }  # fmt: skip
    return chosen


def draw_training(rng: np.random.Generator) -> dict[str, Any]:
    """A few steps, also with rates at which training diverges."""
    return {
        "steps": pick(rng, 1, 3), "warmup_steps": 0, "batch_histories": pick(rng, 1, 3, 8),
        "negatives": pick(rng, 1, 4, 40), "positives": pick(rng, 1, 2),
        "accumulate": pick(rng, 1, 2), "validate_every": pick(rng, 1, 2),
        "objective": pick(rng, "listwise", "bce", "mse", "pairwise"),
        "negative_sampling": pick(rng, "uniform", "popular"),
        "validation_users": pick(rng, 0, 3), "learning_rate": pick(rng, 1e-4, 1e-2, 1.0, 100.0),
        "dropout": pick(rng, 0.0, 0.5), "optimizer": pick(rng, "adamw", "sgd"),
        "clip_norm": pick(rng, 0.0, 1.0),
    }  # fmt: skip


def one_run(seed: int, number: int, backbones: dict[str, str], settings: Settings) -> str:
    """How run `number` ended: `figures`, `a sentence`, or what else with its reason."""
    rng = np.random.default_rng((seed, number))
    dataset = draw_tables(rng)
    table = draw_spec(rng, backbones)
    with tempfile.TemporaryDirectory() as folder:
        try:
            return outcome(table, dataset, Path(folder), settings)
        except LlmrecError as error:
            if not str(error).strip():
                return f"other: {type(error).__name__} without a sentence"
            return f"a sentence: {type(error).__name__}"
        except NoEndError:
            return f"other: no end within {LONGEST_S} s"
        except Exception as error:  # noqa: BLE001 - what no run may end in is what is counted
            place = traceback.extract_tb(error.__traceback__)[-1]
            return f"other: {type(error).__name__} at {place.filename}:{place.lineno}: {error}"


def outcome(table: dict[str, Any], dataset: Dataset, folder: Path, settings: Settings) -> str:
    """Run a spec the way a worker does, then reckon its figures again."""
    spec = run_from_dict(table)
    exam = Exam.of(dataset, spec.protocol)
    recommender = build(spec, dataset, settings)
    context = RunContext(folder / "run")
    recommender.fit(exam.split, context)
    recommender.save(folder / "model")
    reader = reader_of(recommender)
    if isinstance(reader, ServesInPrecision):
        reader.ready(spec.precision)
    kept: list[np.ndarray] = []

    def score(histories: Any, candidates: np.ndarray) -> np.ndarray:
        scores = np.asarray(recommender.score(histories, candidates))
        kept.append(np.where(candidates >= 0, scores, -np.inf))
        return scores

    protocol = spec.protocol
    rows, samples = evaluate(
        score, exam.split, exam.cases, exam.candidates, protocol.name, protocol.k, batch=8
    )
    np.savez(folder / "scores.npz", scores=np.concatenate(kept), candidates=exam.candidates)
    with np.load(folder / "scores.npz") as stored:
        wrong = differences(stored["scores"], stored["candidates"], exam, protocol.k, rows, samples)
    if wrong:
        return f"other: {wrong}"
    gap = reload_gap(spec, dataset, folder / "model", exam, np.concatenate(kept))
    return f"other: the loaded model's scores differ by {gap:.1e}" if gap > RELOADED else "figures"


def reload_gap(
    spec: RunSpec, dataset: Dataset, folder: Path, exam: Exam, scores: np.ndarray
) -> float:
    """Largest difference of a loaded model's scores, as a share of the largest score."""
    loaded = family_class(stored_as(spec.recommender)).load(folder, dataset)
    reader = reader_of(loaded)
    if isinstance(reader, ServesInPrecision):
        reader.ready(spec.precision)
    real = exam.candidates >= 0
    # in the same batches: a batch of several people rounds otherwise than one alone
    parts = [
        np.asarray(loaded.score(exam.histories[i : i + 8], exam.candidates[i : i + 8]))
        for i in range(0, len(exam.cases), 8)
    ]
    gap = np.abs(np.concatenate(parts)[real] - scores[real]).max()
    return float(gap / max(1.0, np.abs(scores[real]).max()))


def differences(
    scores: np.ndarray,
    candidates: np.ndarray,
    exam: Exam,
    k: int,
    rows: list[Measurement],
    samples: list[Samples],
) -> str:
    """The first figure that the stored scores do not confirm; empty when all are confirmed."""
    relevant = [{int(item) for item in case.relevant} for case in exam.cases]
    columns = list(zip(scores.tolist(), candidates.tolist(), relevant, strict=True))
    values = [reckoned(*column, k) for column in columns]
    for kept in samples:
        for mine, own in zip(kept.values, values, strict=True):
            if not _equal(mine, own[kept.name.partition("@")[0]]):
                return f"{kept.name} of a person is {mine}, reckoned {own}"
    shown = [best(row, items, k) for row, items, _ in columns]
    whole = beyond(shown, exam)
    for row in rows:
        name = row.name.partition("@")[0]
        if row.slice != "all" or name in NOT_RECKONED:
            continue
        if name in whole:
            expected = whole[name]
        else:
            defined = [v[name] for v in values if not math.isnan(v[name])]
            expected = sum(defined) / len(defined) if defined else math.nan
        if not _equal(math.nan if row.value is None else row.value, expected):
            return f"{row.name} is {row.value}, reckoned {expected}"
    return ""


def _equal(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or abs(a - b) <= LARGEST_DIFFERENCE


def reckoned(scores: list[float], items: list[int], relevant: set[int], k: int) -> dict[str, float]:
    """The metrics of one person by their definitions; equal scores share the mean of their places."""
    offered = [(s, i in relevant) for s, i in zip(scores, items, strict=True) if i >= 0]
    places = sorted(
        sum(other > own for other, _ in offered)
        + (sum(other == own for other, _ in offered) + 1) / 2
        for own, wanted in offered
        if wanted
    )
    inside = [place for place in places if place <= k]
    ideal = sum(1 / math.log2(1 + place) for place in range(1, min(k, len(places)) + 1))
    others = [s for s, wanted in offered if not wanted]
    won = sum(
        (own > other) + (own == other) / 2 for own, wanted in offered if wanted for other in others
    )
    return {
        "ndcg": sum(1 / math.log2(1 + place) for place in inside) / ideal,
        "recall": len(inside) / len(places),
        "hit": float(bool(inside)),
        "map": sum(n / place for n, place in enumerate(inside, 1)) / min(k, len(places)),
        "mrr": 1 / places[0],
        "auc": won / (len(places) * len(others)) if others else math.nan,
    }


def best(scores: list[float], items: list[int], k: int) -> list[int]:
    """The k best items, equal ones in the order in which they were offered."""
    real = [(-score, place) for place, (score, item) in enumerate(zip(scores, items, strict=True))
            if item >= 0]  # fmt: skip
    return [items[place] for _, place in sorted(real)[:k]]


def beyond(shown: list[list[int]], exam: Exam) -> dict[str, float]:
    """Coverage, Gini and novelty of lists by their definitions."""
    items = exam.split.dataset.n_items
    times = [sum(item in row for row in shown) for item in range(items)]
    apart = sum(abs(a - b) for a in times for b in times)
    taken = [0] * items
    for sequence in exam.split.train:
        for item in sequence:
            taken[int(item)] += 1
    total = max(sum(taken), 1)
    bits = [
        sum(-math.log2(max(taken[item], 1) / total) for item in row) / max(len(row), 1)
        for row in shown
    ]
    return {
        "coverage": sum(n > 0 for n in times) / items,
        "gini": apart / (2 * items * sum(times)) if sum(times) else 0.0,
        "novelty": sum(bits) / len(bits),
    }


def make_backbones(folder: Path) -> dict[str, str]:
    """Tiny model folders, one of each architecture that is drawn."""
    return {kind: str(tiny_backbone(folder / kind, kind))
            for kind in ("bert", "llama", "gpt2", "qwen2")}  # fmt: skip


def runs(seed: int, first: int, count: int, *, say: bool = False) -> dict[int, str]:
    """Outcome of each run by its number."""

    def too_long(*_: object) -> None:
        raise NoEndError

    before = signal.signal(signal.SIGALRM, too_long)
    outcomes = {}
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            os.environ["LLMREC_HOME"] = f"{folder}/home"
            settings = load_settings()
            backbones = make_backbones(Path(folder))
            for number in range(first, first + count):
                signal.alarm(LONGEST_S)
                outcomes[number] = one_run(seed, number, backbones, settings)
                signal.alarm(0)
                if say and outcomes[number].startswith("other"):
                    print(f"run {number}: {outcomes[number]}", flush=True)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="60 runs")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON document")
    options = parser.parse_args()
    began = time.perf_counter()
    outcomes = runs(options.seed, options.first, 60 if options.quick else options.runs, say=True)
    counted = Counter(outcome.partition(":")[0] for outcome in outcomes.values())
    print(f"seed {options.seed}, runs {options.first} to {options.first + len(outcomes) - 1}")
    for name, count in sorted(Counter(outcomes.values()).items(), key=lambda pair: -pair[1]):
        if not name.startswith("other"):
            print(f"{count:5d}  {name}")
    body = {
        "seed": options.seed, "runs": len(outcomes), "figures": counted["figures"],
        "sentences": counted["a sentence"], "others": counted["other"],
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip
    print(json.dumps(body) if options.json else ", ".join(f"{k} {v}" for k, v in body.items()))
    return 1 if counted["other"] else 0


if __name__ == "__main__":
    sys.exit(main())
