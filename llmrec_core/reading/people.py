"""What a metric says of each person: one line of values a seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llmrec_core.types import Samples

MIN_PEOPLE = 20
"""Fewer people are never compared, nor called the weakest: they say too little of others."""


@dataclass(frozen=True)
class People:
    """Values of a metric for some people, once for every seed of a group of runs."""

    users: tuple[int, ...]
    """User codes, ascending."""
    values: np.ndarray
    """Shape (seeds, users)."""

    def __len__(self) -> int:
        return len(self.users)

    @property
    def means(self) -> np.ndarray:
        """The mean over the seeds of each person, shape (users,)."""
        means: np.ndarray = self.values.mean(axis=0)
        return means

    def only(self, users: Iterable[int]) -> People:
        """The same values of those among `users`."""
        wanted = set(users)
        if wanted.issuperset(self.users):
            return self
        places = [place for place, user in enumerate(self.users) if user in wanted]
        return People(tuple(self.users[place] for place in places), self.values[:, places])


NOBODY = People((), np.zeros((1, 0)))


def of_mapping(values: Mapping[int, float]) -> People:
    """People from user code → value."""
    users = tuple(sorted(values))
    return People(users, np.array([[values[user] for user in users]]))


def of_sample(sample: Samples | None) -> People:
    """People of a run's samples; nobody where it has none. Undefined values are left out."""
    if sample is None:
        return NOBODY
    pairs = zip(sample.keys, sample.values, strict=True)
    return of_mapping({int(user): float(value) for user, value in pairs if value == value})


def stacked(seeds: Sequence[People]) -> People:
    """The people whom all seeds of a group were measured on."""
    users = tuple(sorted(set.intersection(*(set(people.users) for people in seeds))))
    return People(users, np.concatenate([people.only(users).values for people in seeds]))


def shared(
    a: People, b: People, only: Iterable[int] | None = None
) -> tuple[np.ndarray, np.ndarray] | None:
    """The values of the people both have, each (seeds, users); `None` below `MIN_PEOPLE` of them.

    Args:
        a: of a run or a group.
        b: of the other one.
        only: user codes of the slice to look at; `None` for all.
    """
    users = set(a.users) & set(b.users)
    users = users if only is None else users & set(only)
    if len(users) < MIN_PEOPLE:
        return None
    return a.only(users).values, b.only(users).values
