"""Explanations in a notebook: an explainer that is called like shap's own, for shap's plots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict, Unpack

import numpy as np
import shap

from llmrec_core.contract.recommender import Recommender
from llmrec_core.contract.requests import Baseline, ExplainRequest, Target
from llmrec_core.contract.spec import RunSpec
from llmrec_core.data.dataset import Dataset
from llmrec_core.data.history import Events, events_of
from llmrec_core.errors import UsageError
from llmrec_core.explain.explanation import Explanation
from llmrec_core.explain.occasion import Occasion, Reference, item_of, occasion_of, today
from llmrec_core.explain.players import Player
from llmrec_core.explain.question import Question
from llmrec_core.explain.shapley import Z95
from llmrec_core.language import t
from llmrec_core.ledger.ledger import Ledger
from llmrec_core.recommenders.finished_run import load_run
from llmrec_core.settings import Settings, load_settings
from llmrec_core.types import Columns

Person = str | Sequence[Reference]
"""A user's id as in the data set, or a history: a list of item ids or codes, oldest first."""


class Effort(TypedDict, total=False):
    """How every explanation is made; each as in `ExplainRequest`."""

    baseline: Baseline
    target: Target
    budget: int
    error: float
    seed: int


class Explainer:
    """Reasons of a recommender, as `shap.Explanation` or one by one as our own record.

    Args:
        recommender: a fitted recommender of any family.
        dataset: the data that it was fitted on.
        spec: how it was run; it says which repeated items are read and what its evaluation asked.
        **effort: baseline, target, budget or error of every explanation.
    """

    def __init__(
        self,
        recommender: Recommender,
        dataset: Dataset,
        spec: RunSpec | None = None,
        **effort: Unpack[Effort],
    ) -> None:
        self.recommender, self.dataset = recommender, dataset
        self.spec, self.effort = spec or RunSpec(), effort

    @classmethod
    def of_run(
        cls, run: str, settings: Settings | None = None, **effort: Unpack[Effort]
    ) -> Explainer:
        """The explainer of a finished run.

        Args:
            run: its id, or a name that only one finished run has.
            settings: where runs and data stand; from the environment when not given.
            **effort: as for the class.

        Raises:
            UsageError: when there is no such run, several have the name, or its weights are
                elsewhere.
        """
        settings = settings or load_settings()
        loaded = load_run(_id_of(Ledger.open(settings), run), settings)
        return cls(loaded.recommender, loaded.dataset, loaded.spec, **effort)

    def __call__(
        self, people: Person | Sequence[Person], items: Sequence[Reference] | None = None
    ) -> shap.Explanation:
        """Explanations of one item for each person, one row a person.

        Column j is the history item that stands j back, so rows of different people can be
        compared; `data` is how popular that item is (share of the items that are rarer),
        `display_data` its title, `error_std`, `lower_bounds` and `upper_bounds` hold our error
        bars. Where a history is shorter, the value is 0 and the data NaN.

        Args:
            people: users' ids or histories; one user, or one history of item codes, may stand
                without a list around it.
            items: an item for each; without them the best of what each person does not have yet.

        Raises:
            UsageError: for unknown people or items, or another number of items than people.
        """
        listed = _as_list(people)
        if items is not None and len(items) != len(listed):
            raise UsageError(
                t(
                    "{items} items for {people} people; give one for each, or none",
                    items=len(items),
                    people=len(listed),
                )
            )
        wanted = items if items is not None else [None] * len(listed)
        rows = [self.explain(person, item) for person, item in zip(listed, wanted, strict=True)]
        return self._joined(rows, [person if isinstance(person, str) else "" for person in listed])

    def explain(self, person: Person, item: Reference | None = None) -> Explanation:
        """The explanation of one item for one person.

        Args:
            person: a user's id, or a history.
            item: its id or code; without one the best of what the person does not have yet.

        Raises:
            UsageError: for an unknown person or item, or an item that the person has.
        """
        user, history = (person, None) if isinstance(person, str) else ("", tuple(person))
        if item is None:
            occasion = self._today(person)
            item = self._best(occasion)
            request = ExplainRequest(item=item, **self.effort)
        else:
            request = ExplainRequest(item=item, user=user, history=history, **self.effort)
            occasion = occasion_of(self.dataset, self.spec.protocol, request)
        question = Question(self.recommender, self.dataset, occasion, request)
        if not question.players:
            raise UsageError(t("there is no history, so no history item can be a reason"))
        return question.explain(question.item)

    def _today(self, person: Person) -> Occasion:
        repeats = self.spec.protocol.repeats
        if isinstance(person, str):
            user = self.dataset.user_code(person)
            return today(self.dataset, events_of(self.dataset, user), repeats, user)
        codes = [item_of(self.dataset, item, "history") for item in person]
        return today(self.dataset, Events.of_items(codes), repeats)

    def _best(self, occasion: Occasion) -> int:
        scores = self.recommender.score([occasion.history], occasion.candidates[None])[0]
        return int(occasion.candidates[np.argmax(scores)])

    def _joined(self, rows: Sequence[Explanation], names: Sequence[str]) -> shap.Explanation:
        """One row an explanation, history items in columns by how far back they stand."""
        labels = _columns(rows)
        shape = (len(rows), len(labels))
        values, errors, popularity = np.zeros(shape), np.zeros(shape), np.full(shape, np.nan)
        titles = np.full(shape, "", dtype=object)
        rarer = _share_of_rarer(self.dataset)
        for row, explanation in enumerate(rows):
            for number, player in enumerate(explanation.players):
                column = labels.index(_column(player))
                values[row, column] = explanation.values[number]
                errors[row, column] = explanation.errors[number]
                codes = [int(self.dataset.item_code(item)) for item in player.items]
                popularity[row, column] = float(np.mean(rarer[codes]))
                titles[row, column] = player.label
        return shap.Explanation(
            values=values,
            base_values=np.array([explanation.base for explanation in rows]),
            data=popularity,
            display_data=titles,
            instance_names=list(names),
            feature_names=labels,
            error_std=errors / Z95,
            lower_bounds=values - errors,
            upper_bounds=values + errors,
            compute_time=sum(explanation.seconds for explanation in rows),
        )


