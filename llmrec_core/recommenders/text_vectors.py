"""Text embeddings of a run's items, as its recommender reads them.

Those of the run's own titles are kept on disk, those of titles damaged on purpose are not.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from llmrec_core.data.item_texts import item_texts
from llmrec_core.models.backbones import load_backbone
from llmrec_core.models.model_folder import identity_of, require_same
from llmrec_core.scoring.embeddings import catalogue_embeddings, embed_texts

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.contract.spec import RunSpec
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.settings import Settings

OF_UNIT_LENGTH = ("text-sasrec", "parallel-codes", "tiger")
"""Families that take unit vectors of any backbone."""


def catalogue_vectors(
    spec: RunSpec, dataset: Dataset, settings: Settings, context: RunContext | None = None
) -> np.ndarray:
    """Vectors of the items' own texts by the run's backbone, float32, shape (items, width).

    Args:
        spec: the run's.
        dataset: the catalogue.
        settings: where backbones and kept vectors stand.
        context: is told how far the encoding is.

    Raises:
        CheckpointError: when the backbone is no longer the one that the spec was queued for.
    """
    chosen = spec.recommender
    identity = identity_of(chosen.backbone, settings)
    require_same(chosen.backbone, chosen.backbone_hash, identity, spec.name)
    return catalogue_embeddings(
        chosen.backbone,
        item_texts(dataset, relations=chosen.relations),
        settings,
        depth=chosen.depth,
        identity=identity,
        unit=chosen.family in OF_UNIT_LENGTH,
        progress=None if context is None else partial(context.progress, "encode"),
    )


def text_vectors(spec: RunSpec, dataset: Dataset, settings: Settings) -> np.ndarray:
    """Vectors of titles damaged on purpose, made as the run makes those of its own titles.

    Raises:
        CheckpointError: when the backbone is no longer the one that the run was made with.
    """
    chosen = spec.recommender
    backbone = load_backbone(
        chosen.backbone, settings, depth=chosen.depth, identity=chosen.backbone_hash
    )
    require_same(chosen.backbone, chosen.backbone_hash, backbone.identity, spec.name)
    vectors: np.ndarray = embed_texts(
        backbone,
        item_texts(dataset, relations=chosen.relations),
        unit=chosen.family in OF_UNIT_LENGTH,
    )
    return vectors
