"""Who plays: the parts of a prompt whose presence is varied to see what each is worth. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from llmrec_core.data.history import events_of
from llmrec_core.data.item_texts import item_text
from llmrec_core.errors import UsageError
from llmrec_core.language import t, tn
from llmrec_core.types import Columns, RepeatRule

if TYPE_CHECKING:
    from llmrec_core.data.dataset import Dataset
    from llmrec_core.models.prompt_layout import PromptLayout

MAX_EXACT = 12
"""Players whose 2^n coalitions may all be scored."""
MAX_PLAYERS = 20
"""Players at most; a longer history is grouped."""
FIELDS = ("title", "year", "genres")
"""Parts of the candidate's text that can be left out."""


@dataclass(frozen=True)
class Player:
    """One part of the prompt."""

    kind: str
    """`item` or `group` (of history items), `field` (of the candidate), `user` (an attribute)."""
    label: str
    """What a page shows; data, never markup."""
    places: tuple[int, ...] = ()
    """Positions in the history that is read."""
    items: tuple[str, ...] = ()
    """Ids of the history items, in the order of `places`."""
    back: int | None = None
    """How far back in the history its newest item stands, 1 for the latest of all."""
    field: str = ""
    """Name of the candidate's field or the user's attribute."""
    value: str = ""
    """The attribute's value."""

    @property
    def item_id(self) -> str:
        """Id of the one history item that it is; empty for every other kind."""
        return self.items[0] if self.kind == "item" and self.items else ""


def history_players(
    dataset: Dataset, items: np.ndarray, *, limit: int = MAX_PLAYERS, group_by: str = "recency"
) -> tuple[Player, ...]:
    """One player per history item; of a longer history, groups by recency or genre.

    By recency the newest half of the players stay single items and the older items form equal
    blocks. By genre every player holds the items of one first genre, the rarer genres together.

    Args:
        dataset: where titles, ids and genres stand.
        items: item codes of the history that is read, oldest first.
        limit: players at most.
        group_by: `recency` or `genre`.

    Raises:
        UsageError: for fewer than 2 players or an unknown grouping.
    """
    if group_by not in ("recency", "genre"):
        raise UsageError(
            t("group_by is {group_by!r}; expected 'recency' or 'genre'", group_by=group_by)
        )
    if limit < 2:
        raise UsageError(
            t("{limit} players; an explanation of a history needs at least 2", limit=limit)
        )
    count = len(items)
    if count <= limit:
        return tuple(_single(dataset, items, place) for place in range(count))
    if group_by == "genre":
        return _by_genre(dataset, items, limit)
    single = limit // 2
    blocks = np.array_split(np.arange(count - single), limit - single)
    grouped = [
        _group(
            dataset,
            items,
            t(
                "{items} items, {nearest} to {farthest} back",
                items=len(block),
                nearest=count - block[-1],
                farthest=count - block[0],
            ),
            block.tolist(),
        )
        for block in blocks
    ]
    newest = [_single(dataset, items, place) for place in range(count - single, count)]
    return (*grouped, *newest)


def _single(dataset: Dataset, items: np.ndarray, place: int) -> Player:
    item = int(items[place])
    title = str(dataset.items[Columns.TITLE].iloc[item])
    item_id = str(dataset.items[Columns.ITEM_ID].iloc[item])
    label = title or t("item {item_id}", item_id=item_id)
    return Player("item", label, (place,), (item_id,), len(items) - place)


def _group(dataset: Dataset, items: np.ndarray, label: str, places: Sequence[int]) -> Player:
    ids = dataset.items[Columns.ITEM_ID].iloc[items[list(places)]].astype(str)
    return Player("group", label, tuple(places), tuple(ids), len(items) - max(places))


def _by_genre(dataset: Dataset, items: np.ndarray, limit: int) -> tuple[Player, ...]:
    first = [
        str(genres).split("|")[0] or t("no genre")
        for genres in dataset.items[Columns.GENRES].iloc[items]
    ]
    names, counts = np.unique(first, return_counts=True)
    common = set(names[np.argsort(-counts, kind="stable")[: limit - 1]].tolist())
    kept = common if len(names) > limit else set(names.tolist())
    members: dict[str, list[int]] = {}
    for place, name in enumerate(first):
        members.setdefault(name if name in kept else t("other genres"), []).append(place)
    return tuple(
        _group(
            dataset,
            items,
            tn("{name}: {count} item", "{name}: {count} items", len(places), name=name),
            places,
        )
        for name, places in members.items()
    )


