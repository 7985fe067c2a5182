"""A cheap retriever picks K candidates, an expensive reader puts them in order: how language models are served."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llmrec_core.recommenders.base import Recommender
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.experiments.context import RunContext
    from llmrec_core.experiments.spec import RunSpec
    from llmrec_core.settings import Settings

WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Reader's share of the blended score that validation chooses from; 1 = the reader alone decides."""


class Cascade:
    """Retriever's top K, ordered by the reader or by a blend learned on validation; the rest stays below, as retrieved."""

    def __init__(self, spec: RunSpec, retriever: Recommender, reader: Recommender, *, reader_is_trained: bool) -> None:
        self.spec = spec
        self.retriever, self.reader = retriever, reader
        self.reader_is_trained = reader_is_trained
        self.weight = 1.0

    @property
    def inner(self) -> Recommender:
        """The reader, whose training is reported."""
        return self.reader

    @property
    def explained(self) -> Recommender:
        """Whose scores are explained: the reader's, or the retriever's when the blend gives the reader no weight.

        The cascade's own score of an item depends on the other items of the list.
        """
        return self.reader if self.weight else self.retriever

    def prepare(self, split: Split, context: RunContext) -> None:
        """Fit the retriever alone, so that the reader can be judged before it is trained."""
        self.retriever.fit(split, context)

    def fit(self, split: Split, context: RunContext) -> None:
        from llmrec_core.training.validation import validator

        self.prepare(split, context)
        if not self.reader_is_trained:
            self.reader.fit(split, context)
        if self.spec.recommender.blend != "validation":
            return
        remembered: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}  # by batch: read once for all weights

        def score(histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
            batch = b"".join((*(history.tobytes() for history in histories), candidates.tobytes()))
            if batch not in remembered:
                remembered[batch] = self._both(histories, candidates)
            return self._blend(*remembered[batch])

        validate = validator(split, score, self.spec)
        found = []
        for weight in WEIGHTS:
            self.weight = weight
            found.append(validate())
            context.curve("blend_valid_ndcg@10", round(weight * 100), found[-1])
        self.weight = WEIGHTS[int(np.argmax(found))]
        context.log(f"blend: reader's share {self.weight} (validation NDCG {max(found):.4f})")

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        return self._blend(*self._both(histories, candidates))

    def _both(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The retriever's scores (B, N) and the reader's, NaN where it did not read."""
        cheap = np.asarray(self.retriever.score(histories, candidates), dtype=np.float64)
        read = np.full(candidates.shape, np.nan)
        keep = min(self.spec.recommender.rerank_k, candidates.shape[1])
        top = np.argsort(-cheap, axis=1, kind="stable")[:, :keep]
        picked = np.where(np.isfinite(np.take_along_axis(cheap, top, 1)), np.take_along_axis(candidates, top, 1), -1)
        scores = self.reader.score(histories, picked)
        np.put_along_axis(read, top, np.where(np.isfinite(scores), scores, np.nan), axis=1)
        return cheap, read

    def _blend(self, cheap: np.ndarray, read: np.ndarray) -> np.ndarray:
        was_read = ~np.isnan(read)
        mixed = self.weight * _standard(read, was_read) + (1 - self.weight) * _standard(cheap, was_read)
        # everything the reader saw stands above everything it did not
        below = _standard(cheap, np.isfinite(cheap) & ~was_read)
        floor = np.where(was_read, mixed, np.inf).min(axis=1, keepdims=True)
        ceiling = np.where(np.isfinite(cheap) & ~was_read, below, -np.inf).max(axis=1, keepdims=True)
        shift = np.where(np.isfinite(floor) & np.isfinite(ceiling), floor - ceiling - 1.0, 0.0)
        return np.where(was_read, mixed, np.where(np.isfinite(cheap), below + shift, -np.inf)).astype(np.float32)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.retriever.save(folder / "retriever")
        self.reader.save(folder / "reader")
        (folder / "cascade.json").write_text(
            json.dumps({"weight": self.weight, "spec": self.spec.to_dict()}), encoding="utf-8"
        )

    @classmethod
    def load(cls, folder: Path, dataset: Dataset, settings: Settings | None = None) -> Cascade:
        import dataclasses

        from llmrec_core.experiments.spec import RecommenderSpec, run_from_dict
        from llmrec_core.recommenders.language_model import LanguageModelRecommender
        from llmrec_core.recommenders.registry import family_class

        state = json.loads((folder / "cascade.json").read_text(encoding="utf-8"))
        spec = run_from_dict(state["spec"])
        cheap = dataclasses.replace(spec, recommender=RecommenderSpec(family=spec.recommender.retriever))
        retriever = family_class(cheap.recommender.family).load(folder / "retriever", dataset)
        made = cls(
            spec, retriever, LanguageModelRecommender.load(folder / "reader", dataset, settings), reader_is_trained=True
        )
        made.weight = state["weight"]
        return made

    def describe(self, history_items: float, candidates: int) -> Description:
        cheap = self.retriever.describe(history_items, candidates)
        read = self.reader.describe(history_items, min(self.spec.recommender.rerank_k, candidates))
        return Description(
            cheap.parameters + read.parameters,
            read.trainable_parameters,
            cheap.weight_bytes + read.weight_bytes,
            cheap.flops_per_request + read.flops_per_request,
            {
                **read.notes,
                "retriever": self.spec.recommender.retriever,
                "rerank_k": self.spec.recommender.rerank_k,
                "blend": self.weight,
            },
        )


def _standard(scores: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Scores with mean 0 and deviation 1 over `where`, row by row; 0 for a constant row."""
    chosen = np.where(where, scores, 0.0)
    count = np.maximum(where.sum(axis=1, keepdims=True), 1)
    mean = chosen.sum(axis=1, keepdims=True) / count
    spread = np.sqrt((np.where(where, scores - mean, 0.0) ** 2).sum(axis=1, keepdims=True) / count)
    return np.where(where, (chosen - mean) / np.where(spread > 0, spread, 1.0), 0.0)
