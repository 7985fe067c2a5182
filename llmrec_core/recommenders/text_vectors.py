"""Text embeddings of titles that were damaged on purpose, so that none is kept on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from llmrec_core.data.text import item_texts
from llmrec_core.models.backbones import load_backbone
from llmrec_core.models.model_folder import require_same
from llmrec_core.scoring.embeddings import embed_texts

if TYPE_CHECKING:
    from llmrec_core.contract.spec import RunSpec
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.settings import Settings


def text_vectors(spec: RunSpec, dataset: Dataset, settings: Settings) -> np.ndarray:
    """Vectors of the items' texts by the run's backbone, float32, shape (items, width).

    They are made as the run makes them: text-SASRec takes unit vectors of any backbone.

    Raises:
        CheckpointError: when the backbone is no longer the one that the run was made with.
    """
    chosen = spec.recommender
    backbone = load_backbone(
        chosen.backbone, settings, depth=chosen.depth, identity=chosen.backbone_hash
    )
    require_same(chosen.backbone, chosen.backbone_hash, backbone.identity, spec.name)
    vectors: np.ndarray = embed_texts(
        backbone, item_texts(dataset, genres=True), unit=chosen.family == "text-sasrec"
    )
    return vectors
