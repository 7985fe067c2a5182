"""Families that are made from the numbers of `recommender.options` alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from llmrec_core.errors import UsageError
from llmrec_core.language import t

if TYPE_CHECKING:
    from llmrec_core.contract.spec import RunSpec
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.settings import Settings


class MadeFromOptions:
    """Gives `of_spec` to a class whose constructor takes options by name."""

    @classmethod
    def constructor_values(cls, spec: RunSpec) -> dict[str, float]:
        """Values for the constructor; a class that takes more from the spec adds them here."""
        return dict(spec.recommender.options)

    @classmethod
    def of_spec(
        cls, spec: RunSpec, dataset: Dataset, settings: Settings, parent: Path | None
    ) -> Self:
        """As `FamilyClass.of_spec`."""
        refuse_weights(spec, parent)
        return cls(**cls.constructor_values(spec))


def refuse_weights(spec: RunSpec, parent: Path | None) -> None:
    """Refuse to take over weights, for families that cannot.

    Raises:
        UsageError: when there is a `parent`.
    """
    if parent is not None:
        raise UsageError(
            t(
                "weights_from is {weights_from!r}, but {family!r} takes no weights over; leave it "
                "out",
                weights_from=spec.weights_from,
                family=spec.recommender.family,
            )
        )
