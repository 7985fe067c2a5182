"""A small study with known figures, written through the ledger's own write API: for tests of pages and reports.

Quality is drawn once from a fixed seed over 120 users that share their difficulty, so paired differences behave like
real ones. Nothing here is a measurement of anything.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from llmrec_core.contract.spec import RunSpec, run_from_dict
from llmrec_core.contract.spec_files import StudySpec
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.metrics.intervals import mean_interval
from llmrec_core.settings import Settings
from llmrec_core.types import Measurement, Samples

USERS = 120
PROTOCOL = "loo/100-uniform"
HOSTILE = '<img src=x onerror="window.__xss=1">![x](http://evil.invalid/a.png) $\\href{javascript:1}{x}$ =1+1 http://evil.invalid/page \u202egnp'
FILMS = (
    "Toy Story (1995)", "GoldenEye (1995)", "Twelve Monkeys (1995)", "Babe (1995)", "Richard III (1995)",
    "Seven (1995)", "Mr. Holland's Opus (1995)", "Braveheart (1995)", "Taxi Driver (1976)", "Apollo 13 (1995)",
    "The Professional (1994)", "Pulp Fiction (1994)", "Star Wars (1977)", "Fargo (1996)", "Contact (1997)",
    "The Godfather (1972)", "Raiders of the Lost Ark (1981)", "Aliens (1986)", "Blade Runner (1982)", "Alien (1979)",
)  # fmt: skip

# name, family, backbone, depth, adaptation, precision, skill, p95 ms, requests/s at batch 8, GFLOP, parameters
LM = "minilm-l6"
READER = "MiniLM cross-encoder, 6 layers"
ROWS = (
    ("Popularity", "popularity", "", 0, "none", "fp32", 0.30, 0.08, 40_000, 1e-6, 1_682),
    ("Item-kNN", "item-knn", "", 0, "none", "fp32", 0.52, 0.9, 2_500, 4e-5, 2_800_000),
    ("EASE", "ease", "", 0, "none", "fp32", 0.55, 0.6, 4_000, 3e-5, 2_829_124),
    ("TF-IDF", "tf-idf", "", 0, "none", "fp32", 0.22, 1.1, 2_000, 5e-5, 40_000),
    ("SASRec", "sasrec", "", 0, "none", "fp32", 0.60, 3.1, 900, 0.02, 190_000),
    ("Text-SASRec, MiniLM", "text-sasrec", LM, 0, "none", "fp32", 0.63, 3.4, 800, 0.03, 22_900_000),
    ("MiniLM cosine", "bi-encoder", LM, 0, "none", "fp32", 0.25, 22.0, 60, 4.8, 22_700_000),
    (
        "MiniLM cross-encoder, 2 layers",
        "cross-encoder",
        LM,
        2,
        "full",
        "fp32",
        0.36,
        95.0,
        12,
        13.0,
        15_500_000,
    ),
    (
        "MiniLM cross-encoder, 4 layers",
        "cross-encoder",
        LM,
        4,
        "full",
        "fp32",
        0.41,
        182.0,
        6.2,
        26.0,
        19_100_000,
    ),
    (
        READER,
        "cross-encoder",
        LM,
        6,
        "full",
        "fp32",
        0.45,
        268.0,
        4.1,
        39.0,
        22_700_000,
    ),
    (
        "MiniLM, 6 layers, LoRA",
        "cross-encoder",
        LM,
        6,
        "lora",
        "fp32",
        0.40,
        270.0,
        4.1,
        39.0,
        22_800_000,
    ),
    (
        "MiniLM, 6 layers, int8",
        "cross-encoder",
        LM,
        6,
        "full",
        "int8",
        0.445,
        190.0,
        5.9,
        39.0,
        22_700_000,
    ),
    (
        "SmolLM2 yes/no",
        "decoder",
        "smollm2-135m",
        30,
        "none",
        "fp32",
        0.30,
        2_700.0,
        0.4,
        290.0,
        134_500_000,
    ),
    (
        "Cascade: item-kNN, MiniLM reranks 20",
        "cascade",
        LM,
        6,
        "full",
        "fp32",
        0.56,
        61.0,
        19,
        8.4,
        25_500_000,
    ),
)


def spec(row: tuple) -> RunSpec:
    """The run spec of one line of `ROWS`."""
    name, family, backbone, depth, adaptation, precision = row[:6]
    recommender = {"family": family, "backbone": backbone, "depth": depth, "adaptation": adaptation}
    if family == "cascade":
        recommender |= {"retriever": "item-knn", "rerank_k": 20}
    if family == "decoder":
        recommender |= {"head": "yes-no", "retriever": "item-knn", "rerank_k": 20}
    return run_from_dict(
        {
            "name": name,
            "weights_from": READER if family == "cascade" else "",
            "data": {"name": "ml-100k", "content_hash": "0123456789abcdef"},
            "protocol": {"users": USERS},
            "recommender": recommender,
            "precision": precision,
            "minutes": 1.0,
        }
    )


def _per_user(skill: float, number: int) -> tuple[np.ndarray, np.ndarray]:
    """(NDCG@10, hit) of each user: shared difficulty plus a little of the run's own luck."""
    difficulty = np.random.default_rng(0).uniform(0, 1, USERS)
    luck = np.random.default_rng(100 + number).normal(0, 0.12, USERS)
    margin = skill - difficulty + luck
    hit = (margin > 0).astype(float)
    place = np.clip(1 + np.floor(9 * (1 - np.clip(margin, 0, 1) * 1.4)), 1, 10)
    return hit / np.log2(1 + place), hit


