"""From a run spec to a recommender. Neural families are imported only when they are asked for."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrec_core.errors import UsageError
from llmrec_core.recommenders.base import Recommender
from llmrec_core.settings import Settings

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.experiments.spec import RunSpec

CLASSICAL = ("popularity", "item-knn", "ease", "tf-idf", "bm25", "als", "bpr")
FULL_ITEMS = 3_000  # a fusion learns on full rankings up to this catalogue, on 1,000 popular candidates above
_CLASSES = {
    "popularity": ("popularity", "Popularity"),
    "item-knn": ("knn", "ItemKnn"),
    "ease": ("ease", "Ease"),
    "tf-idf": ("tfidf", "TfIdf"),
    "bm25": ("tfidf", "Bm25"),
    "als": ("factors", "Als"),
    "bpr": ("factors", "Bpr"),
    "fusion": ("fusion", "Fusion"),
}


def classical_class(family: str) -> Any:
    """The class of a classical family; only its own module is imported."""
    module, name = _CLASSES[family]
    return getattr(importlib.import_module(f"llmrec_core.recommenders.{module}"), name)


def build(spec: RunSpec, dataset: Dataset, settings: Settings, *, parent: Path | None = None) -> Recommender:
    """The recommender of a spec, to be fitted; with `parent`, the model folder of `spec.weights_from`, on those weights.

    Options that the spec leaves out keep the family's own defaults, which were tuned on ml-100k's validation cases.
    For EASE `history_items` is an option (0 = all), since its model is of whole histories.

    Raises:
        UsageError: for an option that the family does not have.
    """
    family = spec.recommender.family
    if family in CLASSICAL:
        kind = classical_class(family)
        options: dict[str, Any] = dict(spec.recommender.options)
        known = inspect.signature(kind).parameters
        if family in ("item-knn", "tf-idf", "bm25"):
            options.setdefault("history_items", spec.recommender.history_items)
        check_options(family, options, [name for name in known if name != "counts"])
        return kind(**options)
    if family == "fusion":
        return _fusion(spec, dataset, settings)
    if spec.recommender.retriever:
        return _cascade(spec, dataset, settings, parent)
    if parent is not None:
        return _reader_of(spec, parent, dataset, settings)
    return family_class(family)(spec, dataset, settings)


def family_class(family: str) -> Any:
    """The class whose `load(folder, dataset)` reads what `build(…).save(folder)` wrote; only its own module is imported."""
    if family in _CLASSES:
        return classical_class(family)
    if family in ("sasrec", "text-sasrec"):
        from llmrec_core.recommenders.sasrec import SasRec

        return SasRec
    if family == "bi-encoder":
        from llmrec_core.recommenders.bi_encoder import BiEncoder

        return BiEncoder
    if family == "cascade":
        from llmrec_core.recommenders.cascade import Cascade

        return Cascade
    from llmrec_core.recommenders.language_model import LanguageModelRecommender

    return LanguageModelRecommender


def check_options(family: str, options: dict[str, Any], known: Sequence[str]) -> None:
    """Refuses an option that the family does not have, naming those it has (`UsageError`)."""
    for name in options:
        if name not in known:
            raise UsageError(
                f"recommender.options has {name!r}, which {family!r} does not know; expected one of "
                f"{', '.join(known) or 'none'}"
            )


def _fusion(spec: RunSpec, dataset: Dataset, settings: Settings) -> Recommender:
    """A fusion of the families named in `retriever` (`item-knn+tf-idf`), each with its own defaults."""
    chosen = spec.recommender
    members = {}
    for family in chosen.retriever.split("+"):
        if family not in CLASSICAL:
            raise UsageError(
                f"recommender.retriever names {family!r}; a fusion in a spec takes {', '.join(CLASSICAL)}, joined by +"
            )
        alone = replace(spec, recommender=replace(chosen, family=family, retriever="", options={}))
        members[family] = build(alone, dataset, settings)
    options: dict[str, Any] = dict(chosen.options)
    check_options("fusion", options, ["users", "ridge"])
    candidates = "full" if dataset.n_items <= FULL_ITEMS else "1000-popular"
    return classical_class("fusion")(members, candidates=candidates, seed=spec.seed, **options)


def _cascade(spec: RunSpec, dataset: Dataset, settings: Settings, parent: Path | None) -> Recommender:
    from llmrec_core.recommenders.cascade import Cascade

    chosen = spec.recommender
    if parent is None and chosen.family == "cascade":
        raise UsageError("recommender.family 'cascade' reads with another run's weights; name that run in weights_from")
    cheap = replace(spec, recommender=type(chosen)(family=chosen.retriever), weights_from="")
    if parent is None:
        reader = family_class(chosen.family)(spec, dataset, settings)
    else:
        reader = _reader_of(spec, parent, dataset, settings)
    return Cascade(spec, build(cheap, dataset, settings), reader, reader_is_trained=parent is not None)


def _reader_of(spec: RunSpec, parent: Path, dataset: Dataset, settings: Settings) -> Recommender:
    """The language model stored in another run's folder (in a cascade's, its reader)."""
    from llmrec_core.recommenders.language_model import LanguageModelRecommender

    folder = parent / "reader" if (parent / "reader").is_dir() else parent
    return LanguageModelRecommender.load(folder, dataset, settings, variant=spec)
