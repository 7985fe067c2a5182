"""Fields of Train for what a row takes from another run: who reads for a cascade, who teaches."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import streamlit as st

from llmrec_core.contract.families import reads_prompt, recorded_family
from llmrec_core.contract.gate_rules import FEWEST_PEOPLE
from llmrec_core.contract.letters import lists_catalogue
from llmrec_core.language import marked, t
from llmrec_core.reading.row import Row
from pages.shared.address import choose
from pages.shared.fields import whole_field

BLEND_LABELS = {
    "none": marked("the language model alone"),
    "validation": marked("a mix with the retriever's, learned on validation"),
}
GATE_LABELS = {
    "none": marked("every request"),
    "validation": marked("where it is expected to help, learned on validation"),
}
USUAL_GATE_PEOPLE = 1_000
"""Validation people who teach a gate where nothing else is typed."""


def reader(rows: Sequence[Row], chosen: dict[str, Any]) -> dict[str, Any]:
    """Whose weights a cascade reads with, and which requests; its settings go into `chosen`.

    Args:
        rows: of the study at hand.
        chosen: fields of `recommender`.
    """
    readers = {row.name: row.spec.recommender for row in rows if _can_read(row)}
    if not readers:
        st.info(
            t(
                "A cascade reads with the weights of a cross-encoder or decoder of the same study. "
                "Queue one first."
            )
        )
        return {}
    name = st.selectbox(
        t("Language model that reads"),
        list(readers),
        key="train_reader",
        bind="query-params",
        help=t("A run of this study; the cascade waits for it and uses its weights."),
    )
    chosen |= {
        **dataclasses.asdict(readers[name]),
        "family": chosen["family"],
        "blend": choose(
            st.selectbox,
            t("Order of what it read"),
            {blend: t(words) for blend, words in BLEND_LABELS.items()},
            "train_blend",
            default=next(iter(BLEND_LABELS)),
        ),
        "gate": choose(
            st.selectbox,
            t("Requests that it reads"),
            {gate: t(words) for gate, words in GATE_LABELS.items()},
            "train_gate",
            default=next(iter(GATE_LABELS)),
            help=t(
                "A gate gives the other requests the retriever's order at the retriever's price, "
                "and reads as few as keep validation quality within 0.5 % of reading always."
            ),
        ),
    }
    return {"weights_from": name}


def teacher(rows: Sequence[Row]) -> dict[str, Any]:
    """Whose lists a student learns.

    Args:
        rows: of the study at hand.
    """
    names = [row.name for row in rows if _can_teach(row)]
    if not names:
        st.info(
            t(
                "A student learns from the lists of a trained model, a cascade or a hosted model "
                "of the same study. Queue one first."
            )
        )
        return {}
    name = st.selectbox(
        t("Teacher"),
        names,
        key="train_teacher",
        bind="query-params",
        help=t("A run of this study; the student waits for it and learns what it would list."),
    )
    return {"weights_from": name}


def _can_teach(row: Row) -> bool:
    """Whether a run keeps, or will keep, a model that a student can be made to ask."""
    family = recorded_family(row.spec.recommender.family)
    return (
        family.group not in ("cheap", "fusion")
        and not family.has_teacher
        and lists_catalogue(row.spec.recommender)
        and row.state in ("finished", "queued", "running")
    )


def of_the_gate(base: dict[str, Any]) -> dict[str, Any]:
    """How many validation people teach a gate; nothing for a run without one.

    Args:
        base: fields of a run spec.
    """
    if base["recommender"].get("gate", "none") == "none":
        return {}
    return {
        "validation_users": whole_field(
            st.container(),
            t("Validation people, 0 = all"),
            "train_gate_people",
            default=USUAL_GATE_PEOPLE,
            low=0,
            high=1_000_000_000,
            help=t("The gate needs at least {fewest}; each is read once.", fewest=FEWEST_PEOPLE),
        )
    }


def _can_read(row: Row) -> bool:
    """Whether a run has, or will have, a language model of its own that reads every candidate."""
    chosen = row.spec.recommender
    return (
        reads_prompt(chosen.family)
        and not chosen.retriever
        and not row.spec.weights_from
        and row.state in ("finished", "queued", "running")
    )
