"""A gate before the language model of a cascade: it reads where that is expected to pay.

What is known of a request before anything is read with a language model (how sure the retriever is,
how long the history, how popular its items) gives the gain in NDCG@k that reading is expected to
bring. Requests that expect too little keep the retriever's order, at the retriever's price. The
expectation and its threshold are learned on validation people (gate_learning.py).

Routing between a cheap and a dear model is an old idea; for language models see FrugalGPT (Chen,
Zaharia and Zou, arXiv:2305.05176).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llmrec_core.recommenders.fusion import standardise
from llmrec_core.recommenders.storage import load_arrays, save_arrays

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset

FEATURES = ("lead", "spread", "entropy", "history", "history_popularity", "list_popularity")
"""Score of the retriever's first minus its second and minus its K-th; entropy of the softmax of its
K standardised scores, as a share of the highest; log length of the history; mean log popularity of
the history, and of the K."""
CLIP = 3.0
"""Standard deviations beyond which a feature counts no further: scores have long tails."""
FLOPS_PER_SCORE = 12
"""Of one of the K: standardising, an exponential, entropy and means, each operation as one."""


def request_features(
    scores: np.ndarray,
    items: np.ndarray,
    histories: Sequence[np.ndarray],
    log_popularity: np.ndarray,
) -> np.ndarray:
    """What is known of requests before the language model reads.

    Args:
        scores: the retriever's best, best first, shape (requests, K).
        items: their item codes, -1 where there are fewer than K, shape (requests, K).
        histories: item codes of each request.
        log_popularity: log(1 + training count) of every item.

    Returns:
        float64, shape (requests, 6), in the order of `FEATURES`.
    """
    real = items >= 0
    count = real.sum(axis=1)
    several = count > 1
    finite = np.where(real, scores, 0.0).astype(np.float64)
    second = finite[:, 1] if finite.shape[1] > 1 else finite[:, 0]
    last = np.take_along_axis(finite, np.maximum(count - 1, 0)[:, None], 1)[:, 0]
    popular = np.where(real, log_popularity[items], 0.0)
    return np.column_stack(
        [
            np.where(several, finite[:, 0] - second, 0.0),
            np.where(several, finite[:, 0] - last, 0.0),
            _entropy(scores, real),
            np.log1p([len(history) for history in histories]),
            [log_popularity[history].mean() if len(history) else 0.0 for history in histories],
            popular.sum(axis=1) / np.maximum(count, 1),
        ]
    )


def _entropy(scores: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Entropy of each row's softmax as a share of the highest, 0 for fewer than two scores."""
    raised = np.where(real, np.exp(standardise(scores, real)), 0.0)
    share = raised / np.maximum(raised.sum(axis=1, keepdims=True), 1e-300)
    nats = -(share * np.log(np.where(share > 0, share, 1.0))).sum(axis=1)
    count = real.sum(axis=1)
    return np.asarray(np.where(count > 1, nats / np.log(np.maximum(count, 2)), 0.0))


@dataclass(frozen=True)
class GainEstimate:
    """A ridge regression on the features, and a rising line through what its values came to."""

    means: np.ndarray
    """Of the features, (6,)."""
    spreads: np.ndarray
    """Their standard deviations, (6,); infinite for a feature that never changes."""
    weights: np.ndarray
    """Of the standardised features, (6,)."""
    raw: np.ndarray
    """Rising values of the regression at which its meaning is known, (knots,)."""
    gains: np.ndarray
    """Gain in NDCG that people with such values had, (knots,); straight lines between."""

    def ridge(self, features: np.ndarray) -> np.ndarray:
        """The regression's own value of each request, (requests,), before it is calibrated."""
        return np.asarray(standardised(features, self.means, self.spreads) @ self.weights)

    def gain(self, features: np.ndarray) -> np.ndarray:
        """The calibrated gain in NDCG of each request, (requests,).

        Args:
            features: shape (requests, 6).
        """
        return np.asarray(np.interp(self.ridge(features), self.raw, self.gains))

    def to_dict(self) -> dict[str, list[float]]:
        """The estimate as JSON; a feature that never changes has spread 0."""
        spreads = np.where(np.isfinite(self.spreads), self.spreads, 0.0)
        return {
            "means": self.means.tolist(),
            "spreads": spreads.tolist(),
            "weights": self.weights.tolist(),
            "raw": self.raw.tolist(),
            "gains": self.gains.tolist(),
        }

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> GainEstimate:
        """What `to_dict` wrote."""
        spreads = np.array(body["spreads"])
        return cls(
            np.array(body["means"]),
            np.where(spreads > 0, spreads, np.inf),
            np.array(body["weights"]),
            np.array(body["raw"]),
            np.array(body["gains"]),
        )