def relations_read(layout: PromptLayout, dataset: Dataset, item: int) -> str:
    """What the text of a candidate says after its title and genres; empty where it says nothing.

    Args:
        layout: of the reader.
        dataset: where the item stands.
        item: its code.
    """
    own = own_text(layout, dataset, item)
    return layout.candidate_texts[item][len(own) :].removeprefix(", ")


def own_text(layout: PromptLayout, dataset: Dataset, item: int) -> str:
    """A candidate's title, and its genres where an encoder reads them.

    Args:
        layout: of the reader.
        dataset: where the item stands.
        item: its code.
    """
    return layout.clean(item_text(dataset, item, genres=not layout.decoder))


def field_players(
    dataset: Dataset, item: int, *, genres: bool = True, relations: str = ""
) -> tuple[Player, ...]:
    """The fields of a candidate's text that are there: title, year, genres and relations.

    Args:
        dataset: where the item stands.
        item: its code.
        genres: whether the text holds them.
        relations: what the text says of the item's relations; empty where it says nothing.
    """
    row = dataset.items.iloc[item]
    players = []
    for name in FIELDS if genres else FIELDS[:2]:
        value = row.get(name)
        text = "" if pd.isna(value) else str(value)
        if name == Columns.YEAR and text not in str(row[Columns.TITLE]):
            continue
        if text:
            players.append(
                Player("field", t("{name} of the candidate", name=name), field=name, value=text)
            )
    if relations:
        label = t("{name} of the candidate", name="relations")
        players.append(Player("field", label, field="relations", value=relations))
    return tuple(players)


def user_players(
    dataset: Dataset, user: int | None, names: Sequence[str] = ()
) -> tuple[Player, ...]:
    """Attributes of a user that are known, as players: they are put into the prompt as text.

    Args:
        dataset: where the attributes stand.
        user: the user's code, None when nobody in particular is asked about.
        names: attributes that play; all of them when there is none.

    Raises:
        UsageError: when nobody in particular is asked about, or the data set knows nothing about
            its users.
    """
    columns = [column for column in dataset.users.columns if column != Columns.USER_ID]
    wanted = [name for name in (names or columns) if name in columns]
    row = dataset.users.iloc[0 if user is None else user]
    filled = [name for name in wanted if not pd.isna(row[name])]
    if user is None or not filled:
        raise UsageError(
            t(
                "no user attributes to explain: {name!r} has {columns}; ask about a user of a "
                "data set with attributes such as age or gender",
                name=dataset.name,
                columns=", ".join(columns) or t("none"),
            )
        )
    return tuple(
        Player("user", f"{name}: {row[name]}", field=name, value=str(row[name])) for name in filled
    )


def backgrounds(
    dataset: Dataset,
    length: int,
    *,
    count: int = 4,
    seed: int = 0,
    avoid: int = -1,
    repeats: RepeatRule = "first",
) -> np.ndarray:
    """Items of other users that stand in for absent ones, the baseline `average`.

    Args:
        dataset: whose users are drawn.
        length: history items that are replaced.
        count: users drawn, among those with a long enough history.
        seed: of the draw.
        avoid: item code that never stands in.
        repeats: which events of a repeated item are read (data/history.py).

    Returns:
        item codes (count, length), the latest of each user.
    """
    table = dataset.interactions
    distinct = table.groupby(Columns.USER, sort=True)[Columns.ITEM].nunique()
    rng = np.random.default_rng(seed)
    users = distinct.index[(distinct > length).to_numpy()].to_numpy()
    if len(users) == 0:  # nobody has as long a history: draw items as often as people met them
        items = table[Columns.ITEM].to_numpy()
        return rng.choice(items[items != avoid], (count, length)).astype(np.int64)
    rows = []
    for user in rng.permutation(users)[:count]:
        items = events_of(dataset, int(user)).read(repeats)
        items = items[items != avoid]
        rows.append(items[len(items) - length :])
    return np.stack(rows)