def record(
    row: tuple, number: int, hostile: bool = False
) -> tuple[list[Measurement], list[Samples], dict]:
    """Measurements, samples and documents of one line of `ROWS`; what a document holds is shared."""
    figures, samples, documents = _record(row, number, hostile)
    return list(figures), list(samples), dict(documents)


@cache
def _record(
    row: tuple, number: int, hostile: bool
) -> tuple[list[Measurement], list[Samples], dict]:
    _, family, backbone, _, adaptation, _, skill, p95_ms, per_s, gflop, parameters = row
    ndcg, hit = _per_user(skill, number)
    slices = {
        "all": list(range(USERS)),
        "rare items": list(range(0, USERS, 5)),
        "short histories": list(range(1, USERS, 3)),
    }
    figures, samples = [], []
    for metric, values in (
        ("ndcg@10", ndcg),
        ("recall@10", hit),
        ("mrr", ndcg * 0.9),
        ("auc", 0.5 + 0.5 * ndcg),
    ):
        for part, users in slices.items():
            mean, low, high = mean_interval(values[users])
            figures.append(Measurement(metric, mean, "1", low, high, len(users), part, PROTOCOL))
        samples.append(
            Samples(metric, [float(value) for value in values], list(range(USERS)), PROTOCOL)
        )
    for metric, value in (
        ("coverage@10", 0.2),
        ("gini@10", 0.8),
        ("novelty@10", 9.0),
        ("effective_users", 31.0),
    ):
        figures.append(Measurement(metric, value + number / 100, "1", n=USERS, protocol=PROTOCOL))
    figures.append(
        Measurement("snips_ndcg@10", skill / 3, "1", skill / 4, skill / 2, USERS, protocol=PROTOCOL)
    )
    figures.append(
        Measurement(
            "diversity@10", None, "1", n=USERS, protocol=PROTOCOL, reason="items have no genres"
        )
    )
    one, many = "request/100/batch-1", "request/100/batch-8"
    figures += [
        Measurement("latency_p50_s", p95_ms * 0.8e-3, "s", n=40, protocol=one),
        Measurement("latency_p95_s", p95_ms * 1e-3, "s", n=40, protocol=one),
        Measurement("latency_p99_s", p95_ms * 1.1e-3, "s", n=40, protocol=one),
        Measurement("throughput_requests_per_s", float(per_s), "1/s", n=10, protocol=many),
        Measurement("flops_per_request", gflop * 1e9, "FLOP", protocol=one),
        Measurement("mfu", min(0.7, gflop / 180 / (p95_ms * 0.8e-3)), "1", protocol=one),
        Measurement("foreign_load", 0.02, "1", protocol=one),
        Measurement("usd_per_million", 0.1 / (per_s * 3600 * 0.5) * 1e6, "USD", protocol=many),
        Measurement(
            "energy_per_request_j",
            None,
            "J",
            protocol=many,
            reason="no NVML energy counter; no RAPL counter",
        ),
        Measurement(
            "gco2e_per_million",
            None,
            "g",
            protocol=many,
            reason="no NVML energy counter; no RAPL counter",
        ),
        Measurement("weight_bytes", parameters * 4.0, "B", protocol="run"),
        Measurement("parameters", float(parameters), "1", protocol="run"),
        Measurement("peak_memory_bytes", 4e8 + parameters * 6.0, "B", protocol="run"),
        Measurement("train_s", 60.0 * (adaptation != "none") + 1.5, "s", protocol="run"),
        Measurement("usd_per_hour", 0.1, "USD/h", protocol="run"),
        Measurement("utilisation", 0.5, "1", protocol="run"),
    ]
    if backbone and family == "cross-encoder":
        figures.append(
            Measurement("flops_per_request_counted", gflop * 1.002e9, "FLOP", protocol=one)
        )
    else:
        reason = "no torch module: NumPy products are not counted"
        figures.append(
            Measurement("flops_per_request_counted", None, "FLOP", protocol=one, reason=reason)
        )
    samples.append(Samples("latency_s", [p95_ms * 0.8e-3] * 20, protocol=one + "/window-1"))
    documents = {
        "versions": {"llmrec": "0.1.0", "python": "3.11.7", "torch": "2.13.0+cpu"},
        "device": {"name": "Test CPU, 2 cores", "cpu": "Test CPU", "cores": 2, "energy": "not measured: no counter"},
        "conditions": {
            "usd_per_hour": 0.1, "price_source": "a test", "price_date": "2026-11-24", "utilisation": 0.5,
            "grid_g_per_kwh": 400.0, "grid_source": "a test", "grid_date": "2026",
        },
        "slices": {part: users for part, users in slices.items() if part != "all"},
        "facets": {
            "users": list(range(USERS)),
            "facets": {"gender": {"names": ["gender F", "gender M"], "groups": [user % 2 for user in range(USERS)]}},
        },
        "checks": _checks(backbone),
        "policy": _policy(float(ndcg.mean())),
        "robustness": _robustness(float(ndcg.mean()), bool(backbone)),
        "windows": [{"batch": 1, "window": 1, "p50_s": p95_ms * 0.8e-3, "foreign_load": 0.02, "noisy": number == 8}],
        "lists": {"protocol": PROTOCOL, "users": _lists(number, hit, hostile)},
    }  # fmt: skip
    if family not in ("decoder", "popularity"):
        documents["explanations"] = {"196": _explanation(number, hostile)}
    if family in ("cross-encoder", "decoder", "cascade"):
        documents["model"] = {"layers": row[3], "history_tokens": 80.0, "candidate_tokens": 11.5}
    if adaptation != "none":
        documents["training"] = {
            "first_loss": 2.77, "last_loss": 1.88,
            "before": {"ndcg@10": 0.11, "low": 0.08, "high": 0.14, "users": 100},
            "after": {"ndcg@10": float(ndcg[:100].mean()), "low": 0.2, "high": 0.3, "users": 100},
            "difference": {"mean": 0.1, "low": 0.05, "high": 0.15, "n": 100},
        }  # fmt: skip
    return figures, samples, documents


