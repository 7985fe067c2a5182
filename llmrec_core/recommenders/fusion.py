"""Fusion: what several recommenders say about a candidate, weighed as validation teaches.

Each member's scores are standardised within a request. A softmax regression over validation
candidates (one withheld item, the rest sampled) learns one weight a member, and a second one that
counts only for rare candidates, where collaborative scores know nothing and text does. The members
are fitted on training alone; validation decides a handful of numbers, never more.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import optimize

from llmrec_core.contract.families import fusable
from llmrec_core.contract.parsing import near_name
from llmrec_core.contract.recommender import ListScore, Recommender, ScorePart, mean_candidates
from llmrec_core.contract.spec import RunSpec
from llmrec_core.data.candidates import PADDING, SHELF
from llmrec_core.errors import UsageError
from llmrec_core.files import write_json
from llmrec_core.language import t
from llmrec_core.metrics.exam import Exam
from llmrec_core.recommenders.options import refuse_weights
from llmrec_core.recommenders.registry import build, family_class, stored_as
from llmrec_core.recommenders.storage import load_arrays, save_arrays
from llmrec_core.recommenders.stored import stored_spec
from llmrec_core.training.validation import require_people
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.settings import Settings

RARE = 10
"""Training interactions up to which a candidate is rare."""
READ_TOGETHER = 64
"""Validation users whose candidates are scored in one pass."""
FULL_ITEMS = 3_000
"""Catalogues up to this size are learned from in full, larger ones from 1,000 popular items; where
only a shelf is offered, from the shelf."""


class Fusion:
    """A learned weighted sum of members' scores.

    Args:
        members: name → recommender, by family name where `load` is to find the class again.
        candidates: kind of the validation candidates; `full` where the catalogue allows it.
        users: validation users.
        ridge: pull of the weights towards 0, per validation user.
        seed: which validation users and candidates are drawn.
        fitted: members are fitted already (weights of other runs).
        trained: names of the members that another run has trained, which `fit` leaves as they are.
    """

    def __init__(
        self,
        members: Mapping[str, Recommender],
        candidates: str = "500-uniform",
        users: int = 1000,
        ridge: float = 1e-3,
        seed: int = 0,
        fitted: bool = False,
        trained: Collection[str] = (),
    ) -> None:
        self.members = dict(members)
        self.trained = frozenset(members if fitted else trained)
        self.candidates, self.users, self.ridge = candidates, int(users), ridge
        self.seed = seed
        self.weights = np.zeros(2 * len(self.members) + 1)
        self.counts = np.zeros(0, np.int64)

    @classmethod
    def of_spec(
        cls, spec: RunSpec, dataset: Dataset, settings: Settings, parent: Path | None
    ) -> Fusion:
        """A fusion of the families named in `retriever` (`item-knn+tf-idf`), each as it comes.

        A member that reads with a neural model (`tf-idf+two-towers`) is the run that `weights_from`
        names, so that it is trained once.

        Raises:
            UsageError: for a family that cannot be fused, and for weights that no member takes.
        """
        chosen, names = spec.recommender, [family.name for family in fusable()]
        trained = _trained_member(parent, dataset)
        if parent is not None and not set(trained) <= set(chosen.retriever.split("+")):
            refuse_weights(spec, parent)
        members: dict[str, Recommender] = {}
        for name in chosen.retriever.split("+"):
            if name in trained:
                members[name] = trained[name]
                continue
            if name not in names:
                raise UsageError(
                    t(
                        "recommender.retriever names {name!r}; a fusion takes {names}, joined by "
                        "+.{hint}",
                        name=name,
                        names=", ".join(names),
                        hint=near_name(name, names),
                    )
                )
            alone = replace(
                spec, recommender=replace(chosen, family=name, retriever="", options={})
            )
            members[name] = build(alone, dataset, settings)
        candidates = "full" if dataset.n_items <= FULL_ITEMS else "1000-popular"
        if spec.protocol.candidates == SHELF:
            candidates = SHELF
        options: dict[str, Any] = dict(chosen.options)
        return cls(members, candidates=candidates, seed=spec.seed, trained=trained, **options)

    def parts(self) -> list[Recommender]:
        """As `Composed.parts`."""
        return list(self.members.values())

    def fit(self, split: Split, context: RunContext) -> None:
        """Fit the members, then learn their weights on validation users.

        Raises:
            DataError: when the split leaves nobody to validate on.
        """
        require_people(split)
        self.counts = split.item_counts
        for name, member in self.members.items():
            if name not in self.trained:
                member.fit(split, context)
        features: list[np.ndarray] = []
        masks: list[np.ndarray] = []
        people = min(self.users or len(split.valid), len(split.valid))
        for exam in Exam.batches(
            split, split.valid, self.candidates, self.users, self.seed, READ_TOGETHER
        ):
            seen = self._features(exam.histories, exam.candidates)
            for place, case in enumerate(exam.cases):
                features.append(seen[place, exam.candidates[place] != PADDING])
                masks.append(np.isin(exam.offered(place), case.relevant))
            context.progress("fuse", len(masks), people)
        self.weights = learn_weights(features, masks, self.ridge)
        named = self.named_weights().items()
        context.log(
            t(
                "fusion weights: {weights}",
                weights=", ".join(f"{name} {value:.2f}" for name, value in named),
            )
        )

    def named_weights(self) -> dict[str, float]:
        """Weight of each member, what rare candidates add to it, and the constant of rare ones."""
        names = list(self.members)
        keys = [*names, *(f"{name}, rare" for name in names), "rare"]
        return dict(zip(keys, self.weights.tolist(), strict=True))

    def _features(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """Standardised scores, the same for rare items alone, and rarity.

        Returns:
            float64, shape (batch, candidates, 2·members + 1).
        """
        real = candidates >= 0
        columns = [
            standardise(member.score(histories, candidates), real)
            for member in self.members.values()
        ]
        rare = np.where(real, self.counts[candidates] <= RARE, False).astype(float)
        return np.stack([*columns, *(column * rare for column in columns), rare], axis=-1)

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """As `Recommender.score`."""
        scores = self._features(histories, candidates) @ self.weights
        return np.where(candidates >= 0, scores, -np.inf).astype(np.float32)

    def list_score(self, history: np.ndarray, candidates: np.ndarray) -> ListScore:
        """How `score` comes about for one history and its candidates, item codes (candidates,)."""
        rare = (self.counts[candidates] <= RARE).astype(float)
        count = len(self.members)
        offsets = self.weights[-1] * rare
        parts = []
        for number, (name, member) in enumerate(self.members.items()):
            scores = member.score([history], candidates[None])
            mean, spread = moments(scores, np.ones(scores.shape, dtype=bool))
            shares = self.weights[number] + self.weights[count + number] * rare
            weights = shares / spread[0, 0] if spread[0, 0] > 0 else np.zeros(len(candidates))
            offsets = offsets - weights * mean[0, 0]
            parts.append(ScorePart(name, member, shares, weights))
        return ListScore(tuple(parts), offsets)

    def save(self, folder: Path) -> None:
        """Write every member into a folder of its own, and the weights."""
        for name, member in self.members.items():
            member.save(folder / name)
        save_arrays(folder, "fusion", counts=self.counts, weights=self.weights)
        write_json(folder / "fusion.json", list(self.members))

    @classmethod
    def load(cls, folder: Path, dataset: Dataset) -> Fusion:
        """The recommender that `save` wrote.

        Raises:
            CheckpointError: as `storage.load_arrays`.
        """
        names = json.loads((folder / "fusion.json").read_text(encoding="utf-8"))
        members = {name: family_class(name).load(folder / name, dataset) for name in names}
        loaded = cls(members, fitted=True)
        stored = load_arrays(folder, "fusion", dataset)
        loaded.counts, loaded.weights = stored["counts"], stored["weights"]
        return loaded

    def describe(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> Description:
        """Sums of the members, and 2 FLOPs a weight and candidate."""
        parts = [member.describe(histories, candidates) for member in self.members.values()]
        return Description(
            sum(part.parameters for part in parts) + len(self.weights),
            sum(part.trainable_parameters for part in parts) + len(self.weights),
            sum(part.weight_bytes for part in parts) + self.weights.nbytes,
            sum(part.flops_per_request for part in parts)
            + 2.0 * len(self.weights) * mean_candidates(candidates),
            {"weights": self.named_weights()},
        )


def _trained_member(parent: Path | None, dataset: Dataset) -> dict[str, Recommender]:
    """The recommender of another run's folder by its family; nothing for None.

    Raises:
        UsageError: when the folder holds none that can be fused.
    """
    if parent is None:
        return {}
    spec = stored_spec(parent)
    kind = "" if spec is None else stored_as(spec.recommender)
    if kind in ("", "cascade", "hosted"):
        raise UsageError(
            t(
                "weights_from names a run that no fusion can take over; name a sequential model, "
                "two towers, a bi-encoder or a language model without a retriever"
            )
        )
    return {kind: family_class(kind).load(parent, dataset)}


def standardise(scores: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Scores with mean 0 and deviation 1 over the real candidates of each request.

    Padding and constant rows become 0.

    Args:
        scores: shape (batch, candidates).
        real: whether a candidate is none of padding, shape (batch, candidates).

    Returns:
        float64, shape (batch, candidates).

    >>> standardise(np.array([[1.0, 3.0, -np.inf]]), np.array([[True, True, False]])).tolist()
    [[-1.0, 1.0, 0.0]]
    """
    mean, spread = moments(scores, real)
    centred = np.where(real, np.where(real, scores, 0.0).astype(np.float64) - mean, 0.0)
    return np.asarray(np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0))


