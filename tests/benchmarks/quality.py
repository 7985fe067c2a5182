"""Quality figures on real data, each with its 95 % interval: one function a claim, one JSON line at the end.

    python tests/benchmarks/quality.py [--only ml-100k …] [--quick] [--json]

Reads ml-100k through the assets and the project's other sets from LLMREC_SHARED_DATA (default ../shared/data beside
the repository); a set that is not there is left out with the reason. Parameters were chosen on validation cases, the
figures are on test cases.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from llmrec_core.checks import few_shot
from llmrec_core.contract.run_context import RunContext
from llmrec_core.contract.spec import run_from_dict
from llmrec_core.data.candidates import askable, sample_cases
from llmrec_core.data.catalogue import load_dataset
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.importing.described_table import Options
from llmrec_core.data.importing.plan import plan_import
from llmrec_core.data.importing.reading import read_plan
from llmrec_core.data.regimes import cold_items, hide_edges
from llmrec_core.data.splits import Split, split
from llmrec_core.metrics import ranking
from llmrec_core.metrics.evaluate import per_user
from llmrec_core.metrics.exam import Exam
from llmrec_core.metrics.intervals import mean_interval, paired_difference
from llmrec_core.recommenders import friends
from llmrec_core.recommenders.ease import Ease
from llmrec_core.recommenders.fusion import Fusion
from llmrec_core.recommenders.knn import ItemKnn
from llmrec_core.recommenders.popularity import Popularity
from llmrec_core.recommenders.registry import build, family_class
from llmrec_core.recommenders.tfidf import TfIdf
from llmrec_core.settings import load_settings

SHARED = Path(os.environ.get("LLMREC_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data")
Row = dict[str, Any]


def shared(name: str) -> Dataset:
    """One of the project's data sets, read anew."""
    options = Options()
    return read_plan(plan_import(SHARED / name, options), name, options)


def row(name: str, values: np.ndarray, **more: Any) -> Row:
    mean, low, high = mean_interval(values)
    return {"name": name, "value": mean, "low": low, "high": high, "n": len(values), **more}


def measured(
    models: dict[str, Any],
    made: Split,
    cases: Sequence[Any],
    candidates: Any,
    metric: str = "ndcg@10",
) -> tuple[list[Row], dict[str, np.ndarray]]:
    """Fits what is not fitted and measures every model on the same cases."""
    rows, values = [], {}
    for name, model in models.items():
        began = time.perf_counter()
        values[name] = per_user(model.score, made, cases, candidates)[metric]
        rows.append(row(name, values[name], seconds=round(time.perf_counter() - began, 1)))
    return rows, values


def fit(model: Any, made: Split) -> Any:
    model.fit(made, RunContext(Path(tempfile.gettempdir())))
    return model


def ml_100k(quick: bool) -> Row:
    """Leave-one-out, full ranking of all items, all test users."""
    made = split(load_dataset("ml-100k", load_settings()), "loo")
    models = {
        "popularity": fit(Popularity(), made),
        "item-knn (cosine, whole history co-occurrence)": fit(
            ItemKnn(window=0, power=0.5, decay=1.0), made
        ),
        "item-knn": fit(ItemKnn(), made),
        "ease (paper)": fit(Ease(decay=1.0), made),
        "ease (recent items weigh more)": fit(Ease(), made),
        "tf-idf": fit(TfIdf(), made),
        "bm25": fit(TfIdf(bm25=True), made),
    }
    members = {
        "item-knn": models["item-knn"],
        "ease": models["ease (recent items weigh more)"],
        "tf-idf": models["tf-idf"],
    }
    models["fusion of item-knn, ease, tf-idf"] = fused = Fusion(
        members, candidates="full", fitted=True
    )
    fit(fused, made)
    rows, values = measured(models, made, made.test, "full")
    gain = paired_difference(values["fusion of item-knn, ease, tf-idf"], values["item-knn"])
    return {
        "protocol": "loo/full",
        "rows": rows,
        "fusion_minus_item_knn": vars(gain),
        "weights": fused.named_weights(),
    }


