"""What a language model is refused for: random scores, other data, another backbone or prompt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrec_core.errors import CheckpointError, UsageError
from llmrec_core.language import t
from llmrec_core.models.model_folder import require_same

if TYPE_CHECKING:
    from llmrec_core.contract.spec import RecommenderSpec, RunSpec
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.models.scorer_model import ScorerModel

SHOWN = 12
"""Digits of a hash that a sentence shows."""


def require_meaning(model: ScorerModel) -> None:
    """Refuse a run without training whose scores would come from random weights.

    Args:
        model: as it was loaded.

    Raises:
        UsageError: saying what to choose.
    """
    head, backbone = model.head, model.backbone
    if not head.fresh:
        if model.head_kind == "pooler" and model.history_attention != "full":
            raise UsageError(
                t(
                    "the head that {backbone} brings reads a whole pair of history and "
                    "candidate; use recommender.history_attention 'full', or train with "
                    "another adaptation than 'none'",
                    backbone=backbone.name,
                )
            )
        return
    stored = backbone.stored_head
    if stored is not None and stored.labels != 1:
        reason = t(
            "{backbone} brings a head for {labels} labels, which give no one order of items",
            backbone=backbone.name,
            labels=stored.labels,
        )
    elif stored is not None:
        reason = t(
            "{backbone} brings a head of its own, which recommender.head 'pooler' takes",
            backbone=backbone.name,
        )
    else:
        reason = t("{backbone} brings no head", backbone=backbone.name)
    raise UsageError(
        t(
            "recommender.head {head!r} starts from random weights and recommender.adaptation "
            "'none' trains nothing, so the order of the items would be chance; {reason}. "
            "Choose adaptation 'head', 'lora' or 'full', or a decoder with head 'yes-no'",
            head=model.head_kind,
            reason=reason,
        )
    )


def require_same_data(state: Mapping[str, Any], dataset: Dataset, folder: Path) -> None:
    """Refuse weights that were trained on another version of the data.

    Args:
        state: what `save` wrote beside the weights.
        dataset: in use now.
        folder: where the weights stand.

    Raises:
        CheckpointError: with both hashes.
    """
    if state["content_hash"] != dataset.content_hash:
        raise CheckpointError(
            t(
                "{folder} was trained on {dataset} with hash {recorded}, this data has "
                "{now}; load it with its own data version",
                folder=folder,
                dataset=state["dataset"],
                recorded=state["content_hash"][:SHOWN],
                now=dataset.content_hash[:SHOWN],
            )
        )


def require_same_relations(saved: RecommenderSpec, served: RecommenderSpec, folder: Path) -> None:
    """Refuse a run whose record would name other item texts than its borrowed weights read.

    The family `cascade` has no texts of its own and takes those of its reader.

    Args:
        saved: of the run that trained the weights.
        served: of the run that borrows them.
        folder: where the weights stand.

    Raises:
        UsageError: naming both numbers.
    """
    if served.family != "cascade" and served.relations != saved.relations:
        raise UsageError(
            t(
                "recommender.relations is {served}, and the weights in {folder} were trained with "
                "{saved}; give the same number",
                served=served.relations,
                saved=saved.relations,
                folder=folder.name,
            )
        )


def require_as_saved(
    state: Mapping[str, Any], model: ScorerModel, spec: RunSpec, folder: Path
) -> None:
    """Refuse weights that were made with another backbone or prompt.

    Version 0.1 stored neither; its models are taken as they are.

    Args:
        state: what `save` wrote beside the weights.
        model: whose backbone and prompt are in use now.
        spec: of the run that trained the weights.
        folder: where they stand.

    Raises:
        CheckpointError: saying what differs.
    """
    require_same(
        spec.recommender.backbone,
        state.get("backbone_identity", ""),
        model.backbone.identity,
        spec.name,
    )
    prompt = state.get("prompt", "")
    if prompt and prompt != model.layout.fingerprint:
        raise CheckpointError(
            t(
                "{folder} was made with other words around the items than this version puts "
                "there, so that its scores would be other ones; run it again",
                folder=folder,
            )
        )