def _checks(backbone: str) -> list[dict]:
    return [
        {"check": "candidates", "passed": True, "detail": "120 users: 0 candidates from the history"},
        {"check": "shuffled-labels", "passed": None if backbone else True, "detail": "fitting took 60 s and is not repeated"},
    ]  # fmt: skip


def _policy(clean: float) -> dict:
    shape = {"coverage": 0.2, "gini": 0.8, "novelty": 9.0, "length": 10.0}
    return {
        "policy": {"block_genres": ["Horror"]}, "protocol": PROTOCOL, "k": 10, "users": USERS, "changed_lists": 7,
        "acts": {"block-genre": 9}, "acts_file": "policies/x.acts.jsonl",
        "ndcg": {
            "before": {"value": clean, "low": clean - 0.05, "high": clean + 0.05},
            "after": {"value": clean - 0.01, "low": clean - 0.06, "high": clean + 0.04},
            "difference": {"mean": -0.01, "low": -0.02, "high": 0.001, "p": 0.08, "n": USERS, "differing": 60},
        },
        "lists": {"before": shape, "after": shape},
        "exposure": [{"kind": "genre", "group": "Horror", "before": 0.1, "after": 0.0}],
        "titles_read_s": 0.1, "policy_s": 1e-4, "scoring_s": 1e-3,
    }  # fmt: skip