def amazon_beauty(quick: bool) -> Row:
    """Leave-one-out, full ranking; and items that nobody has in training."""
    made = split(shared("amazon-beauty"), "loo")
    cases = sample_cases(made.test, 2_000 if quick else 0, 0)
    knn, text = fit(ItemKnn(window=20, fade=0.5), made), fit(TfIdf(decay=0.7), made)
    fused = Fusion(
        {"item-knn": knn, "tf-idf": text}, candidates="1000-popular", users=1_000, fitted=True
    )
    models = {
        "popularity": fit(Popularity(), made),
        "item-knn": knn,
        "tf-idf": text,
        "fusion of both": fit(fused, made),
    }
    rows, values = measured(models, made, cases, "full")
    gain = paired_difference(values["fusion of both"], values["item-knn"])
    cold = cold_items(made, share=0.1)
    cold_cases = sample_cases(cold.test, 1_000 if quick else 0, 0)
    cold_models = {
        "popularity": fit(Popularity(), cold),
        "item-knn": fit(ItemKnn(window=20, fade=0.5), cold),
        "tf-idf": fit(TfIdf(decay=0.7), cold),
    }
    cold_rows, _ = measured(cold_models, cold, cold_cases, "full")
    return {
        "protocol": "loo/full",
        "rows": rows,
        "fusion_minus_item_knn": vars(gain),
        "weights": fused.named_weights(),
        "cold_protocol": "loo-cold-items/full, 10 % of items",
        "cold_rows": cold_rows,
    }


def llmrank_games(quick: bool) -> Row:
    """LLMRank's Table 3: 200 users, 20 random candidates with the true next item among them."""
    data = shared("llmrank-games")
    sets = "given-random"
    made = askable(split(data, "loo"), sets)
    cases = sample_cases(made.test, 0, 0)
    knn, text = fit(ItemKnn(window=3), made), fit(TfIdf(bm25=True, decay=1.0), made)
    fused = Fusion(
        {"item-knn": knn, "tf-idf": text}, candidates="20-uniform", users=2_000, fitted=True
    )
    models = {
        "popularity": fit(Popularity(), made),
        "bm25": text,
        "item-knn": knn,
        "fusion of both": fit(fused, made),
    }
    rows, values = measured(models, made, cases, sets)
    published = per_user(_published_bm25(data), made, cases, sets)["ndcg@10"]
    rows.append(row("bm25 with letters for query words, as the published code has it", published))
    gain = paired_difference(values["fusion of both"], values["item-knn"])
    return {"protocol": "loo/given random-20", "rows": rows, "fusion_minus_item_knn": vars(gain)}


def ml_100k_sequences(quick: bool) -> Row:
    """Leave-one-out, full ranking of all items: SASRec on ids, on ids and MiniLM's text, and their fusion with item-kNN.

    Dropout, steps and history were chosen on validation cases; the weights kept are those of the best validation. Id
    vectors start from co-occurrences, in the row that says so at random.
    """
    made = split(load_dataset("ml-100k", load_settings()), "loo")
    seeds = range(1 if quick else 3)
    knn = fit(ItemKnn(), made)
    rows, values = measured({"item-knn": knn}, made, made.test, "full")
    result: Row = {"protocol": "loo/full", "rows": rows}
    by_seed: dict[str, np.ndarray] = {}
    models: list[Any] = []
    for name, recommender in SEQUENTIAL.items():
        models = [
            _trained({"recommender": recommender, "training": SEQUENCES}, made, seed, quick)
            for seed in seeds
        ]
        by_seed[name] = np.stack(
            [per_user(model.score, made, made.test, "full")["ndcg@10"] for model in models]
        )
        rows.append(row(f"{name}, mean of {len(models)} seeds", by_seed[name].mean(axis=0)))
        result[f"{name}, by seed"] = [round(float(one.mean()), 4) for one in by_seed[name]]
    members = {"item-knn": knn, "text-sasrec": models[0]}
    fused = fit(Fusion(members, candidates="full", fitted=True), made)
    values["fusion"] = per_user(fused.score, made, made.test, "full")["ndcg@10"]
    rows.append(row("fusion of item-knn and text-sasrec (seed 0)", values["fusion"]))
    result["weights"] = fused.named_weights()
    result["fusion_minus_item_knn"] = vars(paired_difference(values["fusion"], values["item-knn"]))
    mean = {name: found.mean(axis=0) for name, found in by_seed.items()}
    for a, b in (
        ("ids", "ids, random start"),
        ("ids and text", "ids"),
        ("ids and text", "ids and text, random start"),
    ):
        result[f"{a} minus {b}"] = vars(
            paired_difference(mean[f"sasrec, {a}"], mean[f"sasrec, {b}"])
        )
    return result


