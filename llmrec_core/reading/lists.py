"""Recommendation lists side by side: whom to look at, and the lists of several runs for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from llmrec_core.language import marked, t

Lists = Mapping[str, Mapping[str, Any]]
"""Run id → its `lists` document."""

KINDS = {
    "disagree": marked("Models disagree"),
    "cold": marked("Cold item"),
    "miss": marked("A miss"),
}
"""Why a person is worth looking at, by the name of the reason."""


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
        Entry(
            place,
            str(item["item_id"]),
            str(item["title"]),
            float(item["score"]),
            bool(item.get("withheld")),
        )
        for place, item in enumerate(items, 1)
    ]


def with_item(listed: Sequence[Entry], explained: Mapping[str, Any]) -> list[Entry]:
    """The lines of a list, and one more for an explained item that the list does not hold.

    Args:
        listed: the lines of the list.
        explained: a recorded explanation.
    """
    if str(explained["item_id"]) in {entry.item_id for entry in listed}:
        return list(listed)
    return [
        *listed,
        Entry(
            len(listed) + 1,
            str(explained["item_id"]),
            str(explained["title"]),
            float(explained["prediction"]),
            False,
        ),
    ]


def users_of(lists: Lists) -> list[str]:
    """Users that every run has a list for, numbers in numeric order."""
    shared = (
        set.intersection(*(set(body.get("users", {})) for body in lists.values()))
        if lists
        else set()
    )
    return sorted(shared, key=lambda user: (len(user), user))


def offers(lists: Lists) -> list[Offer]:
    """Up to three people: most disagreement, a rare withheld item, an item that no run lists."""
    users = users_of(lists)
    if not users:
        return []
    offered: list[Offer] = []
    if len(lists) > 1:
        overlap = {user: _overlap(lists, user) for user in users}
        user = min(users, key=lambda user: overlap[user])
        offered.append(
            Offer(
                "disagree",
                user,
                t("The lists share {overlap:.0f} % of their items.", overlap=100 * overlap[user]),
            )
        )
    first = next(iter(lists.values()))["users"]
    seen = Counter(title for user in users for title in first[user].get("history", []))
    with_target = [user for user in users if first[user].get("withheld")]
    if with_target:
        rare = min(with_target, key=lambda user: seen[first[user]["withheld"]])
        times = seen[first[rare]["withheld"]]
        why = t(
            "The withheld item stands in {times} of the other {n_users} histories listed here.",
            times=times or t("none"),
            n_users=len(users) - 1,
        )
        offered.append(Offer("cold", rare, why))
    taken = {offer.user for offer in offered}
    for user in with_target:
        hit = any(
            item.get("withheld") for body in lists.values() for item in body["users"][user]["items"]
        )
        if not hit and user not in taken:
            why = t("None of these runs has the withheld item in its list.")
            offered.append(Offer("miss", user, why))
            break
    return offered


def _overlap(lists: Lists, user: str) -> float:
    """Mean share of common items over all pairs of runs."""
    sets = [{item["item_id"] for item in body["users"][user]["items"]} for body in lists.values()]
    pairs = [len(a & b) / max(1, len(a | b)) for a, b in combinations(sets, 2)]
    return sum(pairs) / len(pairs)