def moments(scores: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (requests, 1) of the real candidates of each request, float64."""
    values = np.where(real, scores, 0.0).astype(np.float64)
    n = np.maximum(real.sum(axis=1, keepdims=True), 1)
    mean = values.sum(axis=1, keepdims=True) / n
    squares = np.square(np.where(real, values - mean, 0.0))
    return mean, np.sqrt(squares.sum(axis=1, keepdims=True) / n)


def learn_weights(
    features: Sequence[np.ndarray], relevant: Sequence[np.ndarray], ridge: float
) -> np.ndarray:
    """Weights of the softmax regression over the candidates of each user.

    They minimise −Σ log softmax(F w) at the relevant candidates, plus ridge·users·|w|². The sum is
    convex, so there is one answer. scikit-learn's logistic regression has no softmax over the
    candidates of a request, so SciPy minimises it.

    Args:
        features: F of each user, shape (candidates, weights).
        relevant: which candidates are relevant, a mask for each user.
        ridge: pull of the weights towards 0, per user.
    """

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total, slope = (
            ridge * len(features) * weights @ weights,
            2 * ridge * len(features) * weights,
        )
        for matrix, mask in zip(features, relevant, strict=True):
            score = matrix @ weights
            score -= score.max()
            share = np.exp(score)
            share /= share.sum()
            wanted = mask / mask.sum()
            total -= float((wanted * (score - np.log(np.exp(score).sum()))).sum())
            slope += (share - wanted) @ matrix
        return total, slope

    start = np.zeros(features[0].shape[1])
    return np.asarray(optimize.minimize(loss, start, jac=True, method="L-BFGS-B").x)
