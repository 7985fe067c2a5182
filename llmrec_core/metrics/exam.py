"""An exam: who is asked to find what among which items, made once for every recommender."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from llmrec_core.data.candidates import PADDING, askable, candidate_sets, sample_cases
from llmrec_core.data.splits import Case, Split, split

if TYPE_CHECKING:
    from llmrec_core.contract.protocol import ProtocolSpec
    from llmrec_core.data.dataset import Dataset


def protocol_split(dataset: Dataset, protocol: ProtocolSpec) -> Split:
    """The split that a protocol names, whose test holds only cases that it can ask.

    Args:
        dataset: what is split.
        protocol: names the split, which repeated events are read, and what is offered.

    Raises:
        UnsupportedError: as `Exam.of`.
    """
    parts = split(dataset, protocol.split, protocol.repeats)
    return askable(parts, protocol.candidates)


@dataclass(frozen=True)
class Exam:
    """The split of a protocol, the people who are asked, and what each of them is offered."""

    split: Split
    cases: list[Case]
    """In the order of user codes."""
    candidates: np.ndarray
    """Item codes, shape (cases, N); -1 pads shorter rows."""
    seed: int
    """Of the people and of what they are offered."""

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        protocol: ProtocolSpec,
        *,
        users: int | None = None,
        seed: int | None = None,
    ) -> Exam:
        """The test of a protocol.

        Args:
            dataset: whose people are asked.
            protocol: how it is split and what is offered.
            users: how many are asked; None takes the protocol's number, 0 everybody.
            seed: of the draw; None takes the protocol's.

        Raises:
            UsageError: for a number of people or a seed that is out of its bounds.
            UnsupportedError: when the data set came without the candidate lists that the protocol
                names, or without the times that its split needs.
        """
        protocol = dataclasses.replace(
            protocol,
            users=protocol.users if users is None else users,
            seed=protocol.seed if seed is None else seed,
        )
        parts = protocol_split(dataset, protocol)
        return cls.on(parts, parts.test, protocol.candidates, protocol.users, protocol.seed)

    @classmethod
    def on(
        cls, parts: Split, cases: Sequence[Case], candidates: str, users: int, seed: int
    ) -> Exam:
        """An exam on cases of a split, for example on those that validate a training.

        Args:
            parts: where the cases are from.
            cases: of whom `users` are drawn.
            candidates: a kind for `candidate_sets`.
            users: how many are asked; 0 asks everybody.
            seed: of the draws.
        """
        drawn = sample_cases(cases, users, seed)
        return cls(parts, drawn, candidate_sets(parts, drawn, candidates, seed), seed)

    @classmethod
    def batches(
        cls, parts: Split, cases: Sequence[Case], candidates: str, users: int, seed: int, size: int
    ) -> Iterator[Exam]:
        """As `on`, so many people at a time, where all candidates at once would be too many.

        Args:
            parts: as for `on`.
            cases: as for `on`.
            candidates: as for `on`.
            users: as for `on`.
            seed: as for `on`.
            size: people of one batch.
        """
        drawn = sample_cases(cases, users, seed)
        for start in range(0, len(drawn), size):
            yield cls.on(parts, drawn[start : start + size], candidates, 0, seed)

    @property
    def histories(self) -> list[np.ndarray]:
        """What each person did before, item codes, oldest first."""
        return [case.history for case in self.cases]

    def sample(self, users: int) -> Exam:
        """The exam of so many of its people, those whom a smaller exam of this seed would ask.

        Args:
            users: how many are asked; 0 asks everybody.
        """
        drawn = {case.user for case in sample_cases(self.cases, users, self.seed)}
        return self.where(np.array([case.user in drawn for case in self.cases], dtype=bool))

    def where(self, kept: np.ndarray) -> Exam:
        """The exam of some of its people.

        Args:
            kept: whether each of them stays, bool, shape (cases,).
        """
        cases = [case for case, stays in zip(self.cases, kept, strict=True) if stays]
        return Exam(self.split, cases, self.candidates[kept], self.seed)

    def offered(self, place: int) -> np.ndarray:
        """Item codes that the person at this place is offered, without padding.

        Args:
            place: row of `cases` and of `candidates`.
        """
        row = self.candidates[place]
        return np.asarray(row[row != PADDING])
