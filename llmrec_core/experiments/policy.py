"""A policy over finished scores: what may be shown, what is held back for a person, what is pushed down; every act is on record.

It never changes a recommender. The same scores with and without it give its cost in quality and time (`policy_effect`).
A policy is a TOML file with the fields of `Policy`; people's decisions are one JSON file per data set.
"""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from llmrec_core.data.dataset import Dataset
from llmrec_core.data.store import folder_of
from llmrec_core.data.textchecks import damaged_text, trigger_text
from llmrec_core.errors import UsageError
from llmrec_core.metrics.beyond import top_k
from llmrec_core.settings import Settings
from llmrec_core.types import Columns

STATES = ("waiting", "approved", "rejected")


@dataclass(frozen=True)
class Policy:
    """Rules of display."""

    block: tuple[str, ...] = ()
    """Item ids that are never shown."""
    block_genres: tuple[str, ...] = ()
    popularity_penalty: float = 0.0
    """Standard deviations taken off the score per tenfold of training interactions."""
    genre_penalty: dict[str, float] = field(default_factory=dict)
    """Standard deviations taken off items of a genre; negative lifts."""
    review_flagged: bool = True
    """Items whose text reads like an instruction or is damaged wait for a person."""

    def __post_init__(self) -> None:
        for name, value in {"popularity_penalty": self.popularity_penalty, **self.genre_penalty}.items():
            if not np.isfinite(value):
                raise UsageError(f"policy: {name} is {value!r}; expected a finite number")


def load_policy(path: Path) -> Policy:
    """The policy of a TOML file.

    Raises:
        UsageError: for a file that is not there or not TOML, an unknown field or a value of another kind.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a policy in TOML: {error}") from error
    known = {one.name for one in fields(Policy)}
    odd = sorted(set(table) - known)
    if odd:
        raise UsageError(f"{path.name} has an unknown field {odd[0]!r}; a policy knows {', '.join(sorted(known))}")
    for name in ("block", "block_genres"):
        if not isinstance(table.get(name, []), list):
            raise UsageError(f'{path.name}: {name} is {table[name]!r}; expected a list, e.g. {name} = ["…"]')
        table[name] = tuple(str(one) for one in table.get(name, []))
    penalties = table.get("genre_penalty", {})
    if not isinstance(penalties, dict):
        raise UsageError(f"{path.name}: genre_penalty is {penalties!r}; expected e.g. {{ Drama = 0.5 }}")
    for name, value in {"popularity_penalty": table.get("popularity_penalty", 0.0), **penalties}.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise UsageError(f"{path.name}: {name} is {value!r}; expected a number of standard deviations")
    if not isinstance(table.get("review_flagged", True), bool):
        raise UsageError(f"{path.name}: review_flagged is {table['review_flagged']!r}; expected true or false")
    return Policy(**table)


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
        """The queue of a data set, shared by its versions, in `HOME/policies`; the file's name says nothing of the set's."""
        place = folder_of(dataset.partition("@")[0], settings).name
        return cls.open(settings.home / "policies" / f"{place}.review.json")

    @classmethod
    def open(cls, path: Path) -> ReviewQueue:
        """The queue in a file; an empty one when there is none yet."""
        body = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return cls(path, {i: one["state"] for i, one in body.items()}, {i: one["title"] for i, one in body.items()})

    def add(self, titles: Mapping[str, str]) -> None:
        """Puts items (id → title) that are not known yet at the end, waiting."""
        new = {item: title for item, title in titles.items() if item not in self.states}
        if new:
            self.states |= dict.fromkeys(new, "waiting")
            self.titles |= new
            self._write()

    def table(self) -> pd.DataFrame:
        """One line per item, those that wait first."""
        lines = [{"Item": i, "Title": self.titles[i], "State": state} for i, state in self.states.items()]
        return pd.DataFrame(sorted(lines, key=lambda line: STATES.index(line["State"])))

    def decide(self, item_id: str, state: str) -> None:
        """Raises UsageError for an unknown item or state."""
        if state not in STATES or item_id not in self.states:
            raise UsageError(
                f"cannot set {item_id!r} to {state!r}; expected a flagged item and one of {', '.join(STATES)}"
            )
        self.states[item_id] = state
        self._write()

    def _write(self) -> None:
        temporary = self.path.with_suffix(".tmp")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        body = {item: {"state": state, "title": self.titles[item]} for item, state in self.states.items()}
        temporary.write_text(json.dumps(body, indent=1, ensure_ascii=False), encoding="utf-8")
        temporary.replace(self.path)


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
    return np.array([trigger_text(title) or damaged_text(title) for title in dataset.items[Columns.TITLE]], dtype=bool)


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
        counts: training interactions per item.
        users: user code of each row, for the audit.
        queue: decisions of people; approved items are shown in spite of a flag, rejected ones never.
        suspect: `flagged(dataset)`, where it is known already: reading all titles takes a while. Unused without `review_flagged`.
    """
    began = time.perf_counter()
    if not policy.review_flagged:
        suspect = np.zeros(dataset.n_items, dtype=bool)
    elif suspect is None:
        suspect = flagged(dataset)
    reasons = _hidden(policy, dataset, queue, suspect)
    hidden = np.array([bool(reason) for reason in reasons])
    real = candidates >= 0
    spread = np.array([values[mask].std() for values, mask in zip(scores, real, strict=True)])[:, None]
    changed = np.where(real, scores - spread * _penalty(policy, dataset, counts)[candidates], -np.inf)
    changed = np.where(real & ~hidden[candidates], changed, -np.inf)
    before, after = top_k(np.where(real, scores, -np.inf), candidates, k), top_k(changed, candidates, k)
    shown_by_score = np.sort(np.where(np.isfinite(changed), 1, 0), axis=1)[:, ::-1][:, :k]
    after = np.where(np.pad(shown_by_score, ((0, 0), (0, k - shown_by_score.shape[1]))) > 0, after, -1)
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


def _hidden(policy: Policy, dataset: Dataset, queue: ReviewQueue | None, suspect: np.ndarray) -> list[str]:
    """Rule that hides each item, "" for none."""
    states = queue.states if queue is not None else {}
    blocked, genres = set(policy.block), set(policy.block_genres)
    reasons = []
    for item, own, flag in zip(dataset.items[Columns.ITEM_ID], dataset.items[Columns.GENRES], suspect, strict=True):
        if item in blocked or states.get(item) == "rejected":
            reasons.append("block")
        elif genres & set(str(own).split("|")):
            reasons.append("block-genre")
        else:
            reasons.append("review" if flag and states.get(item) != "approved" else "")
    return reasons


def _penalty(policy: Policy, dataset: Dataset, counts: np.ndarray) -> np.ndarray:
    penalty = policy.popularity_penalty * np.log10(np.maximum(counts, 1))
    for genre, weight in policy.genre_penalty.items():
        penalty = penalty + weight * np.array([genre in str(own).split("|") for own in dataset.items[Columns.GENRES]])
    return penalty


def group_exposure(lists: np.ndarray, groups: Sequence[str]) -> dict[str, float]:
    """Share of shown places that each group of items gets; an item of several groups (A|B) counts for each in part.

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
