"""What a policy costs and what it moves: the same scores with and without it, user by user.

The run's own protocol gives users and candidates, so the figures stand beside the run's. Every act is a line of
`HOME/policies/RUN.acts.jsonl`; the summary is the run's document `policy`.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from llmrec_core.data.candidates import askable, candidate_sets, sample_cases
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.splits import split
from llmrec_core.experiments.ledger import Ledger
from llmrec_core.experiments.policy import Policy, ReviewQueue, apply, flagged, group_exposure
from llmrec_core.experiments.spec import ProtocolSpec
from llmrec_core.metrics import ranking
from llmrec_core.metrics.beyond import coverage, gini, novelty, top_k
from llmrec_core.metrics.intervals import bootstrap_mean, paired_difference
from llmrec_core.recommenders.base import Recommender
from llmrec_core.settings import Settings
from llmrec_core.types import Columns

DOCUMENT = "policy"
_BATCH = 8


def measure_run(
    run_id: str, policy: Policy, ledger: Ledger, settings: Settings, *, users: int = 200,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:  # fmt: skip
    """Measure a policy on a finished run and put the document into its record, in place of an earlier one.

    Raises:
        UsageError: when the run is unknown, unfinished, or its weights are not on this machine.
    """
    from llmrec_core.experiments.answers import load_run

    loaded = load_run(run_id, settings, {})
    queue = ReviewQueue.of(loaded.dataset.name, settings)
    body, acts = measure(
        loaded.recommender, loaded.spec.protocol, loaded.dataset, policy, users=users, queue=queue, say=say
    )
    path = settings.home / "policies" / f"{run_id}.acts.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(act) + "\n" for act in acts), encoding="utf-8")
    body["acts_file"] = str(path.relative_to(settings.home))
    ledger.add_document(run_id, DOCUMENT, body)
    return body


def measure(
    recommender: Recommender, protocol: ProtocolSpec, dataset: Dataset, policy: Policy, *, users: int = 200,
    queue: ReviewQueue | None = None, say: Callable[[str], None] = lambda line: None,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:  # fmt: skip
    """The `policy` document of a fitted recommender, and every act with the user's id.

    Args:
        users: test users, drawn as the run's own were; 0 = all.
        queue: takes flagged items and knows what people decided.
    """
    parts = askable(split(dataset, protocol.split), protocol.candidates)
    cases = sample_cases(parts.test, users, protocol.seed)
    offered = candidate_sets(parts, cases, protocol.candidates, protocol.seed)
    began = time.perf_counter()
    scores = _scores(recommender, [case.history for case in cases], offered, say)
    scoring_s = time.perf_counter() - began
    k, counts, asked = protocol.k, parts.item_counts, [case.user for case in cases]
    began = time.perf_counter()
    suspect = flagged(dataset) if policy.review_flagged else None
    once_s = time.perf_counter() - began if policy.review_flagged else None
    applied = apply(policy, dataset, counts, asked, scores, offered, k=k, queue=queue, suspect=suspect)
    relevant = np.stack([np.isin(row, case.relevant) for row, case in zip(offered, cases, strict=True)])
    plain = np.where(offered >= 0, scores, -np.inf)
    before, after = (ranking.ndcg(ranking.ranks(one, relevant), k) for one in (plain, applied.scores))
    lists = top_k(plain, offered, k)
    ids = dataset.users[Columns.USER_ID].astype(str).to_numpy()
    body = {
        "policy": dataclasses.asdict(policy),
        "protocol": protocol.name,
        "k": k,
        "users": len(cases),
        "changed_lists": int((lists != applied.lists).any(axis=1).sum()),
        "acts": dict(Counter(act.rule for act in applied.acts)),
        "ndcg": {
            "before": _interval(before),
            "after": _interval(after),
            "difference": dataclasses.asdict(paired_difference(after, before)),
        },
        "lists": {"before": _shape(lists, counts), "after": _shape(applied.lists, counts)},
        "exposure": exposure_by_group(dataset, lists, applied.lists, counts),
        "titles_read_s": once_s,
        "policy_s": applied.wall_s / len(cases),
        "scoring_s": scoring_s / len(cases),
    }
    return body, [act | {"user": ids[act["user"]]} for act in applied.audit()]


def _scores(
    recommender: Recommender, histories: Sequence[np.ndarray], offered: np.ndarray, say: Callable[[str], None]
) -> np.ndarray:
    parts = []
    for start in range(0, len(histories), _BATCH):
        parts.append(recommender.score(histories[start : start + _BATCH], offered[start : start + _BATCH]))
        if start and start % (25 * _BATCH) == 0:
            say(f"scored {start} of {len(histories)} people")
    return np.concatenate(parts).astype(np.float64)


def _interval(values: np.ndarray) -> dict[str, float]:
    return dict(zip(("value", "low", "high"), bootstrap_mean(values), strict=True))


def _shape(lists: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    return {
        "coverage": coverage(lists, len(counts)),
        "gini": gini(lists, len(counts)),
        "novelty": float(novelty(lists, counts).mean()),
        "length": float((lists >= 0).sum(axis=1).mean()),
    }


def exposure_by_group(
    dataset: Dataset, before: np.ndarray, after: np.ndarray, counts: np.ndarray
) -> list[dict[str, Any]]:
    """Share of shown places per group of items, before and after: popularity thirds, then genres where there are any."""
    place = np.empty(len(counts), dtype=np.int64)
    place[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    thirds = [("rarest third", "middle third", "most popular third")[one] for one in place * 3 // len(counts)]
    lines = []
    for kind, groups in (("popularity", thirds), ("genre", dataset.items[Columns.GENRES].astype(str).tolist())):
        old, new = group_exposure(before, groups), group_exposure(after, groups)
        names = sorted(set(old) | set(new), key=lambda name: -old.get(name, 0.0))
        lines += [{"kind": kind, "group": n, "before": old.get(n, 0.0), "after": new.get(n, 0.0)} for n in names]
    return lines


def sentence(run: str, body: dict[str, Any]) -> str:
    """What the policy does to this run, in one line."""
    gap, before, after = (body["ndcg"][name] for name in ("difference", "before", "after"))
    sure = "beyond chance" if not gap["low"] <= 0 <= gap["high"] else "within chance"
    acts = ", ".join(f"{count} {rule}" for rule, count in sorted(body["acts"].items())) or "no act"
    titles = f", and {body['titles_read_s']:.2f} s once to read all titles" if body["titles_read_s"] is not None else ""
    return (
        f"{run}: the policy changes {body['changed_lists']} of {body['users']} lists ({acts}). NDCG@{body['k']} "
        f"{before['value']:.3f} to {after['value']:.3f}, difference {gap['mean']:+.3f} ({gap['low']:+.3f} to {gap['high']:+.3f}), "
        f"{sure}. It takes {1e3 * body['policy_s']:.2f} ms a request beside {1e3 * body['scoring_s']:.2f} ms of scoring{titles}."
    )
