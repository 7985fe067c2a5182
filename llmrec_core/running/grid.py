"""A grid of runs from a few dials, named in plain words, with the minutes each is likely to take.

The product of depths, methods, precisions and seeds becomes runs. A lower precision of a trained
row reuses that row's weights, as training in it is another matter. Minutes come from finished runs
of the same kind, scaled by steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from llmrec_core.contract import letters
from llmrec_core.contract.bounds import HistoryAttention
from llmrec_core.contract.families import family_named, family_title
from llmrec_core.contract.family import ADAPTATION_LABELS, Family
from llmrec_core.contract.spec import RecommenderSpec, RunSpec, run_from_dict
from llmrec_core.errors import UsageError
from llmrec_core.language import marked, t
from llmrec_core.reading.row import Row

ATTENTION_LABELS: dict[HistoryAttention, str] = {
    "shared": marked("history read once"),
    "per_item": marked("items read alone"),
    "full": marked("pairs read alone"),
}
USUAL_LIST = 20
"""Candidates of a list where none is said, as in LlamaRec (arXiv:2311.02089)."""
USUAL_DEPTH = 6
"""Layers of a run that keeps all of its backbone's, where minutes are scaled by depth."""


def run_name(spec: RunSpec) -> str:
    """What a person calls the row: "Cross-encoder minilm-l6, 4 layers, LoRA, int8"."""
    chosen = spec.recommender
    family = family_named(chosen.family)
    model = chosen.backbone or chosen.endpoint.model
    parts = [f"{family.title} {model}".strip(), *_model_parts(chosen, family)]
    if family.has_teacher:
        parts.append(t("taught by {teacher}", teacher=spec.weights_from))
    if spec.precision != "fp32":
        parts.append(spec.precision)
    if spec.seed:
        parts.append(t("seed {seed}", seed=spec.seed))
    return ", ".join(parts)


def _model_parts(chosen: RecommenderSpec, family: Family) -> list[str]:
    """What tells apart two runs of one family and backbone."""
    parts = []
    if chosen.depth:
        parts.append(t("{count} layers", count=chosen.depth))
    if chosen.head == letters.HEAD:
        parts.append(t("letters"))
    if chosen.history_attention != "shared":
        parts.append(t(ATTENTION_LABELS[chosen.history_attention]))
    if chosen.backbone and family.group != "sequential":
        parts.append(t(ADAPTATION_LABELS[chosen.adaptation]))
    if family.group == "fusion":
        parts.append(" + ".join(family_title(name) for name in chosen.retriever.split("+")))
    if chosen.relations or chosen.options.get("relations"):
        parts.append(t("relations"))
    if chosen.rerank_k:
        parts.append(
            t(
                "reranks {rerank_k} of {retriever}",
                rerank_k=chosen.rerank_k,
                retriever=chosen.retriever,
            )
        )
    if chosen.gate != "none":
        parts.append(t("gated"))
    return parts


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
        base: fields of a run, at least `recommender.family`; the dials overwrite them, and what
            suits the family fills in `training`.
        depths: layers kept; 0 keeps all.
        methods: ways of training.
        precisions: of the served weights.
        seeds: one run each.

    Raises:
        UsageError: as `run_from_dict`, for a combination that contradicts itself.
    """
    runs: dict[str, RunSpec] = {}
    family = family_named(base["recommender"]["family"])
    for depth, method, seed in product(depths or (0,), methods or ("none",), seeds or (0,)):
        table = {
            **base,
            "recommender": {**base["recommender"], "depth": depth, "adaptation": method},
            "training": {
                **family.suited.get(method, {}),
                **_list_training(base["recommender"]),
                **base.get("training", {}),
            },
            "seed": seed,
            "precision": "fp32",
        }
        whole = _named(table)
        trained = method != "none" and family.is_trained
        for precision in precisions or ("fp32",):
            if precision == "fp32" or not trained:
                spec = _named({**table, "precision": precision})
            else:
                runs.setdefault(whole.hash, whole)
                spec = _named({**table, "precision": precision, "weights_from": whole.name})
            runs.setdefault(spec.hash, spec)
    return list(runs.values())


def _list_training(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """A decoder that reads whole lists learns from lists as long as those that it will serve."""
    if chosen.get("head") != letters.HEAD:
        return {}
    return {"negatives": int(chosen.get("rerank_k") or USUAL_LIST) - 1}


def _named(table: Mapping[str, Any]) -> RunSpec:
    spec = run_from_dict({**table, "name": ""})
    return run_from_dict({**table, "name": run_name(spec)})


def usual_run(family_name: str, steps: int) -> RunSpec:
    """A run of the family as small as it is of use, with training that learns on ml-100k.

    Args:
        family_name: any but a cascade and a student, which need another run, and a hosted model,
            which needs an endpoint.
        steps: of training, for families that have any.

    Raises:
        UsageError: for an unknown family, a cascade, a student, or a hosted model.
    """
    family = family_named(family_name)
    if family.group == "cascade" or family.has_teacher:
        raise UsageError(
            t(
                "{family!r} is made from another run, so it has no usual run of its own; name "
                "another family",
                family=family_name,
            )
        )
    if family.group == "hosted":
        raise UsageError(
            t(
                "{family!r} asks an endpoint, whose address, price and limit only a study can "
                "name, so it has no usual run; name another family",
                family=family_name,
            )
        )
    recommender = {"family": family_name, **family.usual}
    method = recommender.get("adaptation", "none")
    training = {"steps": steps, "validate_every": steps, "warmup_steps": min(20, steps // 4)}
    return _named(
        {"recommender": recommender, "training": {**family.suited.get(method, {}), **training}}
    )


def expected_minutes(spec: RunSpec, rows: Iterable[Row]) -> float | None:
    """Minutes of training that finished runs of the same kind suggest, or None without any.

    Runs are of one kind that share family, backbone and method. Theirs are scaled by steps and
    depth, and averaged.
    """
    minutes = [
        seconds * _scale(spec, row.spec) / 60
        for row in rows
        if _same_kind(spec, row.spec) and (seconds := row.figure("train_s").value) is not None
    ]
    return sum(minutes) / len(minutes) if minutes else None


def _same_kind(spec: RunSpec, other: RunSpec) -> bool:
    this, that = spec.recommender, other.recommender
    return (this.family, this.backbone, this.adaptation, bool(spec.weights_from)) == (
        that.family,
        that.backbone,
        that.adaptation,
        bool(other.weights_from),
    )


def _scale(spec: RunSpec, other: RunSpec) -> float:
    """How many times the other run's work this one is."""
    steps = spec.training.steps / other.training.steps
    scale = steps if spec.recommender.adaptation != "none" else 1.0
    if spec.recommender.backbone:
        scale *= (spec.recommender.depth or USUAL_DEPTH) / (other.recommender.depth or USUAL_DEPTH)
    return scale
