"""A policy over finished scores; every act is on record.

The policy says what may be shown, what waits for a person, and what is pushed down. It never
changes a recommender. The same scores with and without it give its cost in quality and
time (`policy_effect`). The policy's fields stand in contract/policy.py; people's decisions are one
JSON file per data set.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from llmrec_core.contract.policy import Policy
from llmrec_core.data.cleaning.pleas import trigger_text
from llmrec_core.data.cleaning.text_checks import damaged_text
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.store import folder_of
from llmrec_core.errors import UsageError
from llmrec_core.files import write_json
from llmrec_core.language import t
from llmrec_core.metrics.beyond import top_k
from llmrec_core.settings import Settings
from llmrec_core.types import Columns

STATES = ("waiting", "approved", "rejected")


@dataclass(frozen=True)
class Act:
    """One thing the policy did: to whom, with what, and under which rule."""

    user: int
    item_id: str
    rule: str
    """`block`, `block-genre`, `review`, or `demoted` (was in the list, a penalty moved it out)."""


@dataclass
class ReviewQueue:
    """Flagged items and what a person decided; kept as a JSON file."""

    path: Path
    states: dict[str, str] = field(default_factory=dict)
    """Item id → one of `STATES`."""
    titles: dict[str, str] = field(default_factory=dict)
    """Item id → title, so that a person can decide without the data set."""

    @classmethod
    def of(cls, dataset: str, settings: Settings) -> ReviewQueue:
        """The queue of a data set, shared by its versions, in `HOME/policies`.

        The file's name gives nothing of the data set's name away.
        """
        place = folder_of(dataset.partition("@")[0], settings).name
        return cls.open(settings.home / "policies" / f"{place}.review.json")

    @classmethod
    def open(cls, path: Path) -> ReviewQueue:
        """The queue in a file; an empty one when there is none yet."""
        body = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return cls(
            path,
            {item: entry["state"] for item, entry in body.items()},
            {item: entry["title"] for item, entry in body.items()},
        )

    def add(self, titles: Mapping[str, str]) -> None:
        """Puts items (id → title) that are not known yet at the end, waiting."""
        new = {item: title for item, title in titles.items() if item not in self.states}
        if new:
            self.states |= dict.fromkeys(new, "waiting")
            self.titles |= new
            self._write()

    def table(self) -> pd.DataFrame:
        """One line per item, those that wait first."""
        lines = [
            {"Item": i, "Title": self.titles[i], "State": state} for i, state in self.states.items()
        ]
        return pd.DataFrame(sorted(lines, key=lambda line: STATES.index(line["State"])))

    def decide(self, item_id: str, state: str) -> None:
        """Raises UsageError for an unknown item or state."""
        if state not in STATES or item_id not in self.states:
            raise UsageError(
                t(
                    "cannot set {item_id!r} to {state!r}; expected a flagged item and one of "
                    "{STATES}",
                    item_id=item_id,
                    state=state,
                    STATES=", ".join(STATES),
                )
            )
        self.states[item_id] = state
        self._write()

    def _write(self) -> None:
        body = {
            item: {"state": state, "title": self.titles[item]}
            for item, state in self.states.items()
        }
        write_json(self.path, body, indent=1)


@dataclass(frozen=True)
class Applied:
    """Scores under a policy (-inf = not shown), the lists, the acts and the seconds it took."""

    scores: np.ndarray
    lists: np.ndarray
    acts: list[Act]
    wall_s: float

    def audit(self) -> list[dict[str, Any]]:
        """The acts as records."""
        return [asdict(act) for act in self.acts]


def flagged(dataset: Dataset) -> np.ndarray:
    """Items whose title a person should see before users do, bool, shape (items,)."""
    return np.array(
        [trigger_text(title) or damaged_text(title) for title in dataset.items[Columns.TITLE]],
        dtype=bool,
    )


def apply(
    policy: Policy,
    dataset: Dataset,
    counts: np.ndarray,
    users: Sequence[int],
    scores: np.ndarray,
    candidates: np.ndarray,
    *,
    k: int = 10,
    queue: ReviewQueue | None = None,
    suspect: np.ndarray | None = None,
) -> Applied:
    """Scores and top-k lists under the policy.

    Args:
        policy: the rules.
        dataset: whose items are scored.
        counts: training interactions per item.
        users: user code of each row, for the audit.
        scores: shape (users, candidates), higher is better.
        candidates: item codes, same shape; -1 pads.
        k: length of the lists.
        queue: decisions of people; approved items are shown in spite of a flag, rejected ones
            never.
        suspect: `flagged(dataset)`, where it is known already: reading all titles takes a while.
            Unused without `review_flagged`.
    """
    began = time.perf_counter()
    if not policy.review_flagged:
        suspect = np.zeros(dataset.n_items, dtype=bool)
    elif suspect is None:
        suspect = flagged(dataset)
    reasons = _hidden(policy, dataset, queue, suspect)
    hidden = np.array([bool(reason) for reason in reasons])
    real = candidates >= 0
    spread = np.array([values[mask].std() for values, mask in zip(scores, real, strict=True)])[
        :, None
    ]
    changed = np.where(
        real, scores - spread * _penalty(policy, dataset, counts)[candidates], -np.inf
    )
    changed = np.where(real & ~hidden[candidates], changed, -np.inf)
    before, after = (
        top_k(np.where(real, scores, -np.inf), candidates, k),
        top_k(changed, candidates, k),
    )
    shown_by_score = np.sort(np.where(np.isfinite(changed), 1, 0), axis=1)[:, ::-1][:, :k]
    after = np.where(
        np.pad(shown_by_score, ((0, 0), (0, k - shown_by_score.shape[1]))) > 0, after, -1
    )
    ids = dataset.items[Columns.ITEM_ID].to_numpy()
    acts = [
        Act(int(user), str(ids[item]), reasons[item] or "demoted")
        for user, old, new in zip(users, before, after, strict=True)
        for item in old[old >= 0]
        if item not in new
    ]
    if queue is not None:
        titles = dict(zip(ids, dataset.items[Columns.TITLE], strict=True))
        queue.add({act.item_id: str(titles[act.item_id]) for act in acts if act.rule == "review"})
    return Applied(changed, after, acts, time.perf_counter() - began)


def _hidden(
    policy: Policy, dataset: Dataset, queue: ReviewQueue | None, suspect: np.ndarray
) -> list[str]:
    """Rule that hides each item, "" for none."""
    states = queue.states if queue is not None else {}
    blocked, genres = set(policy.block), set(policy.block_genres)
    reasons = []
    for item, own, flag in zip(
        dataset.items[Columns.ITEM_ID], dataset.items[Columns.GENRES], suspect, strict=True
    ):
        if item in blocked or states.get(item) == "rejected":
            reasons.append("block")
        elif genres & set(str(own).split("|")):
            reasons.append("block-genre")
        else:
            reasons.append("review" if flag and states.get(item) != "approved" else "")
    return reasons


def _penalty(policy: Policy, dataset: Dataset, counts: np.ndarray) -> np.ndarray:
    penalty: np.ndarray = policy.popularity_penalty * np.log10(np.maximum(counts, 1))
    for genre, weight in policy.genre_penalty.items():
        penalty = penalty + weight * np.array(
            [genre in str(own).split("|") for own in dataset.items[Columns.GENRES]]
        )
    return penalty


def group_exposure(lists: np.ndarray, groups: Sequence[str]) -> dict[str, float]:
    """Share of shown places that each group of items gets.

    An item of several groups (A|B) counts for each in equal parts.

    >>> group_exposure(np.array([[0, 1]]), ["A", "A|B"])
    {'A': 0.75, 'B': 0.25}
    """
    shares: dict[str, float] = {}
    shown = lists[lists >= 0]
    for item in shown:
        own = [group for group in str(groups[item]).split("|") if group]
        for group in own:
            shares[group] = shares.get(group, 0.0) + 1 / len(own) / len(shown)
    return dict(sorted(shares.items()))