def _as_list(people: Person | Sequence[Person]) -> list[Person]:
    """The people of a call; one alone is a list of one."""
    if isinstance(people, str):
        return [people]
    codes = [item for item in people if isinstance(item, int | np.integer)]
    if codes:
        return [codes]  # a history of item codes
    return [person for person in people if not isinstance(person, int | np.integer)]


def _column(player: Player) -> str:
    """The column of a player: how far back it stands, from its newest to its oldest item."""
    assert player.back is not None, "every player is of the history"
    if len(player.places) == 1:
        return t("{back} back", back=player.back)
    oldest = player.back + max(player.places) - min(player.places)
    return t("{back} to {oldest} back", back=player.back, oldest=oldest)


def _columns(rows: Sequence[Explanation]) -> list[str]:
    """The columns of some explanations, what stands nearest first."""
    nearest: dict[str, tuple[int, int]] = {}
    for explanation in rows:
        for player in explanation.players:
            assert player.back is not None, "every player is of the history"
            nearest.setdefault(_column(player), (player.back, len(player.places)))
    return sorted(nearest, key=nearest.__getitem__)


def _share_of_rarer(dataset: Dataset) -> np.ndarray:
    """Share of the items that are rarer than each, by interactions, 0 to 1."""
    counts = np.bincount(dataset.interactions[Columns.ITEM], minlength=dataset.n_items)
    ranks = np.argsort(np.argsort(counts, kind="stable"), kind="stable")
    return ranks / max(len(counts) - 1, 1)


def _id_of(ledger: Ledger, wanted: str) -> str:
    """Id of a run given by id, or by a name that only one finished run has."""
    finished = [run for run in ledger.runs() if run.name == wanted and run.state == "finished"]
    if len(finished) > 1:
        raise UsageError(
            t(
                "{count} finished runs are called {name!r}: {ids}; name one by its id",
                count=len(finished),
                name=wanted,
                ids=", ".join(
                    t("{id} of study {study}", id=run.id, study=run.study) for run in finished
                ),
            )
        )
    return finished[0].id if finished else ledger.run(wanted).id
