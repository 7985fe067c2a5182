"""Recommendation lists side by side: which people to look at, and the lists of several runs for one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

Lists = Mapping[str, Mapping[str, Any]]
"""Run id → its `lists` document."""


@dataclass(frozen=True)
class Offer:
    """A person worth looking at, and why."""

    kind: str
    user: str
    why: str


@dataclass(frozen=True)
class Entry:
    """One line of a list."""

    place: int
    item_id: str
    title: str
    score: float
    withheld: bool


def entries(items: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """The items of a list document or of an answer as records."""
    return [
        Entry(place, str(item["item_id"]), str(item["title"]), float(item["score"]), bool(item.get("withheld")))
        for place, item in enumerate(items, 1)
    ]


def users_of(lists: Lists) -> list[str]:
    """Users that every run has a list for, numbers in numeric order."""
    shared = set.intersection(*(set(body.get("users", {})) for body in lists.values())) if lists else set()
    return sorted(shared, key=lambda user: (len(user), user))


def offers(lists: Lists) -> list[Offer]:
    """Up to three people: the runs disagree most, a rare withheld item, an item that nobody found."""
    users = users_of(lists)
    if not users:
        return []
    found: list[Offer] = []
    if len(lists) > 1:
        overlap = {user: _overlap(lists, user) for user in users}
        user = min(users, key=lambda user: overlap[user])
        found.append(Offer("Models disagree", user, f"The lists share {100 * overlap[user]:.0f} % of their items."))
    first = next(iter(lists.values()))["users"]
    seen = Counter(title for user in users for title in first[user].get("history", []))
    with_target = [user for user in users if first[user].get("withheld")]
    if with_target:
        rare = min(with_target, key=lambda user: seen[first[user]["withheld"]])
        times = seen[first[rare]["withheld"]]
        why = f"The withheld item stands in {times or 'none'} of the other {len(users) - 1} histories listed here."
        found.append(Offer("Cold item", rare, why))
    taken = {offer.user for offer in found}
    for user in with_target:
        hit = any(item.get("withheld") for body in lists.values() for item in body["users"][user]["items"])
        if not hit and user not in taken:
            found.append(Offer("A miss", user, "None of these runs has the withheld item in its list."))
            break
    return found


def _overlap(lists: Lists, user: str) -> float:
    """Mean share of common items over all pairs of runs."""
    sets = [{item["item_id"] for item in body["users"][user]["items"]} for body in lists.values()]
    pairs = [len(a & b) / max(1, len(a | b)) for a, b in combinations(sets, 2)]
    return sum(pairs) / len(pairs)