def _robustness(clean: float, reads_titles: bool) -> dict:
    kept = 0.8 if reads_titles else 1.0
    noises = [
        {"noise": "typos", "strength": 0.1, "value": kept * clean, "kept": kept, "difference": (kept - 1) * clean,
         "low": (kept - 1) * clean - 0.02, "high": (kept - 1) * clean + 0.02},
        {"noise": "injected items", "strength": 0.3, "value": 0.9 * clean, "kept": 0.9, "difference": -0.1 * clean,
         "low": -0.1 * clean - 0.02, "high": -0.1 * clean + 0.02},
        {"noise": "label flips", "strength": 0.2, "reason": "its training was not repeated; add --retrain"},
    ]  # fmt: skip
    return {
        "protocol": PROTOCOL, "users": USERS, "clean": {"value": clean, "low": clean - 0.05, "high": clean + 0.05},
        "score": {"value": (kept + 0.9) / 2, "low": 0.7, "high": 1.0}, "definition": "Mean share kept.",
        "noises": noises,
        "worst_slice": {"noise": "injected items", "facet": "gender", "group": "gender F", "clean": clean,
                        "noisy": 0.8 * clean, "n": 60},
    }  # fmt: skip


def _lists(number: int, hit: np.ndarray, hostile: bool) -> dict:
    users = {}
    for index, user in enumerate(("196", "186", "22", "244", "166", "298")):
        order = np.random.default_rng(number * 10 + index).permutation(len(FILMS) - 1)[:10]
        titles = [
            HOSTILE if hostile and place == 0 else FILMS[item] for place, item in enumerate(order)
        ]
        items = [
            {
                "item_id": str(item),
                "title": title,
                "score": 3.0 - 0.2 * place,
                "seen": False,
                "withheld": False,
            }
            for place, (item, title) in enumerate(zip(order, titles, strict=True))
        ]
        if hit[index] and user != "22":
            items[3] |= {"item_id": "19", "title": FILMS[19], "withheld": True}
        history = [FILMS[(index + step) % 18] for step in range(6)]
        if hostile:
            history[0] = HOSTILE
        users[user] = {
            "history": history,
            "withheld": FILMS[19] if index != 3 else FILMS[18],
            "items": items,
        }
    return users


def _explanation(number: int, hostile: bool) -> dict:
    values = (0.8, 0.35, -0.2, 0.1, 0.05)
    order = np.random.default_rng(number * 10).permutation(len(FILMS) - 1)[:10]
    players = [
        {
            "item_id": str(100 + step),
            "title": HOSTILE if hostile and step == 0 else FILMS[step],
            "value": value,
        }
        for step, value in enumerate(values)
    ]
    title = HOSTILE if hostile else FILMS[order[0]]
    return {
        "item_id": str(order[0]),
        "title": title,
        "base": 1.9,
        "prediction": 1.9 + sum(values),
        "players": players,
    }


def write_study(
    settings: Settings, name: str = "default", *, rows: tuple = ROWS, hostile: bool = False
) -> Ledger:
    """A finished study in the ledger of `settings`, one failed and one queued run behind it."""
    ledger = Ledger.open(settings)
    if hostile:
        rows = tuple((HOSTILE, *row[1:]) if row[1] == "tf-idf" else row for row in rows)
    wrong = run_from_dict(
        {
            "name": "Broken run",
            "minutes": 2.0,
            "recommender": {"family": "ease", "options": {"l2": 1.0}},
        }
    )
    later = run_from_dict(
        {
            "name": "Waiting run",
            "minutes": 3.0,
            "recommender": {"family": "ease", "options": {"l2": 2.0}},
        }
    )
    title = HOSTILE if hostile else "Films: 14 recommenders on 120 people"
    ledger.add_study(StudySpec(name, title, (*(spec(row) for row in rows), wrong, later)))
    for _ in range(len(rows) + 1):
        lease = ledger.claim("test-worker")
        found = next(
            (index for index, row in enumerate(rows) if row[0] == lease.spec["name"]), None
        )
        if found is None:
            ledger.fail(lease, "data", "the matrix is singular; use l2 above 0")
            continue
        curves = (
            [("train_loss", step, 2.8 - 0.01 * step) for step in range(0, 100, 10)]
            if rows[found][4] != "none"
            else []
        )
        curves += (
            [("valid_ndcg@10", step, 0.1 + 0.002 * step) for step in range(0, 100, 50)]
            if curves
            else []
        )
        ledger.report(
            lease, ("measure", 1, 2), curves, ["fit done", HOSTILE if hostile else "measured"]
        )
        ledger.finish(lease, *record(rows[found], found, hostile))
    return ledger
