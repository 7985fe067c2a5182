"""Read every candidate with the first layers; read on only those that may still enter the top k.

A ridge regression from the state after layer `depth` to the final score gives the early score. A
candidate reads on when its early score is within `margin` of the k-th best early score. The margin
is the smallest that, on `keep` of the users it is calibrated on (validation, never test), loses no
member of the final top k. Candidates that stop stand below all that went on, in their early order;
a top-k list is therefore exact for the users whom the margin covers. Survivors start again from the
first layer, so that memory stays bounded by one chunk: worth it while few survive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from llmrec_core.errors import UnsupportedError, UsageError
from llmrec_core.language import t

if TYPE_CHECKING:
    from llmrec_core.models.packed import History
    from llmrec_core.scoring.scorer import Scorer

RIDGE = 1e-2
"""Share of the mean squared state that is added to the normal equations."""


@dataclass(frozen=True)
class EarlyExit:
    """A calibrated exit after `depth` layers."""

    depth: int
    k: int
    weights: np.ndarray  # (E + 1,), the constant last
    margin: float
    survivors: float
    """Share of the calibration candidates that read on."""

    def early(self, scorer: Scorer, prefix: History, candidates: np.ndarray) -> np.ndarray:
        """Early scores (N,)."""
        states = scorer.through(
            candidates, lambda items: scorer.model.item_states(prefix, items, depth=self.depth)
        )
        early: np.ndarray = states @ self.weights[:-1] + self.weights[-1]
        return early

    def scores(self, scorer: Scorer, prefix: History, candidates: np.ndarray) -> np.ndarray:
        """Scores (N,): final ones of the survivors, below them the others in their early order."""
        early = self.early(scorer, prefix, candidates)
        survive = early >= np.partition(early, -self.k)[-self.k] - self.margin
        result = np.empty(len(candidates), dtype=np.float32)
        result[survive] = scorer.through(
            candidates[survive], lambda items: scorer.model.score_items(prefix, items)
        )
        if not survive.all():
            below = early[~survive]
            result[~survive] = result[survive].min() - 1.0 + below - below.max()
        return result

    def to_dict(self) -> dict[str, Any]:
        """The exit as JSON holds it."""
        return {
            "depth": self.depth,
            "k": self.k,
            "weights": self.weights.tolist(),
            "margin": self.margin,
            "survivors": self.survivors,
        }

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> EarlyExit:
        """The exit that `to_dict` wrote."""
        return cls(
            body["depth"],
            body["k"],
            np.array(body["weights"], dtype=np.float32),
            body["margin"],
            body["survivors"],
        )


@torch.inference_mode()
def calibrate(
    scorer: Scorer,
    histories: Sequence[Sequence[int]],
    candidates: np.ndarray,
    *,
    depth: int,
    k: int = 10,
    keep: float = 0.99,
) -> EarlyExit:
    """An exit after `depth` layers for users like these.

    Half of the users fit the regression, the other half the margin: a margin fitted on the same
    users would be too small.

    Args:
        scorer: of the trained model.
        histories: of item codes.
        candidates: item codes, shape (users, N).
        depth: layers before the exit.
        k: length of the list that must not change.
        keep: share of the users whose list the margin must keep.

    Raises:
        UsageError: for a depth outside the model, fewer than four users, or no more candidates
            than `k`.
        UnsupportedError: for a model that reads whole pairs, or runs elsewhere than in torch.
    """
    model = scorer.model
    layers = len(model.backbone.stack.blocks)
    if model.history_attention == "full" or model.engine is not None:
        raise UnsupportedError(
            t(
                "early exit needs a history that is read once, and torch; use "
                "history_attention 'shared' and runtime 'eager'"
            )
        )
    if not 1 <= depth < layers or not 0 < keep <= 1:
        raise UsageError(
            t(
                "exit after layer {depth} keeping {keep}: the model has {layers} layers; "
                "choose 1 to {layers_2} and a share above 0",
                depth=depth,
                keep=keep,
                layers=layers,
                layers_2=layers - 1,
            )
        )
    if len(histories) < 4 or candidates.shape[1] <= k:
        raise UsageError(
            t(
                "{n_histories} users with {shape} candidates cannot calibrate a top {k}; give "
                "at least 4 users and more candidates",
                n_histories=len(histories),
                shape=candidates.shape[1],
                k=k,
            )
        )
    states, finals = [], []
    for history, items in zip(histories, candidates, strict=True):
        prefix = scorer.prefix(model.layout.history(history))
        states.append(scorer.through(items, partial(model.item_states, prefix, depth=depth)))
        finals.append(scorer.through(items, partial(model.score_items, prefix)))
    half = len(histories) // 2
    inputs = np.concatenate(states[:half]).astype(np.float64)
    inputs = np.hstack((inputs, np.ones((len(inputs), 1))))
    normal = inputs.T @ inputs
    normal[np.diag_indices(len(normal) - 1)] += RIDGE * np.trace(normal) / len(normal)
    weights = np.linalg.solve(normal, inputs.T @ np.concatenate(finals[:half])).astype(np.float32)
    needed, early_scores = [], []
    for state, final in zip(states[half:], finals[half:], strict=True):
        early = state @ weights[:-1] + weights[-1]
        best = np.argsort(-final, kind="stable")[:k]
        needed.append(np.partition(early, -k)[-k] - early[best].min())
        early_scores.append(early)
    margin = float(np.quantile(needed, keep, method="higher"))
    survivors = float(
        np.mean([(early >= np.partition(early, -k)[-k] - margin).mean() for early in early_scores])
    )
    return EarlyExit(depth, k, weights, max(margin, 0.0), survivors)
