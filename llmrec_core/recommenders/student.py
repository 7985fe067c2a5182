"""A SASRec that learns from a dearer recommender's lists, and serves at its own price.

Beside the next items of the training data it learns what the teacher would list (lessons.py). The
teacher is another run of the study, in most cases a language model or a cascade over one; it is
asked once, in training, and never when the student serves.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from llmrec_core.contract.letters import require_teacher
from llmrec_core.contract.recommender import Recommender, ServesInPrecision, reader_of
from llmrec_core.contract.spec import RunSpec
from llmrec_core.errors import UsageError
from llmrec_core.language import t
from llmrec_core.models.sasrec_model import SasRecModel
from llmrec_core.recommenders.lessons import LessonLoss, Lessons, ask_teacher, best_items
from llmrec_core.recommenders.sasrec import SasRec
from llmrec_core.recommenders.stored import stored_recommender
from llmrec_core.training.windows import WindowSampler

if TYPE_CHECKING:
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.data.splits import Split
    from llmrec_core.settings import Settings

TAUGHT_PEOPLE, TAUGHT_ITEMS, LESSON, FADE = 1000, 10, 5.0, 5.0
SCORED_TOGETHER = 256
"""People whose own lists are held against the teacher's at once."""


class Student(SasRec):
    """SASRec with a teacher; loaded from a folder it has none and needs none."""

    def __init__(self, spec: RunSpec, dataset: Dataset, settings: Settings) -> None:
        """Read the options; weights are made by `fit` or `load`.

        Raises:
            UsageError: for an option that the family does not have, or one out of its range.
        """
        super().__init__(spec, dataset, settings)
        given = spec.recommender.options
        self.taught_people = int(given.get("taught_people", TAUGHT_PEOPLE))
        self.taught_items = int(given.get("taught_items", TAUGHT_ITEMS))
        self.lesson = float(given.get("lesson", LESSON))
        self.fade = float(given.get("fade", FADE))
        self._teacher: tuple[RunSpec, Recommender] | None = None
        self._taught: tuple[list[np.ndarray], Lessons] | None = None

    @classmethod
    def of_spec(
        cls, spec: RunSpec, dataset: Dataset, settings: Settings, parent: Path | None
    ) -> Self:
        """As `FamilyClass.of_spec`; `parent` is the teacher's folder.

        Raises:
            UsageError: when that folder holds nobody who can teach.
        """
        student = cls(spec, dataset, settings)
        student._teacher = None if parent is None else stored_recommender(parent, dataset)
        if student._teacher is None:
            raise UsageError(
                t(
                    "weights_from is {name!r}, which cannot teach {family!r}; name a run of a "
                    "trained sequential model, two towers, a language model, a cascade or a "
                    "hosted model",
                    name=spec.weights_from,
                    family=spec.recommender.family,
                )
            )
        require_teacher(student._teacher[0].recommender, spec.weights_from)
        return student

    def fit(self, split: Split, context: RunContext) -> None:
        """Ask the teacher, then train; see `Recommender.fit`.

        Raises:
            DataError: when no user has two training interactions.
            NotFiniteError: when training diverges.
            RunError: when the run is asked to stop.
        """
        super().fit(split, context)
        assert self._teacher is not None, "made by of_spec"
        assert self._taught is not None, "made by _loss"
        sequences, lessons = self._taught
        context.document(
            "teacher",
            {
                "run": self._teacher[0].name,
                "people": lessons.people,
                "items": lessons.items.shape[1],
                "seconds": lessons.seconds,
                "learned": self._learned(sequences, lessons),
            },
        )
        self._teacher = self._taught = None  # the teacher's memory is free for what follows

    def _learned(self, sequences: Sequence[np.ndarray], lessons: Lessons) -> float:
        """Share of the items on the teacher's lists that stand on the student's own as well."""
        people = np.flatnonzero(lessons.items[:, 0] >= 0)
        shared = 0
        for start in range(0, len(people), SCORED_TOGETHER):
            some = people[start : start + SCORED_TOGETHER]
            own = best_items(self.score, [sequences[p][:-1] for p in some], self.dataset.n_items)
            for person, mine in zip(some, own, strict=True):
                theirs = lessons.items[person][lessons.items[person] >= 0]
                shared += len(np.intersect1d(theirs, mine[: len(theirs)]))
        return shared / int((lessons.items >= 0).sum())

    def _loss(
        self, model: SasRecModel, sampler: WindowSampler, split: Split, context: RunContext
    ) -> LessonLoss:
        assert self._teacher is not None, "made by of_spec"
        spec, teacher = self._teacher
        reader = reader_of(teacher)
        if isinstance(reader, ServesInPrecision):
            reader.ready(spec.precision)
        lessons = ask_teacher(
            teacher.score,
            sampler.sequences,
            self.dataset,
            context,
            people=self.taught_people,
            items=self.taught_items,
            seed=self.spec.seed,
        )
        context.log(
            t(
                "{people:,} people's lists of {items} items, made by {teacher} in {seconds:.0f} s",
                people=lessons.people,
                items=lessons.items.shape[1],
                teacher=spec.name,
                seconds=lessons.seconds,
            )
        )
        self._taught = sampler.sequences, lessons
        return LessonLoss(model, lessons, self.lesson, self.fade, self.device)
