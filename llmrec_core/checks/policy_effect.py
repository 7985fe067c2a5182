"""What a policy costs and what it moves: the same scores with and without it, user by user.

The run's own protocol gives users and candidates, so the figures stand beside the run's. Every act
is a line of `HOME/policies/RUN.acts.jsonl`; the summary is the run's document `policy`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from llmrec_core.checks.policy import ReviewQueue, apply, flagged, group_exposure
from llmrec_core.contract.policy import Policy
from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.contract.recommender import Recommender
from llmrec_core.contract.steps import Progress, Step, unnoted
from llmrec_core.data.dataset import Dataset
from llmrec_core.files import write_text
from llmrec_core.language import t
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.metrics import ranking
from llmrec_core.metrics.beyond import coverage, gini, novelty, top_k
from llmrec_core.metrics.exam import Exam
from llmrec_core.metrics.intervals import mean_interval, paired_difference
from llmrec_core.profiling.timing import TimingWindow
from llmrec_core.reading.check_results import POLICY_DOCUMENT
from llmrec_core.settings import Settings
from llmrec_core.types import Columns

_BATCH = 8


def measure_run(
    run_id: str,
    policy: Policy,
    ledger: Ledger,
    settings: Settings,
    *,
    users: int = 200,
    say: Callable[[str], None] = lambda line: None,
    window: TimingWindow = contextlib.nullcontext,
    progress: Progress = unnoted,
) -> dict[str, Any]:
    """Measure a policy on a finished run and put the document into its record.

    An earlier document of the run is replaced.

    Args:
        run_id: of the run.
        policy: the rules.
        ledger: where its record is.
        settings: where runs and people's decisions stand.
        users: test users, drawn as the run's own were; 0 takes all.
        say: takes a line now and then.
        window: as for `measure`.
        progress: as for `measure`.

    Raises:
        UsageError: when the run is unknown, unfinished, or its weights are not on this machine.
    """
    from llmrec_core.recommenders.finished_run import load_run

    loaded = load_run(run_id, settings)
    queue = ReviewQueue.of(loaded.dataset.name, settings)
    body, acts = measure(
        loaded.recommender,
        loaded.spec.protocol,
        loaded.dataset,
        policy,
        users=users,
        queue=queue,
        say=say,
        window=window,
        progress=progress,
    )
    path = settings.home / "policies" / f"{run_id}.acts.jsonl"
    write_text(path, "".join(json.dumps(act) + "\n" for act in acts))
    body["acts_file"] = str(path.relative_to(settings.home))
    ledger.add_document(run_id, POLICY_DOCUMENT, body)
    return body


def measure(
    recommender: Recommender,
    protocol: ProtocolSpec,
    dataset: Dataset,
    policy: Policy,
    *,
    users: int = 200,
    queue: ReviewQueue | None = None,
    say: Callable[[str], None] = lambda line: None,
    window: TimingWindow = contextlib.nullcontext,
    progress: Progress = unnoted,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The `policy` document of a fitted recommender, and every act with the user's id.

    Args:
        recommender: a fitted one.
        protocol: who is asked and what is offered.
        dataset: the run's.
        policy: the rules.
        users: test users, drawn as the run's own were; 0 takes all.
        queue: takes flagged items and knows what people decided.
        say: takes a line now and then.
        window: in which the machine is the measurement's alone, for a few people at a time.
        progress: called before each of these few.
    """
    exam = Exam.of(dataset, protocol, users=users)
    cases, offered = exam.cases, exam.candidates
    scores, scoring_s = _scores(recommender, exam.histories, offered, say, window, progress)
    k, counts, users_asked = protocol.k, exam.split.item_counts, [case.user for case in cases]
    with window():
        began = time.perf_counter()
        suspect = flagged(dataset) if policy.review_flagged else None
        once_s = time.perf_counter() - began if policy.review_flagged else None
    with window():
        applied = apply(
            policy, dataset, counts, users_asked, scores, offered, k=k, queue=queue, suspect=suspect
        )
    relevant = np.stack(
        [np.isin(row, case.relevant) for row, case in zip(offered, cases, strict=True)]
    )
    plain = np.where(offered >= 0, scores, -np.inf)
    before, after = (
        ranking.ndcg(ranking.ranks(values, relevant), k) for values in (plain, applied.scores)
    )
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
    recommender: Recommender,
    histories: Sequence[np.ndarray],
    offered: np.ndarray,
    say: Callable[[str], None],
    window: TimingWindow,
    progress: Progress,
) -> tuple[np.ndarray, float]:
    """The scores, and the seconds that they took without any wait for the machine."""
    parts, seconds = [], 0.0
    for start in range(0, len(histories), _BATCH):
        progress(Step(done=start, total=len(histories), phase=t("people scored")))
        few = slice(start, start + _BATCH)
        with window():
            began = time.perf_counter()
            parts.append(recommender.score(histories[few], offered[few]))
            seconds += time.perf_counter() - began
        if start and start % (25 * _BATCH) == 0:
            say(
                t("scored {start} of {n_histories} people", start=start, n_histories=len(histories))
            )
    return np.concatenate(parts).astype(np.float64), seconds


def _interval(values: np.ndarray) -> dict[str, float]:
    return dict(zip(("value", "low", "high"), mean_interval(values), strict=True))


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
    """Share of shown places per group of items, before and after.

    Groups are thirds by popularity, then genres where there are any.
    """
    place = np.empty(len(counts), dtype=np.int64)
    place[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    thirds = [
        (t("rarest third"), t("middle third"), t("most popular third"))[third]
        for third in place * 3 // len(counts)
    ]
    lines = []
    for kind, groups in (
        ("popularity", thirds),
        ("genre", dataset.items[Columns.GENRES].astype(str).tolist()),
    ):
        old, new = group_exposure(before, groups), group_exposure(after, groups)
        names = sorted(set(old) | set(new), key=lambda name: -old.get(name, 0.0))
        lines += [
            {"kind": kind, "group": n, "before": old.get(n, 0.0), "after": new.get(n, 0.0)}
            for n in names
        ]
    return lines
