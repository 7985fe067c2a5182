"""Whose list an explanation is about: after which history, and from which candidates it was made.

A run shows lists at two occasions. Its evaluation hid a person's last items and offered the
candidates of its protocol; today everything that the person did is read, and everything else in
the catalogue is offered. An explanation has to stand at the same occasion as the list it explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmrec_core.contract.protocol import ProtocolSpec
from llmrec_core.contract.requests import ExplainRequest
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.history import Events, events_of
from llmrec_core.data.splits import Case, Split
from llmrec_core.errors import UsageError
from llmrec_core.explain.notes import Note
from llmrec_core.language import marked, t
from llmrec_core.metrics.exam import Exam, protocol_split
from llmrec_core.types import Columns, RepeatRule

Reference = int | str
"""An item as a question names it: its code, or its id as in the data set."""


@dataclass(frozen=True)
class Occasion:
    """One list of recommendations, before anything is scored."""

    history: np.ndarray
    """Item codes that the model is given, oldest first."""
    candidates: np.ndarray
    """Item codes that are offered, none of them in the history."""
    user: int | None = None
    """Code of the person; None for somebody new."""
    repeats: RepeatRule = "first"
    """Which events of a repeated item are read (data/history.py)."""
    notes: tuple[Note, ...] = ()
    """What is to be known about it."""


def occasion_of(dataset: Dataset, protocol: ProtocolSpec, request: ExplainRequest) -> Occasion:
    """The occasion that a question is about.

    Args:
        dataset: where people and items stand.
        protocol: how the run was evaluated.
        request: names a person or gives a history, and says which occasion; without saying so, an
            item that the evaluation hid is explained as it was then, and every other as of today.

    Raises:
        UsageError: when nobody is named, or the item is in the history.
    """
    item = item_of(dataset, request.item, "item")
    if request.history is not None:
        codes = [item_of(dataset, item, "history") for item in request.history]
        occasion = today(dataset, Events.of_items(codes), protocol.repeats)
    elif request.user:
        occasion = _of_person(dataset, protocol, request, item)
    else:
        raise UsageError(t("say whose recommendation: a user id, or a history of item codes"))
    if item in occasion.history:
        raise UsageError(
            t(
                "{title!r} is already in this history, so it is not recommended and there is "
                "nothing to explain; choose an item of the list",
                title=title_of(dataset, item),
            )
        )
    return occasion


def today(
    dataset: Dataset, events: Events, repeats: RepeatRule, user: int | None = None
) -> Occasion:
    """Everything that is not in the history is offered.

    Args:
        dataset: whose catalogue is offered.
        events: of the person, or of the history that somebody typed.
        repeats: which events of a repeated item are read.
        user: code of the person.
    """
    history = events.read(repeats)
    offered = np.setdiff1d(np.arange(dataset.n_items), history)
    return Occasion(history, offered, user, repeats)


def evaluated(parts: Split, case: Case, protocol: ProtocolSpec) -> Occasion:
    """What the evaluation of a run with this protocol asked in one case of its split."""
    exam = Exam.on(parts, [case], protocol.candidates, 0, protocol.seed)
    note = Note(
        marked(
            "{hidden} is withheld from the model, as in the evaluation of this run: what came "
            "before it is the history."
        ),
        {"hidden": title_of(parts.dataset, int(case.relevant[0]))},
    )
    return Occasion(case.history, exam.offered(0), case.user, protocol.repeats, (note,))


def _of_person(
    dataset: Dataset, protocol: ProtocolSpec, request: ExplainRequest, item: int
) -> Occasion:
    user = dataset.user_code(request.user)
    events = events_of(dataset, user)
    if request.occasion == "today" or (request.occasion is None and item not in events.items):
        return today(dataset, events, protocol.repeats, user)
    parts = protocol_split(dataset, protocol)
    case = next((case for case in parts.test if case.user == user), None)
    if case is None and request.occasion == "evaluation":
        raise UsageError(
            t(
                "the evaluation of this run asked nothing of user {user!r}; explain a list of "
                "today, or choose another user",
                user=request.user,
            )
        )
    if case is None or (request.occasion is None and item not in case.relevant):
        return today(dataset, events, protocol.repeats, user)
    return evaluated(parts, case, protocol)


def item_of(dataset: Dataset, given: Reference, name: str) -> int:
    """Code of an item given as code (whole number) or id (text).

    Args:
        dataset: where the item stands.
        given: the item.
        name: of the field that named it, for the refusal.

    Raises:
        UsageError: for an unknown item.
    """
    if isinstance(given, str):
        return int(dataset.item_code(given))
    if 0 <= given < dataset.n_items:
        return int(given)
    raise UsageError(
        t(
            "{name} has item code {given}; {dataset} has codes 0 to {last}",
            name=name,
            given=given,
            dataset=dataset.name,
            last=dataset.n_items - 1,
        )
    )


def items_of(dataset: Dataset, given: Sequence[Reference], name: str) -> list[int]:
    """Codes of several items, each once, in their order; as `item_of`."""
    return list(dict.fromkeys(item_of(dataset, item, name) for item in given))


def title_of(dataset: Dataset, item: int) -> str:
    """Title of an item code."""
    title = str(dataset.items[Columns.TITLE].iloc[item])
    return title or t("item {item_id}", item_id=id_of(dataset, item))


def id_of(dataset: Dataset, item: int) -> str:
    """Id of an item code, as in the data set's file."""
    return str(dataset.items[Columns.ITEM_ID].iloc[item])