SEQUENCES: Row = {
    "learning_rate": 2e-3, "steps": 300, "batch_histories": 512, "dropout": 0.3, "warmup_steps": 50,
}  # fmt: skip
_IDS: Row = {"family": "sasrec", "history_items": 10, "adaptation": "full"}
_TEXT: Row = _IDS | {"family": "text-sasrec", "backbone": "minilm-l6"}
SEQUENTIAL: dict[str, Row] = {
    "sasrec, ids, random start": _IDS | {"options": {"cooccurrence": 0.0}},
    "sasrec, ids": _IDS,
    "sasrec, ids and text, random start": _TEXT | {"options": {"cooccurrence": 0.0}},
    "sasrec, ids and text": _TEXT,
}


def _trained(body: Row, made: Split, seed: int, quick: bool = False) -> Any:
    """A neural recommender of a spec, trained on the split."""
    training = {"validate_every": 100, "validation_users": 943, **body["training"]}
    if quick:
        training |= {"steps": 60, "validate_every": 60, "validation_users": 50}
    spec = run_from_dict(
        {**body, "seed": seed, "training": training, "protocol": {"candidates": "full", "users": 0}}
    )
    model = build(spec, made.dataset, load_settings())
    with tempfile.TemporaryDirectory() as folder:
        model.fit(made, RunContext(Path(folder)))
    return model


def ml_100k_reader(quick: bool) -> Row:
    """Leave-one-out, 99 uniform negatives: a fine-tuned cross-encoder, alone and fused with the retriever.

    Reads trained weights from LLMREC_READER (a `model` folder of a finished run on ml-100k), else trains for a while;
    LLMREC_READER_USERS limits the users, of validation and of test, for a slow machine.
    """
    settings = load_settings()
    data = load_dataset("ml-100k", settings)
    made = split(data, "loo")
    few = 60 if quick else int(os.environ.get("LLMREC_READER_USERS") or 943)
    exam = Exam.on(made, made.test, "100-uniform", few, 0)
    cases, sets = exam.cases, exam.candidates
    folder = os.environ.get("LLMREC_READER")
    if folder:
        reader: Any = family_class("cross-encoder").load(Path(folder), data, settings)
    else:
        body = {
            "family": "cross-encoder",
            "backbone": "minilm-l6",
            "head": "attention",
            "depth": 2,
            "adaptation": "full",
        }
        training = {
            "learning_rate": 5e-4,
            "steps": 120,
            "validate_every": 60,
            "validation_users": 40,
            "patience": 0,
        }
        reader = _trained({"recommender": body, "training": training}, made, 0, quick)
    reader.ready("fp32")
    reader.score = _remembered(reader.score)
    knn = fit(ItemKnn(), made)
    classical = {"item-knn": knn, "ease": fit(Ease(), made), "tf-idf": fit(TfIdf(), made)}
    models: dict[str, Any] = {
        "popularity": fit(Popularity(), made),
        **classical,
        "cross-encoder": reader,
    }
    plain = Fusion(classical, candidates="100-uniform", users=few, fitted=True)
    pair = Fusion(
        {"item-knn": knn, "cross-encoder": reader}, candidates="100-uniform", users=few, fitted=True
    )
    models["fusion of the three classical"] = fit(plain, made)
    models["fusion of item-knn and cross-encoder"] = fit(pair, made)
    every = Fusion(
        {**classical, "cross-encoder": reader}, candidates="100-uniform", users=few, fitted=True
    )
    models["fusion of the three and cross-encoder"] = fit(every, made)
    rows, values = measured(models, made, cases, sets)
    best = max((*classical, "fusion of the three classical"), key=lambda name: values[name].mean())
    fused = {name: values[name] for name in models if "and cross-encoder" in name}
    return {
        "protocol": "loo/100-uniform",
        "rows": rows,
        "best_classical": best,
        "gain_over_best_single": {
            name: vars(
                paired_difference(found, max((values[one] for one in classical), key=np.mean))
            )
            for name, found in fused.items()
        },
        "gain_over_best_classical": {
            name: vars(paired_difference(found, values[best])) for name, found in fused.items()
        },
        "weights": pair.named_weights(),
    }


