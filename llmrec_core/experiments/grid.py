"""A grid of runs from a few dials, named in plain words, with the minutes each is likely to take.

The product of depths, methods, precisions and seeds becomes runs; a lower precision of a trained row reuses that row's
weights, as training in it is another matter. Minutes come from finished runs of the same kind, scaled by steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from llmrec_core.experiments.spec import RunSpec, run_from_dict
from llmrec_core.experiments.views import Row
from llmrec_core.experiments.words import family_title

METHODS = {"none": "not trained", "head": "head only", "lora": "LoRA", "full": "all weights"}
ATTENTION = {"shared": "history read once", "per_item": "items read alone", "full": "pairs read alone"}
TRAINED_FAMILIES = ("cross-encoder", "decoder", "text-sasrec", "sasrec")
CLASSICAL = ("popularity", "item-knn", "ease", "tf-idf", "bm25", "als", "bpr", "fusion", "sasrec")
SEQUENTIAL = ("sasrec", "text-sasrec")
SUITED: dict[tuple[str, str], dict[str, Any]] = {
    ("cross-encoder", "full"): {"learning_rate": 5e-4, "positives": 4, "negatives": 12},
    ("cross-encoder", "lora"): {"learning_rate": 2e-3, "positives": 4, "negatives": 12},
    ("cross-encoder", "head"): {"learning_rate": 1e-2, "positives": 4, "negatives": 12},
    ("decoder", "lora"): {"learning_rate": 1e-3, "batch_histories": 4, "negatives": 7},
    ("decoder", "full"): {"learning_rate": 5e-5, "batch_histories": 4, "negatives": 7},
    ("sasrec", "full"): {"learning_rate": 2e-3, "batch_histories": 128, "dropout": 0.2},
    ("text-sasrec", "full"): {"learning_rate": 2e-3, "batch_histories": 128, "dropout": 0.2},
}
"""Training settings that learn on ml-100k, by family and method; what a base names itself is kept."""


def run_name(spec: RunSpec) -> str:
    """What a person calls the row: "Cross-encoder minilm-l6, 4 layers, LoRA, int8"."""
    one = spec.recommender
    parts = [family_title(one.family) + (f" {one.backbone}" if one.backbone else "")]
    if one.depth:
        parts.append(f"{one.depth} layers")
    if one.history_attention != "shared":
        parts.append(ATTENTION[one.history_attention])
    if one.backbone and one.family not in SEQUENTIAL:
        parts.append(METHODS[one.adaptation])
    if one.family == "fusion":
        parts.append(f"{' + '.join(family_title(name) for name in one.retriever.split('+'))}")
    if one.rerank_k:
        parts.append(f"reranks {one.rerank_k} of {one.retriever}")
    if spec.precision != "fp32":
        parts.append(spec.precision)
    if spec.seed:
        parts.append(f"seed {spec.seed}")
    return ", ".join(parts)


def grid(
    base: Mapping[str, Any],
    *,
    depths: Sequence[int] = (0,),
    methods: Sequence[str] = ("none",),
    precisions: Sequence[str] = ("fp32",),
    seeds: Sequence[int] = (0,),
) -> list[RunSpec]:
    """The runs of the product, named and without doubles.

    Args:
        base: fields of a run, at least `recommender.family`; the dials overwrite them, `SUITED` fills in training.

    Raises:
        UsageError: as `run_from_dict`, for a combination that contradicts itself.
    """
    runs: dict[str, RunSpec] = {}
    for depth, method, seed in product(depths or (0,), methods or ("none",), seeds or (0,)):
        recommender = {**base.get("recommender", {}), "depth": depth, "adaptation": method}
        training = {**SUITED.get((recommender["family"], method), {}), **base.get("training", {})}
        table = {**base, "recommender": recommender, "training": training, "seed": seed, "precision": "fp32"}
        whole = _named(table)
        trained = method != "none" and recommender["family"] in TRAINED_FAMILIES
        for precision in precisions or ("fp32",):
            if precision == "fp32" or not trained:
                spec = _named({**table, "precision": precision})
            else:
                runs.setdefault(whole.hash, whole)
                spec = _named({**table, "precision": precision, "weights_from": whole.name})
            runs.setdefault(spec.hash, spec)
    return list(runs.values())


def _named(table: Mapping[str, Any]) -> RunSpec:
    spec = run_from_dict({**table, "name": ""})
    return run_from_dict({**table, "name": run_name(spec)})


_USUAL: dict[str, dict[str, Any]] = {
    "sasrec": {"adaptation": "full"},
    "text-sasrec": {"backbone": "minilm-l6", "adaptation": "full"},
    "bi-encoder": {"backbone": "minilm-l6"},
    "cross-encoder": {"backbone": "minilm-l6", "depth": 2, "head": "attention", "history_attention": "per_item", "adaptation": "full"},
    "decoder": {"backbone": "smollm2-135m", "depth": 10, "head": "yes-no", "adaptation": "lora", "history_items": 5},
    "fusion": {"retriever": "item-knn+tf-idf"},
}  # fmt: skip


def usual_run(family: str, steps: int) -> RunSpec:
    """A run of the family as small as it is of use, with training that learns on ml-100k: for checks of any family.

    Raises:
        UsageError: for an unknown family, or a cascade, which reads with another run's weights.
    """
    recommender = {"family": family, **_USUAL.get(family, {})}
    method = recommender.get("adaptation", "none")
    training = {"steps": steps, "validate_every": steps, "warmup_steps": min(20, steps // 4)}
    return _named({"recommender": recommender, "training": SUITED.get((family, method), {}) | training})


def expected_minutes(spec: RunSpec, rows: Iterable[Row]) -> float | None:
    """Minutes of finished runs alike (family, backbone, method), scaled by steps and depth; `None` without any."""
    minutes = []
    for row in rows:
        one, other = spec.recommender, row.spec.recommender
        if (one.family, one.backbone, one.adaptation) != (other.family, other.backbone, other.adaptation):
            continue
        seconds = row.figure("train_s").value
        if seconds is None or bool(spec.weights_from) != bool(row.spec.weights_from):
            continue
        scale = spec.training.steps / row.spec.training.steps if one.adaptation != "none" else 1.0
        scale *= (one.depth or 6) / (other.depth or 6) if one.backbone else 1.0
        minutes.append(seconds * scale / 60)
    return sum(minutes) / len(minutes) if minutes else None
