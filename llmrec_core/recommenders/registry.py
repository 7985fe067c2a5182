"""From a run spec to a recommender. A family's module is imported when it is asked for."""

from __future__ import annotations

import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, cast

from llmrec_core.contract.families import family_named
from llmrec_core.contract.recommender import FamilyClass, Recommender

if TYPE_CHECKING:
    from llmrec_core.contract.spec import RecommenderSpec, RunSpec
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.settings import Settings


def build(
    spec: RunSpec, dataset: Dataset, settings: Settings, *, parent: Path | None = None
) -> Recommender:
    """The recommender of a spec, to be fitted.

    Options that the spec leaves out keep the family's own defaults.

    Args:
        spec: the run's.
        dataset: what it will be fitted on.
        settings: where backbones stand.
        parent: model folder of the run that `spec.weights_from` names; None when it names none.

    Raises:
        UsageError: for an option that the family does not have or that is out of its bounds, and
            for weights that it cannot take over.
    """
    family_named(spec.recommender.family).check(spec.recommender)
    return family_class(stored_as(spec.recommender)).of_spec(spec, dataset, settings, parent)


def family_class(name: str) -> FamilyClass:
    """The class of a family; only its own module is imported.

    Raises:
        UsageError: for an unknown family.
    """
    return cast(FamilyClass, pkgutil.resolve_name(family_named(name).loader))


def stored_as(spec: RecommenderSpec) -> str:
    """The family whose class stores such a recommender.

    A language model behind a retriever is a cascade, whatever its family; but a fusion has its
    members in `retriever`, and a hosted model asks about the retriever's best itself.
    """
    is_cascade = spec.retriever and family_named(spec.family).group not in ("fusion", "hosted")
    return "cascade" if is_cascade else spec.family
