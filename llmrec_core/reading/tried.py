"""Which language models a study has tried, and the largest of them."""

from __future__ import annotations

from collections.abc import Sequence

from llmrec_core.assets import ASSETS
from llmrec_core.contract.families import family_title, takes_backbone
from llmrec_core.costmodel.facts import model_catalogue
from llmrec_core.language import t, tn
from llmrec_core.reading import number_format
from llmrec_core.reading.row import Row


def language_models(rows: Sequence[Row]) -> dict[str, float]:
    """Name of each language model of the finished rows → its parameters; 0 where not recorded.

    A row records the parameters that it serves with, which may be a part of the model's: where the
    catalogue knows the whole model, its size counts. A row that takes its language model from
    another run counts only where no other row names a model, as that other run does.
    """
    used = [row for row in rows if row.state == "finished" and row.uses_language_model]
    named = [row for row in used if row.spec.recommender.backbone or row.is_hosted]
    models: dict[str, float] = {}
    for row in named or used:
        size = max(row.figure("parameters").value or 0.0, _published(row))
        name = _name(row)
        models[name] = max(models.get(name, 0.0), size)
    return models


def _name(row: Row) -> str:
    if row.is_hosted:
        return row.spec.recommender.endpoint.model
    backbone = row.spec.recommender.backbone
    if not backbone:
        families = row.spec.recommender.families
        return next(family_title(family) for family in families if takes_backbone(family))
    if backbone in ASSETS:
        return ASSETS[backbone].title.partition(":")[0]
    return backbone.rstrip("/").rpartition("/")[2]


def _published(row: Row) -> float:
    """Parameters of the whole model by the catalogue; 0 where it does not know it."""
    backbone = row.spec.recommender.backbone
    known = model_catalogue.find(backbone) if backbone else None
    return 0.0 if known is None else known.published_params or 0.0


def words(rows: Sequence[Row]) -> str:
    """How many language models were tried, and the largest, in a sentence."""
    models = language_models(rows)
    if not models:
        return t("No language model has been tried yet.")
    largest = max(models, key=lambda name: models[name])
    if not models[largest]:
        return tn(
            "Tried: {count} language model, {names}; no size is recorded.",
            "Tried: {count} language models, {names}; no size is recorded.",
            len(models),
            names=", ".join(models),
        )
    return tn(
        "Tried: {count} language model, {name} ({parameters} parameters).",
        "Tried: {count} language models, the largest {name} ({parameters} parameters).",
        len(models),
        name=largest,
        parameters=number_format.count(models[largest]),
    )
