"""The inputs of the Train page, each a part of a run spec, and queueing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from llmrec_core.contract.endpoint import FEWEST_LETTERS, LETTERS
from llmrec_core.contract.families import (
    families,
    family_named,
    family_title,
    fusable,
)
from llmrec_core.contract.family import ADAPTATION_LABELS, Family
from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.contract.spec import RunSpec
from llmrec_core.data.dataset import RELATIONS
from llmrec_core.language import marked, t
from llmrec_core.reading.row import Row
from llmrec_core.recommenders.hosted.spending import require_affordable
from llmrec_core.running import needs
from llmrec_core.running.grid import ATTENTION_LABELS
from llmrec_core.types import SPLITS
from pages.build import hosted_inputs, source_inputs
from pages.shared import records
from pages.shared.address import choose, choose_several
from pages.shared.fields import number_field, whole_field

FIRST_FAMILY = "cross-encoder"
FUSED_FIRST = ("item-knn", "tf-idf")
PRECISIONS = ("fp32", "int8-dynamic", "bf16")
DECODER_HEADS = {
    "yes-no": marked("yes or no, one by one"),
    "letters": marked("letters, all in one prompt"),
}


def run_base(rows: Sequence[Row]) -> tuple[dict[str, Any], Family]:
    """Data set, family and what the family needs.

    Args:
        rows: of the study at hand, whose readers a cascade can use and who can teach a student.

    Returns:
        Fields of a run spec, and the family.
    """
    names = records.dataset_names() or ["ml-100k"]
    used = rows[0].spec.data.name if rows else names[0]
    data = choose(
        st.selectbox,
        t("Data set"),
        {name: name for name in names},
        "train_data",
        default=used if used in names else names[0],
    )
    family = family_named(
        choose(
            st.selectbox,
            t("Family"),
            {name: family_title(name) for name in families()},
            "train_family",
            default=FIRST_FAMILY,
        )
    )
    there = records.dataset(data) if records.has_dataset(data) else None
    content = there.content_hash if there else ""
    base: dict[str, Any] = {"data": {"name": data, "content_hash": content}}
    chosen: dict[str, Any] = {"family": family.name}
    if family.group == "hosted":
        chosen |= hosted_inputs.chosen()
    elif family.group == "cascade":
        base |= source_inputs.reader(rows, chosen)
    elif family.has_teacher:
        base |= source_inputs.teacher(rows)
    elif family.backbones:
        _backbone(family, chosen)
    if family.group == "decoder":
        _decoder_head(chosen)
    if family.group == "cross-encoder":
        _head_and_attention(chosen)
    if family.group == "fusion":
        _members(chosen)
    if family.group in ("cascade", "decoder"):
        _retriever(chosen)
    if there and RELATIONS in there.extras:
        _relations(family, chosen)
    return base | {"recommender": chosen}, family


def _backbone(family: Family, chosen: dict[str, Any]) -> None:
    chosen["backbone"] = st.selectbox(
        t("Backbone"),
        family.backbones,
        key="train_backbone",
        bind="query-params",
        accept_new_options=True,
        help=t(
            "minilm-l6 (22.7 M, encoder), smollm2-135m (134.5 M, decoder), gemma3-270m (268.1 M, "
            "decoder, under the Gemma Terms of Use: ai.google.dev/gemma/terms), a Hugging Face id "
            "or a local folder."
        ),
    )
    chosen["history_items"] = whole_field(
        st.container(),
        t("History items in the prompt"),
        "train_history",
        default=10,
        low=1,
        high=200,
    )


def _head_and_attention(chosen: dict[str, Any]) -> None:
    chosen["head"] = st.selectbox(
        t("Head"), ("linear", "attention"), key="train_head", bind="query-params"
    )
    chosen["history_attention"] = choose(
        st.selectbox,
        t("Attention to the history"),
        {mode: t(words) for mode, words in ATTENTION_LABELS.items()},
        "train_attention",
        default=next(iter(ATTENTION_LABELS)),
        help=t(
            "Each is another model, trained its own way. Items read alone, once too, make "
            "exact reasons cheap; pairs read alone cost most."
        ),
    )


def _decoder_head(chosen: dict[str, Any]) -> None:
    chosen["head"] = choose(
        st.selectbox,
        t("Head"),
        {head: t(words) for head, words in DECODER_HEADS.items()},
        "train_decoder_head",
        default=next(iter(DECODER_HEADS)),
        help=t(
            "Yes or no reads candidates one by one. Letters reads up to {most} of them in one "
            "prompt, so each is judged beside the others.",
            most=len(LETTERS),
        ),
    )
    if chosen["head"] == "letters":
        orders = whole_field(
            st.container(),
            t("Orders of the candidates, averaged"),
            "train_orders",
            default=1,
            low=1,
            high=20,
            help=t(
                "1 takes the retriever's order. More are shuffles, so that no letter is "
                "preferred; each costs another reading of the list."
            ),
        )
        chosen["options"] = {"orders": orders} if orders > 1 else {}


def _relations(family: Family, chosen: dict[str, Any]) -> None:
    """Ask how far the relations of items count, for families that look at them."""
    if family.reads_relations:
        chosen["relations"] = whole_field(
            st.container(),
            t("Relations in an item's text"),
            "train_relations",
            default=0,
            low=0,
            high=20,
            help=t(
                "So many of what an item shares with others, the rarest first, follow its title, "
                "e.g. directed by as Bound. 0 leaves them out."
            ),
        )
    if "relations" in family.options:
        weight = number_field(
            st.container(),
            t("Weight of the items' relations"),
            "train_relations_weight",
            default=0.0,
            low=0.0,
            high=1e9,
            help=t("0 does without them. 50 was best on the validation cases of ml-100k."),
        )
        chosen["options"] = {"relations": weight} if weight else {}


def _members(chosen: dict[str, Any]) -> None:
    members = choose_several(
        st.multiselect,
        t("Recommenders to fuse"),
        {family.name: family_title(family.name) for family in fusable()},
        "train_members",
        default=FUSED_FIRST,
        help=t("Two or more; validation learns how much each one counts."),
    )
    chosen["retriever"] = "+".join(members)


def _retriever(chosen: dict[str, Any]) -> None:
    lettered = chosen.get("head") == "letters"
    chosen["retriever"] = choose(
        st.selectbox,
        t("Cheap retriever"),
        {family.name: family_title(family.name) for family in fusable()},
        "train_retriever",
        default=FUSED_FIRST[0],
    )
    chosen["rerank_k"] = whole_field(
        st.container(),
        t("Items passed to the language model, K"),
        "train_k",
        default=20,
        low=FEWEST_LETTERS if lettered else 1,
        high=len(LETTERS) if lettered else 1000,
    )


def dials(family: Family, base: dict[str, Any]) -> dict[str, Sequence[Any]]:
    """What the grid multiplies.

    Args:
        family: the one chosen.
        base: fields of a run spec; a cascade keeps its reader's depth and way of training.
    """
    chosen: dict[str, Sequence[Any]] = {"methods": family.adaptations[:1]}
    if family.group == "cascade":
        chosen["depths"] = (base["recommender"].get("depth", 0),)
        chosen["methods"] = (base["recommender"].get("adaptation", "none"),)
    if len(family.depths) > 1:
        depths = choose_several(
            st.pills,
            t("Layers kept"),
            {str(depth): str(depth) if depth else t("all") for depth in family.depths},
            "train_depths",
            default=["0"],
            selection_mode="multi",
        )
        chosen["depths"] = [int(depth) for depth in depths]
    if len(family.adaptations) > 1:
        chosen["methods"] = choose_several(
            st.pills,
            t("Fine-tuning"),
            {
                method: t(words)
                for method, words in ADAPTATION_LABELS.items()
                if method in family.adaptations
            },
            "train_methods",
            default=[family.adaptations[0]],
            selection_mode="multi",
        )
    chosen["precisions"] = st.pills(
        t("Precision"),
        PRECISIONS if family.reads_prompt else PRECISIONS[:1],
        selection_mode="multi",
        default=["fp32"],
        key="train_precisions",
        bind="query-params",
    )
    seeds = whole_field(
        st.container(),
        t("Seeds"),
        "train_seeds",
        default=1,
        low=1,
        high=5,
        help=t("Repeats with other random numbers."),
    )
    chosen["seeds"] = tuple(range(seeds))
    return chosen


def budget(family: Family) -> dict[str, Any]:
    """Steps and minutes at most."""
    if not family.is_trained:
        return {}
    steps, minutes = st.columns(2)
    return {
        "steps": whole_field(
            steps, t("Training steps"), "train_steps", default=200, low=21, high=100_000
        ),
        "max_minutes": number_field(
            minutes, t("At most, minutes"), "train_minutes", default=20.0, low=0.5, high=6000.0
        ),
    }


def protocol(rows: list[Row]) -> dict[str, Any]:
    """How quality is measured: at first as in the study at hand, so that its rows are comparable.

    Args:
        rows: of that study.
    """
    usual = rows[0].spec.protocol if rows else ProtocolSpec()
    split, candidates, users, full = st.columns(4, vertical_alignment="bottom")
    offers = tuple(dict.fromkeys((usual.candidates, "100-uniform", "100-popular", "full")))
    return {
        "split": split.selectbox(
            t("Split"),
            SPLITS,
            SPLITS.index(usual.split),
            key="train_split",
            bind="query-params",
        ),
        "candidates": candidates.selectbox(
            t("Candidates"),
            offers,
            key="train_candidates",
            bind="query-params",
            accept_new_options=True,
            help=t(
                "Or type 50-uniform, 500-popular, or given-NAME for a list that came with the "
                "data set."
            ),
        ),
        "users": whole_field(
            users,
            t("Users, 0 = all"),
            "train_users",
            default=usual.users,
            low=0,
            high=1_000_000_000,
        ),
        "also_full": full.toggle(
            t("Rank all items besides"), key="train_full", bind="query-params"
        ),
        "k": usual.k,
        "seed": usual.seed,
        "repeats": usual.repeats,
    }


def optimiser(family: Family) -> dict[str, Any]:
    """How weights move."""
    if not family.is_trained:
        return {}
    objective, kind, rate, schedule = st.columns(4)
    chosen: dict[str, Any] = {}
    if family.reads_prompt:
        chosen["objective"] = objective.selectbox(
            t("Objective"),
            ("listwise", "bce", "mse", "pairwise"),
            key="train_objective",
            bind="query-params",
        )
    chosen |= {
        "optimizer": kind.selectbox(
            t("Optimiser"), ("adamw", "sgd"), key="train_optimizer", bind="query-params"
        ),
        "schedule": schedule.selectbox(
            t("Schedule"),
            ("linear", "cosine", "exponential", "constant"),
            key="train_schedule",
            bind="query-params",
        ),
    }
    learning_rate = number_field(
        rate,
        t("Learning rate"),
        "train_rate",
        low=1e-7,
        high=1.0,
        placeholder=t("suited to the method"),
    )
    if learning_rate is not None:
        chosen["learning_rate"] = learning_rate
    return chosen


def queue(name: str, runs: Sequence[RunSpec]) -> None:
    """Put the runs at the end of the study `name`, which is made when it is new.

    Raises:
        UsageError: when a run needs the weights of one that the study does not have.
        UnsupportedError: when one of them needs more than this machine has, or would cost more
            than its limit; none is queued then.
    """
    machine = needs.machine_of(records.settings())
    for run in runs:
        if records.has_dataset(run.data.name):
            catalogue = needs.catalogue_of(records.dataset(run.data.name))
            needs.require_fit(run, catalogue, machine)
            require_affordable(run, records.dataset(run.data.name))
    for run in runs:
        records.ledger().enqueue(run, name)
