"""Fusion: what several recommenders say about a candidate, weighed as validation shows it should be.

Each member's scores are standardised within a request. A softmax regression over validation candidates (one withheld
item, the rest sampled) learns one weight a member, and a second one that counts only for rare candidates, where
collaborative scores know nothing and text does. The members are fitted on training alone; validation decides a
handful of numbers, never more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize

from llmrec_core.recommenders.base import Recommender
from llmrec_core.recommenders.storage import load_arrays, save_arrays
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.experiments.context import RunContext

RARE = 10  # training interactions


class Fusion:
    """A learned weighted sum of members' scores.

    Args:
        members: name → recommender, by family name where `load` is to find the class again.
        candidates: kind of the validation candidates; `full` where the catalogue allows it.
        users: validation users.
        ridge: pull of the weights towards 0, per validation user.
        fitted: members are fitted already (weights of other runs).
    """

    def __init__(
        self,
        members: Mapping[str, Recommender],
        candidates: str = "500-uniform",
        users: int = 1000,
        ridge: float = 1e-3,
        seed: int = 0,
        fitted: bool = False,
    ) -> None:
        self.members = dict(members)
        self.candidates, self.users, self.ridge, self.seed, self.fitted = candidates, users, ridge, seed, fitted
        self.weights = np.zeros(2 * len(self.members) + 1)
        self.counts = np.zeros(0, np.int64)

    def fit(self, split: Split, context: RunContext) -> None:
        from llmrec_core.data.candidates import candidate_sets, sample_cases

        self.counts = split.item_counts
        if not self.fitted:
            for member in self.members.values():
                member.fit(split, context)
        cases = sample_cases(split.valid, self.users, self.seed)
        features, masks = [], []
        for start in range(0, len(cases), 64):
            some = cases[start : start + 64]
            items = candidate_sets(split, some, self.candidates, self.seed)
            seen = self._features([case.history for case in some], items)
            features += [row[item >= 0] for row, item in zip(seen, items, strict=True)]
            masks += [np.isin(item[item >= 0], case.relevant) for item, case in zip(items, some, strict=True)]
            context.progress("fuse", start + len(some), len(cases))
        self.weights = learn_weights(features, masks, self.ridge)
        context.log(
            "fusion weights: " + ", ".join(f"{name} {value:.2f}" for name, value in self.named_weights().items())
        )

    def named_weights(self) -> dict[str, float]:
        """Weight of each member for usual candidates, its addition for rare ones, and the constant of rare ones."""
        names = list(self.members)
        keys = [*names, *(f"{name}, rare" for name in names), "rare"]
        return dict(zip(keys, self.weights.tolist(), strict=True))

    def _features(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """(batch, candidates, 2·members + 1): standardised scores, the same for rare items alone, and rarity."""
        real = candidates >= 0
        columns = [standardise(member.score(histories, candidates), real) for member in self.members.values()]
        rare = np.where(real, self.counts[candidates] <= RARE, False).astype(float)
        return np.stack([*columns, *(column * rare for column in columns), rare], axis=-1)

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        scores = self._features(histories, candidates) @ self.weights
        return np.where(candidates >= 0, scores, -np.inf).astype(np.float32)

    def save(self, folder: Path) -> None:
        for name, member in self.members.items():
            member.save(folder / name)
        save_arrays(folder, "fusion", counts=self.counts, weights=self.weights)
        (folder / "fusion.json").write_text(json.dumps(list(self.members)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, dataset: Dataset) -> Fusion:
        from llmrec_core.recommenders.registry import family_class

        names = json.loads((folder / "fusion.json").read_text(encoding="utf-8"))
        made = cls({name: family_class(name).load(folder / name, dataset) for name in names}, fitted=True)
        stored = load_arrays(folder, "fusion", dataset)
        made.counts, made.weights = stored["counts"], stored["weights"]
        return made

    def describe(self, history_items: float, candidates: int) -> Description:
        """Sums of the members, and 2 FLOPs a weight and candidate."""
        parts = [member.describe(history_items, candidates) for member in self.members.values()]
        return Description(
            sum(part.parameters for part in parts) + len(self.weights),
            sum(part.trainable_parameters for part in parts) + len(self.weights),
            sum(part.weight_bytes for part in parts) + self.weights.nbytes,
            sum(part.flops_per_request for part in parts) + 2.0 * len(self.weights) * candidates,
            {"weights": self.named_weights()},
        )


def standardise(scores: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Scores with mean 0 and deviation 1 over the real candidates of each request; 0 for padding and constant rows.

    >>> standardise(np.array([[1.0, 3.0, -np.inf]]), np.array([[True, True, False]])).tolist()
    [[-1.0, 1.0, 0.0]]
    """
    values = np.where(real, scores, 0.0).astype(np.float64)
    n = np.maximum(real.sum(axis=1, keepdims=True), 1)
    centred = np.where(real, values - values.sum(axis=1, keepdims=True) / n, 0.0)
    spread = np.sqrt(np.square(centred).sum(axis=1, keepdims=True) / n)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)


def learn_weights(features: Sequence[np.ndarray], relevant: Sequence[np.ndarray], ridge: float) -> np.ndarray:
    """Weights w that minimise −Σ log softmax(F w) at the relevant candidates, plus ridge·users·|w|²; convex, so one answer."""

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total, slope = ridge * len(features) * weights @ weights, 2 * ridge * len(features) * weights
        for matrix, mask in zip(features, relevant, strict=True):
            score = matrix @ weights
            score -= score.max()
            share = np.exp(score)
            share /= share.sum()
            wanted = mask / mask.sum()
            total -= float((wanted * (score - np.log(np.exp(score).sum()))).sum())
            slope += (share - wanted) @ matrix
        return total, slope

    return optimize.minimize(loss, np.zeros(features[0].shape[1]), jac=True, method="L-BFGS-B").x
