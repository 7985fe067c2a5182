"""Which runs can have a gate before their language model; see `recommenders/gate.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmrec_core.errors import UsageError
from llmrec_core.language import t

if TYPE_CHECKING:
    from llmrec_core.contract.family import Family
    from llmrec_core.contract.spec import RunSpec

FEWEST_PEOPLE = 200
"""Validation people from whom a gate can be learned: then 50 calibrate what 50 taught."""


def refuse_a_gate(spec: RunSpec, family: Family) -> None:
    """Refuse a gate where nothing is retrieved for a language model, or where too few are asked.

    Raises:
        UsageError: saying what the gate needs.
    """
    chosen, people = spec.recommender, spec.training.validation_users
    if chosen.gate == "none":
        return
    if family.group == "hosted":
        raise UsageError(
            t(
                "recommender.gate is {gate!r}, but a gate stands before a language model that runs "
                "here, and {family!r} asks one elsewhere; leave the gate out",
                gate=chosen.gate,
                family=family.name,
            )
        )
    if not (family.reads_prompt and chosen.retriever and chosen.rerank_k):
        raise UsageError(
            t(
                "recommender.gate is {gate!r}, but a gate stands between a retriever and a "
                "language model that reads its best; give {family!r} recommender.retriever and "
                "recommender.rerank_k if it is a language model, or leave the gate out",
                gate=chosen.gate,
                family=family.name,
            )
        )
    if 0 < people < FEWEST_PEOPLE:
        raise UsageError(
            t(
                "training.validation_users is {people}; a gate is learned on at least {fewest} "
                "validation people: set it to 1000, or to 0 for everybody",
                people=people,
                fewest=FEWEST_PEOPLE,
            )
        )
