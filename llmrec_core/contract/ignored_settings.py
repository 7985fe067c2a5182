"""Settings at which a run's family does not look: in the record they would stand as if it did."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from llmrec_core.errors import UsageError
from llmrec_core.language import t

if TYPE_CHECKING:
    from llmrec_core.contract.family import Family
    from llmrec_core.contract.spec import RunSpec

OF_READERS = (
    "objective",
    "positives",
    "negatives",
    "negative_sampling",
    "activation_checkpointing",
)
"""Fields of `training` at which only families that read prompts look."""


def refuse_what_is_ignored(spec: RunSpec, family: Family) -> None:
    """Refuse a setting that the family does not look at, and one that it cannot do without.

    Args:
        spec: of a run.
        family: the run's.

    Raises:
        UsageError: naming the field.
    """
    for field, value, usual in _ignored(spec, family):
        if value != usual:
            raise UsageError(
                t(
                    "{field} is {value!r}, which {family!r} does not look at; leave it out",
                    field=field,
                    value=value,
                    family=family.name,
                )
            )
    if spec.protocol.also_time and spec.weights_from:
        raise UsageError(
            t(
                "protocol.also_time fits the run anew, but it is made from the run {name!r}; leave "
                "one of the two out",
                name=spec.weights_from,
            )
        )
    adaptation = spec.recommender.adaptation
    if adaptation != "none" and not family.is_trained and family.group != "cascade":
        raise UsageError(
            t(
                "recommender.adaptation is {adaptation!r}, but {family!r} has no weights to "
                "train; leave it out",
                adaptation=adaptation,
                family=family.name,
            )
        )
    if family.has_teacher and not spec.weights_from:
        raise UsageError(
            t(
                "recommender.family {family!r} learns from another run's lists; name that run in "
                "weights_from",
                family=family.name,
            )
        )
    if family.group == "cascade" and not spec.weights_from:
        raise UsageError(
            t(
                "recommender.family {family!r} reads with another run's weights; name that run "
                "in weights_from",
                family=family.name,
            )
        )


def _ignored(spec: RunSpec, family: Family) -> Iterator[tuple[str, Any, Any]]:
    """Name, value and usual value of every setting that this family does not look at."""
    if not family.reads_relations:
        yield "recommender.relations", spec.recommender.relations, 0
    if family.reads_prompt:
        return
    yield "precision", spec.precision, "fp32"
    yield "runtime", spec.runtime, "eager"
    if family.group != "fusion" and not family.has_teacher:
        yield "weights_from", spec.weights_from, ""
    if family.is_trained:
        given = dataclasses.asdict(spec.training)
        usually = dataclasses.asdict(type(spec.training)())
        for name in OF_READERS:
            yield f"training.{name}", given[name], usually[name]
