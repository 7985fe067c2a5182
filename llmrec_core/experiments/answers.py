"""Answers to people's questions, from models kept loaded: recommend, explain, profile, meters."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmrec_core.data.dataset import Dataset, load_dataset
from llmrec_core.data.splits import ordered_rows
from llmrec_core.errors import UsageError
from llmrec_core.experiments.ledger import Ledger
from llmrec_core.experiments.spec import RecommenderSpec, RunSpec, run_from_dict
from llmrec_core.profiling.allocator import keep_freed_memory
from llmrec_core.recommenders.base import Recommender
from llmrec_core.recommenders.registry import build, family_class
from llmrec_core.settings import Settings
from llmrec_core.types import Columns, Measurement

KEPT_MODELS = 3
TOKENS_PER_ITEM = 8
"""A film title with its separator has 7.6 MiniLM tokens on average in ml-100k; sizes a profile without a data set."""


@dataclass
class Loaded:
    """A finished run, ready to answer."""

    spec: RunSpec
    dataset: Dataset
    recommender: Recommender

    @property
    def reader(self) -> Any:
        """The recommender itself; of a cascade, the model that reads."""
        return getattr(self.recommender, "inner", self.recommender)


def answer(kind: str, payload: Mapping[str, Any], settings: Settings, cache: dict[Any, Any]) -> dict[str, Any]:
    """The answer to one question as JSON.

    Args:
        kind: `recommend`, `explain`, `profile` or `meters`.
        cache: kept by the caller between questions; holds the last few models.

    Raises:
        UsageError: for an unknown kind, run, user, item or title.
    """
    known: dict[str, Callable[..., dict[str, Any]]] = {
        "recommend": recommend, "explain": explain, "profile": profile, "meters": meters,
    }  # fmt: skip
    if kind not in known:
        raise UsageError(f"unknown question {kind!r}; expected one of {', '.join(known)}")
    keep_freed_memory()
    return known[kind](payload, settings, cache)


def load_run(run_id: str, settings: Settings, cache: dict[Any, Any]) -> Loaded:
    """The model of a finished run, from the cache or from its folder.

    Raises:
        UsageError: when the run is unknown, unfinished, or its weights are not on this machine.
    """
    if ("run", run_id) in cache:
        cache["run", run_id] = cache.pop(("run", run_id))  # most recently used last
        return cache["run", run_id]
    ledger = Ledger.open(settings)
    run = ledger.run(run_id)
    if run.state != "finished":
        raise UsageError(f"run {run_id} is {run.state}; only a finished run has a model to ask: wait, or resume it")
    folder = settings.runs / run.id / "model"
    if not folder.is_dir():
        raise UsageError(f"run {run_id} has no weights under {folder}; run it again on this machine")
    spec = run_from_dict(run.spec)
    dataset = load_dataset(spec.data.name, settings)
    loaded = Loaded(spec, dataset, family_of(spec).load(folder, dataset))
    if hasattr(loaded.reader, "ready"):
        loaded.reader.ready(spec.precision)
    cache["run", run_id] = loaded
    for old in [key for key in cache if key[0] == "run"][:-KEPT_MODELS]:
        del cache[old]
    return loaded


def family_of(spec: RunSpec) -> Any:
    """The class that stores runs of this spec: anything with a retriever is a cascade, but for a fusion."""
    chosen = spec.recommender
    return family_class("cascade" if chosen.retriever and chosen.family != "fusion" else chosen.family)


def history_of(dataset: Dataset, payload: Mapping[str, Any]) -> np.ndarray:
    """The history meant by a question: `user` (an id as in the file), or `history_titles`, oldest first.

    Raises:
        UsageError: when neither is given or a title fits no item.
    """
    if payload.get("user") not in (None, ""):
        code = dataset.user_code(str(payload["user"]))
        rows = ordered_rows(dataset)
        table = dataset.interactions.iloc[rows]
        return table.loc[table[Columns.USER] == code, Columns.ITEM].to_numpy(dtype=np.int64)
    titles = payload.get("history_titles") or []
    if not titles:
        raise UsageError("say whose recommendations: a user id, or at least one title of a history")
    return np.array([_title_code(dataset, str(title)) for title in titles], dtype=np.int64)


def _title_code(dataset: Dataset, title: str) -> int:
    found = dataset.find_titles(title)
    if not found:
        raise UsageError(f"no item is called {title!r}; type a part of a title as it stands in the data set")
    return int(found[0])


def recommend(payload: Mapping[str, Any], settings: Settings, cache: dict[Any, Any]) -> dict[str, Any]:
    """The best `k` items that are not in the history: `{run, user | history_titles, k, policy}`.

    `policy`: fields of `policy.Policy`; then `acts` says what it kept from the list.
    """
    began = time.perf_counter()
    loaded = load_run(str(payload["run"]), settings, cache)
    dataset, k = loaded.dataset, int(payload.get("k") or 10)
    history = history_of(dataset, payload)
    offered = np.setdiff1d(np.arange(dataset.n_items), history)
    if not 1 <= k <= len(offered):
        raise UsageError(
            f"k is {k}; the catalogue has {len(offered)} items that this user has not seen: choose 1 to {len(offered)}"
        )
    start = time.perf_counter()
    scores = loaded.recommender.score([history], offered[None])[0]
    acts: list[dict[str, Any]] = []
    if payload.get("policy") is not None:
        scores, offered, acts = _under_policy(payload, loaded, scores, offered, k, settings, cache)
    best = np.argsort(-scores, kind="stable")[:k]
    return {
        "run": payload["run"],
        "name": loaded.spec.name,
        "history": [titled(dataset, item)["title"] for item in history[-loaded.spec.recommender.history_items :]],
        "history_items": len(history),
        "candidates": len(offered),
        "items": [titled(dataset, offered[i]) | {"score": float(scores[i])} for i in best],
        "acts": acts,
        "withheld": None,
        "score_s": time.perf_counter() - start,
        "seconds": time.perf_counter() - began,
    }


def _under_policy(
    payload: Mapping[str, Any], loaded: Loaded, scores: np.ndarray, offered: np.ndarray, k: int, settings: Settings,
    cache: dict[Any, Any],
) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:  # fmt: skip
    """Scores and items that the policy lets through, and what it kept from the list with the rule."""
    from llmrec_core.experiments.policy import Policy, ReviewQueue, apply, flagged

    dataset = loaded.dataset
    counts = np.bincount(dataset.interactions[Columns.ITEM], minlength=dataset.n_items)
    queue = ReviewQueue.of(dataset.name, settings)
    policy, known = Policy(**payload["policy"]), ("flags", dataset.content_hash)
    if policy.review_flagged and known not in cache:
        cache[known] = flagged(dataset)
    applied = apply(
        policy, dataset, counts, [-1], scores[None], offered[None], k=k, queue=queue, suspect=cache.get(known)
    )
    shown = np.isfinite(applied.scores[0])
    titles = dict(zip(dataset.items[Columns.ITEM_ID].astype(str), dataset.items[Columns.TITLE], strict=True))
    return (
        applied.scores[0][shown],
        offered[shown],
        [{"item_id": act.item_id, "title": str(titles[act.item_id]), "rule": act.rule} for act in applied.acts],
    )


def titled(dataset: Dataset, item: int) -> dict[str, Any]:
    """Id and title of an item code."""
    row = dataset.items.iloc[int(item)]
    return {"item_id": str(row[Columns.ITEM_ID]), "title": str(row[Columns.TITLE])}


def explain(payload: Mapping[str, Any], settings: Settings, cache: dict[Any, Any]) -> dict[str, Any]:
    """Why `item` for this user, or with `scope` "model" what moves it over many: `explain/answer.py` says what may be asked."""
    from llmrec_core.explain.answer import explain_answer

    loaded = load_run(str(payload["run"]), settings, cache)
    asked = dict(payload)
    if asked.get("history_titles"):
        asked["history"] = history_of(loaded.dataset, {"history_titles": asked["history_titles"]}).tolist()
    return {"run": payload["run"]} | explain_answer(loaded.recommender, loaded.dataset, loaded.spec, asked)


def profile(payload: Mapping[str, Any], settings: Settings, cache: dict[Any, Any]) -> dict[str, Any]:
    """Cost of a run's model, or of a backbone with an untrained head ("cost only"), at the asked size.

    With `grid`, or for a `config.json` alone, the profiler's document instead: sizes in tokens, layers, roofline.
    """
    named = str(payload.get("model") or "")
    if payload.get("grid") or named.endswith(".json"):
        return _profile_grid(named, payload, settings)
    from llmrec_core.costmodel import own
    from llmrec_core.profiling import device
    from llmrec_core.profiling.economics import economics_of
    from llmrec_core.profiling.measure import CostMeter, counted_flops
    from llmrec_core.profiling.peaks import measure_peaks

    count, length = int(payload.get("candidates") or 100), int(payload.get("history") or 10)
    batch, precision = int(payload.get("batch") or 1), str(payload.get("precision") or "fp32")
    if payload.get("run"):
        loaded = load_run(str(payload["run"]), settings, cache)
        if precision not in ("fp32", loaded.spec.precision):
            raise UsageError(
                f"run {payload['run']} is in {loaded.spec.precision}; queue a run of its weights in {precision} to compare"
            )
        recommender, dataset, name = loaded.recommender, loaded.dataset, loaded.spec.name
        precision = loaded.spec.precision
    else:
        dataset = load_dataset("ml-100k", settings)
        recommender, name = _untrained(str(payload.get("model") or ""), precision, max(length, 1), dataset, settings)
    if not 1 <= count <= dataset.n_items:
        raise UsageError(f"{count} candidates; the catalogue of {dataset.name} has {dataset.n_items}")
    rng = np.random.default_rng(0)
    histories = [rng.choice(dataset.n_items, length, replace=False) for _ in range(16)]
    offered = np.stack([rng.choice(dataset.n_items, count, replace=False) for _ in histories])
    meter = CostMeter(recommender, histories, offered, batch=batch, precision=precision)
    meter.run(1)
    peaks = measure_peaks()
    own.remember(
        settings.home,
        own.device_of(device.describe().to_dict(), peaks.gemm_flops_per_s, peaks.bandwidth_bytes_per_s),
    )
    rows = meter.measurements(peaks, economics_of(device.describe()), counted_flops(recommender, histories, offered))
    return {
        "name": name,
        "rows": [dataclasses.asdict(row) for row in rows],
        "windows": meter.windows(),
        "conditions": {
            "precision": precision,
            "device": device.describe().name,
            "history_items": length,
            "data": dataset.name,
        },
        "command": f"python -m llmrec_core profile {'--run' if payload.get('run') else '--model'} {payload.get('run') or payload.get('model')}",
    }


def _profile_grid(model: str, payload: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    from llmrec_core.costmodel import own
    from llmrec_core.profiling.profiler import profile_model

    if not model:
        raise UsageError(
            "a grid is measured of a backbone: give model, a Hugging Face id, a folder or a config.json, not a run"
        )
    listed: dict[str, Any] = {
        name: tuple(int(value) for value in payload[name])
        for name in ("batches", "history_tokens", "candidates")
        if isinstance(payload.get(name), (list, tuple)) and payload[name]
    }
    if not payload.get("grid"):  # one size, as the form asks for it
        listed = {
            "batches": (int(payload.get("batch") or 1),),
            "history_tokens": (TOKENS_PER_ITEM * max(int(payload.get("history") or 10), 1),),
            "candidates": (int(payload.get("candidates") or 100),),
        }
    single: dict[str, Any] = {
        name: int(payload[name]) for name in ("candidate_tokens", "depth", "repeats") if payload.get(name)
    }
    found = profile_model(
        model, settings, precision=str(payload.get("precision") or "fp32"), runtime=str(payload.get("runtime") or "eager"),
        device_name=str(payload.get("device") or "auto"), **listed, **single,
    )  # fmt: skip
    machine, peaks = found["conditions"]["device"], found["peaks"]
    own.remember(
        settings.home, own.device_of(machine, peaks["gemm_flops_per_s"], peaks["bandwidth_bytes_per_s"])
    )  # a device for `estimate` and `plan`
    rows = [
        Measurement(name, row[key], unit, n=len(row["samples_s"]), protocol=_cell(row))
        for row in found["grid"]
        for name, key, unit in (
            ("latency_p50_s", "p50_s", "s"),
            ("latency_p95_s", "p95_s", "s"),
            ("flops_per_request", "flops", "FLOP"),
            ("mfu", "mfu", "1"),
        )
    ]
    return found | {
        "name": f"{model}: {'cost only, random weights' if found['cost_only'] else 'cost only'}",
        "rows": [dataclasses.asdict(row) for row in rows],
    }


def _cell(row: Mapping[str, Any]) -> str:
    return f"request/{row['candidates']}/batch-{row['batch']}/history-{row['history_tokens']}-tokens"


def _untrained(
    model: str, precision: str, history: int, dataset: Dataset, settings: Settings
) -> tuple[Recommender, str]:
    from llmrec_core.models.backbones import is_decoder

    if not model:
        raise UsageError("say what to profile: a finished run, minilm-l6, smollm2-135m, a Hugging Face id or a folder")
    decoder = is_decoder(model, settings)
    spec = RunSpec(
        name=f"{model}, not fine-tuned: cost only",
        recommender=RecommenderSpec(
            family="decoder" if decoder else "cross-encoder",
            backbone=model,
            head="yes-no" if decoder else "linear",
            history_items=history,
        ),
        precision=precision,
    )
    made: Any = build(spec, dataset, settings)
    made.ready(precision)
    return made, spec.name


def meters(payload: Mapping[str, Any], settings: Settings, cache: dict[Any, Any]) -> dict[str, Any]:
    """Can the figures be trusted? Peaks, clock, FLOP counter, and one measurement made twice."""
    from llmrec_core.profiling.meters import check_meters

    return {"checks": [dataclasses.asdict(check) for check in check_meters()]}
