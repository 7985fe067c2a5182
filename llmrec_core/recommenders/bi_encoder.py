"""Cosine between the mean text embedding of a user's recent items and each candidate's: no training at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llmrec_core.data.text import item_texts
from llmrec_core.errors import UsageError
from llmrec_core.experiments.spec import RunSpec
from llmrec_core.models.embeddings import catalogue_embeddings
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.experiments.context import RunContext
    from llmrec_core.settings import Settings


class BiEncoder:
    """Catalogue embeddings and a dot product."""

    def __init__(self, spec: RunSpec, dataset: Dataset, settings: Settings) -> None:
        if spec.recommender.adaptation != "none":
            raise UsageError(
                f"recommender.family 'bi-encoder' is the untrained baseline and takes adaptation 'none', not "
                f"{spec.recommender.adaptation!r}; for trained text embeddings use 'text-sasrec'"
            )
        self.spec, self.dataset, self.settings = spec, dataset, settings
        self.vectors = np.zeros((0, 0), dtype=np.float32)

    def fit(self, split: Split, context: RunContext) -> None:
        chosen = self.spec.recommender
        self.vectors = catalogue_embeddings(
            chosen.backbone,
            item_texts(self.dataset, genres=True),
            self.settings,
            depth=chosen.depth,
            progress=lambda done, total: context.progress("fit", done, total),
        )

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        scores = np.empty(candidates.shape, dtype=np.float32)
        for row, (history, items) in enumerate(zip(histories, candidates, strict=True)):
            recent = np.asarray(history, dtype=np.int64)[-self.spec.recommender.history_items :]
            user = self.vectors[recent].mean(0) if len(recent) else np.zeros(self.vectors.shape[1], dtype=np.float32)
            scores[row] = self.vectors[items] @ user
        return np.where(candidates >= 0, scores, -np.inf)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "vectors.npy", self.vectors)
        (folder / "spec.json").write_text(json.dumps(self.spec.to_dict()), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, dataset: Dataset, settings: Settings | None = None) -> BiEncoder:
        from llmrec_core.experiments.spec import run_from_dict
        from llmrec_core.settings import load_settings

        spec = run_from_dict(json.loads((folder / "spec.json").read_text(encoding="utf-8")))
        made = cls(spec, dataset, settings or load_settings())
        made.vectors = np.load(folder / "vectors.npy", allow_pickle=False)
        return made

    def describe(self, history_items: float, candidates: int) -> Description:
        width = self.vectors.shape[1]
        flops = 2.0 * candidates * width + min(history_items, self.spec.recommender.history_items) * width
        return Description(
            int(self.vectors.size), 0, int(self.vectors.nbytes), flops, {"backbone": self.spec.recommender.backbone}
        )
