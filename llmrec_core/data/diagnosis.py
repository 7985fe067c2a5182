"""What the data itself gives away, kept beside the data set under its content hash.

`checks/diagnosis` measures it; here is what is kept, and how it is read again without any model.
"""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llmrec_core.errors import DataError
from llmrec_core.files import write_text
from llmrec_core.language import t
from llmrec_core.settings import Settings

SECONDS_EACH = 36 / 200_000
"""Seconds for one interaction, measured on amazon-beauty; of a larger set people are sampled."""
_HASH = re.compile(r"[0-9a-f]{16}")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Figure(_Part):
    """A mean over people with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int = Field(ge=0)


class Shuffled(_Part):
    """A training-free model as the file is, and with ties in an order drawn by chance."""

    model: str
    """A family, or `next-numbers`: the ten item numbers after the last item's."""
    as_is: Figure
    shuffled: float
    """Mean over the draws."""
    loss: Figure
    """As it is minus shuffled; over people and draws."""


class Ties(_Part):
    """Equal times, and what hangs on their order."""

    targets: int = Field(ge=0)
    tied: int = Field(ge=0)
    """Targets that are the last item by the order of equal times alone."""
    neighbours: int = Field(ge=0)
    """Items met one after the other at the same time."""
    ascending: int = Field(ge=0)
    """Of them, those whose item numbers ascend."""
    draws: int = Field(ge=0)
    models: list[Shuffled]

    @property
    def share(self) -> float:
        """Share of targets that are tied."""
        return self.tied / self.targets if self.targets else 0.0


class Successors(_Part):
    """How much of what follows was seen to follow before."""

    median: float
    """Different items that came straight after an item, median over items with any."""
    known: Figure
    """Share of targets that came straight after the last item in somebody's training."""


class Likeness(_Part):
    """Cosine of TF-IDF vectors of titles: of neighbours, and of items drawn at random."""

    neighbours: Figure
    random: Figure


class Reach(_Part):
    """Item-kNN that reads only the last items."""

    items: int = Field(ge=0)
    """0 reads all."""
    quality: Figure


class Consequence(_Part):
    """What acting on one check of the cleaning report does to item-kNN."""

    check: str
    rule: str
    count: int
    unit: str
    moves: Figure
    """Quality after minus before, over the people who stay."""


class Memorised(_Part):
    """Titles that a language model completes from their first half."""

    model: str
    sampled: int = Field(ge=0)
    completed: int = Field(ge=0)
    share: Figure
    seconds: float = Field(ge=0)


class Diagnosis(_Part):
    """Everything that was measured of one version of a data set."""

    content_hash: str
    name: str
    created: float
    """Seconds since 1970."""
    seconds: float = Field(ge=0)
    users: int = Field(ge=0)
    """People asked; all, or a sample of a large set."""
    chance: float
    """NDCG@10 of a list drawn at random."""
    ties: Ties
    popularity: Figure
    directed_counts: Figure
    item_knn: Figure
    untied: Figure | None
    """Item-kNN without the tied people; `None` when nobody is left."""
    next_numbers: Figure
    successors: Successors
    likeness: Likeness | None
    reach: list[Reach]
    gain: Figure
    """Item-kNN reading everything minus reading the last item alone."""
    consequences: list[Consequence]
    memorised: list[Memorised] = Field(default_factory=list)


def expected_s(interactions: int) -> float:
    """About how long a diagnosis takes.

    Args:
        interactions: how many the data set has.
    """
    return 5.0 + min(interactions, 400_000) * SECONDS_EACH


def path_of(content_hash: str, settings: Settings) -> Path:
    """Where the diagnosis of this content is kept.

    Raises:
        DataError: when it is no content hash.
    """
    if not _HASH.fullmatch(content_hash):
        raise DataError(t("{hash!r} is no content hash of a data set", hash=content_hash[:40]))
    return settings.home / "diagnoses" / f"{content_hash}.json"


def kept(content_hash: str, settings: Settings) -> Diagnosis | None:
    """The diagnosis of this content; `None` when there is none, or one of another version of us."""
    path = path_of(content_hash, settings)
    try:
        return Diagnosis.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def keep(diagnosis: Diagnosis, settings: Settings) -> None:
    """Write a diagnosis, complete or not at all, in place of an earlier one."""
    path = path_of(diagnosis.content_hash, settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, diagnosis.model_dump_json(indent=1))
