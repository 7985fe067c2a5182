"""The list of a finished run, for a person of its data set or for somebody new."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from llmrec_core.checks.policy import ReviewQueue, apply, flagged
from llmrec_core.contract.policy import Policy
from llmrec_core.contract.recommender import routed_requests
from llmrec_core.contract.requests import RecommendRequest
from llmrec_core.data.dataset import Dataset
from llmrec_core.language import t, tn
from llmrec_core.recommenders.finished_run import Cache, Loaded, load_run
from llmrec_core.running.asked_history import history_of
from llmrec_core.settings import Settings
from llmrec_core.types import Columns


def recommend(request: RecommendRequest, settings: Settings, cache: Cache) -> dict[str, Any]:
    """The best items that are not in the history, and what a policy kept from the list.

    Raises:
        UsageError: for an unknown run, user or title, and when nobody is named.
    """
    began = time.perf_counter()
    loaded = load_run(request.run, settings, cache)
    dataset = loaded.dataset
    repeats = loaded.spec.protocol.repeats
    history = history_of(dataset, request.user, request.history_titles, repeats)
    offered = np.setdiff1d(np.arange(dataset.n_items), history)
    start = time.perf_counter()
    scores = (
        loaded.recommender.score([history], offered[None])[0]
        if len(offered)
        else np.zeros(0, dtype=np.float32)
    )
    asked = offered
    acts: list[dict[str, Any]] = []
    if request.policy is not None:
        scores, offered, acts = _under_policy(
            request.policy, loaded, scores, offered, request.k, settings, cache
        )
    best = np.argsort(-scores, kind="stable")[: request.k]
    score_s = time.perf_counter() - start
    unread = _unread(loaded, history, asked) if len(asked) else ""
    read = history[-loaded.spec.recommender.history_items :]
    return {
        "run": request.run,
        "name": loaded.spec.name,
        "history": [titled(dataset, item)["title"] for item in read],
        "history_items": len(history),
        "repeats": repeats,
        "candidates": len(offered),
        "note": _shorter(request.k, len(best)),
        "unread": unread,
        "items": [titled(dataset, offered[i]) | {"score": float(scores[i])} for i in best],
        "acts": acts,
        "withheld": None,
        "score_s": score_s,
        "seconds": time.perf_counter() - began,
    }


def titled(dataset: Dataset, item: int) -> dict[str, Any]:
    """Id of an item code, and its title; an item without one is called by its id."""
    row = dataset.items.iloc[int(item)]
    item_id = str(row[Columns.ITEM_ID])
    return {"item_id": item_id, "title": str(row[Columns.TITLE]) or t("item {id}", id=item_id)}


def _shorter(wanted: int, count: int) -> str:
    """Why a list is shorter than asked; empty when it is not."""
    if count >= wanted:
        return ""
    return tn(
        "{wanted:,} were asked for; {count:,} item is left that this person has not seen",
        "{wanted:,} were asked for; {count:,} items are left that this person has not seen",
        count,
        wanted=wanted,
    )


def _unread(loaded: Loaded, history: np.ndarray, offered: np.ndarray) -> str:
    """That a gate kept the request from the language model; empty where it was read."""
    routed = routed_requests(loaded.recommender, [history], offered[None])
    if routed is None or routed[0]:
        return ""
    return t("the gate did not pass this request on to the language model: the retriever's order")


def _under_policy(
    policy: Policy,
    loaded: Loaded,
    scores: np.ndarray,
    offered: np.ndarray,
    k: int,
    settings: Settings,
    cache: Cache,
) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    """Scores and items that the policy lets through, and what it kept from the list by which rule.

    Args:
        policy: what may be shown.
        loaded: the run, whose data set the items are of.
        scores: shape (items offered,).
        offered: item codes, shape (items offered,).
        k: length of the list.
        settings: where people's decisions stand.
        cache: keeps which titles are flagged, since reading all of them takes a while.
    """
    dataset = loaded.dataset
    counts = np.bincount(dataset.interactions[Columns.ITEM], minlength=dataset.n_items)
    queue = ReviewQueue.of(dataset.name, settings)
    key = dataset.content_hash
    if policy.review_flagged and key not in cache.flags:
        cache.flags[key] = flagged(dataset)
    applied = apply(
        policy,
        dataset,
        counts,
        [-1],
        scores[None],
        offered[None],
        k=k,
        queue=queue,
        suspect=cache.flags.get(key),
    )
    shown = np.isfinite(applied.scores[0])
    titles = dict(
        zip(dataset.items[Columns.ITEM_ID].astype(str), dataset.items[Columns.TITLE], strict=True)
    )
    acts = [
        {"item_id": act.item_id, "title": str(titles[act.item_id]), "rule": act.rule}
        for act in applied.acts
    ]
    return applied.scores[0][shown], offered[shown], acts
