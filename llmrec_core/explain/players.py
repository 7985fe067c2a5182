"""Who plays: the parts of a prompt whose presence is varied to see what each is worth. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from llmrec_core.errors import UsageError
from llmrec_core.types import Columns

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset

MAX_EXACT = 12
"""Players whose 2^n coalitions may all be scored."""
MAX_PLAYERS = 20
"""Players at most; a longer history is grouped."""
FIELDS = ("title", "year", "genres")
"""Parts of the candidate's text that can be left out."""
KINDS = ("history", "fields", "user")


@dataclass(frozen=True)
class Player:
    """One part of the prompt."""

    kind: str
    """`item` or `group` (of history items), `field` (of the candidate), `user` (an attribute put into the prompt)."""
    label: str
    """What a page shows; data, never markup."""
    places: tuple[int, ...] = ()
    """Positions in the history that is read."""
    field: str = ""
    """Name of the candidate's field or the user's attribute."""
    value: str = ""
    """The attribute's value."""


def read_items(recommender: Any, history: np.ndarray) -> np.ndarray:
    """The items that a recommender really reads of a history, oldest first.

    A language model reads as many as fit its prompt, SASRec its window, EASE everything. Leaving an item out must not
    let an older one slip in, so explanations start from these.
    """
    history = np.asarray(history, dtype=np.int64)
    model: Any = getattr(recommender, "model", None)
    if hasattr(model, "layout"):
        return np.array(model.layout.keep(history.tolist()), dtype=np.int64)
    limit = getattr(recommender, "length", 0) or getattr(recommender, "history_items", 0)
    spec = getattr(recommender, "spec", None)
    if not limit and spec is not None:
        limit = spec.recommender.history_items
    return history[-int(limit) :] if limit else history


def history_players(
    dataset: Dataset, items: np.ndarray, *, limit: int = MAX_PLAYERS, group_by: str = "recency"
) -> tuple[Player, ...]:
    """One player per history item; of a longer history, groups by recency or genre.

    By recency the newest half of the players stay single items and the older items form equal blocks; by genre every
    player holds the items of one first genre, the rarer genres together.

    Raises:
        UsageError: for fewer than 2 players or an unknown grouping.
    """
    if group_by not in ("recency", "genre"):
        raise UsageError(f"group_by is {group_by!r}; expected 'recency' or 'genre'")
    if limit < 2:
        raise UsageError(f"{limit} players; an explanation of a history needs at least 2")
    titles = dataset.items[Columns.TITLE]
    count = len(items)
    if count <= limit:
        return tuple(
            Player("item", str(titles.iloc[item]) or f"item {item}", (place,)) for place, item in enumerate(items)
        )
    if group_by == "recency":
        single = limit // 2
        blocks = np.array_split(np.arange(count - single), limit - single)
        grouped = [
            Player(
                "group",
                f"{len(block)} items, {count - block[-1]} to {count - block[0]} back",
                tuple(block.tolist()),
            )
            for block in blocks
        ]
        newest = history_players(dataset, items[count - single :], limit=limit)
        return (*grouped, *(Player("item", p.label, (p.places[0] + count - single,)) for p in newest))
    first = [str(genres).split("|")[0] or "no genre" for genres in dataset.items[Columns.GENRES].iloc[items]]
    names, counts = np.unique(first, return_counts=True)
    kept = set(names[np.argsort(-counts, kind="stable")[: limit - 1]].tolist()) if len(names) > limit else set(names)
    members: dict[str, list[int]] = {}
    for place, name in enumerate(first):
        members.setdefault(name if name in kept else "other genres", []).append(place)
    return tuple(Player("group", f"{name}: {len(places)} items", tuple(places)) for name, places in members.items())


def field_players(dataset: Dataset, item: int, *, genres: bool = True) -> tuple[Player, ...]:
    """The fields of a candidate's text that are there: title, year, genres."""
    row = dataset.items.iloc[item]
    found = []
    for name in FIELDS if genres else FIELDS[:2]:
        value = row.get(name)
        text = "" if value is None or value != value else str(value)
        if name == Columns.YEAR and text not in str(row[Columns.TITLE]):
            continue
        if text:
            found.append(Player("field", f"{name} of the candidate", field=name, value=text))
    return tuple(found)


def user_players(dataset: Dataset, user: int | None, names: Sequence[str] = ()) -> tuple[Player, ...]:
    """Attributes of a user as players: they are put into the prompt as text, and their effect is measured.

    Raises:
        UsageError: when nobody in particular is asked about, or the data set knows nothing about its users.
    """
    known = [column for column in dataset.users.columns if column != Columns.USER_ID]
    wanted = [name for name in (names or known) if name in known]
    if user is None or not wanted:
        raise UsageError(
            f"no user attributes to explain: {dataset.name!r} has {', '.join(known) or 'none'}; "
            "ask about a user of a data set with attributes such as age or gender"
        )
    row = dataset.users.iloc[user]
    return tuple(Player("user", f"{name}: {row[name]}", field=name, value=str(row[name])) for name in wanted)


def backgrounds(dataset: Dataset, length: int, *, count: int = 4, seed: int = 0, avoid: int = -1) -> np.ndarray:
    """Item codes (count, length): the latest items of other users, the stand-ins of the baseline `average`.

    Users are drawn by seed among those with a long enough history; item `avoid` never stands in.
    """
    from llmrec_core.data.splits import ordered_rows

    table = dataset.interactions.iloc[ordered_rows(dataset)]
    groups = table.groupby(Columns.USER, sort=True)[Columns.ITEM]
    sizes = groups.size()
    rng = np.random.default_rng(seed)
    users = sizes.index[(sizes > length).to_numpy()].to_numpy()
    if len(users) == 0:  # nobody has as long a history: draw items as often as people met them
        items = table[Columns.ITEM].to_numpy()
        return rng.choice(items[items != avoid], (count, length)).astype(np.int64)
    chosen = rng.permutation(users)[:count]
    rows = []
    for user in chosen:
        items = groups.get_group(user).to_numpy(dtype=np.int64)
        items = items[items != avoid]
        rows.append(items[-length:] if length else items[:0])
    return np.stack(rows)
