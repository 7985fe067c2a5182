"""What a teacher would list for people of the training data, and the loss of learning it.

A ranking is distilled into a student by the items at its top, each counting by its place, after
DLLM2Rec (Cui et al., RecSys 2024, arXiv:2405.00338), whose place weights are exp(−place / fade).
Their sum is made 1, so that a lesson is a soft target of a softmax over the catalogue (Hinton et
al., 2015, arXiv:1503.02531).

A person's lesson belongs to one place: the teacher reads all but the last of the person's training
items, as the student does there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from llmrec_core.errors import CheckpointError
from llmrec_core.models.sasrec_model import SasRecModel
from llmrec_core.recommenders.storage import load_arrays, save_arrays
from llmrec_core.recommenders.target_loss import TargetLoss
from llmrec_core.training.windows import Windows

if TYPE_CHECKING:
    from llmrec_core.contract.recommender import Score
    from llmrec_core.contract.run_context import RunContext
    from llmrec_core.data.dataset import Dataset

ASKED_TOGETHER = 8
"""People for whom a teacher makes lists at once; after each lot what there is is kept."""
FILE = "lessons"


@dataclass
class Lessons:
    """Lists of a teacher."""

    items: np.ndarray
    """Item codes, best first, int32, shape (sequences, K); -1 where a sequence has no lesson."""
    seconds: float
    """That the teacher took, over all attempts of the run."""

    @property
    def people(self) -> int:
        """How many sequences have a lesson."""
        return int((self.items[:, 0] >= 0).sum())


def ask_teacher(
    score: Score,
    sequences: Sequence[np.ndarray],
    dataset: Dataset,
    context: RunContext,
    *,
    people: int,
    items: int,
    seed: int,
) -> Lessons:
    """Have the teacher rank, for people drawn by chance, all items that they have not taken.

    What was asked before an interruption is in the run's folder and is not asked again.

    Args:
        score: the teacher's, as `Recommender.score`.
        sequences: training items of each person, oldest first, at least two.
        dataset: the catalogue.
        context: of the run.
        people: how many are drawn; 0 takes all.
        items: K, places of a list that are kept; fewer where the catalogue has fewer.
        seed: of the draw.

    Raises:
        RunError: when the run is asked to stop.
    """
    drawn = np.random.default_rng(seed).permutation(len(sequences))[: people or None]
    lessons = _kept(context.folder, dataset) or Lessons(
        np.full((len(sequences), min(items, dataset.n_items)), -1, np.int32), 0.0
    )
    missing = [int(person) for person in drawn if lessons.items[person, 0] < 0]
    done = len(drawn) - len(missing)
    for start in range(0, len(missing), ASKED_TOGETHER):
        context.progress("teach", done + start, len(drawn))
        lot = missing[start : start + ASKED_TOGETHER]
        began = time.monotonic()
        lists = best_items(score, [sequences[person][:-1] for person in lot], dataset.n_items)
        for person, best in zip(lot, lists, strict=True):
            kept = best[: lessons.items.shape[1]]
            lessons.items[person, : len(kept)] = kept
        lessons.seconds += time.monotonic() - began
        save_arrays(context.folder, FILE, items=lessons.items, seconds=np.array([lessons.seconds]))
    context.progress("teach", len(drawn), len(drawn))
    return lessons


def _kept(folder: Path, dataset: Dataset) -> Lessons | None:
    """The lists of an earlier attempt of the run; None where there are none, or damaged ones."""
    try:
        stored = load_arrays(folder, FILE, dataset)
    except CheckpointError:
        return None
    return Lessons(stored["items"], float(stored["seconds"][0]))


def best_items(score: Score, histories: Sequence[np.ndarray], items: int) -> list[np.ndarray]:
    """All items that are not in each history, best first; equal scores keep the items' order.

    Args:
        score: as `Recommender.score`.
        histories: item codes of each person, oldest first.
        items: how many the catalogue has.
    """
    offered = [np.setdiff1d(np.arange(items), history) for history in histories]
    candidates = np.full((len(offered), max(map(len, offered))), -1, dtype=np.int64)
    for row, codes in zip(candidates, offered, strict=True):
        row[: len(codes)] = codes
    scores = score(histories, candidates)
    return [
        codes[np.argsort(-row[: len(codes)], kind="stable")]
        for row, codes in zip(scores, offered, strict=True)
    ]


class LessonLoss(TargetLoss):
    """The loss of the next items, and beside it that of the teacher's lists."""

    def __init__(
        self, model: SasRecModel, lessons: Lessons, weight: float, fade: float, device: torch.device
    ) -> None:
        """Hold what every batch needs.

        Args:
            model: the student.
            lessons: lists of the sampler's sequences.
            weight: what a taught place counts against one that foretells the next item.
            fade: places after which an item counts 1/e of the first.
            device: where the student is.
        """
        super().__init__(model, None, device)
        self.lessons, self.lesson_weight = lessons, weight
        places = np.exp(-np.arange(lessons.items.shape[1]) / fade)
        self.shares = torch.from_numpy((places / places.sum()).astype(np.float32)).to(device)

    def mean(self, windows: Windows) -> Tensor:
        """(Σ losses of the next items + weight · Σ losses of lists) ÷ number of places.

        Divided like this, batches of any sizes add up to what one large batch gives.
        """
        states, table = self._states(windows)
        loss = self._of_places(states, table, windows)
        assert windows.people is not None, "windows of a sampler"
        assert windows.at_end is not None, "windows of a sampler"
        lists = self.lessons.items[windows.people]
        taught = np.flatnonzero(windows.at_end & (lists[:, 0] >= 0))
        if not len(taught):
            return loss
        last = windows.real[taught].sum(axis=1) - 1
        reading = states[torch.from_numpy(taught).to(self.device), torch.from_numpy(last)]
        log_shares = functional.log_softmax(reading @ table[: self.model.items].T, dim=1)
        listed = torch.from_numpy(lists[taught].astype(np.int64)).to(self.device)
        there = listed >= 0
        shares = self.shares * there
        shares = shares / shares.sum(dim=1, keepdim=True)
        each = -(shares * torch.gather(log_shares, 1, listed.clamp(min=0))).sum(dim=1)
        return loss + self.lesson_weight * each.sum() / float(windows.real.sum())