def standardised(features: np.ndarray, means: np.ndarray, spreads: np.ndarray) -> np.ndarray:
    """Features in standard deviations from their mean, at most `CLIP` of them."""
    return np.asarray(np.clip((features - means) / spreads, -CLIP, CLIP))


def mean_gain(estimates: Sequence[GainEstimate], features: np.ndarray) -> np.ndarray:
    """Mean over some estimates of the gain of each request, (requests,).

    Args:
        estimates: at least one.
        features: shape (requests, 6).
    """
    return np.asarray(np.mean([one.gain(features) for one in estimates], axis=0))


@dataclass(frozen=True)
class Gate:
    """Which requests a language model reads."""

    estimates: tuple[GainEstimate, ...]
    """Their mean is the expected gain."""
    counts: np.ndarray
    """Training interactions of every item, (items,)."""
    share: float
    """Share of the validation people whose request it let through: 0 is never, 1 always."""
    threshold: float
    """Expected gain above which a request is read, where the share is neither 0 nor 1."""

    @property
    def outcome(self) -> str:
        """`never`, `always` or `some`."""
        return {0.0: "never", 1.0: "always"}.get(self.share, "some")

    def expected_gain(self, features: np.ndarray) -> np.ndarray:
        """Gain in NDCG that reading is expected to bring, (requests,).

        Args:
            features: shape (requests, 6).
        """
        return mean_gain(self.estimates, features)

    def reads(
        self, scores: np.ndarray, items: np.ndarray, histories: Sequence[np.ndarray]
    ) -> np.ndarray:
        """Whether the language model reads each request, bool, (requests,).

        Args:
            scores: as for `request_features`.
            items: as for `request_features`.
            histories: as for `request_features`.
        """
        if self.outcome != "some" or not items.shape[1]:
            return np.full(len(histories), self.outcome == "always")
        features = request_features(scores, items, histories, np.log1p(self.counts))
        return np.asarray(self.expected_gain(features) > self.threshold)

    def flops(self, picked: float) -> float:
        """FLOPs of deciding one request.

        Args:
            picked: candidates that the retriever passes on.
        """
        if self.outcome != "some":
            return 0.0
        return FLOPS_PER_SCORE * picked + 4.0 * len(FEATURES) * len(self.estimates)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the counts into `folder`, and return the rest as JSON."""
        save_arrays(folder, "gate", counts=self.counts)
        return {
            "share": self.share,
            "threshold": self.threshold,
            "estimates": [estimate.to_dict() for estimate in self.estimates],
        }

    @classmethod
    def load(cls, folder: Path, body: Mapping[str, Any], dataset: Dataset) -> Gate:
        """The gate that `save` wrote.

        Args:
            folder: with its counts.
            body: what `save` returned.
            dataset: that it was learned on.

        Raises:
            CheckpointError: as `storage.load_arrays`.
        """
        return cls(
            tuple(GainEstimate.from_dict(estimate) for estimate in body["estimates"]),
            load_arrays(folder, "gate", dataset)["counts"],
            body["share"],
            body["threshold"],
        )