def _remembered(score: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """The score, each request computed once: alone and in every fusion it is the same."""
    known: dict[tuple[bytes, bytes], np.ndarray] = {}

    def found(histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        keys = [
            (history.tobytes(), row.tobytes())
            for history, row in zip(histories, candidates, strict=True)
        ]
        for key, history, row in zip(keys, histories, candidates, strict=True):
            if key not in known:
                known[key] = score([history], row[None])[0]
        return np.stack([known[key] for key in keys])

    return found


def amazon_cold(quick: bool) -> Row:
    """A tenth of the items without any training: frozen MiniLM embeddings and their fusion with words, against id models."""
    made = cold_items(split(shared("amazon-beauty"), "loo"), share=0.1)
    cases = sample_cases(made.test, 300 if quick else 0, 0)
    words = fit(TfIdf(decay=0.7), made)
    language = _trained(
        {"recommender": {"family": "bi-encoder", "backbone": "minilm-l6"}, "training": {}}, made, 0
    )
    models: dict[str, Any] = {
        "popularity": fit(Popularity(), made),
        "item-knn": fit(ItemKnn(window=20, fade=0.5), made),
        "sasrec, ids": _trained(COLD_IDS, made, 0, quick),
        "tf-idf": words,
        "minilm cosine, frozen": language,
        "text-sasrec, ids and text": _trained(COLD_TEXT, made, 0, quick),
    }
    fused = Fusion({"tf-idf": words, "minilm": language}, candidates="full", users=300, fitted=True)
    models["fusion of tf-idf and minilm"] = fit(fused, made)
    rows, values = measured(models, made, cases, "full")
    ids = ("popularity", "item-knn", "sasrec, ids")
    best_id = max(ids, key=lambda name: values[name].mean())
    gains = {
        name: vars(paired_difference(values[name], values[best_id]))
        for name in (
            "minilm cosine, frozen",
            "text-sasrec, ids and text",
            "fusion of tf-idf and minilm",
        )
    }
    over_words = vars(paired_difference(values["fusion of tf-idf and minilm"], values["tf-idf"]))
    return {
        "protocol": "loo-cold-items/full, 10 % of items, all items as candidates",
        "rows": rows,
        "best_id_model": best_id,
        "gain_over_best_id_model": gains,
        "fusion_minus_tf_idf": over_words,
        "weights": fused.named_weights(),
    }


COLD_TRAINING: Row = {
    "learning_rate": 2e-3, "steps": 300, "batch_histories": 128, "dropout": 0.3, "warmup_steps": 30,
    "validate_every": 100, "validation_users": 300,
}  # fmt: skip
COLD_IDS: Row = {
    "recommender": {"family": "sasrec", "history_items": 20, "adaptation": "full"},
    "training": COLD_TRAINING,
}
COLD_TEXT: Row = {
    "recommender": COLD_IDS["recommender"] | {"family": "text-sasrec", "backbone": "minilm-l6"},
    "training": COLD_TRAINING,
}


def _published_bm25(data: Dataset) -> Callable[[Sequence[np.ndarray], np.ndarray], np.ndarray]:
    """What the published baseline computes: the history's titles enter as single letters, matched against whole words, and the length of
    a document is taken as the number of documents. Written from that description, to show where the published 34.6 comes from."""
    titles = data.items["title"].tolist()
    words = [Counter(re.findall(r"\w+(?:['.-]\w+)*|[^\w\s]", title)) for title in titles]
    present = Counter(word for document in words for word in document)
    idf = {word: math.log(len(titles) - n + 0.5) - math.log(n + 0.5) for word, n in present.items()}
    usual = float(np.mean(list(idf.values())))
    norm = 1.5 * (
        0.25 + 0.75 * len(titles) / np.mean([sum(document.values()) for document in words])
    )

    def score(histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        scores = np.zeros(candidates.shape)
        for line, (history, items) in enumerate(zip(histories, candidates, strict=True)):
            letters = Counter(letter for item in history[-50:] for letter in titles[item])
            for place, item in enumerate(items):
                scores[line, place] = sum(
                    n
                    * (idf[w] if idf[w] >= 0 else 0.25 * usual)
                    * words[item][w]
                    * 2.5
                    / (words[item][w] + norm)
                    for w, n in letters.items()
                    if w in words[item]
                )
        return scores

    return score


def tallrec_movie(quick: bool) -> Row:
    """AUC on the 1,000 test prompts of 16 new users; n training prompts, 5 seeds, intervals over rows and over users."""
    plan = few_shot.Plan("tallrec-movie", (64, 256, 1_024, 8_000), 3 if quick else 5)
    body = few_shot.measure(plan, shared("tallrec-movie"))
    rows = [{"name": f"{one['method']}, n = {one['labels']}", **one} for one in body["rows"]]
    return {"protocol": "TALLRec test, AUC", "rows": rows}


def lastfm_2k(quick: bool) -> Row:
    """Hidden friends (20 % of the edges, both directions gone) and hidden artists (one a user, no times: drawn by seed)."""
    data = shared("lastfm-2k")
    known, hidden = hide_edges(data, 0.2, 0)
    fused, weights = friends.fuse(data, known)
    rows, values = [], {}
    for name, scores in {**friends.signals(data, known), "fusion": fused}.items():
        _, found = friends.rank_hidden(scores, known, hidden)
        values[name] = ranking.ndcg(found, 10)
        rows.append(row(name, values[name], recall_at_10=float(ranking.recall(found, 10).mean())))
    gains = {
        name: vars(paired_difference(values["fusion"], values[name]))
        for name in ("common neighbours", "adamic-adar")
    }
    made = split(data, "loo")
    cases = sample_cases(made.test, 500 if quick else 0, 0)
    whole = {"window": 0, "power": 0.5, "decay": 1.0, "history_items": 0}
    tagged = _tag_model(data, made)
    models = {
        "popularity": fit(Popularity(), made),
        "item-knn": fit(ItemKnn(**whole), made),
        "tags (cosine)": tagged,
    }
    fuse_artists = Fusion(
        {"item-knn": models["item-knn"], "tags": tagged}, candidates="1000-popular", fitted=True
    )
    models["fusion of both"] = fit(fuse_artists, made)
    artist_rows, artist_values = measured(models, made, cases, "full")
    gain = paired_difference(artist_values["fusion of both"], artist_values["item-knn"])
    return {
        "protocol": "friends: hidden edges, all others as candidates",
        "rows": rows,
        "weights": weights,
        "fusion_gain": gains,
        "artists_protocol": "loo/full (random hold-out)",
        "artist_rows": artist_rows,
        "artists_fusion_minus_item_knn": vars(gain),
    }


def _tag_model(data: Dataset, made: Split) -> TfIdf:
    """TF-IDF over an artist's tags (all users' tag assignments are side information, listens are what is hidden)."""
    texts = (
        data.extras["tags"]
        .groupby("item_id")["tag"]
        .agg(lambda tags: " ".join(tag.replace(" ", "_") for tag in tags))
    )
    model = TfIdf(history_items=0, decay=1.0)
    model.counts = made.item_counts
    model.index([texts.get(item, "") for item in data.items["item_id"]])
    return model


CLAIMS = {
    "ml-100k": ml_100k,
    "ml-100k-sequences": ml_100k_sequences,
    "ml-100k-reader": ml_100k_reader,
    "llmrank-games": llmrank_games,
    "tallrec-movie": tallrec_movie,
    "amazon-beauty": amazon_beauty,
    "amazon-beauty-cold": amazon_cold,
    "lastfm-2k": lastfm_2k,
}
SETS = {"amazon-beauty-cold": "amazon-beauty"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=list(CLAIMS), default=list(CLAIMS))
    parser.add_argument("--quick", action="store_true", help="fewer users and seeds")
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    chosen = parser.parse_args()
    results: Row = {}
    for name in chosen.only:
        if not name.startswith("ml-100k") and not (SHARED / SETS.get(name, name)).is_dir():
            results[name] = {"skipped": f"{name} is not in LLMREC_SHARED_DATA"}
            continue
        began = time.perf_counter()
        results[name] = CLAIMS[name](chosen.quick)
        results[name]["wall_s"] = round(time.perf_counter() - began, 1)
        if not chosen.json:
            for key in ("rows", "cold_rows", "artist_rows"):
                for line in results[name].get(key, []):
                    interval = (
                        f"{line['low']:.4f} to {line['high']:.4f}"
                        if "low" in line
                        else f"seeds {line.get('seeds')}"
                    )
                    print(
                        f"{name:14} {key:12} {line['name'][:64]:64} {line['value']:.4f}  ({interval})",
                        flush=True,
                    )
            rest = {k: v for k, v in results[name].items() if not k.endswith("rows")}
            print(f"{name:14} {json.dumps(rest)}", flush=True)
    print(
        json.dumps(
            {
                "bench": "quality",
                "conditions": {"quick": chosen.quick, "cpus": os.cpu_count()},
                "results": results,
            }
        )
    )


if __name__ == "__main__":
    main()
