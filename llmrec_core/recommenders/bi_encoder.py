"""Dot product of a candidate's text embedding and the mean of a user's recent items': no training.

Vectors are made as the backbone's folder declares (models/sentence_modules.py). Where its likeness
is the cosine they have length 1, so that the dot product orders candidates as the cosine does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llmrec_core.contract.recommender import mean_candidates, mean_items_read
from llmrec_core.contract.spec import RunSpec, stored_run
from llmrec_core.data.item_texts import item_texts
from llmrec_core.errors import UsageError
from llmrec_core.files import write_atomic, write_json
from llmrec_core.language import t
from llmrec_core.models.model_folder import identity_of, require_same
from llmrec_core.recommenders.options import refuse_weights
from llmrec_core.recommenders.text_vectors import text_vectors
from llmrec_core.scoring.embeddings import EMBEDDING_RULE, catalogue_embeddings
from llmrec_core.scoring.finite import require_finite
from llmrec_core.types import Description

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.settings import Settings


class BiEncoder:
    """Catalogue embeddings and a dot product."""

    def __init__(self, spec: RunSpec, dataset: Dataset, settings: Settings) -> None:
        """Hold the spec; vectors are made by `fit` or `load`.

        Raises:
            UsageError: for an adaptation that trains.
        """
        if spec.recommender.adaptation != "none":
            raise UsageError(
                t(
                    "recommender.family 'bi-encoder' is the untrained baseline and takes "
                    "adaptation 'none', not {adaptation!r}; for trained text embeddings use "
                    "'text-sasrec'",
                    adaptation=spec.recommender.adaptation,
                )
            )
        self.spec, self.dataset, self.settings = spec, dataset, settings
        self.vectors = np.zeros((0, 0), dtype=np.float32)
        self.identity = ""
        """Of the backbone that made the vectors."""

    @classmethod
    def of_spec(
        cls, spec: RunSpec, dataset: Dataset, settings: Settings, parent: Path | None
    ) -> BiEncoder:
        """As `FamilyClass.of_spec`; it takes no weights over."""
        refuse_weights(spec, parent)
        return cls(spec, dataset, settings)

    def reread(self, dataset: Dataset, settings: Settings) -> None:
        """As `RereadsTitles.reread`."""
        self.vectors = text_vectors(self.spec, dataset, settings)

    def fit(self, split: Split, context: RunContext) -> None:
        """Embed the catalogue; see `Recommender.fit`.

        Raises:
            CheckpointError: when the backbone is no longer the one that the spec was queued for.
        """
        chosen = self.spec.recommender
        self.identity = identity_of(chosen.backbone, self.settings)
        require_same(chosen.backbone, chosen.backbone_hash, self.identity, self.spec.name)
        self.vectors = catalogue_embeddings(
            chosen.backbone,
            item_texts(self.dataset, relations=chosen.relations),
            self.settings,
            depth=chosen.depth,
            identity=self.identity,
            progress=partial(context.progress, "fit"),
        )

    def score(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> np.ndarray:
        """Scores of candidates for each history; see `Recommender.score`."""
        scores = np.empty(candidates.shape, dtype=np.float32)
        for row, (history, items) in enumerate(zip(histories, candidates, strict=True)):
            recent = np.asarray(history, dtype=np.int64)[-self.spec.recommender.history_items :]
            user = (
                self.vectors[recent].mean(0)
                if len(recent)
                else np.zeros(self.vectors.shape[1], dtype=np.float32)
            )
            scores[row] = self.vectors[items] @ user
        real = candidates >= 0
        return np.where(real, require_finite(scores, real), -np.inf)

    def reads(self, history: np.ndarray) -> int:
        """How many of the latest items of a history can change a score."""
        return min(len(history), self.spec.recommender.history_items)

    def save(self, folder: Path) -> None:
        """Write vectors and spec; see `Recommender.save`."""
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / "vectors.npy", lambda file: np.save(file, self.vectors))
        write_json(folder / "spec.json", self.spec.to_dict())

    @classmethod
    def load(cls, folder: Path, dataset: Dataset, settings: Settings | None = None) -> BiEncoder:
        """The recommender saved in a folder, which holds its own vectors."""
        from llmrec_core.settings import load_settings

        spec = stored_run(json.loads((folder / "spec.json").read_text(encoding="utf-8")))
        recommender = cls(spec, dataset, settings or load_settings())
        recommender.vectors = np.load(folder / "vectors.npy", allow_pickle=False)
        return recommender

    def describe(self, histories: Sequence[np.ndarray], candidates: np.ndarray) -> Description:
        """One addition per item read and one product per candidate, of vectors."""
        width = self.vectors.shape[1]
        read = mean_items_read(histories, self.spec.recommender.history_items)
        flops = 2.0 * mean_candidates(candidates) * width + read * width
        notes = {"backbone": self.spec.recommender.backbone, "embedding_rule": EMBEDDING_RULE}
        if self.identity:
            notes["backbone_identity"] = self.identity
        return Description(int(self.vectors.size), 0, int(self.vectors.nbytes), flops, notes)
