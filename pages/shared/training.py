"""The inputs of the Train page, each a part of a run spec, and queueing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from llmrec_core.experiments.grid import ATTENTION, CLASSICAL, METHODS, SEQUENTIAL, TRAINED_FAMILIES
from llmrec_core.experiments.spec import RunSpec
from llmrec_core.experiments.words import FAMILIES, family_title
from llmrec_core.types import SPLITS
from pages.shared import records

FUSED = ("item-knn", "ease", "tf-idf", "bm25", "als", "bpr", "popularity")
BACKBONES = ("minilm-l6", "smollm2-135m")


def recommender() -> tuple[dict[str, Any], str]:
    """Data set, family and backbone."""
    names = records.dataset_names() or ["ml-100k"]
    data = st.selectbox("Data set", names, key="train_data", bind="query-params")
    family = st.selectbox(
        "Family",
        list(FAMILIES),
        index=list(FAMILIES).index("cross-encoder"),
        format_func=family_title,
        key="train_family",
        bind="query-params",
    )
    one: dict[str, Any] = {"family": family}
    if family not in CLASSICAL:
        backbones = BACKBONES[::-1] if family == "decoder" else BACKBONES
        one["backbone"] = st.selectbox(
            "Backbone",
            backbones,
            key="train_backbone",
            bind="query-params",
            accept_new_options=True,
            help="minilm-l6 (22.7 M, encoder), smollm2-135m (134.5 M, decoder), a Hugging Face id or a local folder.",
        )
        one["history_items"] = int(
            st.number_input("History items in the prompt", 1, 200, 10, key="train_history", bind="query-params")
        )
    if family == "decoder":
        one["head"] = "yes-no"
    if family == "cross-encoder":
        one["head"] = st.selectbox("Head", ("linear", "attention"), key="train_head", bind="query-params")
        one["history_attention"] = st.selectbox(
            "Attention to the history",
            list(ATTENTION),
            format_func=ATTENTION.__getitem__,
            key="train_attention",
            bind="query-params",
            help="Each is another model, trained its own way. Items read alone, once too, make exact reasons cheap; pairs read alone cost most.",
        )
    if family == "fusion":
        members = st.multiselect(
            "Recommenders to fuse",
            FUSED,
            default=["item-knn", "tf-idf"],
            format_func=family_title,
            key="train_members",
            bind="query-params",
            help="Two or more; validation learns how much each one counts.",
        )
        one["retriever"] = "+".join(members)
    if family in ("cascade", "decoder"):
        one["retriever"] = st.selectbox(
            "Cheap retriever",
            FUSED,
            format_func=family_title,
            key="train_retriever",
            bind="query-params",
        )
        one["rerank_k"] = int(
            st.number_input("Items passed to the language model, K", 1, 1000, 20, key="train_k", bind="query-params")
        )
    known = records.has_dataset(data)
    content = records.dataset(str(records.settings().home), data, 0.0).content_hash if known else ""
    return {"data": {"name": data, "content_hash": content}, "recommender": one}, family


def dials(family: str) -> dict[str, Sequence[Any]]:
    """What the grid multiplies."""
    chosen: dict[str, Sequence[Any]] = {}
    if family in ("cross-encoder", "bi-encoder", "decoder", "cascade"):
        depths = (0, 2, 4, 6) if family != "decoder" else (0, 10, 20, 30)
        chosen["depths"] = st.pills(
            "Layers kept",
            depths,
            selection_mode="multi",
            default=[0],
            format_func=lambda depth: str(depth) if depth else "all",
            key="train_depths",
            bind="query-params",
        )
        methods = list(METHODS) if family != "decoder" else ["none", "lora", "full"]
        default = ["full"] if family == "cross-encoder" else ["none"]
        chosen["methods"] = st.pills(
            "Fine-tuning",
            methods,
            selection_mode="multi",
            default=default,
            format_func=METHODS.get,
            key="train_methods",
            bind="query-params",
        )
    if family in SEQUENTIAL:
        chosen["methods"] = ("full",)
    precisions = ("fp32",) if family in (*CLASSICAL, *SEQUENTIAL) else ("fp32", "int8-dynamic", "bf16")
    chosen["precisions"] = st.pills(
        "Precision", precisions, selection_mode="multi", default=["fp32"], key="train_precisions", bind="query-params"
    )
    seeds = st.number_input(
        "Seeds", 1, 5, 1, key="train_seeds", bind="query-params", help="Repeats with other random numbers."
    )
    chosen["seeds"] = tuple(range(int(seeds)))
    return chosen


def budget(family: str) -> dict[str, Any]:
    """Steps and minutes at most."""
    if family not in TRAINED_FAMILIES:
        return {}
    steps, minutes = st.columns(2)
    return {
        "steps": int(
            steps.number_input("Training steps", 21, 100_000, 200, step=50, key="train_steps", bind="query-params")
        ),
        "max_minutes": float(
            minutes.number_input("At most, minutes", 0.5, 6000.0, 20.0, key="train_minutes", bind="query-params")
        ),
    }


def protocol() -> dict[str, Any]:
    """How quality is measured."""
    split, candidates, users, full = st.columns(4, vertical_alignment="bottom")
    return {
        "split": split.selectbox("Split", SPLITS, key="train_split", bind="query-params"),
        "candidates": candidates.selectbox(
            "Candidates",
            ("100-uniform", "100-popular", "full"),
            key="train_candidates",
            bind="query-params",
            accept_new_options=True,
            help="Or type 50-uniform, 500-popular, or given-NAME for a list that came with the data set.",
        ),
        "users": int(users.number_input("Users, 0 = all", 0, 1_000_000, 400, key="train_users", bind="query-params")),
        "also_full": full.toggle("Rank all items besides", key="train_full", bind="query-params"),
    }


def optimiser(family: str) -> dict[str, Any]:
    """How weights move."""
    if family not in TRAINED_FAMILIES:
        return {}
    objective, kind, rate, schedule = st.columns(4)
    chosen: dict[str, Any] = {
        "objective": objective.selectbox(
            "Objective", ("listwise", "bce", "mse", "pairwise"), key="train_objective", bind="query-params"
        ),
        "optimizer": kind.selectbox("Optimiser", ("adamw", "sgd"), key="train_optimizer", bind="query-params"),
        "schedule": schedule.selectbox(
            "Schedule", ("linear", "cosine", "exponential", "constant"), key="train_schedule", bind="query-params"
        ),
    }
    learning_rate = rate.number_input(
        "Learning rate",
        min_value=1e-7,
        max_value=1.0,
        value=None,
        format="%.6g",
        placeholder="suited to the method",
        key="train_rate",
        bind="query-params",
    )
    if learning_rate is not None:
        chosen["learning_rate"] = learning_rate
    return chosen


def queue(name: str, runs: Sequence[RunSpec]) -> None:
    """Put the runs at the end of the study `name`, which is made when it is new."""
    for run in runs:
        records.ledger().enqueue(run, name)
